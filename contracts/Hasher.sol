// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// Reads one slot, works on it for long, and writes it: transactions that cannot run beside each
/// other.
contract Hasher {
    bytes32 public word; // 0

    function work(uint256 rounds) external {
        bytes32 hash = word;
        for (uint256 round = 0; round < rounds; ++round) hash = keccak256(abi.encode(hash, round));
        word = hash;
    }
}
