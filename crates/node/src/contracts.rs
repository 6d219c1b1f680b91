//! The contracts of `contracts/`: their code, and how to call them.
//!
//! ```text
//! contracts/NAME.sol ─contracts/compile─▶ artifacts/NAME.json ─include─▶ Contract::creation, ::runtime
//! ```
//! The load generator deploys and calls them; tests and benches install them. The selectors follow the
//! sources; tests that run them say so when they no longer do. Encoding is by hand, because there is
//! little of it.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::LazyLock};

/// A contract by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contract {
    /// An ERC-20 token.
    Token,
    /// A constant-product pair of two tokens.
    Pair,
    /// Swaps over a pair.
    Router,
    /// A collection with a counter.
    Nft,
    /// Counts votes.
    Governor,
    /// Makes and destroys children.
    Factory,
    /// What accounts delegate to.
    Wallet,
    /// One word of storage that takes long to write.
    Hasher,
    /// Items that pass through the hands of custodians.
    SupplyChain,
    /// The shards of a relay chain, as their owners order them.
    Registry,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    creation: Bytes,
    runtime: Bytes,
    legacy_runtime: Bytes,
}

static ARTIFACTS: LazyLock<BTreeMap<Contract, Artifact>> = LazyLock::new(|| {
    let texts = [
        (
            Contract::Token,
            include_str!("../../../contracts/artifacts/Token.json"),
        ),
        (
            Contract::Pair,
            include_str!("../../../contracts/artifacts/Pair.json"),
        ),
        (
            Contract::Router,
            include_str!("../../../contracts/artifacts/Router.json"),
        ),
        (
            Contract::Nft,
            include_str!("../../../contracts/artifacts/Nft.json"),
        ),
        (
            Contract::Governor,
            include_str!("../../../contracts/artifacts/Governor.json"),
        ),
        (
            Contract::Factory,
            include_str!("../../../contracts/artifacts/Factory.json"),
        ),
        (
            Contract::Wallet,
            include_str!("../../../contracts/artifacts/Wallet.json"),
        ),
        (
            Contract::Hasher,
            include_str!("../../../contracts/artifacts/Hasher.json"),
        ),
        (
            Contract::SupplyChain,
            include_str!("../../../contracts/artifacts/SupplyChain.json"),
        ),
        (
            Contract::Registry,
            include_str!("../../../contracts/artifacts/Registry.json"),
        ),
    ];
    let parse = |text| serde_json::from_str(text).expect("artifacts have this form");
    texts
        .into_iter()
        .map(|(contract, text)| (contract, parse(text)))
        .collect()
});

impl Contract {
    fn artifact(self) -> &'static Artifact {
        &ARTIFACTS[&self]
    }

    /// Its installed code, for present rules.
    #[must_use]
    pub fn runtime(self) -> Bytes {
        self.artifact().runtime.clone()
    }

    /// Its installed code for forks before Cancun.
    #[must_use]
    pub fn legacy_runtime(self) -> Bytes {
        self.artifact().legacy_runtime.clone()
    }

    /// Its init code, constructor arguments not included.
    #[must_use]
    pub fn creation(self) -> Bytes {
        self.artifact().creation.clone()
    }
}

/// A call of a function by its signature, with static arguments.
#[must_use]
pub fn call(signature: &str, words: &[B256]) -> Bytes {
    let mut input = keccak256(signature)[..4].to_vec();
    words
        .iter()
        .for_each(|word| input.extend_from_slice(&word.0));
    input.into()
}

/// `Token.transfer`.
#[must_use]
pub fn transfer(to: Address, value: U256) -> Bytes {
    call("transfer(address,uint256)", &[to.into_word(), value.into()])
}

/// `Token.transferFrom`.
#[must_use]
pub fn transfer_from(from: Address, to: Address, value: U256) -> Bytes {
    let words = [from.into_word(), to.into_word(), value.into()];
    call("transferFrom(address,address,uint256)", &words)
}

/// `Token.approve`.
#[must_use]
pub fn approve(spender: Address, value: U256) -> Bytes {
    call(
        "approve(address,uint256)",
        &[spender.into_word(), value.into()],
    )
}

/// `Token.mint`.
#[must_use]
pub fn mint_token(to: Address, value: U256) -> Bytes {
    call("mint(address,uint256)", &[to.into_word(), value.into()])
}

/// `Router.swapExactTokensForTokens`, taking any output.
#[must_use]
pub fn swap(amount: U256, pair: Address, token_in: Address, to: Address) -> Bytes {
    let words = [
        amount.into(),
        B256::ZERO,
        pair.into_word(),
        token_in.into_word(),
        to.into_word(),
    ];
    call(
        "swapExactTokensForTokens(uint256,uint256,address,address,address)",
        &words,
    )
}

/// `Nft.mint`.
#[must_use]
pub fn mint_nft() -> Bytes {
    call("mint()", &[])
}

/// `Governor.vote`; support is 0, 1 or 2.
#[must_use]
pub fn vote(proposal: u64, support: u8) -> Bytes {
    let words = [U256::from(proposal).into(), U256::from(support).into()];
    call("vote(uint256,uint8)", &words)
}

/// `SupplyChain.make`.
#[must_use]
pub fn make_item(item: u64) -> Bytes {
    call("make(uint256)", &[U256::from(item).into()])
}

/// `SupplyChain.pass`.
#[must_use]
pub fn pass_item(item: u64, to: Address) -> Bytes {
    let words = [U256::from(item).into(), to.into_word()];
    call("pass(uint256,address)", &words)
}

/// `Hasher.work`.
#[must_use]
pub fn work(rounds: u64) -> Bytes {
    call("work(uint256)", &[U256::from(rounds).into()])
}

/// `Wallet.bump`.
#[must_use]
pub fn bump() -> Bytes {
    call("bump()", &[])
}

/// One call that a wallet makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalletCall {
    /// Whom it calls.
    pub to: Address,
    /// What it sends.
    pub value: U256,
    /// With which input.
    pub input: Bytes,
}

/// `Wallet.execute`.
#[must_use]
pub fn execute(calls: &[WalletCall]) -> Bytes {
    let mut offset = 32_usize.saturating_mul(calls.len());
    let (mut heads, mut tails) = (Vec::new(), Vec::new());
    for call in calls {
        heads.push(word(offset));
        let padded = call.input.len().next_multiple_of(32);
        let mut tail = [
            call.to.into_word().0,
            call.value.to_be_bytes(),
            word(96).0,
            word(call.input.len()).0,
        ]
        .concat();
        tail.extend_from_slice(&call.input);
        tail.resize(padded.saturating_add(128), 0);
        offset = offset.saturating_add(tail.len());
        tails.extend(tail);
    }
    let words: Vec<B256> = [word(32), word(calls.len())]
        .into_iter()
        .chain(heads)
        .collect();
    let head = call("execute((address,uint256,bytes)[])", &words);
    [head.as_ref(), &tails].concat().into()
}

fn word(value: usize) -> B256 {
    U256::from(value).into()
}
