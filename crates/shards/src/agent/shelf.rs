//! The candidates that an agent knows, with their collations: what is pending or young, and a few that are
//! final. Bounded in number for each place, and in bytes.

use super::{
    config::{FORKS_MAX, RECENT_NUMBERS},
    seams::Finding,
};
use crate::ledger::Ledger;
use alloy_primitives::B256;
use bytes::Bytes;
use primitives::{
    crypto::Signature,
    shard::{CandidateId, Coding, Descriptor, Schedule, ShardId},
};
use std::collections::{BTreeMap, BTreeSet};

/// How long what never entered is kept once its anchor is too old, in milliseconds.
const KEEP_MS: u64 = 10_000;

/// What is known of a candidate.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) descriptor: Descriptor,
    /// Its collator's.
    pub(crate) signature: Option<Signature>,
    pub(crate) collation: Option<Bytes>,
    /// What was found of it; remembered whatever becomes of its envelopes.
    pub(crate) finding: Option<Finding>,
    /// How it is cut for the validators of the coding's epoch.
    pub(crate) coding: Option<Coding>,
    /// All its chunks, until they are held elsewhere.
    pub(crate) chunks: Vec<Bytes>,
    /// Roots under which it was claimed to be cut and that commit to something else.
    pub(crate) wrong_roots: BTreeSet<B256>,
    /// It has been in the ledger.
    pub(crate) backed: bool,
    /// It is final.
    pub(crate) is_final: bool,
    /// f+1 validators found it invalid.
    pub(crate) condemned: bool,
    /// The newest schedule by which it was put forward.
    pub(crate) schedule: Option<Schedule>,
    /// When the candidate was heard of, in milliseconds.
    pub(crate) learned_ms: u64,
    /// When it was put forward last, as far as is known, in milliseconds.
    pub(crate) heard_ms: u64,
    /// When a check that failed may be tried again, in milliseconds.
    pub(crate) retry_ms: u64,
}

impl Entry {
    fn new(descriptor: Descriptor, now_ms: u64) -> Self {
        Self {
            descriptor,
            signature: None,
            collation: None,
            finding: None,
            coding: None,
            chunks: Vec::new(),
            wrong_roots: BTreeSet::new(),
            backed: false,
            is_final: false,
            condemned: false,
            schedule: None,
            learned_ms: now_ms,
            heard_ms: now_ms,
            retry_ms: 0,
        }
    }

    pub(crate) fn is_invalid(&self) -> bool {
        self.condemned || self.finding == Some(Finding::Invalid)
    }

    /// It was put forward by this schedule, whose height is not above that of the newest relay block.
    pub(crate) fn hear(&mut self, schedule: Schedule, now_ms: u64) {
        if self
            .schedule
            .is_none_or(|known| known.height < schedule.height)
        {
            self.schedule = Some(schedule);
            self.heard_ms = now_ms;
        }
    }

    fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().map(Bytes::len);
        let collation = self.collation.as_ref().map_or(0, Bytes::len);
        chunks.fold(collation, usize::saturating_add)
    }
}

/// All candidates that are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    entries: BTreeMap<CandidateId, Entry>,
    places: BTreeMap<(ShardId, u64), BTreeSet<CandidateId>>,
}

impl Shelf {
    pub(crate) fn get(&self, id: &CandidateId) -> Option<&Entry> {
        self.entries.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &CandidateId) -> Option<&mut Entry> {
        self.entries.get_mut(id)
    }

    /// The entry of a candidate; none if its place is full. What the ledger names always has room.
    pub(crate) fn learn(
        &mut self,
        descriptor: &Descriptor,
        in_ledger: bool,
        now_ms: u64,
    ) -> Option<&mut Entry> {
        let id = descriptor.id();
        let place = self
            .places
            .entry((descriptor.shard, descriptor.number))
            .or_default();
        if !place.contains(&id) && place.len() >= FORKS_MAX && !in_ledger {
            return None;
        }
        place.insert(id);
        let entry = self.entries.entry(id);
        Some(entry.or_insert_with(|| Entry::new(descriptor.clone(), now_ms)))
    }

    /// The candidates for one place.
    pub(crate) fn at(
        &self,
        shard: ShardId,
        number: u64,
    ) -> impl Iterator<Item = (CandidateId, &Entry)> {
        let place = self.places.get(&(shard, number)).into_iter().flatten();
        place.filter_map(|id| Some((*id, self.entries.get(id)?)))
    }

    /// The candidate of a shard that leads to a head.
    pub(crate) fn of_head(
        &self,
        shard: ShardId,
        number: u64,
        head: &B256,
    ) -> Option<(CandidateId, &Entry)> {
        self.at(shard, number)
            .find(|(_, entry)| entry.descriptor.head == *head)
    }

    /// All candidates of a shard, by number.
    pub(crate) fn of_shard(&self, shard: ShardId) -> impl Iterator<Item = (CandidateId, &Entry)> {
        let places = self.places.range((shard, 0)..=(shard, u64::MAX));
        places
            .flat_map(|(_, ids)| ids)
            .filter_map(|id| Some((*id, self.entries.get(id)?)))
    }

    /// Forgets what nobody needs any more: what is neither pending nor possible any more, nor among the last
    /// final ones; and the oldest collations, while they are too many bytes.
    pub(crate) fn prune(&mut self, ledger: &Ledger, now_ms: u64, bytes_max: usize) {
        let pending: BTreeSet<CandidateId> = ledger.pending().map(|one| one.candidate).collect();
        let oldest_anchor = ledger.height().saturating_sub(ledger.rules().anchor_window);
        self.entries.retain(|id, entry| {
            let Some(segment) = ledger.shard(entry.descriptor.shard) else {
                return false;
            };
            let (number, finalized) = (entry.descriptor.number, segment.finalized().number);
            let recent = number.saturating_add(RECENT_NUMBERS) > finalized;
            let possible = entry.descriptor.anchor.height >= oldest_anchor
                || now_ms.saturating_sub(entry.heard_ms) < KEEP_MS;
            let wanted = match number <= finalized {
                true => recent,
                false => {
                    possible && number <= segment.newest().number.saturating_add(RECENT_NUMBERS)
                }
            };
            wanted || pending.contains(id)
        });
        let entries = &self.entries;
        self.places.retain(|_, ids| {
            ids.retain(|id| entries.contains_key(id));
            !ids.is_empty()
        });
        self.shed(&pending, bytes_max);
    }

    fn shed(&mut self, pending: &BTreeSet<CandidateId>, bytes_max: usize) {
        let held = self.entries.iter().filter(|(id, _)| !pending.contains(id));
        let mut bytes = held
            .map(|(_, entry)| entry.bytes())
            .fold(0, usize::saturating_add);
        if bytes <= bytes_max {
            return;
        }
        let mut oldest: Vec<(u64, CandidateId)> = self
            .entries
            .iter()
            .filter(|(id, entry)| !pending.contains(id) && entry.bytes() > 0)
            .map(|(id, entry)| (entry.heard_ms, *id))
            .collect();
        oldest.sort_unstable();
        for (_, id) in oldest {
            if bytes <= bytes_max {
                return;
            }
            if let Some(entry) = self.entries.get_mut(&id) {
                bytes = bytes.saturating_sub(entry.bytes());
                entry.collation = None;
                entry.chunks = Vec::new();
            }
        }
    }
}
