//! The root of a state.

use alloy_primitives::B256;
use std::ops::Deref;

/// The Merkle root of a state that this crate computed: the value is the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRoot(B256);

impl StateRoot {
    /// Only for whoever has computed it.
    pub(crate) const fn computed(root: B256) -> Self {
        Self(root)
    }
}

impl Deref for StateRoot {
    type Target = B256;

    fn deref(&self) -> &B256 {
        &self.0
    }
}

impl From<StateRoot> for B256 {
    fn from(root: StateRoot) -> Self {
        root.0
    }
}
