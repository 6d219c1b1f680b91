//! The store behind both seams: it offers the state at every so many heights, and is filled with one.

use super::{Importer, ServedState, Source, Unfinished};
use crate::Order;
use alloy_primitives::{B256, Bytes};
use pipeline::{Chain, ExecutedRecord};
use primitives::{Anchor, SyncAnchor, recovery::SenderCache, transaction::Impersonation};
use state::{
    EmptyStore, Import, ImportState, ImportTarget, Location, Served, StoreError,
    sync::{CheckedChunk, Manifest},
};

/// Offers what a running node has.
#[derive(Clone, Debug)]
pub(crate) struct StoreSource {
    pub(crate) chain: Chain,
    pub(crate) order: Order,
}

impl Source for StoreSource {
    type Leaves = Served;

    fn newest(&self) -> Option<ServedState<Served>> {
        let leaves = self.chain.served()?;
        Some(ServedState {
            height: leaves.height(),
            root: leaves.root(),
            leaves,
        })
    }

    async fn anchor(&self, height: u64) -> Option<SyncAnchor> {
        match self.order.anchor(&self.chain, height).await {
            Ok(anchor) => anchor,
            Err(fault) => {
                tracing::error!(height, %fault, "the evidence for a state cannot be read");
                None
            }
        }
    }
}

/// Why a store cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// It cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The manifest it was begun with does not read back.
    #[error("the stored manifest is damaged: {0}")]
    Manifest(#[from] state::sync::ManifestError),
    /// The ordering block at its height holds a bad signature.
    #[error("a finalized block holds a bad signature: {0}")]
    Block(#[from] primitives::TransactionError),
    /// It was asked for something that cannot be done now.
    #[error("the store is not being filled")]
    NotBegun,
}

#[derive(Debug)]
enum Filling {
    Empty(EmptyStore),
    Begun(Import),
    Complete,
    /// After a fault.
    Broken,
}

/// Fills a store.
#[derive(Debug)]
pub struct StoreImporter {
    location: Location,
    filling: Filling,
    impersonation: Impersonation,
}

impl StoreImporter {
    /// Looks what is at a location, for the chain with this genesis block.
    ///
    /// # Errors
    /// When there is something of another chain, or damaged, or in use.
    pub fn open(
        location: Location,
        genesis: B256,
        impersonation: Impersonation,
    ) -> Result<Self, StoreError> {
        let filling = match ImportState::open(location.clone(), genesis)? {
            ImportState::Empty(empty) => Filling::Empty(empty),
            ImportState::Begun(import) => Filling::Begun(import),
            ImportState::Complete => Filling::Complete,
        };
        Ok(Self {
            location,
            filling,
            impersonation,
        })
    }

    /// Whether there is a whole state already.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.filling, Filling::Complete)
    }

    fn begun(&mut self) -> Result<&mut Import, ImportFault> {
        match &mut self.filling {
            Filling::Begun(import) => Ok(import),
            Filling::Empty(_) | Filling::Complete | Filling::Broken => Err(ImportFault::NotBegun),
        }
    }
}

impl Importer for StoreImporter {
    type Error = ImportFault;

    fn unfinished(&mut self) -> Result<Option<Unfinished>, ImportFault> {
        let Filling::Begun(import) = &self.filling else {
            return Ok(None);
        };
        Ok(Some(Unfinished {
            anchor: import.evidence().clone(),
            manifest: import.manifest().clone(),
            chunks: import.chunks().clone(),
            codes: import.missing_codes()?,
        }))
    }

    fn begin(&mut self, anchor: &Anchor, manifest: &Manifest) -> Result<(), ImportFault> {
        let empty = match std::mem::replace(&mut self.filling, Filling::Broken) {
            Filling::Empty(empty) => empty,
            Filling::Begun(import) => import.abandon(self.location.clone())?,
            Filling::Complete | Filling::Broken => return Err(ImportFault::NotBegun),
        };
        let result = anchor.result();
        let target = ImportTarget {
            height: result.height,
            root: anchor.state_root(),
            hash: result.block_hash,
        };
        let evidence = Bytes::from(commonware_codec::Encode::encode(anchor.whole()));
        self.filling = Filling::Begun(empty.begin(target, manifest, evidence)?);
        Ok(())
    }

    fn put_chunk(&mut self, chunk: &CheckedChunk) -> Result<(), ImportFault> {
        Ok(self.begun()?.put_chunk(chunk)?)
    }

    fn put_codes(&mut self, codes: &[(B256, Bytes)]) -> Result<(), ImportFault> {
        let codes: Vec<Bytes> = codes.iter().map(|(_, code)| code.clone()).collect();
        Ok(self.begun()?.put_codes(&codes)?)
    }

    fn finish(&mut self, anchor: &Anchor) -> Result<(), ImportFault> {
        let import = match std::mem::replace(&mut self.filling, Filling::Broken) {
            Filling::Begun(import) => import,
            Filling::Empty(_) | Filling::Complete | Filling::Broken => {
                return Err(ImportFault::NotBegun);
            }
        };
        let bytes = import.manifest().clone();
        let digest = alloy_primitives::keccak256(&bytes);
        let manifest = Manifest::decode(bytes, anchor.state_root(), digest)?;
        let recovered = anchor
            .block()
            .recover(&SenderCache::default(), self.impersonation)?;
        let record = ExecutedRecord {
            header: anchor.header().clone(),
            hash: anchor.result().block_hash,
            block: recovered.block().clone(),
            transactions: recovered.shared_transactions(),
            // Nobody here has executed it.
            receipts: Vec::new(),
            withdrawals: Default::default(),
        };
        let stored = record.to_stored(Bytes::new());
        let ancestors: Vec<_> = anchor.ancestors().collect();
        import.finish(&manifest, stored, &ancestors)?;
        self.filling = Filling::Complete;
        Ok(())
    }
}
