#![doc = include_str!("../README.md")]

mod diff;
#[cfg_attr(not(test), expect(dead_code, reason = "the store does not use it yet"))]
mod disk;
mod genesis;
mod memory;
mod reader;
mod record;
mod root;
#[cfg_attr(not(test), expect(dead_code, reason = "the store does not use it yet"))]
mod runs;
mod snapshot;
pub mod sparse;
mod store;
#[cfg(test)]
mod trie;
mod versions;
mod view;

pub use diff::{AccountDiff, StateDiff};
pub use disk::MemoryDisk;
pub use genesis::{GenesisAccount, GenesisAlloc, GenesisState, genesis_root};
pub use memory::MemoryState;
pub use reader::{Account, ReadFault, StateReader};
pub use record::{BlockRecord, TransactionLocation};
pub use root::StateRoot;
pub use snapshot::{AccountProof, ProofError, Snapshot, StorageProof};
pub use store::{Corruption, Location, Store, StoreConfig, StoreError, UnknownHeight};
pub use view::account_view;
