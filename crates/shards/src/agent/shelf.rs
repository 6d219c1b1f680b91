//! The candidates that an agent knows, with their collations: what is pending or young, and a few that are
//! final. Bounded in number for each place, and in bytes.
//!
//! ```text
//!   named by a relay block, built here      always room
//!   claimed by a peer                       [CLAIMS_MAX] for one number: whoever brought most gives way
//!      └ by one peer, of one collator       [FORKS_MAX] of them
//! ```
//! Whoever calls keeps numbers and anchors near what the ledger has: what is claimed leaves with its anchor's window.

use super::{
    config::{ARREARS_MAX, CLAIMS_MAX, FORKS_MAX, RECENT_NUMBERS},
    seams::Finding,
    share::gives_way,
};
use crate::ledger::Ledger;
use alloy_primitives::B256;
use bytes::Bytes;
use primitives::{
    crypto::{PublicKey, Signature},
    shard::{CandidateId, Coding, Descriptor, Schedule, ShardId},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// How long what never entered is kept once its anchor is too old, in milliseconds.
const KEEP_MS: u64 = 10_000;
/// Of the bytes that may be held, the share that may come between two counts.
const UNCOUNTED_SHARE: usize = 8;
/// Of the bytes that may be held, the share that what is final may be, unless it is needed here: hardly anybody asks for
/// it, and the disks have it.
const FINAL_SHARE: usize = 8;

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing yet.
    Open,
    /// It is final.
    Final,
    /// f+1 validators found it invalid.
    Condemned,
}

/// What goes first where there is too much. Final ones, which chunks on the validators' disks give back, or they
/// would keep a busy shard from its next block; then what no backer vouches for, since one collator can make any
/// number of candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Final,
    Claimed,
    Vouched,
}

/// Whether something of a candidate is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is not.
    No,
    /// It is being written.
    Writing,
    /// It is.
    Done,
}

/// What is known of a candidate.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) descriptor: Descriptor,
    /// Who claimed it: its collator if that has put it forward itself. None if it was built here, or a relay block
    /// named it first.
    pub(crate) from: Option<PublicKey>,
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
    /// Somebody of a group has signed it: one liar suffices.
    pub(crate) signed: bool,
    /// It has been in the ledger.
    pub(crate) backed: bool,
    /// How it was cut when it was in the ledger last.
    pub(crate) backed_coding: Option<Coding>,
    /// What became of it.
    pub(crate) fate: Fate,
    /// The relay height at which it became final.
    pub(crate) final_height: Option<u64>,
    /// Whether its collation is on disk.
    pub(crate) body: Kept,
    /// Whether it is on disk that it is final.
    pub(crate) finality: Kept,
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
            from: None,
            signature: None,
            collation: None,
            finding: None,
            coding: None,
            chunks: Vec::new(),
            wrong_roots: BTreeSet::new(),
            signed: false,
            backed: false,
            backed_coding: None,
            fate: Fate::Open,
            final_height: None,
            body: Kept::No,
            finality: Kept::No,
            schedule: None,
            learned_ms: now_ms,
            heard_ms: now_ms,
            retry_ms: 0,
        }
    }

    pub(crate) fn is_invalid(&self) -> bool {
        self.fate == Fate::Condemned || self.finding == Some(Finding::Invalid)
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

    /// Only its collator, peers or backers speak for it.
    const fn is_claimed(&self) -> bool {
        self.from.is_some() && !self.backed
    }

    fn worth(&self) -> Worth {
        match (self.fate, self.signed || self.backed) {
            (Fate::Final, _) => Worth::Final,
            (Fate::Open | Fate::Condemned, false) => Worth::Claimed,
            (Fate::Open | Fate::Condemned, true) => Worth::Vouched,
        }
    }

    fn drop_bytes(&mut self) {
        self.collation = None;
        self.chunks = Vec::new();
    }

    fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().map(Bytes::len);
        let collation = self.collation.as_ref().map_or(0, Bytes::len);
        chunks.fold(collation, usize::saturating_add)
    }
}

/// By whom a candidate comes to be known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// A relay block names it: there is always room.
    Ledger,
    /// It was built or kept here, and signed by its collator: there is always room.
    Own(&'a Signature),
    /// Its collator signed it, and this peer put it forward.
    Collator(&'a Signature, &'a PublicKey),
    /// This backer signed a statement about it.
    Backer(&'a PublicKey),
}

impl<'a> Origin<'a> {
    /// Whoever may claim anything.
    const fn peer(self) -> Option<&'a PublicKey> {
        match self {
            Self::Ledger | Self::Own(_) => None,
            Self::Collator(_, peer) | Self::Backer(peer) => Some(peer),
        }
    }
}

/// All candidates that are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    entries: BTreeMap<CandidateId, Entry>,
    places: BTreeMap<(ShardId, u64), BTreeSet<CandidateId>>,
    /// Bytes that have come since they were counted last.
    uncounted_bytes: usize,
}

impl Shelf {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, id: &CandidateId) -> Option<&Entry> {
        self.entries.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &CandidateId) -> Option<&mut Entry> {
        self.entries.get_mut(id)
    }

    /// The entry of a candidate; none if its place is full.
    pub(crate) fn learn(
        &mut self,
        id: CandidateId,
        descriptor: &Descriptor,
        origin: Origin<'_>,
        now_ms: u64,
    ) -> Option<&mut Entry> {
        let place = (descriptor.shard, descriptor.number);
        if !self.entries.contains_key(&id) && !self.make_room(place, descriptor, origin) {
            return None;
        }
        self.places.entry(place).or_default().insert(id);
        let entry = self.entries.entry(id);
        let entry = entry.or_insert_with(|| Entry {
            from: origin.peer().cloned(),
            ..Entry::new(descriptor.clone(), now_ms)
        });
        if let Origin::Collator(signature, _) | Origin::Own(signature) = origin {
            entry.signature = Some(signature.clone());
        }
        // Whoever names a collator's block first must not choose what it counts with.
        if origin.peer() == Some(&descriptor.collator) {
            entry.from = origin.peer().cloned();
        }
        Some(entry)
    }

    /// Room for one more claim. Keys cost nothing where anybody may collate, so what counts is above all who brings
    /// it: one peer's claims for a number are few, and where there are too many of all, whoever brought most gives
    /// way.
    fn make_room(
        &mut self,
        (shard, number): (ShardId, u64),
        descriptor: &Descriptor,
        origin: Origin<'_>,
    ) -> bool {
        let Some(peer) = origin.peer() else {
            return true;
        };
        let claims = || {
            let known = self.at(shard, number);
            known.filter(|(_, entry)| entry.is_claimed())
        };
        let of_peer = claims().filter(|(_, entry)| entry.from.as_ref() == Some(peer));
        let of_peer = of_peer.count();
        let is_signed = matches!(origin, Origin::Collator(..));
        let of_collator = claims().filter(|(_, entry)| {
            let same = entry.descriptor.collator == descriptor.collator;
            is_signed && same && entry.signature.is_some()
        });
        let of_collator = of_collator.count();
        if of_peer.max(of_collator) >= FORKS_MAX {
            return false;
        }
        if claims().count() < CLAIMS_MAX {
            return true;
        }
        let taken = claims().filter_map(|(_, entry)| Some((entry.from.as_ref()?, 1)));
        let greedy = gives_way(taken, peer, 1);
        let of_greedy =
            claims().find(|(_, entry)| greedy.is_some() && entry.from.as_ref() == greedy);
        let Some(id) = of_greedy.map(|(id, _)| id) else {
            return false;
        };
        self.entries.remove(&id);
        if let Some(ids) = self.places.get_mut(&(shard, number)) {
            ids.remove(&id);
        }
        true
    }

    /// A collation has come that nobody asked for.
    pub(crate) fn arrived(&mut self, bytes: usize, ledger: &Ledger, bytes_max: usize) {
        self.uncounted_bytes = self.uncounted_bytes.saturating_add(bytes);
        if self.uncounted_bytes.saturating_mul(UNCOUNTED_SHARE) > bytes_max {
            let pending = ledger.pending().map(|one| one.candidate);
            self.shed(&pending.collect(), bytes_max);
        }
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

    /// The candidates of a shard that claim to lead to a head: anybody may claim it of anything.
    pub(crate) fn of_head(
        &self,
        shard: ShardId,
        number: u64,
        head: &B256,
    ) -> impl Iterator<Item = (CandidateId, &Entry)> {
        let head = *head;
        self.at(shard, number)
            .filter(move |(_, entry)| entry.descriptor.head == head)
    }

    /// The candidates of a shard with these numbers, by number.
    pub(crate) fn within(
        &self,
        shard: ShardId,
        numbers: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (CandidateId, &Entry)> {
        let (first, last) = (*numbers.start(), *numbers.end());
        // Nothing, rather than a panic, if it is empty.
        let places = self.places.range((shard, first.min(last))..=(shard, last));
        places
            .flat_map(|(_, ids)| ids)
            .filter_map(|id| Some((*id, self.entries.get(id)?)))
            .filter(move |(_, entry)| entry.descriptor.number >= first)
    }

    /// Forgets what nobody needs any more: what is neither pending nor possible any more, nor among the last
    /// final ones, nor final and needed by a collator; and the oldest collations, while they are too many bytes. What
    /// was only claimed goes when its number is final.
    pub(crate) fn prune(
        &mut self,
        ledger: &Ledger,
        needs: impl Fn(&Entry) -> bool,
        (now_ms, bytes_max): (u64, usize),
    ) {
        let pending: BTreeSet<CandidateId> = ledger.pending().map(|one| one.candidate).collect();
        let oldest_anchor = ledger.height().saturating_sub(ledger.rules().anchor_window);
        self.shed_final(&needs, bytes_max.checked_div(FINAL_SHARE).unwrap_or(0));
        self.entries.retain(|id, entry| {
            let Some(segment) = ledger.shard(entry.descriptor.shard) else {
                return false;
            };
            let (number, finalized) = (entry.descriptor.number, segment.finalized().number);
            let near = number.saturating_add(ARREARS_MAX) > finalized;
            let needed = near && entry.fate == Fate::Final && needs(entry);
            let recent = number.saturating_add(RECENT_NUMBERS) > finalized;
            let possible = entry.descriptor.anchor.height >= oldest_anchor
                || now_ms.saturating_sub(entry.heard_ms) < KEEP_MS;
            let wanted = match number <= finalized {
                true => recent && !entry.is_claimed(),
                false => {
                    possible && number <= segment.newest().number.saturating_add(RECENT_NUMBERS)
                }
            };
            wanted || needed || pending.contains(id)
        });
        let entries = &self.entries;
        self.places.retain(|_, ids| {
            ids.retain(|id| entries.contains_key(id));
            !ids.is_empty()
        });
        self.shed(&pending, bytes_max);
    }

    /// Drops the oldest collations of what is final and not needed.
    fn shed_final(&mut self, needs: impl Fn(&Entry) -> bool, bytes_max: usize) {
        let held = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.fate == Fate::Final && entry.bytes() > 0 && !needs(entry));
        let mut newest: Vec<(u64, CandidateId, usize)> = held
            .map(|(id, entry)| (entry.heard_ms, *id, entry.bytes()))
            .collect();
        newest.sort_unstable_by_key(|(heard_ms, ..)| Reverse(*heard_ms));
        let mut bytes = 0_usize;
        for (_, id, more) in newest {
            bytes = bytes.saturating_add(more);
            if let Some(entry) = self.entries.get_mut(&id).filter(|_| bytes > bytes_max) {
                entry.drop_bytes();
            }
        }
    }

    fn shed(&mut self, pending: &BTreeSet<CandidateId>, bytes_max: usize) {
        self.uncounted_bytes = 0;
        let held = self.entries.iter().filter(|(id, _)| !pending.contains(id));
        let mut bytes = held
            .map(|(_, entry)| entry.bytes())
            .fold(0, usize::saturating_add);
        if bytes <= bytes_max {
            return;
        }
        let mut oldest: Vec<(Worth, u64, CandidateId)> = self
            .entries
            .iter()
            .filter(|(id, entry)| !pending.contains(id) && entry.bytes() > 0)
            .map(|(id, entry)| (entry.worth(), entry.heard_ms, *id))
            .collect();
        oldest.sort_unstable();
        for (_, _, id) in oldest {
            if bytes <= bytes_max {
                return;
            }
            if let Some(entry) = self.entries.get_mut(&id) {
                bytes = bytes.saturating_sub(entry.bytes());
                entry.drop_bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests;
