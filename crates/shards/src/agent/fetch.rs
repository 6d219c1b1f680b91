//! Getting collations and chunks from others; `serve` gives them.
//!
//! ```text
//! want ─┬ small, or not pending ─▶ ask a backer ─no answer─▶ the next, the collators, everybody, in turn
//!       │                             │                       └ and for chunks, once backers were silent
//!       │                             ▼
//!       │                 collation, if its hash is right ◀── restored ──▶ or the coding is wrong
//!       │                                                        ▲ enough
//!       └ large ─▶ ask as many holders as are needed for their chunks ─no more come─▶ others, then all and a backer
//! ```
//! A large one comes in chunks because a backer's wire would not carry it to everybody. Each validator asks those that
//! follow it, so all are asked by equally many.
//!
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
    shelf::Entry,
};
use crate::message::SmallMessage;
use bytes::Bytes;
use commonware_p2p::Recipients;
use primitives::{
    crypto::{PublicKey, Signature},
    shard::{CandidateId, Coding},
};
use std::collections::{BTreeMap, BTreeSet};

/// Peers that are asked for a collation before chunks are asked for; of a large one, how often some holders are asked
/// for chunks before all are.
const SILENT_MAX: usize = 2;
/// Chunks beyond the needed that are asked for at once.
const SPARE_CHUNKS: usize = 1;

/// A collation that is being asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetch {
    /// Who alone says that it is worth having.
    pub(crate) claim: Option<Claim>,
    /// Who said that it has it.
    hint: Option<PublicKey>,
    asked: BTreeSet<PublicKey>,
    times: usize,
    /// When it was asked for last.
    asked_ms: u64,
    next_ms: u64,
    /// Holders that have been asked for their chunks.
    holders: BTreeSet<u16>,
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

/// The age of what is asked for now, by when it became pending; and bytes that will be on their way then.
type Due = (u64, CandidateId, u64);

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

    /// Asks for everything whose time has come, as far as there is room on the wire.
    pub(crate) fn ask(&mut self) {
        let ages: BTreeMap<CandidateId, u64> = self
            .ledger()
            .pending()
            .map(|one| (one.candidate, one.sequence))
            .collect();
        let (mut on_the_way, mut pending): (u64, u64) = (0, 0);
        let mut due: Vec<Due> = Vec::new();
        for (id, fetch) in &self.fetches {
            let entry = self.shelf.get(id);
            let bytes = entry.map_or(0, |entry| entry.descriptor.collation_bytes.into());
            // Who was asked and stays silent holds nobody up.
            if (1..=SILENT_MAX).contains(&fetch.times) {
                let of_pending = Some(bytes).filter(|_| ages.contains_key(id));
                on_the_way = on_the_way.saturating_add(bytes);
                pending = pending.saturating_add(of_pending.unwrap_or_default());
            }
            if fetch.next_ms <= self.now_ms {
                let age = ages.get(id).copied().unwrap_or(u64::MAX);
                let bytes = Some(bytes).filter(|_| fetch.times == 0);
                due.push((age, *id, bytes.unwrap_or_default()));
            }
        }
        due.sort_unstable();
        for (age, id, bytes) in due {
            if !self.needs(&id) {
                self.fetches.remove(&id);
                continue;
            }
            // What peers only name takes no room of what is pending.
            let before = if age == u64::MAX { on_the_way } else { pending };
            let all = before.saturating_add(bytes);
            if bytes == 0 || before == 0 || all <= self.config.on_the_way_bytes_max {
                on_the_way = on_the_way.saturating_add(bytes);
                pending = match age {
                    u64::MAX => pending,
                    _ => all,
                };
                self.ask_for(id);
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
        missing && (collated || self.offers.has(id) || self.pending_coding(id).is_some())
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
        let is_large = self.comes_in_chunks(&id);
        let (answers, answer_ms) = (self.answers, self.config.answer_ms);
        let Some(fetch) = self.fetches.get_mut(&id) else {
            return;
        };
        let place = fetch.times.checked_rem(sources.len()).unwrap_or(0);
        fetch.asked_ms = self.now_ms;
        fetch.times = fetch.times.saturating_add(1);
        let times = u64::try_from(fetch.times).unwrap_or(u64::MAX);
        let wait_ms = answers.wait_ms(answer_ms, times);
        fetch.next_ms = self.now_ms.saturating_add(wait_ms);
        let are_silent = fetch.times > SILENT_MAX.min(sources.len());
        let by_chunks = is_large || are_silent;
        if let Some(peer) = sources.get(place).filter(|_| !is_large || are_silent) {
            fetch.asked.insert(peer.clone());
            self.metrics.requests.inc();
            let to = Recipients::One(peer.clone());
            self.send_small(to, SmallMessage::GetCollation(id));
        }
        if by_chunks {
            self.ask_for_chunks(id);
        }
    }

    /// Whether to ask for chunks before anybody is asked for the whole.
    fn comes_in_chunks(&self, id: &CandidateId) -> bool {
        let least = self.config.large_bytes;
        let is_large = |entry: &Entry| entry.descriptor.collation_bytes >= least;
        self.pending_coding(id).is_some() && self.shelf.get(id).is_some_and(is_large)
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

    /// Asks as many holders as are needed for their chunks; then others, and at last all that have not answered.
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
                fetch.holders.clear();
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
        for (index, holder) in self.next_holders(id, &coding) {
            self.metrics.requests.inc();
            let message = SmallMessage::GetChunk {
                candidate: id,
                root: coding.root,
                index,
            };
            self.send_small(Recipients::One(holder), message);
        }
        self.restore(id, &coding);
    }

    /// The holders to ask now, with the indices of their chunks.
    fn next_holders(&mut self, id: CandidateId, coding: &Coding) -> Vec<(u16, PublicKey)> {
        let holders = (0_u16..).zip(self.holders(coding).iter().cloned());
        let mut holders: Vec<(u16, PublicKey)> = holders.collect();
        let after_own = self
            .epochs
            .own(coding.epoch)
            .map_or(0, |own| own.saturating_add(1));
        let turn = usize::from(after_own).checked_rem(holders.len());
        holders.rotate_left(turn.unwrap_or_default());
        let Some(fetch) = self.fetches.get_mut(&id) else {
            return Vec::new();
        };
        let missing = usize::from(coding.minimum).saturating_sub(fetch.chunks.len());
        let (own, again) = (&self.public_key, fetch.times > SILENT_MAX);
        holders.retain(|(index, key)| {
            let asked = fetch.holders.contains(index) && !again;
            key != own && !asked && !fetch.chunks.contains_key(index)
        });
        if !again {
            let most = missing.saturating_mul(fetch.times);
            holders.truncate(most.saturating_add(SPARE_CHUNKS));
        }
        fetch
            .holders
            .extend(holders.iter().map(|(index, _)| *index));
        holders
    }

    /// A checked chunk of a collation that is being restored.
    pub(crate) fn gather(&mut self, id: CandidateId, coding: &Coding, index: u16, chunk: Bytes) {
        // More are on their way to it: over a full wire that takes long, and asking again would take longer.
        let wait_ms = self.answers.wait_ms(self.config.answer_ms, 1);
        let next_ms = self.now_ms.saturating_add(wait_ms);
        let fetch = self.fetches.get_mut(&id);
        if let Some(fetch) = fetch.filter(|fetch| fetch.coding == Some(*coding)) {
            fetch.chunks.insert(index, chunk);
            fetch.next_ms = fetch.next_ms.max(next_ms);
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
        let restored = match restored {
            Restored::TooFew => return,
            Restored::WrongCoding => None,
            Restored::Collation(collation) => Some(collation),
        };
        let right = restored.filter(|collation| is_collation(&entry.descriptor, collation));
        let Some(collation) = right else {
            entry.wrong_roots.insert(coding.root);
            self.metrics.wrong_codings.inc();
            return;
        };
        if entry.collation.is_none() {
            entry.collation = Some(collation);
            self.end_fetch(&id);
            self.metrics.restored_collations.inc();
        }
    }

    /// It is here, and so much later than it was asked for. Only the last request counts: those before it may have gone
    /// to who is silent. Where it was answered but late, later waits are longer, and then no request is repeated.
    fn end_fetch(&mut self, id: &CandidateId) {
        if let Some(fetch) = self.fetches.remove(id).filter(|fetch| fetch.times > 0) {
            let took_ms = self.now_ms.saturating_sub(fetch.asked_ms);
            self.answers.took(took_ms);
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
        self.end_fetch(&id);
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
