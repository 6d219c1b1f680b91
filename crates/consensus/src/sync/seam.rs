//! The two seams of state sync: where states come from that are served, and where a taken one goes.

use alloy_primitives::{B256, Bytes};
use primitives::{Anchor, SyncAnchor};
use state::sync::{CheckedChunk, LeafScan, Manifest};
use std::{collections::BTreeSet, error::Error};

/// One durable state, which does not change while somebody holds it.
#[derive(Clone, Debug)]
pub struct ServedState<L> {
    /// Its height.
    pub height: u64,
    /// Its root.
    pub root: B256,
    /// Its leaves.
    pub leaves: L,
}

/// Where states come from that are served.
pub trait Source: Send + Sync + 'static {
    /// The leaves of one of them.
    type Leaves: LeafScan + Send + Sync + 'static;

    /// The newest one, if there is any.
    fn newest(&self) -> Option<ServedState<Self::Leaves>>;

    /// The evidence for a height; none while there is not enough of it.
    fn anchor(&self, height: u64) -> impl Future<Output = Option<SyncAnchor>> + Send;
}

/// A state that was taken in part, in an earlier life of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The evidence that was given to [`Importer::begin`], encoded.
    pub anchor: Bytes,
    /// The manifest.
    pub manifest: Bytes,
    /// Numbers of the chunks that are there.
    pub chunks: BTreeSet<usize>,
    /// Hashes of code that those chunks need and that is not there.
    pub codes: BTreeSet<B256>,
}

/// Where a taken state goes. Whatever a call has returned from survives a crash.
pub trait Importer: Send {
    /// Why a write or a read failed; the node stops.
    type Error: Error + Send + Sync + 'static;

    /// What an earlier life left behind.
    ///
    /// # Errors
    /// When it cannot be read.
    fn unfinished(&mut self) -> Result<Option<Unfinished>, Self::Error>;

    /// Begins a state, and forgets what there was of another.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin(&mut self, anchor: &Anchor, manifest: &Manifest) -> Result<(), Self::Error>;

    /// Takes a chunk. Code that it needs and that is not there is needed from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_chunk(&mut self, chunk: &CheckedChunk) -> Result<(), Self::Error>;

    /// Takes codes, by hash.
    ///
    /// # Errors
    /// When they cannot be written.
    fn put_codes(&mut self, codes: &[(B256, Bytes)]) -> Result<(), Self::Error>;

    /// Makes the state the node's own, now that everything is there: at the anchor's height, with its block
    /// hash and those of its ancestors.
    ///
    /// # Errors
    /// When it cannot be written, or does not have the anchor's root.
    fn finish(&mut self, anchor: &Anchor) -> Result<(), Self::Error>;
}
