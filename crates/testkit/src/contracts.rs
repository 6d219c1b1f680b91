//! The contracts of `contracts/`: their code, where they keep what, and how to call them.
//!
//! ```text
//! contracts/NAME.sol ─contracts/compile─▶ artifacts/NAME.json ─include─▶ Contract::runtime
//! ```
//! The layout of the storage and the selectors follow the sources; a test that runs them says so
//! when they no longer do. Encoding is by hand, because there is little of it.

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
    /// One slot that takes long to write.
    Hasher,
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

/// The slot of a key in the mapping that lies at `base`.
#[must_use]
pub fn mapping_slot(key: B256, base: U256) -> U256 {
    keccak256([key.0, base.to_be_bytes()].concat()).into()
}

/// Where a token keeps a balance.
#[must_use]
pub fn balance_slot(account: Address) -> U256 {
    mapping_slot(account.into_word(), U256::ZERO)
}

/// Where a token keeps what a spender may take from an owner.
#[must_use]
pub fn allowance_slot(owner: Address, spender: Address) -> U256 {
    let spenders = mapping_slot(owner.into_word(), U256::ONE);
    mapping_slot(spender.into_word(), spenders)
}

/// The slots of a pair over two tokens that holds this much of each.
#[must_use]
pub fn pair_storage(tokens: [Address; 2], reserves: [u128; 2]) -> [(U256, U256); 4] {
    let [first, second] = tokens.map(|token| U256::from_be_bytes(token.into_word().0));
    let [reserve0, reserve1] = reserves.map(U256::from);
    [
        (U256::ZERO, first),
        (U256::ONE, second),
        (U256::from(2), reserve0 | (reserve1 << 112)),
        (U256::from(5), U256::ONE),
    ]
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

#[cfg(test)]
mod tests {
    use super::{Contract, WalletCall, call, execute, transfer};
    use crate::blocks::{Draft, benchmark};
    use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
    use state::StateReader as _;

    const WALLET: Address = Address::repeat_byte(0x5a);
    const PAID: Address = Address::repeat_byte(0xb0);

    #[test]
    fn a_call_begins_with_its_selector() {
        let input = transfer(PAID, U256::ONE);
        assert_eq!(&input[..4], hex!("a9059cbb"));
        assert_eq!(input.len(), 4 + 2 * 32);
        assert_eq!(call("mint()", &[]).as_ref(), hex!("1249c58b"));
    }

    #[test]
    fn a_wallet_understands_its_calls() {
        let pay = |value, input: &'static [u8]| WalletCall {
            to: PAID,
            value: U256::from(value),
            input: Bytes::from_static(input),
        };
        let mut block = benchmark::transfers(1);
        let sender = block.transactions[0].sender();
        block.state.set_code(WALLET, Contract::Wallet.runtime());
        let draft = Draft {
            chain_id: block.chain.chain_id,
            sender,
            gas_limit: 200_000,
            max_fee: u128::from(block.environment.base_fee),
            to: TxKind::Call(WALLET),
            value: U256::from(9),
            input: execute(&[
                pay(3, b""),
                pay(4, b"more than one word of input, to be padded"),
            ]),
            ..Draft::default()
        };
        block.transactions = vec![draft.finish()];
        let executed = block.execute();
        let balance = |address| executed.diff.accounts[&address].account.unwrap().balance;
        assert_eq!(block.state.account(&PAID).unwrap(), None);
        assert_eq!(balance(PAID), U256::from(7));
        assert_eq!(balance(WALLET), U256::from(2));
    }
}
