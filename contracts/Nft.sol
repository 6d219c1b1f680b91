// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// A collection whose every mint takes the next number: the counter is what mints fight over.
contract Nft {
    uint256 public nextId; // 0
    mapping(uint256 id => address) private _owners; // 1
    mapping(address owner => uint256) private _balances; // 2

    event Transfer(address indexed from, address indexed to, uint256 indexed id);

    error NoSuchToken(uint256 id);
    error NotOwner(address caller, uint256 id);

    function mint() external returns (uint256 id) {
        id = nextId++;
        _owners[id] = msg.sender;
        unchecked {
            _balances[msg.sender] += 1;
        }
        emit Transfer(address(0), msg.sender, id);
    }

    function transfer(address to, uint256 id) external {
        if (_owners[id] != msg.sender) revert NotOwner(msg.sender, id);
        unchecked {
            _balances[msg.sender] -= 1;
            _balances[to] += 1;
        }
        _owners[id] = to;
        emit Transfer(msg.sender, to, id);
    }

    function ownerOf(uint256 id) external view returns (address owner) {
        owner = _owners[id];
        if (owner == address(0)) revert NoSuchToken(id);
    }

    function balanceOf(address owner) external view returns (uint256) {
        return _balances[owner];
    }
}
