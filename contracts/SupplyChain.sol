// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// Items on their way from maker to shop: each step writes the item, what both custodians hold, and an event.
/// A custodian that many items pass through is what steps fight over.
contract SupplyChain {
    struct Item {
        address maker; // with the stage and the time in one word
        uint8 stage;
        uint64 changedAt;
        address custodian;
        bytes32 history;
    }

    uint8 public constant STAGES = 5;

    mapping(uint256 item => Item) private _items; // 0
    mapping(address custodian => uint256) public held; // 1

    event Passed(uint256 indexed item, address indexed from, address indexed to, uint8 stage);

    error AlreadyMade(uint256 item);
    error NotMaker(address caller, uint256 item);
    error Delivered(uint256 item);
    error InvalidCustodian(address custodian);

    /// A new item in the hands of its maker.
    function make(uint256 item) external {
        Item storage made = _items[item];
        if (made.maker != address(0)) revert AlreadyMade(item);
        made.maker = msg.sender;
        _move(made, item, address(0), msg.sender, 1);
    }

    /// The next stage, in the hands of somebody else. The maker says so, as the one who tracks the item.
    function pass(uint256 item, address to) external {
        Item storage passed = _items[item];
        if (to == address(0)) revert InvalidCustodian(to);
        if (passed.maker != msg.sender) revert NotMaker(msg.sender, item);
        if (passed.stage == STAGES) revert Delivered(item);
        address from = passed.custodian;
        held[from] -= 1;
        _move(passed, item, from, to, passed.stage + 1);
    }

    function itemOf(uint256 item) external view returns (address, uint8, uint64, address, bytes32) {
        Item storage found = _items[item];
        return (found.maker, found.stage, found.changedAt, found.custodian, found.history);
    }

    function _move(Item storage item, uint256 id, address from, address to, uint8 stage) private {
        item.stage = stage;
        item.changedAt = uint64(block.timestamp);
        item.custodian = to;
        item.history = keccak256(abi.encode(item.history, from, to, stage));
        held[to] += 1;
        emit Passed(id, from, to, stage);
    }
}
