// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

interface IToken {
    function balanceOf(address account) external view returns (uint256);
    function transfer(address to, uint256 value) external returns (bool);
}

/// A constant-product pair in the manner of Uniswap V2, without liquidity shares: 0.3 % of what
/// comes in stays.
contract Pair {
    address public token0; // 0
    address public token1; // 1
    uint112 private _reserve0; // 2, all three
    uint112 private _reserve1;
    uint32 private _timestamp;
    uint256 public price0Cumulative; // 3
    uint256 public price1Cumulative; // 4
    uint256 private _unlocked = 1; // 5

    event Swap(
        address indexed sender,
        uint256 in0,
        uint256 in1,
        uint256 out0,
        uint256 out1,
        address indexed to
    );
    event Sync(uint112 reserve0, uint112 reserve1);

    error Locked();
    error NoOutput();
    error NoInput();
    error InsufficientLiquidity();
    error InvalidReceiver();
    error ProductFell();
    error Overflow();
    error TransferFailed();

    modifier lock() {
        if (_unlocked != 1) revert Locked();
        _unlocked = 0;
        _;
        _unlocked = 1;
    }

    constructor(address first, address second) {
        token0 = first;
        token1 = second;
    }

    function getReserves() public view returns (uint112, uint112, uint32) {
        return (_reserve0, _reserve1, _timestamp);
    }

    /// Sends what is asked for, then checks that enough has come in.
    function swap(uint256 out0, uint256 out1, address to) external lock {
        if (out0 == 0 && out1 == 0) revert NoOutput();
        (uint112 reserve0, uint112 reserve1, ) = getReserves();
        if (out0 >= reserve0 || out1 >= reserve1) revert InsufficientLiquidity();
        (uint256 balance0, uint256 balance1) = _pay(out0, out1, to);
        uint256 in0 = balance0 > reserve0 - out0 ? balance0 - (reserve0 - out0) : 0;
        uint256 in1 = balance1 > reserve1 - out1 ? balance1 - (reserve1 - out1) : 0;
        if (in0 == 0 && in1 == 0) revert NoInput();
        uint256 product = (balance0 * 1000 - in0 * 3) * (balance1 * 1000 - in1 * 3);
        if (product < uint256(reserve0) * reserve1 * 1000 ** 2) revert ProductFell();
        _update(balance0, balance1, reserve0, reserve1);
        emit Swap(msg.sender, in0, in1, out0, out1, to);
    }

    /// Makes the reserves what the pair holds.
    function sync() external lock {
        uint256 balance0 = IToken(token0).balanceOf(address(this));
        uint256 balance1 = IToken(token1).balanceOf(address(this));
        _update(balance0, balance1, _reserve0, _reserve1);
    }

    function _pay(uint256 out0, uint256 out1, address to) private returns (uint256, uint256) {
        (address first, address second) = (token0, token1);
        if (to == first || to == second) revert InvalidReceiver();
        if (out0 > 0 && !IToken(first).transfer(to, out0)) revert TransferFailed();
        if (out1 > 0 && !IToken(second).transfer(to, out1)) revert TransferFailed();
        uint256 balance0 = IToken(first).balanceOf(address(this));
        uint256 balance1 = IToken(second).balanceOf(address(this));
        return (balance0, balance1);
    }

    function _update(
        uint256 balance0,
        uint256 balance1,
        uint112 reserve0,
        uint112 reserve1
    ) private {
        if (balance0 > type(uint112).max || balance1 > type(uint112).max) revert Overflow();
        uint32 timestamp = uint32(block.timestamp);
        unchecked {
            uint32 elapsed = timestamp - _timestamp;
            if (elapsed > 0 && reserve0 != 0 && reserve1 != 0) {
                price0Cumulative += ((uint256(reserve1) << 112) / reserve0) * elapsed;
                price1Cumulative += ((uint256(reserve0) << 112) / reserve1) * elapsed;
            }
        }
        _reserve0 = uint112(balance0);
        _reserve1 = uint112(balance1);
        _timestamp = timestamp;
        emit Sync(_reserve0, _reserve1);
    }
}
