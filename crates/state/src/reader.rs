//! The seam between state and those who read it.
//!
//! A [`StateReader`] is one immutable state: asked twice, it answers the same. Implemented by
//! [`Snapshot`](crate::Snapshot) (the store at a height) and
//! [`MemoryState`](crate::MemoryState) (a plain map).

use crate::sparse::witness::WitnessGap;
use crate::store::StoreError;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::KECCAK_EMPTY;
use std::sync::Arc;

/// One state, read by key.
pub trait StateReader {
    /// The account at `address`; `None` when it does not exist.
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault>;

    /// The value of a storage slot; zero when it was never written.
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault>;

    /// The code with this hash; empty for the hash of no code, `None` for an unknown hash.
    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault>;

    /// The hash of the Ethereum header at `height`; `None` above this state's own height.
    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault>;
}

/// An account without its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Transactions sent, or contracts created by a contract, so far.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Keccak of the code; `KECCAK_EMPTY` when there is none.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK_EMPTY,
        }
    }
}

impl Account {
    /// Whether EIP-161 calls the account empty.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the account has code (a delegation is code too).
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK_EMPTY
    }
}

/// What we read from failed, or does not reach; never the fault of what is being executed.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// The store could not be read.
    #[error("cannot read the state: {0}")]
    Store(#[from] Box<StoreError>),
    /// A witness does not show what was asked for.
    #[error("cannot read the witness: {0}")]
    Gap(#[from] WitnessGap),
}

impl<T: StateReader + ?Sized> StateReader for &T {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        (**self).account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        (**self).storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        (**self).code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        (**self).block_hash(height)
    }
}

impl<T: StateReader + ?Sized> StateReader for Arc<T> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        (**self).account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        (**self).storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        (**self).code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        (**self).block_hash(height)
    }
}
