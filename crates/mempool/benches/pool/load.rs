//! What the pool is measured with: made-up transactions and a state in which everybody is rich.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256, map::AddressMap};
use primitives::{ChainConfig, RecoveredTransaction, Transaction, chain::Protocol};
use state::{Account, ReadFault, StateReader};

pub(crate) const BASE_FEE: u64 = 1_000_000_000;
const CHAIN_ID: u64 = 1;

pub(crate) fn chain() -> ChainConfig {
    ChainConfig {
        chain_id: CHAIN_ID,
        gas_limit: 30_000_000_000,
        protocol: Protocol::default(),
    }
}

/// Accounts with the same balance; nonces as they were set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rich {
    pub(crate) nonces: AddressMap<u64>,
}

impl StateReader for Rich {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        Ok(Some(Account {
            nonce: self.nonces.get(address).copied().unwrap_or_default(),
            balance: U256::from(10_u64.pow(19)),
            ..Account::default()
        }))
    }

    fn storage(&self, _: &Address, _: &U256) -> Result<U256, ReadFault> {
        Ok(U256::ZERO)
    }

    fn code(&self, _: &B256) -> Result<Option<Bytes>, ReadFault> {
        Ok(None)
    }

    fn block_hash(&self, _: u64) -> Result<Option<B256>, ReadFault> {
        Ok(None)
    }
}

pub(crate) fn sender(number: u64) -> Address {
    Address::from_slice(&keccak256(number.to_be_bytes())[12..])
}

/// A number that looks random and is the same in every run.
pub(crate) fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A transfer with a priority fee below `spread` on top of `least`.
pub(crate) fn transfer(number: u64, nonce: u64, least: u64, spread: u64) -> RecoveredTransaction {
    let sender = sender(number);
    let priority_fee = u128::from(least + mix(number ^ (nonce << 40)) % spread);
    let fields = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(BASE_FEE) * 2 + priority_fee / 2,
        max_priority_fee_per_gas: priority_fee,
        to: TxKind::Call(sender),
        value: U256::from(10_u64.pow(15) + number),
        ..TxEip1559::default()
    };
    let signed = fields.into_signed(Signature::test_signature());
    let raw = TxEnvelope::from(signed).encoded_2718();
    let transaction = Transaction::decode(raw).expect("canonical");
    RecoveredTransaction::trusted(transaction, sender)
}
