//! A state that notes how far back code asks for block hashes, which no access list says.

use crate::{Account, ReadFault, StateReader};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Reads another state, and notes the lowest height whose hash was asked for.
#[derive(Debug)]
pub struct AskedHashes<S> {
    state: S,
    oldest: AtomicU64,
}

impl<S> AskedHashes<S> {
    /// Over a state.
    pub const fn new(state: S) -> Self {
        Self {
            state,
            oldest: AtomicU64::new(u64::MAX),
        }
    }

    /// The lowest height whose hash was asked for.
    pub fn oldest(&self) -> Option<u64> {
        Some(self.oldest.load(Relaxed)).filter(|oldest| *oldest != u64::MAX)
    }
}

impl<S: StateReader> StateReader for AskedHashes<S> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        self.oldest.fetch_min(height, Relaxed);
        self.state.block_hash(height)
    }
}

#[cfg(test)]
mod tests {
    use super::AskedHashes;
    use crate::{MemoryState, StateReader as _};

    #[test]
    fn the_oldest_question_is_noted() {
        let state = AskedHashes::new(MemoryState::default());
        assert_eq!(state.oldest(), None);
        for height in [9, 4, 7] {
            assert!(state.block_hash(height).is_ok());
        }
        assert_eq!(state.oldest(), Some(4));
    }
}
