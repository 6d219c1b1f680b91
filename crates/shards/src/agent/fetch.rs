//! Getting collations and chunks from others; `serve` gives them.
//!
//! ```text
//! want ─▶ ask a backer ─no answer─▶ the next, the collators, everybody, in turn
//!              │                     └ and all validators for chunks, once backers were silent
//!              ▼                                   ▼ enough of them
//!          collation, if its hash is right  ◀── restored ──▶ or the coding is wrong
//! ```
//! An answer counts only from a peer that was asked. What does not match the descriptor's hash or the coding's
//! root is a lie, and costs its sender the connection: nobody honest passes on what it has not checked.
//!
//! Limits: those of `claims` on candidates at a time; from one peer [`EARLY_CHUNKS_MAX`] chunks are kept for candidates
//! that no relay block names.

use super::{
    backing::is_collation,
    cellar::{Reader, record::Label},
    claims::Claim,
    config::EARLY_CHUNKS_MAX,
    duties::{Duties, Effect, Job},
    seams::Restored,
};
use crate::message::SmallMessage;
use bytes::Bytes;
use commonware_p2p::Recipients;
use primitives::{
    crypto::{PublicKey, Signature},
    shard::{CandidateId, Coding},
};
use std::collections::{BTreeMap, BTreeSet};

/// Peers that are asked for a collation before chunks are asked for.
const SILENT_MAX: usize = 2;
/// How long an answer may at most take, in units of the least.
const BACKOFF_MAX: u64 = 4;

/// A collation that is being asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetch {
    /// Who alone says that it is worth having.
    pub(crate) claim: Option<Claim>,
    /// Who said that it has it.
    hint: Option<PublicKey>,
    asked: BTreeSet<PublicKey>,
    times: usize,
    next_ms: u64,
    /// Checked chunks of the pending coding.
    chunks: BTreeMap<u16, Bytes>,
    coding: Option<Coding>,
    restoring: bool,
    /// The own cellar has been asked.
    looked: bool,
}

impl Fetch {
    /// The next is asked at once.
    pub(crate) fn hurry(&mut self, now_ms: u64) {
        self.next_ms = now_ms;
    }
}

/// A chunk that is this validator's to hold, and not on disk yet.
#[derive(Clone, Debug)]
pub(crate) struct HeldChunk {
    pub(crate) coding: Coding,
    pub(crate) chunk: Bytes,
    /// Who sent it; none if it was cut here.
    pub(crate) from: Option<PublicKey>,
    pub(crate) since_ms: u64,
}

impl Duties {
    /// Has a collation asked for until it is there or nobody needs it.
    pub(crate) fn want(&mut self, id: CandidateId, hint: Option<&PublicKey>) {
        let now_ms = self.now_ms;
        if let Some(fetch) = self.fetches.get_mut(&id) {
            // Somebody new says that it has it: ask there at once.
            if hint.is_some() && fetch.hint.as_ref() != hint {
                (fetch.hint, fetch.times, fetch.next_ms) = (hint.cloned(), 0, now_ms);
            }
            return;
        }
        let claim = self.claim_of(&id, hint);
        if !self.make_room_to_fetch(&id, claim.as_ref()) {
            return;
        }
        let fetch = Fetch {
            claim,
            hint: hint.cloned(),
            next_ms: now_ms,
            ..Fetch::default()
        };
        self.fetches.insert(id, fetch);
    }

    /// Asks for everything whose time has come.
    pub(crate) fn ask(&mut self) {
        let due: Vec<CandidateId> = self
            .fetches
            .iter()
            .filter(|(_, fetch)| fetch.next_ms <= self.now_ms)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            match self.needs(&id) {
                true => self.ask_for(id),
                false => drop(self.fetches.remove(&id)),
            }
        }
    }

    /// Whether a collation is missing here: to approve it, to back it, or to follow it.
    fn needs(&self, id: &CandidateId) -> bool {
        let Some(entry) = self.shelf.get(id) else {
            return false;
        };
        let missing = entry.collation.is_none() && !entry.is_invalid();
        let collated = self.config.collates.contains(&entry.descriptor.shard);
        let offered = || self.offers.has(id);
        missing && (collated || offered() || self.pending_coding(id).is_some())
    }

    /// What a collator keeps it has at once.
    fn looks_at_home(&mut self, id: CandidateId) -> bool {
        let answer_ms = self.config.answer_ms;
        let due_ms = self.now_ms.saturating_add(answer_ms);
        let collates = !self.config.collates.is_empty();
        let fetch = self.fetches.get_mut(&id);
        let Some(fetch) = fetch.filter(|fetch| collates && !fetch.looked) else {
            return false;
        };
        fetch.looked = true;
        fetch.next_ms = due_ms;
        self.look_up(Label::collation(id), Reader::Own)
    }

    fn ask_for(&mut self, id: CandidateId) {
        if self.looks_at_home(id) {
            return;
        }
        let sources = self.sources(&id);
        let answer_ms = self.config.answer_ms;
        let Some(fetch) = self.fetches.get_mut(&id) else {
            return;
        };
        let place = fetch.times.checked_rem(sources.len()).unwrap_or(0);
        fetch.times = fetch.times.saturating_add(1);
        let factor = u64::try_from(fetch.times)
            .unwrap_or(BACKOFF_MAX)
            .min(BACKOFF_MAX);
        fetch.next_ms = self.now_ms.saturating_add(answer_ms.saturating_mul(factor));
        let by_chunks = fetch.times > SILENT_MAX.min(sources.len());
        if let Some(peer) = sources.get(place) {
            fetch.asked.insert(peer.clone());
            self.metrics.requests.inc();
            let to = Recipients::One(peer.clone());
            self.send_small(to, SmallMessage::GetCollation(id));
        }
        if by_chunks {
            self.ask_for_chunks(id);
        }
    }

    /// Who may have a collation, the likeliest first; not everybody the same first.
    fn sources(&self, id: &CandidateId) -> Vec<PublicKey> {
        let Some(entry) = self.shelf.get(id) else {
            return Vec::new();
        };
        let shard = entry.descriptor.shard;
        let mut backers = self.audience_keys(self.statements.backers(id).iter());
        let pending = self.ledger().shard(shard).into_iter();
        let mut holders: &[PublicKey] = &[];
        for one in pending.flat_map(|segment| segment.pending()) {
            if one.candidate == *id {
                holders = self.epochs.coded_for(&one.envelope.coding);
                let named = one.backers.iter().filter_map(|index| holders.get(index));
                backers.extend(named.cloned());
            }
        }
        let mut first: Vec<PublicKey> = backers.into_iter().collect();
        let shift = self.own.map_or(0, usize::from);
        let shift = shift.checked_rem(first.len()).unwrap_or(0);
        first.rotate_left(shift);
        let collators = self.ledger().shard(shard).map(|one| &one.terms().collators);
        let hint = self.fetches.get(id).and_then(|fetch| fetch.hint.clone());
        let mut sources: Vec<PublicKey> = hint.into_iter().collect();
        let rest = std::iter::once(&entry.descriptor.collator)
            .chain(collators.into_iter().flatten())
            .chain(&self.relay.authority.validators)
            .chain(holders);
        for key in first.iter().chain(rest) {
            if *key != self.public_key && !sources.contains(key) {
                sources.push(key.clone());
            }
        }
        sources
    }

    /// The coding under which a candidate is pending.
    pub(crate) fn pending_coding(&self, id: &CandidateId) -> Option<Coding> {
        let mut pending = self.ledger().pending();
        let pending = pending.find(|one| one.candidate == *id);
        pending.map(|one| one.envelope.coding)
    }

    /// The coding under which a candidate is pending, or was last.
    fn coding_of(&self, id: &CandidateId) -> Option<Coding> {
        let last = || self.shelf.get(id)?.backed_coding;
        self.pending_coding(id).or_else(last)
    }

    /// Whose chunks they are; today's validators if that is not known any more, as of what has long been final.
    fn holders(&self, coding: &Coding) -> &[PublicKey] {
        match self.epochs.coded_for(coding) {
            [] => &self.relay.authority.validators,
            known => known,
        }
    }

    fn ask_for_chunks(&mut self, id: CandidateId) {
        let Some(coding) = self.coding_of(&id) else {
            return;
        };
        let key = (id, coding.root);
        let own = self.held.get(&key).map(|one| one.chunk.clone());
        let index = self.epochs.own(coding.epoch);
        if let Some(fetch) = self.fetches.get_mut(&id) {
            if fetch.coding != Some(coding) {
                fetch.coding = Some(coding);
                fetch.chunks.clear();
                fetch.restoring = false;
            }
            if let (Some(chunk), Some(index)) = (own, index) {
                fetch.chunks.insert(index, chunk);
            }
        }
        if self.memory.holds(id, coding.root) {
            self.look_up(Label::chunk(id, coding.root), Reader::Own);
        }
        self.metrics.requests.inc();
        let message = SmallMessage::GetChunk {
            candidate: id,
            root: coding.root,
            index: index.unwrap_or(u16::MAX),
        };
        let others = self
            .holders(&coding)
            .iter()
            .filter(|key| **key != self.public_key);
        let to = Recipients::Some(others.cloned().collect());
        self.send_small(to, message);
        self.restore(id, &coding);
    }

    /// A checked chunk of a collation that is being restored.
    pub(crate) fn gather(&mut self, id: CandidateId, coding: &Coding, index: u16, chunk: Bytes) {
        let fetch = self.fetches.get_mut(&id);
        if let Some(fetch) = fetch.filter(|fetch| fetch.coding == Some(*coding)) {
            fetch.chunks.insert(index, chunk);
            self.restore(id, coding);
        }
    }

    fn restore(&mut self, id: CandidateId, coding: &Coding) {
        let Some(fetch) = self.fetches.get_mut(&id) else {
            return;
        };
        let enough = fetch.chunks.len() >= usize::from(coding.minimum);
        if fetch.restoring || !enough || fetch.coding != Some(*coding) {
            return;
        }
        fetch.restoring = true;
        let chunks = fetch.chunks.iter();
        let chunks = chunks.map(|(index, chunk)| (*index, chunk.clone()));
        let job = Job::Restore {
            id,
            coding: *coding,
            chunks: chunks.collect(),
        };
        self.effects.push(Effect::Work(job));
    }

    /// Chunks were put together.
    pub(crate) fn restored(&mut self, id: CandidateId, coding: &Coding, restored: Restored) {
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.restoring = false;
        }
        let Some(entry) = self.shelf.get_mut(&id) else {
            return;
        };
        let wrong = match restored {
            Restored::TooFew => return,
            Restored::WrongCoding => true,
            Restored::Collation(collation) => {
                let right = is_collation(&entry.descriptor, &collation);
                if right && entry.collation.is_none() {
                    entry.collation = Some(collation);
                    self.fetches.remove(&id);
                    self.metrics.restored_collations.inc();
                }
                !right
            }
        };
        if wrong {
            entry.wrong_roots.insert(coding.root);
            self.metrics.wrong_codings.inc();
        }
    }

    /// An answer: a collation.
    pub(crate) fn hear_collation(
        &mut self,
        peer: &PublicKey,
        id: CandidateId,
        signature: Option<Signature>,
        collation: Bytes,
    ) {
        let asked = self.fetches.get(&id);
        if !asked.is_some_and(|fetch| fetch.asked.contains(peer)) {
            return;
        }
        let namespace = &self.relay.authority.namespace;
        let Some(entry) = self.shelf.get_mut(&id) else {
            return;
        };
        let collator = &entry.descriptor.collator;
        let right = is_collation(&entry.descriptor, &collation)
            && signature
                .as_ref()
                .is_none_or(|signature| id.is_signed(namespace, collator, signature));
        if !right {
            self.ban(peer, "an answer that is another collation");
            return;
        }
        entry.collation = Some(collation);
        entry.signature = entry.signature.take().or(signature);
        self.fetches.remove(&id);
        self.metrics.received_collations.inc();
        self.stirred = true;
    }

    /// A chunk: this validator's to hold, or one of a collation that is being restored.
    pub(crate) fn hear_chunk(
        &mut self,
        peer: &PublicKey,
        (id, coding): (CandidateId, Coding),
        index: u16,
        chunk: Bytes,
    ) {
        let rules = self.ledger().rules();
        let right = coding.epoch == self.ledger().epoch()
            && coding.total == rules.validators
            && usize::from(coding.minimum) == rules.witnesses();
        let asked = self.fetches.get(&id).is_some_and(|fetch| {
            fetch.coding == Some(coding) && !fetch.chunks.contains_key(&index)
        });
        if !right && !asked && self.coding_of(&id) != Some(coding) {
            return;
        }
        let had = self.held.contains_key(&(id, coding.root)) || self.memory.holds(id, coding.root);
        let mine = self.epochs.own(coding.epoch) == Some(index) && !had;
        let early = self
            .held
            .values()
            .filter(|one| one.from.as_ref() == Some(peer));
        let room = asked || early.count() < EARLY_CHUNKS_MAX;
        let sender = self.holders(&coding).contains(peer);
        if !(mine || asked) || !room || !sender {
            return;
        }
        if !self.cutter.check(&coding, index, &chunk) {
            self.ban(peer, "a chunk that its root does not commit to");
            return;
        }
        self.metrics.received_chunks.inc();
        if mine {
            let held = HeldChunk {
                coding,
                chunk: chunk.clone(),
                from: Some(peer.clone()),
                since_ms: self.now_ms,
            };
            self.hold((id, coding.root), held);
            self.stirred = true;
        }
        if asked {
            self.gather(id, &coding, index, chunk);
        }
    }
}
