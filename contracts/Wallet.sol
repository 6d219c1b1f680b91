// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// What an account delegates to (EIP-7702): anybody may have it make calls, which is what tests
/// want and nobody else.
contract Wallet {
    struct Call {
        address to;
        uint256 value;
        bytes input;
    }

    uint256 public count; // 0

    error CallFailed(uint256 index);

    /// Makes all calls or none.
    function execute(Call[] calldata calls) external payable {
        for (uint256 index = 0; index < calls.length; ++index) {
            Call calldata call = calls[index];
            (bool ok, ) = call.to.call{value: call.value}(call.input);
            if (!ok) revert CallFailed(index);
        }
    }

    function bump() external {
        count += 1;
    }

    receive() external payable {}
}
