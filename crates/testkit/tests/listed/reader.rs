//! A state that breaks down after so many reads.

use alloy_primitives::{Address, B256, Bytes, U256};
use state::{Account, ReadFault, StateReader};
use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

pub(super) struct FailingReader<'s, S> {
    state: &'s S,
    left: AtomicUsize,
}

impl<'s, S: StateReader> FailingReader<'s, S> {
    pub(super) fn new(state: &'s S, reads: usize) -> Self {
        Self {
            state,
            left: AtomicUsize::new(reads),
        }
    }

    fn count(&self) -> Result<(), ReadFault> {
        let next = |left: usize| left.checked_sub(1);
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let broken = |_| ReadFault::Store(Box::new(io::Error::other("broken").into()));
        left.map(drop).map_err(broken)
    }
}

impl<S: StateReader> StateReader for FailingReader<'_, S> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        self.count()?;
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        self.count()?;
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        self.count()?;
        self.state.code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        self.count()?;
        self.state.block_hash(height)
    }
}
