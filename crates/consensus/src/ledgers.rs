//! The shard ledger after every relay block that this node knows, and its way through restarts.
//!
//! ```text
//!  propose, verify ─▶ after(parent) ─apply the block's section─▶ known, by digest of the relay block
//!                                                                  │ finalized, in order
//!  storage ◀── every REMEMBERED_EVERY heights ─────────────────────┴──▶ feed (agents, explorer), inclusion
//! ```
//! After a restart the stored ledger is brought to the last delivered height by applying the archived blocks
//! again; until then nothing is proposed or judged.

use crate::{
    ancestry::{AncestryError, RecentBlocks},
    archive::unopened,
    engine::{EngineFault, Runtime},
    verify::Rejection,
};
use alloy_primitives::B256;
use commonware_codec::{DecodeExt, RangeCfg};
use commonware_consensus::{Block as _, marshal::ancestry::Ancestry};
use commonware_storage::metadata::{self, Metadata};
use commonware_utils::sequence::U64;
use primitives::{Block, crypto::BlockDigest, limits::IN_FLIGHT_BLOCKS_MAX};
use rand_core::CryptoRng;
use shards::{
    feed::{LedgerFeed, RelayUpdate},
    inclusion::Inclusion,
    ledger::{Authority, CheckedSection, Ledger, LedgerEvent, RelayStep},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Finalized relay blocks after which the ledger of so many blocks before is stored: a restart applies at most twice
/// as many again. Not the newest one, so that a collator sees again what its shard's files may lack.
const REMEMBERED_EVERY: u64 = 64;
/// Longest stored ledger, in bytes.
const STORED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Where in its partition the ledger is.
const KEY: U64 = U64::new(0);
const NAME: &str = "ledger";

/// What ordering needs of shards.
#[derive(Clone, Debug)]
pub struct ShardParts {
    /// The ledger at height 0.
    pub genesis: Arc<Ledger>,
    /// Whose signatures count.
    pub authority: Arc<Authority>,
    /// What waits for a relay block.
    pub inclusion: Inclusion,
    /// Where finalized ledgers go.
    pub feed: LedgerFeed,
}

#[derive(Clone, Debug)]
struct Known {
    ledger: Arc<Ledger>,
    events: Arc<[LedgerEvent]>,
}

/// By height and digest of the relay block.
type ByBlock = BTreeMap<(u64, BlockDigest), Known>;

#[derive(Debug)]
struct Shared {
    parts: ShardParts,
    known: Mutex<ByBlock>,
    ready: watch::Sender<bool>,
}

/// The ledgers of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Ledgers {
    shared: Arc<Shared>,
}

impl Ledgers {
    pub(crate) fn new(parts: ShardParts) -> Self {
        Self {
            shared: Arc::new(Shared {
                parts,
                known: Mutex::default(),
                ready: watch::Sender::new(false),
            }),
        }
    }

    pub(crate) fn inclusion(&self) -> &Inclusion {
        &self.shared.parts.inclusion
    }

    /// Says up to which height relay blocks are on disk: no ledger that this node acted on is of a later one.
    pub(crate) fn resume(&self, height: u64) {
        self.shared.parts.feed.resume(height);
    }

    fn lock(&self) -> MutexGuard<'_, ByBlock> {
        self.shared
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, block: &Block) -> Option<Known> {
        let height = block.header().height;
        if height == 0 {
            return Some(Known {
                ledger: Arc::clone(&self.shared.parts.genesis),
                events: Arc::default(),
            });
        }
        self.lock().get(&(height, block.digest())).cloned()
    }

    /// The ledger after a block, if it is known.
    pub(crate) fn known(&self, height: u64, digest: BlockDigest) -> Option<Arc<Ledger>> {
        if height == 0 {
            return Some(Arc::clone(&self.shared.parts.genesis));
        }
        let known = self.lock().get(&(height, digest)).cloned();
        known.map(|known| known.ledger)
    }

    /// The ledger after a block that has been notarized or finalized, by way of its ancestors if need be.
    pub(crate) async fn after(
        &self,
        block: &Block,
        recent: &RecentBlocks,
        mut ancestry: impl Ancestry<Block>,
        random: &mut impl CryptoRng,
    ) -> Result<Arc<Ledger>, AncestryError> {
        // An error means that this node is going down.
        drop(self.shared.ready.subscribe().wait_for(|ready| *ready).await);
        let mut way = vec![block.clone()];
        let mut known = loop {
            let Some(oldest) = way.last() else {
                return Err(AncestryError::Missing);
            };
            if let Some(known) = self.get(oldest) {
                way.pop();
                break known.ledger;
            }
            let within = u64::try_from(way.len()).is_ok_and(|length| length < IN_FLIGHT_BLOCKS_MAX);
            if !within {
                return Err(AncestryError::Missing);
            }
            let parent = recent.ancestor(&oldest.parent(), &mut ancestry).await?;
            way.push(parent);
        };
        for block in way.iter().rev() {
            known = match self.apply(&known, block, random) {
                Ok(next) => next,
                Err(rejection) => {
                    tracing::error!(%rejection, "an ancestor contradicts the shard ledger");
                    return Err(AncestryError::Missing);
                }
            };
        }
        Ok(known)
    }

    /// The ledger after a block, from the ledger after its parent.
    pub(crate) fn apply(
        &self,
        before: &Ledger,
        block: &Block,
        random: &mut impl CryptoRng,
    ) -> Result<Arc<Ledger>, Rejection> {
        let header = block.header();
        if let Some(known) = self.get(block) {
            return Ok(known.ledger);
        }
        let authority = &self.shared.parts.authority;
        let section = block.section().clone();
        let section = CheckedSection::check(section, before, authority, random)
            .map_err(Rejection::Section)?;
        let step = RelayStep {
            height: header.height,
            parent_digest: B256::from_slice(block.parent().as_ref()),
            timestamp_ms: header.timestamp_ms,
            executed_height: header.executed.height,
            section: &section,
        };
        let (ledger, events) = before.apply(&step).map_err(Rejection::Section)?;
        if ledger.digest() != header.ledger_digest {
            return Err(Rejection::Digest("ledger_digest"));
        }
        let ledger = Arc::new(ledger);
        let known = Known {
            ledger: Arc::clone(&ledger),
            events: events.into(),
        };
        self.lock().insert((header.height, block.digest()), known);
        Ok(ledger)
    }

    /// A block is final, and so is the ledger after it. Blocks come in order.
    fn finalized(
        &self,
        block: &Block,
        before: &Ledger,
        random: &mut impl CryptoRng,
    ) -> Result<Known, Rejection> {
        self.apply(before, block, random)?;
        let known = self.get(block).ok_or(Rejection::Digest("ledger_digest"))?;
        let height = block.header().height;
        let digest = block.digest();
        self.lock()
            .retain(|(other, name), _| *other > height || (*other == height && *name == digest));
        Ok(known)
    }
}

type Remembered<E> = Metadata<E, U64, Vec<u8>>;

/// Follows finalized blocks on behalf of [`Ledgers`]: one per node, on the delivery thread.
pub(crate) struct Follower<E: Runtime> {
    ledgers: Ledgers,
    /// Weighs signatures that are checked together.
    random: E,
    /// None once it could not be written.
    stored: Option<Remembered<E>>,
    newest: Arc<Ledger>,
    /// The ledger to be stored next.
    earlier: Arc<Ledger>,
}

impl<E: Runtime> Follower<E> {
    /// Reads the stored ledger back.
    pub(crate) async fn open(
        runtime: E,
        partition: &str,
        ledgers: Ledgers,
    ) -> Result<Self, EngineFault> {
        let config = metadata::Config {
            partition: format!("{partition}-{NAME}"),
            codec_config: (RangeCfg::new(0..=STORED_BYTES_MAX), ()),
        };
        let random = runtime.child("random");
        let stored: Remembered<E> = Metadata::init(runtime, config)
            .await
            .map_err(|error| unopened(NAME, &error))?;
        let newest = match stored.get(&KEY) {
            Some(bytes) => {
                let read = Ledger::decode(bytes::Bytes::from(bytes.clone()));
                Arc::new(read.map_err(|error| unopened(NAME, &error))?)
            }
            None => Arc::clone(&ledgers.shared.parts.genesis),
        };
        Ok(Self {
            ledgers,
            random,
            stored: Some(stored),
            earlier: Arc::clone(&newest),
            newest,
        })
    }

    /// The relay height of the newest finalized ledger.
    pub(crate) fn height(&self) -> u64 {
        self.newest.height()
    }

    /// The next finalized block, for the first time or again after a restart; false if it contradicts the ledger.
    pub(crate) async fn follow(&mut self, block: &Block) -> bool {
        if block.header().height <= self.height() {
            self.recognize(block);
            return true;
        }
        let known = match self
            .ledgers
            .finalized(block, &self.newest, &mut self.random)
        {
            Ok(known) => known,
            Err(rejection) => {
                tracing::error!(%rejection, "a finalized block contradicts the shard ledger");
                return false;
            }
        };
        self.newest = Arc::clone(&known.ledger);
        let parts = &self.ledgers.shared.parts;
        parts.inclusion.settle(&self.newest);
        parts.feed.publish(RelayUpdate {
            height: block.header().height,
            digest: B256::from_slice(block.digest().as_ref()),
            ledger: Arc::clone(&self.newest),
            authority: Arc::clone(&parts.authority),
            events: known.events.to_vec(),
        });
        if self.height().is_multiple_of(REMEMBERED_EVERY) {
            self.remember().await;
        }
        true
    }

    /// The block that the stored ledger is of gets it by its digest.
    fn recognize(&self, block: &Block) {
        let header = block.header();
        if header.height == self.height() && header.ledger_digest == self.newest.digest() {
            let known = Known {
                ledger: Arc::clone(&self.newest),
                events: Arc::default(),
            };
            let key = (header.height, block.digest());
            self.ledgers.lock().insert(key, known);
        }
    }

    /// Everything delivered before this start has been followed.
    pub(crate) fn ready(&self) {
        self.ledgers.shared.ready.send_replace(true);
    }

    async fn remember(&mut self) {
        let Some(mut stored) = self.stored.take() else {
            return;
        };
        let earlier = std::mem::replace(&mut self.earlier, Arc::clone(&self.newest));
        stored.put(KEY, earlier.to_bytes());
        match stored.sync().await {
            Ok(stored) => self.stored = Some(stored),
            // Nothing is lost: a restart applies more blocks again.
            Err(error) => tracing::error!(%error, "the shard ledger can no longer be stored"),
        }
    }
}
