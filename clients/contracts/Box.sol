// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// Storage at known slots, and every way in which a call can fail.
contract Box {
    uint256 public value; // slot 0
    uint256 private untouched; // slot 1
    mapping(address => uint256) public valueOf; // slot 2

    event Stored(address indexed from, uint256 value);

    error Unlucky(uint256 number);

    function store(uint256 newValue) external {
        value = newValue;
        valueOf[msg.sender] = newValue;
        emit Stored(msg.sender, newValue);
    }

    function failWithReason() external pure {
        revert("the box is shut");
    }

    function failWithError(uint256 number) external pure {
        revert Unlucky(number);
    }

    function failWithPanic(uint256 zero) external pure returns (uint256) {
        return 1 / zero;
    }

    function failAfterWrite() external {
        value = 1;
        revert("not stored");
    }
}
