// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

interface IToken {
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

interface IPair {
    function token0() external view returns (address);
    function getReserves() external view returns (uint112, uint112, uint32);
    function swap(uint256 out0, uint256 out1, address to) external;
}

/// Swaps over one pair: takes the input from the caller, and has the pair send the output.
contract Router {
    error Expired();
    error InsufficientOutput(uint256 output, uint256 needed);
    error TransferFailed();

    function swapExactTokensForTokens(
        uint256 amountIn,
        uint256 amountOutMin,
        address pair,
        address tokenIn,
        address to
    ) external returns (uint256 output) {
        bool first = IPair(pair).token0() == tokenIn;
        (uint112 reserve0, uint112 reserve1, ) = IPair(pair).getReserves();
        (uint256 reserveIn, uint256 reserveOut) = first
            ? (uint256(reserve0), uint256(reserve1))
            : (uint256(reserve1), uint256(reserve0));
        uint256 charged = amountIn * 997;
        output = (charged * reserveOut) / (reserveIn * 1000 + charged);
        if (output < amountOutMin) revert InsufficientOutput(output, amountOutMin);
        if (!IToken(tokenIn).transferFrom(msg.sender, pair, amountIn)) revert TransferFailed();
        IPair(pair).swap(first ? 0 : output, first ? output : 0, to);
    }
}
