// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// A child that counts its calls and can be destroyed by whoever made it.
contract Child {
    uint256 public count = 1; // 0
    address private immutable _parent = msg.sender;

    constructor() payable {}

    function bump() external {
        count += 1;
    }

    function destroy() external {
        require(msg.sender == _parent);
        selfdestruct(payable(msg.sender));
    }

    receive() external payable {}
}

/// A child that is gone when its constructor ends.
contract Mayfly {
    constructor() payable {
        selfdestruct(payable(msg.sender));
    }
}

/// Makes, destroys and makes again.
contract Factory {
    uint256 public made; // 0
    address public last; // 1

    error NotMade();

    event Made(address indexed child);

    /// A child at an address that the factory's nonce gives.
    function create() external payable returns (address) {
        return _made(address(new Child{value: msg.value}()));
    }

    /// A child at an address that the salt gives. Reverts while there is one.
    function create2(bytes32 salt) external payable returns (address) {
        return _made(address(new Child{salt: salt, value: msg.value}()));
    }

    function createMayfly(bytes32 salt) external payable returns (address) {
        return _made(address(new Mayfly{salt: salt, value: msg.value}()));
    }

    function destroy(bytes32 salt) external {
        Child(payable(childOf(salt))).destroy();
    }

    /// Within one transaction, so that even after EIP-6780 the child is gone at its end.
    function createAndDestroy(bytes32 salt) external payable returns (address) {
        Child child = new Child{salt: salt, value: msg.value}();
        child.bump();
        child.destroy();
        return _made(address(child));
    }

    function bump(bytes32 salt) external {
        Child(payable(childOf(salt))).bump();
    }

    function childOf(bytes32 salt) public view returns (address) {
        bytes32 code = keccak256(type(Child).creationCode);
        bytes32 hash = keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, code));
        return address(uint160(uint256(hash)));
    }

    function _made(address child) private returns (address) {
        if (child == address(0)) revert NotMade();
        made += 1;
        last = child;
        emit Made(child);
        return child;
    }

    receive() external payable {}
}
