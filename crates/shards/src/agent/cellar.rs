//! What an agent keeps on disk: the chunks that it answers for, the collations of the shards that it collates, and
//! which candidates are final that its shards' files do not have.
//!
//! ```text
//!            keep, read                    one sync for all that waits
//!  duties ───────────────▶ cellar's task ───────────────────────────▶ sections (log)
//!     ▲                        │
//!     └────── kept, found ─────┘        after a restart: recall ─▶ duties
//! ```
//! A validator says that it holds a chunk after that is on disk, and a collator offers what it built after that is.
//! So what is final can be restored from f+1 chunks though all nodes stop at once, and what was offered is offered
//! again, unchanged.
//!
//! | kept | until |
//! |---|---|
//! | chunk | [`RECENT_NUMBERS`] more numbers of its shard are final |
//! | collation, finality | the shard's own files have the block |
//! | final collations, for collators that were away | [`COLLATIONS_MAX`] more numbers are final, or there is no room |
//!
//! A write that fails ends the agent, and so the node. What can't be read any more is taken to be lost: somebody
//! else has it.
//!
//! Limits: [`WRITES_MAX`] records and [`READS_MAX`] questions wait; sizes are those of the log.

pub(crate) mod log;
pub(crate) mod record;
#[cfg(test)]
mod tests;

use super::{
    config::{ARREARS_MAX, BODIES_AHEAD, COLLATIONS_MAX, READS_MAX, RECENT_NUMBERS, WRITES_MAX},
    duties::Done,
};
use alloy_primitives::B256;
use commonware_runtime::{Handle, Spawner};
use commonware_storage::Context;
use log::{Log, LogConfig, Need, Place};
use primitives::{
    crypto::PublicKey,
    shard::{CandidateId, Coding, Descriptor, ShardId},
};
use record::{KeptCollation, Kind, Label, Record};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, watch};

/// Why an agent's files can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellarFault {
    /// They don't open.
    #[error(
        "the kept chunks and collations of shards cannot be opened ({error}); restore the data directory from a copy, or remove the files whose names end in `shards-slips` and `shards-records` from its folder `consensus`, with which this validator loses the chunks that it answers for"
    )]
    Open {
        /// Why.
        error: String,
    },
    /// What must be kept can't be written.
    #[error("chunks and collations of shards cannot be written: {error}")]
    Write {
        /// Why.
        error: String,
    },
}

/// What the ledger and a shard's own files say of what is needed of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The number of its newest final block.
    pub(crate) finalized: u64,
    /// The number of the newest block that this node's files of it have; none if it does not collate it.
    pub(crate) durable: Option<u64>,
}

impl Progress {
    fn need(&self, kind: Kind, number: u64) -> Need {
        let recent = |count: u64| number.saturating_add(count) > self.finalized;
        let lacking = self.durable.is_some_and(|durable| number > durable);
        match kind {
            Kind::Chunk if recent(RECENT_NUMBERS) => Need::Must,
            Kind::Collation | Kind::Final if lacking && recent(ARREARS_MAX) => Need::Must,
            Kind::Collation if recent(COLLATIONS_MAX) => Need::May,
            Kind::Chunk | Kind::Collation | Kind::Final => Need::No,
        }
    }
}

/// The progress of every shard; none until a relay block is known.
pub(crate) type Progresses = Option<BTreeMap<ShardId, Progress>>;

fn need(progresses: &Progresses, label: &Label, place: &Place) -> Need {
    let Some(progresses) = progresses else {
        return Need::Must;
    };
    let progress = progresses.get(&place.shard);
    progress.map_or(Need::No, |progress| progress.need(label.kind, place.number))
}

/// For whom a record is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Own,
    Peer(PublicKey),
}

/// What the cellar is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Keep(Box<Record>),
    Read(Box<(Label, Reader)>),
}

/// Shard and number of each chunk, by candidate and root.
pub(crate) type ChunkPlaces = BTreeMap<(CandidateId, B256), (ShardId, u64)>;

/// What an agent finds again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recalled {
    /// Chunks, by candidate and root.
    pub(crate) chunks: ChunkPlaces,
    /// What is final and follows the newest block of a shard's files, by number.
    pub(crate) finals: Vec<(Descriptor, Coding)>,
    /// Collations that follow it, by number: the next ones.
    pub(crate) collations: Vec<KeptCollation>,
}

/// Asks the cellar. What comes of it comes with what other work does.
#[derive(Debug)]
pub(crate) struct Cellar {
    requests: mpsc::Sender<Request>,
    progresses: watch::Sender<Progresses>,
}

/// Ends when the files can't be written any more.
pub(crate) type CellarHandle = Handle<Result<(), CellarFault>>;

impl Cellar {
    /// Opens the files, and reads what comes after the newest block of each shard that the node collates.
    pub(crate) async fn open<E: Context + Spawner>(
        runtime: E,
        config: LogConfig,
        newest: &BTreeMap<ShardId, u64>,
        finished: mpsc::Sender<Done>,
    ) -> Result<(Self, CellarHandle, Recalled), CellarFault> {
        let mut log = Log::open(runtime.child("log"), config).await?;
        let recalled = recall(&mut log, newest).await;
        let (requests, waiting) = mpsc::channel(WRITES_MAX.saturating_add(READS_MAX));
        let progresses = watch::Sender::new(None);
        let watched = progresses.subscribe();
        let handle = runtime.spawn(move |_| keep(log, waiting, watched, finished));
        let cellar = Self {
            requests,
            progresses,
        };
        Ok((cellar, handle, recalled))
    }

    /// Asks for one thing more. There is room for all that duties ask at a time.
    pub(crate) fn ask(&self, request: Request) {
        self.requests
            .try_send(request)
            .unwrap_or_else(|error| tracing::error!(%error, "the cellar is asked for too much"));
    }

    /// Says what may be forgotten.
    pub(crate) fn progress(&self, progresses: BTreeMap<ShardId, Progress>) {
        self.progresses.send_replace(Some(progresses));
    }
}

async fn recall<E: Context>(log: &mut Log<E>, newest: &BTreeMap<ShardId, u64>) -> Recalled {
    let mut recalled = Recalled::default();
    let mut wanted: Vec<(u64, Label)> = Vec::new();
    for (label, place) in log.labels() {
        let after = newest.get(&place.shard).copied();
        let follows = after.is_some_and(|after| place.number > after);
        let near = |after: u64| place.number <= after.saturating_add(BODIES_AHEAD);
        match label.kind {
            Kind::Chunk => {
                let key = (label.candidate, label.root);
                recalled.chunks.insert(key, (place.shard, place.number));
            }
            Kind::Final if follows => wanted.push((place.number, *label)),
            Kind::Collation if follows && after.is_some_and(near) => {
                wanted.push((place.number, *label));
            }
            Kind::Final | Kind::Collation => {}
        }
    }
    wanted.sort_unstable();
    for (_, label) in wanted {
        match log.get(&label).await {
            Some(Record::Final(descriptor, coding)) => recalled.finals.push((*descriptor, coding)),
            Some(Record::Collation(kept)) => recalled.collations.push(*kept),
            Some(Record::Chunk(_)) | None => {}
        }
    }
    recalled
}

async fn keep<E: Context>(
    mut log: Log<E>,
    mut requests: mpsc::Receiver<Request>,
    progresses: watch::Receiver<Progresses>,
    finished: mpsc::Sender<Done>,
) -> Result<(), CellarFault> {
    while let Some(first) = requests.recv().await {
        let mut kept = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Keep(record) => {
                    log = log.put(&record).await?;
                    kept.push(record.label());
                }
                Request::Read(look) => {
                    let (label, reader) = *look;
                    let record = log.get(&label).await.map(Box::new);
                    // An error means that the agent has ended: so will the requests.
                    drop(
                        finished
                            .send(Done::Found {
                                label,
                                reader,
                                record,
                            })
                            .await,
                    );
                }
            }
            next = match kept.len() < WRITES_MAX {
                true => requests.try_recv().ok(),
                false => None,
            };
        }
        log = log.sync().await?;
        if !kept.is_empty() && finished.send(Done::Kept(kept)).await.is_err() {
            return Ok(());
        }
        let progresses = progresses.borrow().clone();
        log = log
            .prune(|label, place| need(&progresses, label, place))
            .await?;
    }
    Ok(())
}
