// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

import { Token } from "../contracts/Token.sol";

interface Vm {
    function envAddress(string calldata name) external view returns (address);
    function prank(address sender) external;
}

/// Runs in forge, over the state of a chain.
contract ForkTest {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function test_reads_what_is_deployed() external view {
        Token token = Token(vm.envAddress("TOKEN"));
        address owner = vm.envAddress("OWNER");
        require(block.chainid == 31337, "chain id");
        require(owner.balance > 0, "balance");
        require(token.balanceOf(owner) == 1_000_000, "token balance");
    }

    function test_changes_stay_in_the_fork() external {
        Token token = Token(vm.envAddress("TOKEN"));
        address owner = vm.envAddress("OWNER");
        vm.prank(owner);
        token.transfer(address(this), 400);
        require(token.balanceOf(address(this)) == 400, "transfer");
    }
}
