//! Functions and events of contracts that nobody uploads an ABI for: tokens, exchanges, multicalls, governors.
//!
//! A selector says little about who made the contract: what is decoded with these is what the call *would* mean to
//! such a contract. Two events with the same topic differ in which parameters are indexed.

use alloy_json_abi::{Event, Function};
use alloy_primitives::{B256, Selector};
use std::{collections::BTreeMap, sync::LazyLock};

const FUNCTIONS: &[&str] = &[
    // ERC-20, permits, WETH.
    "function transfer(address to, uint256 amount) returns (bool)",
    "function approve(address spender, uint256 amount) returns (bool)",
    "function transferFrom(address from, address to, uint256 amount) returns (bool)",
    "function increaseAllowance(address spender, uint256 added) returns (bool)",
    "function decreaseAllowance(address spender, uint256 subtracted) returns (bool)",
    "function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)",
    "function mint(address to, uint256 amount)",
    "function burn(uint256 amount)",
    "function burnFrom(address account, uint256 amount)",
    "function deposit()",
    "function withdraw(uint256 amount)",
    "function balanceOf(address owner) view returns (uint256)",
    "function allowance(address owner, address spender) view returns (uint256)",
    "function totalSupply() view returns (uint256)",
    "function name() view returns (string)",
    "function symbol() view returns (string)",
    "function decimals() view returns (uint8)",
    // ERC-721, ERC-1155, ERC-165.
    "function safeTransferFrom(address from, address to, uint256 tokenId)",
    "function safeTransferFrom(address from, address to, uint256 tokenId, bytes data)",
    "function setApprovalForAll(address operator, bool approved)",
    "function ownerOf(uint256 tokenId) view returns (address)",
    "function tokenURI(uint256 tokenId) view returns (string)",
    "function mint(address to)",
    "function safeMint(address to)",
    "function safeMint(address to, uint256 tokenId)",
    "function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data)",
    "function safeBatchTransferFrom(address from, address to, uint256[] ids, uint256[] amounts, bytes data)",
    "function supportsInterface(bytes4 interfaceId) view returns (bool)",
    // Uniswap V2.
    "function addLiquidity(address tokenA, address tokenB, uint256 amountADesired, uint256 amountBDesired, uint256 amountAMin, uint256 amountBMin, address to, uint256 deadline)",
    "function addLiquidityETH(address token, uint256 amountTokenDesired, uint256 amountTokenMin, uint256 amountETHMin, address to, uint256 deadline)",
    "function removeLiquidity(address tokenA, address tokenB, uint256 liquidity, uint256 amountAMin, uint256 amountBMin, address to, uint256 deadline)",
    "function swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "function swapTokensForExactTokens(uint256 amountOut, uint256 amountInMax, address[] path, address to, uint256 deadline)",
    "function swapExactETHForTokens(uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "function swapExactTokensForETH(uint256 amountIn, uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "function swapETHForExactTokens(uint256 amountOut, address[] path, address to, uint256 deadline)",
    "function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes data)",
    "function createPair(address tokenA, address tokenB) returns (address)",
    "function mint(address to) returns (uint256)",
    "function skim(address to)",
    "function sync()",
    // Uniswap V3.
    "function exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160) params) returns (uint256)",
    "function exactInput((bytes,address,uint256,uint256,uint256) params) returns (uint256)",
    "function exactOutputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160) params) returns (uint256)",
    "function exactOutput((bytes,address,uint256,uint256,uint256) params) returns (uint256)",
    "function execute(bytes commands, bytes[] inputs, uint256 deadline)",
    // Multicalls.
    "function multicall(bytes[] data) returns (bytes[])",
    "function multicall(uint256 deadline, bytes[] data) returns (bytes[])",
    "function aggregate((address,bytes)[] calls)",
    "function tryAggregate(bool requireSuccess, (address,bytes)[] calls)",
    "function aggregate3((address,bool,bytes)[] calls)",
    "function aggregate3Value((address,bool,uint256,bytes)[] calls)",
    // Governors and ownership.
    "function propose(address[] targets, uint256[] values, bytes[] calldatas, string description) returns (uint256)",
    "function castVote(uint256 proposalId, uint8 support) returns (uint256)",
    "function castVoteWithReason(uint256 proposalId, uint8 support, string reason) returns (uint256)",
    "function queue(uint256 proposalId)",
    "function execute(uint256 proposalId)",
    "function delegate(address delegatee)",
    "function transferOwnership(address newOwner)",
    "function renounceOwnership()",
    "function owner() view returns (address)",
    "function upgradeTo(address implementation)",
    "function upgradeToAndCall(address implementation, bytes data)",
    // Accounts.
    "function execute(address target, uint256 value, bytes data)",
    "function executeBatch(address[] targets, uint256[] values, bytes[] datas)",
    "function executeBatch((address,uint256,bytes)[] calls)",
];

const EVENTS: &[&str] = &[
    "event Transfer(address indexed from, address indexed to, uint256 value)",
    "event Transfer(address indexed from, address indexed to, uint256 indexed tokenId)",
    "event Approval(address indexed owner, address indexed spender, uint256 value)",
    "event Approval(address indexed owner, address indexed approved, uint256 indexed tokenId)",
    "event ApprovalForAll(address indexed owner, address indexed operator, bool approved)",
    "event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value)",
    "event TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values)",
    "event Deposit(address indexed dst, uint256 wad)",
    "event Withdrawal(address indexed src, uint256 wad)",
    "event Sync(uint112 reserve0, uint112 reserve1)",
    "event Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out, uint256 amount1Out, address indexed to)",
    "event Mint(address indexed sender, uint256 amount0, uint256 amount1)",
    "event Burn(address indexed sender, uint256 amount0, uint256 amount1, address indexed to)",
    "event PairCreated(address indexed token0, address indexed token1, address pair, uint256 index)",
    "event Swap(address indexed sender, address indexed recipient, int256 amount0, int256 amount1, uint160 sqrtPriceX96, uint128 liquidity, int24 tick)",
    "event OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
    "event Upgraded(address indexed implementation)",
    "event VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason)",
    "event DelegateChanged(address indexed delegator, address indexed fromDelegate, address indexed toDelegate)",
    "event DelegateVotesChanged(address indexed delegate, uint256 previousVotes, uint256 newVotes)",
];

static BY_SELECTOR: LazyLock<BTreeMap<Selector, Function>> = LazyLock::new(|| {
    // A test says that all of them parse; a page is not the place to find out.
    let functions = FUNCTIONS
        .iter()
        .filter_map(|text| Function::parse(text).ok());
    functions
        .map(|function| (function.selector(), function))
        .collect()
});

/// Events by their selector and how many topics their logs have.
type Events = BTreeMap<(B256, usize), Event>;

static BY_TOPIC: LazyLock<Events> = LazyLock::new(|| {
    let events = EVENTS.iter().filter_map(|text| Event::parse(text).ok());
    let keyed = events.map(|event| ((event.selector(), topics(&event)), event));
    keyed.collect()
});

/// How many topics the logs of an event have.
pub(super) fn topics(event: &Event) -> usize {
    1 + event.inputs.iter().filter(|input| input.indexed).count()
}

/// The function that this selector usually means.
pub(super) fn function(selector: &Selector) -> Option<&'static Function> {
    BY_SELECTOR.get(selector)
}

/// A function of tokens, by its name.
pub(super) fn named(name: &str) -> Option<&'static Function> {
    BY_SELECTOR.values().find(|function| function.name == name)
}

/// The event that this first of so many topics usually means.
pub(super) fn event(topic: &B256, topics: usize) -> Option<&'static Event> {
    BY_TOPIC.get(&(*topic, topics))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{b256, fixed_bytes};

    #[test]
    fn every_constant_parses() {
        for text in FUNCTIONS {
            Function::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        for text in EVENTS {
            Event::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let transfer = function(&fixed_bytes!("a9059cbb")).unwrap();
        assert_eq!(transfer.signature(), "transfer(address,uint256)");
        // Three are listed for two contracts each, or in two forms with one selector.
        assert!(
            BY_SELECTOR.len() + 3 >= FUNCTIONS.len(),
            "{}",
            BY_SELECTOR.len()
        );
        assert_eq!(BY_TOPIC.len(), EVENTS.len());
    }

    #[test]
    fn indexed_parameters_tell_collections_from_coins() {
        let topic = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
        assert_eq!(event(&topic, 3).unwrap().inputs[2].name, "value");
        assert_eq!(event(&topic, 4).unwrap().inputs[2].name, "tokenId");
        assert!(event(&topic, 2).is_none());
    }
}
