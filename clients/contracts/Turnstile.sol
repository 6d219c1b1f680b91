// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// A contract that no machine executes in parallel: everybody passes through one counter.
contract Turnstile {
    uint256 public passed;
    mapping(address => uint256) public ticketOf;
    uint256 private busy;

    function pass(uint256 steps) external {
        uint256 ticket = passed;
        uint256 work = busy;
        // So long that others begin meanwhile.
        for (uint256 step = 0; step < steps; ++step) {
            work = uint256(keccak256(abi.encode(work, ticket, step)));
        }
        ticketOf[msg.sender] = ticket;
        passed = ticket + 1;
        busy = work;
    }
}
