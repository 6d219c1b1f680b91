//! Nonces of senders that executed lately.
//!
//! ```text
//! block ─▶ young ─ half full ─▶ old ─▶ forgotten
//! ```
//! A state is read before the pool's lock is taken, so a block may be executed in between. The
//! sender's lane may be empty by then; this remembers that its nonce is used. Bounded: two
//! generations, the older is dropped when the younger is full.

use alloy_primitives::{Address, map::AddressMap};

#[derive(Debug)]
pub(crate) struct ExecutedNonces {
    senders_max: usize,
    young: AddressMap<u64>,
    old: AddressMap<u64>,
}

impl ExecutedNonces {
    pub(crate) fn new(senders_max: usize) -> Self {
        Self {
            senders_max,
            young: AddressMap::default(),
            old: AddressMap::default(),
        }
    }

    /// Remembers an account's nonce after a block; lower ones replace higher ones, because a
    /// development chain may set them.
    pub(crate) fn insert(&mut self, sender: Address, nonce: u64) {
        self.young.insert(sender, nonce);
        if self.young.len() >= self.senders_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }

    pub(crate) fn get(&self, sender: &Address) -> Option<u64> {
        self.young
            .get(sender)
            .or_else(|| self.old.get(sender))
            .copied()
    }
}
