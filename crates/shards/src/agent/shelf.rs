//! The candidates that an agent knows, with their collations: what is pending or young, and a few that are
//! final. Bounded in number for each place, and in bytes.

use super::{
    config::{ARREARS_MAX, FORKS_MAX, RECENT_NUMBERS},
    seams::Finding,
};
use crate::ledger::Ledger;
use alloy_primitives::B256;
use bytes::Bytes;
use primitives::{
    crypto::Signature,
    shard::{CandidateId, Coding, Descriptor, Schedule, ShardId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// How long what never entered is kept once its anchor is too old, in milliseconds.
const KEEP_MS: u64 = 10_000;

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
    /// Somebody of a group has signed it.
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

    fn worth(&self) -> Worth {
        match (self.fate, self.signed || self.backed) {
            (Fate::Final, _) => Worth::Final,
            (Fate::Open | Fate::Condemned, false) => Worth::Claimed,
            (Fate::Open | Fate::Condemned, true) => Worth::Vouched,
        }
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
    /// Its collator signed it.
    Collator(&'a Signature),
    /// A backer signed a statement about it.
    Backer,
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

    /// The entry of a candidate; none if its place is full.
    pub(crate) fn learn(
        &mut self,
        id: CandidateId,
        descriptor: &Descriptor,
        origin: Origin<'_>,
        now_ms: u64,
    ) -> Option<&mut Entry> {
        let place = (descriptor.shard, descriptor.number);
        if !self.entries.contains_key(&id) && !self.has_room(place, descriptor, origin) {
            return None;
        }
        self.places.entry(place).or_default().insert(id);
        let entry = self.entries.entry(id);
        let entry = entry.or_insert_with(|| Entry::new(descriptor.clone(), now_ms));
        if let Origin::Collator(signature) = origin {
            entry.signature = Some(signature.clone());
        }
        Some(entry)
    }

    /// Nobody can take all the room: candidates that their collators signed count for each collator, those that
    /// only a backer has named count together.
    fn has_room(
        &self,
        (shard, number): (ShardId, u64),
        descriptor: &Descriptor,
        origin: Origin<'_>,
    ) -> bool {
        let known = self.at(shard, number).filter(|(_, entry)| match origin {
            Origin::Ledger => false,
            Origin::Collator(_) => {
                entry.signature.is_some() && entry.descriptor.collator == descriptor.collator
            }
            Origin::Backer => entry.signature.is_none() && !entry.backed,
        });
        known.count() < FORKS_MAX
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
    /// final ones, nor final and above the newest block that a collator has; and the oldest collations, while they
    /// are too many bytes.
    pub(crate) fn prune(
        &mut self,
        ledger: &Ledger,
        newest: &BTreeMap<ShardId, u64>,
        (now_ms, bytes_max): (u64, usize),
    ) {
        let pending: BTreeSet<CandidateId> = ledger.pending().map(|one| one.candidate).collect();
        let oldest_anchor = ledger.height().saturating_sub(ledger.rules().anchor_window);
        self.entries.retain(|id, entry| {
            let Some(segment) = ledger.shard(entry.descriptor.shard) else {
                return false;
            };
            let (number, finalized) = (entry.descriptor.number, segment.finalized().number);
            let lacks = |newest: &u64| {
                let near = number.saturating_add(ARREARS_MAX) > finalized;
                number > *newest && near && entry.fate == Fate::Final
            };
            let lacking = newest.get(&entry.descriptor.shard).is_some_and(lacks);
            let recent = number.saturating_add(RECENT_NUMBERS) > finalized;
            let possible = entry.descriptor.anchor.height >= oldest_anchor
                || now_ms.saturating_sub(entry.heard_ms) < KEEP_MS;
            let wanted = match number <= finalized {
                true => recent,
                false => {
                    possible && number <= segment.newest().number.saturating_add(RECENT_NUMBERS)
                }
            };
            wanted || lacking || pending.contains(id)
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
                entry.collation = None;
                entry.chunks = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FORKS_MAX, Fate, Origin, Shelf};
    use alloy_primitives::B256;
    use bytes::Bytes;
    use commonware_cryptography::Signer as _;
    use primitives::{
        crypto::PrivateKey,
        shard::{Descriptor, RelayAnchor, ShardId, ShardNamespace},
    };
    use std::collections::BTreeSet;

    fn descriptor(collator: u64, salt: u8) -> Descriptor {
        let word = B256::repeat_byte(salt);
        Descriptor {
            shard: ShardId(1),
            number: 1,
            parent: B256::ZERO,
            head: word,
            state_root: word,
            anchor: RelayAnchor {
                height: 1,
                digest: B256::ZERO,
            },
            rules: B256::ZERO,
            collation_hash: word,
            collation_bytes: 1,
            gas_used: 0,
            timestamp_ms: 1,
            collator: PrivateKey::from_seed(collator).public_key(),
        }
    }

    #[test]
    fn what_nobody_vouches_for_goes_first() {
        let mut shelf = Shelf::default();
        let ids: Vec<_> = (0..3)
            .map(|salt| {
                let descriptor = descriptor(1, salt);
                let id = descriptor.id();
                let now_ms = u64::from(salt);
                let entry = shelf.learn(id, &descriptor, Origin::Ledger, now_ms);
                let entry = entry.expect("the ledger's always have room");
                entry.collation = Some(Bytes::from(vec![0; 100]));
                entry.signed = salt == 0;
                id
            })
            .collect();
        let held = |shelf: &Shelf| {
            let held = |id| shelf.get(id).is_some_and(|one| one.collation.is_some());
            ids.iter().map(held).collect::<Vec<_>>()
        };
        shelf.shed(&BTreeSet::new(), 300);
        assert_eq!(held(&shelf), [true, true, true]);
        shelf.shed(&BTreeSet::new(), 200);
        assert_eq!(held(&shelf), [true, false, true]);
        shelf.shed(&BTreeSet::new(), 199);
        assert_eq!(held(&shelf), [true, false, false]);
        shelf.shed(&BTreeSet::from([ids[0]]), 0);
        assert_eq!(held(&shelf), [true, false, false]);
    }

    #[test]
    fn what_is_final_goes_before_what_is_not() {
        let mut shelf = Shelf::default();
        let [old, new] = [1, 2].map(|salt| {
            let descriptor = descriptor(1, salt);
            let id = descriptor.id();
            let entry = shelf.learn(id, &descriptor, Origin::Ledger, u64::from(salt));
            entry.unwrap().collation = Some(Bytes::from(vec![0; 100]));
            id
        });
        let entry = shelf.get_mut(&old).unwrap();
        (entry.fate, entry.signed, entry.heard_ms) = (Fate::Final, true, 9);
        shelf.shed(&BTreeSet::new(), 100);
        assert!(shelf.get(&old).unwrap().collation.is_none());
        assert!(shelf.get(&new).unwrap().collation.is_some());
    }

    #[test]
    fn nobody_takes_the_room_of_others() {
        let mut shelf = Shelf::default();
        let namespace = ShardNamespace::new(&B256::ZERO);
        let mut learn = |collator: u64, salt: u8, origin: &str| {
            let descriptor = descriptor(collator, salt);
            let id = descriptor.id();
            let signature = id.sign(&namespace, &PrivateKey::from_seed(collator));
            let origin = match origin {
                "ledger" => Origin::Ledger,
                "collator" => Origin::Collator(&signature),
                _ => Origin::Backer,
            };
            shelf.learn(id, &descriptor, origin, 0).is_some()
        };
        let many = u8::try_from(FORKS_MAX).unwrap();
        for salt in 0..many {
            assert!(learn(1, salt, "backer"));
        }
        assert!(!learn(1, many, "backer"));
        for salt in 0..many {
            assert!(learn(1, 100 + salt, "collator"));
        }
        assert!(!learn(1, 99, "collator"));
        assert!(learn(2, 99, "collator"));
        assert!(learn(1, 98, "ledger"));
        // What is known stays known, whoever names it.
        assert!(learn(1, 0, "backer") && learn(1, 100, "collator"));
    }
}
