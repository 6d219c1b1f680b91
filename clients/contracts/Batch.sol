// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// Code for an EIP-7702 account: several calls in one transaction.
contract Batch {
    struct Call {
        address to;
        uint256 value;
        bytes data;
    }

    event Executed(address indexed account, address indexed sender, uint256 calls);

    /// Open to anyone: the tests that use it clear the delegation when they are done.
    function execute(Call[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) {
            (bool ok,) = calls[i].to.call{value: calls[i].value}(calls[i].data);
            require(ok, "call failed");
        }
        emit Executed(address(this), msg.sender, calls.length);
    }

    receive() external payable {}
}
