// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Token} from "../contracts/Token.sol";
import {Box} from "../contracts/Box.sol";

interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// Deploys two contracts and calls both: several transactions that depend on each other.
contract Deploy {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    bool public constant IS_SCRIPT = true;

    function run(address receiver) external returns (Token token, Box box) {
        vm.startBroadcast();
        token = new Token("Scripted", "SCR", 1000);
        require(token.transfer(receiver, 250));
        box = new Box();
        box.store(7);
        vm.stopBroadcast();
    }
}
