#![doc = include_str!("../README.md")]

mod asked;
mod diff;
mod disk;
mod genesis;
mod memory;
mod ordered;
mod postings;
mod reader;
mod record;
mod root;
mod runs;
mod snapshot;
pub mod sparse;
mod store;
pub mod sync;
#[cfg(test)]
mod trie;
mod versions;
mod view;

pub use asked::AskedHashes;
pub use diff::{AccountDiff, StateDiff};
pub use disk::MemoryDisk;
pub use genesis::{GenesisAccount, GenesisAlloc, GenesisState, genesis_root};
pub use memory::MemoryState;
pub use ordered::ordered_root;
pub use postings::{PostingKey, Postings, PostingsBatch, PostingsError, SPAN_MAX};
pub use reader::{Account, ReadFault, StateReader};
pub use record::{BlockReceipts, BlockRecord, TransactionLocation};
pub use root::StateRoot;
pub use snapshot::{AccountProof, ProofError, Snapshot, StorageProof, WholeAccount, WholeState};
pub use store::{
    Corruption, EmptyStore, Import, ImportState, ImportTarget, Location, Served, Store,
    StoreConfig, StoreError, StoreUsage, UnknownHeight,
};
pub use view::account_view;
