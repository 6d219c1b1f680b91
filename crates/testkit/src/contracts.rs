//! The contracts of `contracts/`: `node::contracts`, and where they keep what.
//!
//! ```text
//! NAME.sol ─▶ storage layout, numbered in its comments ─▶ mapping_slot ─▶ the slots of this file
//! ```
//! The layout of the storage follows the sources; a test that runs them says so when it no longer does.

pub use node::contracts::{
    Contract, WalletCall, approve, bump, call, execute, make_item, mint_nft, mint_token, pass_item,
    swap, transfer, transfer_from, vote, work,
};

use alloy_primitives::{Address, B256, U256, keccak256};

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

#[cfg(test)]
mod registry;
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
