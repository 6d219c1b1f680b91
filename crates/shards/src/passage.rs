//! When candidates were collated, backed, included and final, and which relay blocks a shard missed.
//!
//! ```text
//!             collated_ms     backed        included      finalized
//! passage         ├─────────────┼──────────────┼─────────────┤        or discarded, at some moment, for a reason
//!
//! relay block          h      h+1      h+2      h+3      h+4
//! chance             taken   taken   missed    taken    idle          one for each shard in each of them
//! ```
//! A relay block is a *chance* for every shard that is active. The chance is *taken* if a candidate was backed in the
//! block. It is *missed* if none was though the shard had work: something to put into a block, or a block that is
//! not backed, for [`WORK_BLOCKS`] relay blocks before, which is what a candidate needs to be built, signed by its
//! group and put into a block that is proposed meanwhile. Otherwise it is *idle*. What work there is only a collator
//! of the shard knows, so whoever is none counts no missed ones.
//!
//! A function of relay updates and of what an [`Observer`] sees; nothing depends on it. Limits: [`PASSAGES_MAX`] and
//! [`CHANCES_MAX`] of each shard, the newest stay.

use crate::{
    feed::RelayUpdate,
    ledger::{Discard, LedgerEvent, Moment, Named, Segment, Status},
};
use alloy_primitives::B256;
use primitives::shard::{CandidateId, ShardId};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

/// Passages kept of one shard.
pub const PASSAGES_MAX: usize = 256;
/// Chances kept of one shard.
pub const CHANCES_MAX: usize = 512;
/// Relay blocks in a row before a chance at which there was work, for it to be missed.
pub const WORK_BLOCKS: u64 = 2;

/// One candidate's way through the ledger. If it is put forward again, that is another passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The block's number in its shard.
    pub number: u64,
    /// Hash of the block's Ethereum header.
    pub hash: B256,
    /// Its identity.
    pub candidate: CandidateId,
    /// What the ledger numbered it.
    pub sequence: u64,
    /// The core that it came by.
    pub core: u16,
    /// The relay block it is built against.
    pub anchor_height: u64,
    /// The block's own time: when its collator began it, in milliseconds since the Unix epoch.
    pub collated_ms: u64,
    /// When it was backed. The height of this and the other moments is the relay block's; the time is when that
    /// block was final here, or its own where nobody observes.
    pub backed: Moment,
    /// When it was included.
    pub included: Option<Moment>,
    /// When it became final.
    pub finalized: Option<Moment>,
    /// When it left the ledger without being final, and why.
    pub discarded: Option<(Moment, Discard)>,
}

/// What a shard made of a relay block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chance {
    /// A candidate was backed, or several.
    Taken,
    /// None was, though there was work.
    Missed,
    /// None was, and no work is known of.
    Idle,
}

/// Chances of a shard since this node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Relay blocks in which a candidate was backed.
    pub taken: u64,
    /// Those in which none was, though there was work.
    pub missed: u64,
    /// The others.
    pub idle: u64,
    /// Whether anybody here knows of the shard's work.
    pub is_observed: bool,
}

/// What a ledger doesn't know: the time here, and the work of the shards that this node collates.
pub struct Observer {
    /// Milliseconds since the Unix epoch.
    pub now_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Whether a shard has something to put into a block, or a block that is not backed; none if nobody here knows.
    pub has_work: Box<HasWork>,
}

/// Whether a shard has work that its segment does not show.
pub type HasWork = dyn Fn(ShardId, &Segment) -> Option<bool> + Send + Sync;

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// The newest passages and chances of all shards.
#[derive(Debug, Default)]
pub struct Passages {
    tracks: BTreeMap<ShardId, Track>,
}

/// Those of one shard.
#[derive(Debug, Default)]
struct Track {
    passages: VecDeque<Passage>,
    chances: VecDeque<(Moment, Chance)>,
    tally: Tally,
    /// Relay blocks in a row after which there was work.
    worked: u64,
}

impl Passages {
    /// A relay block is final.
    pub fn note(&mut self, update: &RelayUpdate, observer: Option<&Observer>) {
        let now = Moment {
            height: update.height,
            ms: observer.map_or(update.ledger.timestamp_ms(), |one| (one.now_ms)()),
        };
        for event in &update.events {
            match event {
                LedgerEvent::Backed(named) => self.backed(update, named, now),
                LedgerEvent::Included(named) => {
                    self.change(named, |passage| passage.included = Some(now));
                }
                LedgerEvent::Final(named, _) => {
                    self.change(named, |passage| passage.finalized = Some(now));
                }
                LedgerEvent::Discarded(named, why) => {
                    self.change(named, |passage| passage.discarded = Some((now, *why)));
                }
                LedgerEvent::Escalated(..)
                | LedgerEvent::Offended(_)
                | LedgerEvent::Ordered(..)
                | LedgerEvent::Refused(..)
                | LedgerEvent::Moved { .. } => {}
            }
        }
        for (shard, segment) in update.ledger.shards() {
            let work = observer.and_then(|one| (one.has_work)(shard, segment));
            let is_taken = update
                .events
                .iter()
                .any(|event| matches!(event, LedgerEvent::Backed(named) if named.shard == shard));
            let track = self.tracks.entry(shard).or_default();
            track.pass(now, segment.status(), is_taken, work);
        }
    }

    /// A shard's passages, oldest first.
    pub fn of(&self, shard: ShardId) -> impl DoubleEndedIterator<Item = &Passage> {
        let track = self.tracks.get(&shard).into_iter();
        track.flat_map(|track| &track.passages)
    }

    /// The newest passage of a block with this hash.
    #[must_use]
    pub fn of_block(&self, shard: ShardId, hash: &B256) -> Option<Passage> {
        let found = self.of(shard).rev().find(|passage| passage.hash == *hash);
        found.copied()
    }

    /// What a shard made of the newest relay blocks, oldest first.
    pub fn chances(&self, shard: ShardId) -> impl DoubleEndedIterator<Item = (Moment, Chance)> {
        let track = self.tracks.get(&shard).into_iter();
        track.flat_map(|track| track.chances.iter().copied())
    }

    /// What a shard made of all relay blocks since this node started.
    #[must_use]
    pub fn tally(&self, shard: ShardId) -> Tally {
        let track = self.tracks.get(&shard);
        track.map(|track| track.tally).unwrap_or_default()
    }

    fn backed(&mut self, update: &RelayUpdate, named: &Named, now: Moment) {
        let segment = update.ledger.shard(named.shard);
        let mut pending = segment.into_iter().flat_map(Segment::pending);
        let Some(pending) = pending.find(|one| one.sequence == named.sequence) else {
            return;
        };
        let descriptor = &pending.envelope.descriptor;
        let track = self.tracks.entry(named.shard).or_default();
        if track.passages.len() >= PASSAGES_MAX {
            track.passages.pop_front();
        }
        track.passages.push_back(Passage {
            number: named.number,
            hash: descriptor.head,
            candidate: named.candidate,
            sequence: named.sequence,
            core: pending.envelope.schedule.core,
            anchor_height: descriptor.anchor.height,
            collated_ms: descriptor.timestamp_ms,
            backed: now,
            included: None,
            finalized: None,
            discarded: None,
        });
    }

    fn change(&mut self, named: &Named, change: impl FnOnce(&mut Passage)) {
        let track = self.tracks.get_mut(&named.shard);
        let mut passages = track.into_iter().flat_map(|track| &mut track.passages);
        if let Some(passage) = passages.find(|one| one.sequence == named.sequence) {
            change(passage);
        }
    }
}

impl Track {
    fn pass(&mut self, now: Moment, status: Status, is_taken: bool, work: Option<bool>) {
        let chance = match (is_taken, status) {
            (true, _) => Chance::Taken,
            (false, Status::Active) if self.worked >= WORK_BLOCKS => Chance::Missed,
            (false, Status::Active | Status::Paused | Status::Retired) => Chance::Idle,
        };
        let count = match chance {
            Chance::Taken => &mut self.tally.taken,
            Chance::Missed => &mut self.tally.missed,
            Chance::Idle => &mut self.tally.idle,
        };
        *count = count.saturating_add(1);
        self.tally.is_observed = work.is_some();
        self.worked = match work {
            Some(true) => self.worked.saturating_add(1),
            Some(false) | None => 0,
        };
        if self.chances.len() >= CHANCES_MAX {
            self.chances.pop_front();
        }
        self.chances.push_back((now, chance));
    }
}
