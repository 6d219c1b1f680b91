//! From an executed block to its collation, and from that to a descriptor.
//!
//! ```text
//!   snapshot ─ AskedHashes ─▶ execute ─▶ ExecutedBlock ─ build ─▶ Collation ─┐
//!                                            └ commit ─▶ root ─ seal ─▶ head ┴ describe ─▶ Descriptor, bytes
//! ```
//! Built before the block's writes are committed: the witness is of the state under it, and the store's trie
//! is at its newest height. Code is that of every account the block touched, whether or not it ran: which of
//! it ran is known to nobody once it comes from a cache.

use super::{Collation, CollationError, Parent, hash_of};
use alloy_consensus::Header as EthereumHeader;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable as _;
use executor::{AccessList, BlockEnvironment, ExecutedBlock, Roots, ethereum_header};
use primitives::{
    Block, RecoveredBlock,
    shard::{Descriptor, RelayAnchor, ShardId},
};
use state::{
    Account, ReadFault, Snapshot, StateReader as _, Store, StoreError, sparse::witness::Touched,
};
use std::collections::BTreeMap;

/// Why no collation could be made of a block; never the fault of its transactions.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store failed, or is not at the parent's height.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state could not be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// An account names code that the store does not have.
    #[error("the store has no code for code_hash={0}")]
    Code(B256),
    /// A header that code asked for is not in the store.
    #[error("the store has no header at height={0}")]
    Ancestor(u64),
}

/// What a descriptor says beyond the collation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The shard.
    pub shard: ShardId,
    /// The relay block it is built against.
    pub anchor: RelayAnchor,
    /// Digest of the shard's rules.
    pub rules: B256,
}

impl Collation {
    /// The collation of an executed block whose writes are not committed yet. `oldest_hash` is what
    /// [`AskedHashes`](state::AskedHashes) noted while it was executed.
    ///
    /// # Errors
    /// When the store is not at the parent's height, or lacks something.
    pub fn build(
        parent: Parent,
        block: Block,
        executed: &ExecutedBlock,
        oldest_hash: Option<u64>,
        store: &Store,
    ) -> Result<Self, BuildError> {
        let height = parent.header.number;
        let list = executed.access_list();
        let mut touched = Touched::default();
        list.accounts()
            .for_each(|address| touched.account(&address));
        list.slots()
            .for_each(|(address, slot)| touched.slot(&address, &slot));
        let codes = codes(&list, &store.snapshot(height)?)?;
        let witness = store.witness(height, &touched, &executed.diff, &codes)?;
        let ancestors = match oldest_hash {
            Some(oldest) => ancestors(store, oldest, height)?,
            None => Vec::new(),
        };
        Ok(Self {
            parent,
            block,
            ancestors,
            witness,
        })
    }

    /// What is said of this collation, and its encoding, given the block's Ethereum header.
    ///
    /// # Errors
    /// When the collation is over a limit.
    pub fn describe(
        &self,
        head: &EthereumHeader,
        placement: &Placement,
    ) -> Result<(Descriptor, Bytes), CollationError> {
        let encoded = self.encode()?;
        let ordering = self.block.header();
        let descriptor = Descriptor {
            shard: placement.shard,
            number: head.number,
            parent: head.parent_hash,
            head: head.hash_slow(),
            state_root: head.state_root,
            anchor: placement.anchor,
            rules: placement.rules,
            collation_hash: hash_of(&encoded),
            collation_bytes: u32::try_from(encoded.len())
                .expect("an encoding is within COLLATION_BYTES_MAX"),
            gas_used: head.gas_used,
            timestamp_ms: ordering.timestamp_ms,
            collator: ordering.context.leader.clone(),
        };
        Ok((descriptor, encoded))
    }
}

/// The Ethereum header of an executed block, over the root of the state after it.
#[must_use]
pub fn seal(
    environment: &BlockEnvironment,
    executed: &ExecutedBlock,
    state_root: B256,
    block: &RecoveredBlock,
) -> EthereumHeader {
    let roots = Roots {
        state_root,
        block: executed.roots(block.transactions()),
    };
    let ordering_digest = B256::from_slice(block.block().digest().as_ref());
    ethereum_header(environment, executed, roots, ordering_digest)
}

/// The codes that touched accounts have before the block, by hash.
fn codes(list: &AccessList, state: &Snapshot) -> Result<Vec<Bytes>, BuildError> {
    let mut codes = BTreeMap::new();
    for address in list.accounts() {
        let account = state.account(&address)?;
        let Some(account) = account.filter(Account::has_code) else {
            continue;
        };
        let hash = account.code_hash;
        if let std::collections::btree_map::Entry::Vacant(vacant) = codes.entry(hash) {
            vacant.insert(state.code(&hash)?.ok_or(BuildError::Code(hash))?);
        }
    }
    Ok(codes.into_values().collect())
}

/// The headers below a parent that prove the hash of the block at `oldest`: each names the one below it.
fn ancestors(store: &Store, oldest: u64, parent: u64) -> Result<Vec<EthereumHeader>, BuildError> {
    let read = |height: u64| {
        let header = store.header(height)?.ok_or(BuildError::Ancestor(height))?;
        let header = EthereumHeader::decode(&mut header.as_ref());
        header.map_err(|_| BuildError::Ancestor(height))
    };
    let heights = oldest.saturating_add(1)..parent;
    heights.rev().map(read).collect()
}
