//! Backing: a validator of the group that an offer is for checks the candidate, signs it, and sends the others
//! their chunks.
//!
//! ```text
//! offer ─▶ standing ─┬ refused
//!                    ├ wait: its parent, its anchor or its schedule is not known here yet
//!                    ├ examine: check and cut it meanwhile
//!                    └ sign ─▶ statement to all ─▶ enough of them ─▶ Inclusion
//!                          └▶ chunks to those who were not offered it
//! ```
//! A candidate may be built on one that is not in the ledger yet: one that this node backed, or that enough of
//! its group did. For one place (rule R7) a node signs one candidate, whatever is offered; that is remembered as
//! long as it could be held against it. After a restart it signs nothing under a schedule of a height that was
//! final on its disk when it started: nothing that it signed before is of a later one.
//!
//! Anybody may claim a schedule, and a backer anything of a height that is not known here yet: neither makes others
//! fetch or wait before it is known whose turn it was.
//!
//! Limits: so many offers wait in each shard (`offers`), each for [`OFFER_KEEP_MS`]; numbers, heights and anchors are
//! listened to that lie [`NUMBERS_AHEAD`], [`HEIGHTS_AHEAD`] and [`SCHEDULES_AHEAD`] ahead.

use super::{
    config::{CHUNK_SENDERS, HEIGHTS_AHEAD, NUMBERS_AHEAD, OFFER_KEEP_MS, SCHEDULES_AHEAD},
    duties::Duties,
    fetch::HeldChunk,
    offers::WaitingOffer,
    seams::Finding,
    shelf::{Fate, Origin},
    standing::Standing,
    statements::place_of,
};
use crate::message::{LargeMessage, Offered, SmallMessage};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_cryptography::Hasher as _;
use commonware_p2p::Recipients;
use primitives::{
    crypto::{BlockHasher, PublicKey},
    shard::{
        BITS_MAX, BackedEnvelope, CandidateId, Coding, Descriptor, Envelope, Schedule,
        SignedStatement,
    },
};

/// The hash by which a descriptor names a collation.
pub(crate) fn hash_of(collation: &[u8]) -> B256 {
    B256::from_slice(BlockHasher::hash(&[collation]).as_ref())
}

/// Whether these bytes are the collation that a descriptor names.
pub(crate) fn is_collation(descriptor: &Descriptor, collation: &[u8]) -> bool {
    u32::try_from(collation.len()) == Ok(descriptor.collation_bytes)
        && hash_of(collation) == descriptor.collation_hash
}

impl Duties {
    /// A candidate is put forward, with its collation or without.
    pub(crate) fn hear_offer(
        &mut self,
        peer: &PublicKey,
        offered: Offered,
        collation: Option<Bytes>,
    ) {
        let descriptor = &offered.descriptor;
        let Some(segment) = self.ledger().shard(descriptor.shard) else {
            return;
        };
        let collators = &segment.terms().collators;
        let known = collators.is_empty()
            || collators.contains(peer)
            || self.relay.authority.validators.contains(peer);
        // A relay block that is not final here yet may have named another collator.
        let may_build = collators.is_empty() || collators.contains(&descriptor.collator);
        if !known || !may_build {
            self.metrics.refused_offers.inc();
            return;
        }
        let number = descriptor.number;
        let highest = segment.newest().number.saturating_add(NUMBERS_AHEAD);
        let has_place = number > segment.finalized().number && number <= highest;
        if !has_place || !self.is_timely(descriptor) || !self.may_come(&offered.schedule) {
            self.metrics.refused_offers.inc();
            return;
        }
        let id = descriptor.id();
        let known = self.shelf.get(&id);
        let known = known.is_some_and(|entry| entry.signature.as_ref() == Some(&offered.signature));
        let namespace = &self.relay.authority.namespace;
        let signed = known || id.is_signed(namespace, &descriptor.collator, &offered.signature);
        if !signed {
            self.ban(peer, "an offer that its collator did not sign");
            return;
        }
        if collation
            .as_ref()
            .is_some_and(|bytes| !is_collation(descriptor, bytes))
        {
            self.ban(peer, "an offer with another collation");
            return;
        }
        self.take_offer(peer, offered, collation);
    }

    /// Whether the anchor of a candidate can be one that the next relay blocks may be built against. Others are
    /// remembered by nobody: they would never leave.
    fn is_timely(&self, descriptor: &Descriptor) -> bool {
        let (height, anchor) = (self.ledger().height(), descriptor.anchor.height);
        let window = self.ledger().rules().anchor_window;
        let oldest = height.saturating_add(1).saturating_sub(window);
        (oldest..=height.saturating_add(SCHEDULES_AHEAD)).contains(&anchor)
    }

    /// Whether a schedule can come to be asked for: there is such a core, and its height is near.
    fn may_come(&self, schedule: &Schedule) -> bool {
        let ledger = self.ledger();
        usize::from(schedule.core) < ledger.cores().len()
            && schedule.height <= ledger.height().saturating_add(SCHEDULES_AHEAD)
    }

    /// Takes an offer whose signature and collation have been checked.
    pub(crate) fn take_offer(
        &mut self,
        peer: &PublicKey,
        offered: Offered,
        collation: Option<Bytes>,
    ) {
        let id = offered.descriptor.id();
        let now_ms = self.now_ms;
        let bytes = collation.as_ref().map_or(0, Bytes::len);
        let origin = Origin::Collator(&offered.signature, peer);
        let entry = self.shelf.learn(id, &offered.descriptor, origin, now_ms);
        let Some(entry) = entry else {
            self.metrics.refused_offers.inc();
            return;
        };
        if let Some(collation) = collation
            && entry.collation.is_none()
        {
            entry.collation = Some(collation);
            self.fetches.remove(&id);
            let bytes_max = self.config.held_bytes_max;
            self.shelf.arrived(bytes, &self.relay.ledger, bytes_max);
        }
        self.hear_schedule(&id, offered.schedule);
        self.stirred = true;
        if !self.is_asked(&offered.schedule) {
            return;
        }
        self.metrics.offers.inc();
        let has_room = self.offers.add(WaitingOffer {
            offered,
            id,
            from: peer.clone(),
            since_ms: now_ms,
        });
        if !has_room {
            self.metrics.refused_offers.inc();
        }
    }

    /// Others say that they put a candidate forward, on a core where it may enter. Of one's own one knows better.
    fn hear_schedule(&mut self, id: &CandidateId, schedule: Schedule) {
        let now_ms = self.now_ms;
        let relay = std::sync::Arc::clone(&self.relay);
        let heard = Schedule {
            height: schedule.height.min(relay.ledger.height()),
            ..schedule
        };
        let owner = relay.ledger.core_owner(heard.core, heard.height);
        let own = self.public_key.clone();
        let entry = self.shelf.get_mut(id).filter(|entry| {
            entry.descriptor.collator != own && owner == Some(entry.descriptor.shard)
        });
        if let Some(entry) = entry {
            entry.hear(heard, now_ms);
        }
    }

    /// Whether this node is in the group of a schedule.
    pub(crate) fn is_asked(&self, schedule: &Schedule) -> bool {
        let group = self.ledger().group(schedule.core, schedule.height);
        self.own.is_some_and(|own| group.contains(usize::from(own)))
    }

    /// Looks at all offers that wait.
    pub(crate) fn back(&mut self) {
        for offer in self.offers.take() {
            let keep = match self.standing(&offer.offered, offer.id) {
                Standing::Refuse(reason) => {
                    tracing::debug!(candidate = %offer.id, reason, "refused an offer");
                    self.metrics.refused_offers.inc();
                    false
                }
                Standing::Wait => true,
                Standing::Examine => self.look_at(&offer, false),
                Standing::Sign => self.look_at(&offer, true),
            };
            let old = self.now_ms.saturating_sub(offer.since_ms) > OFFER_KEEP_MS;
            if keep && !old {
                self.offers.keep(offer);
            }
        }
        self.put_forward();
    }

    /// Signs what has been checked, and has checked what has not; whether the offer still waits.
    fn look_at(&mut self, offer: &WaitingOffer, may_sign: bool) -> bool {
        let epoch = self.ledger().epoch();
        let Some(entry) = self.shelf.get(&offer.id) else {
            return false;
        };
        let cut = entry.coding.filter(|coding| coding.epoch == epoch);
        match (entry.finding, cut) {
            (Some(Finding::Invalid), _) => false,
            (Some(Finding::Valid), Some(coding)) if may_sign => {
                self.sign(&offer.offered, offer.id, coding);
                false
            }
            (Some(Finding::Valid), Some(_)) => true,
            (Some(Finding::Valid | Finding::Undecided) | None, _) => {
                if entry.collation.is_none() {
                    self.want(offer.id, Some(&offer.from));
                }
                self.enqueue(offer.id, true);
                true
            }
        }
    }

    fn sign(&mut self, offered: &Offered, id: CandidateId, coding: Coding) {
        let Some(own) = self.own else {
            return;
        };
        let envelope = Envelope {
            descriptor: offered.descriptor.clone(),
            coding,
            schedule: offered.schedule,
        };
        self.signed.insert(place_of(&envelope), id);
        let statement = envelope.statement();
        let signature = statement.sign(&self.relay.authority.namespace, &self.config.key);
        let signed = SignedStatement {
            envelope,
            validator: own,
            signature,
        };
        self.metrics.signed_statements.inc();
        let audience = self.audience(offered.descriptor.shard);
        self.send_small(audience, SmallMessage::Statement(Box::new(signed.clone())));
        self.add_statement(signed);
        self.send_chunks(id, &coding, &offered.schedule);
    }

    /// Sends each validator outside the group its chunk; those inside cut it themselves.
    fn send_chunks(&mut self, id: CandidateId, coding: &Coding, schedule: &Schedule) {
        let group = self.ledger().group(schedule.core, schedule.height);
        let own = self.own.map_or(BITS_MAX, usize::from);
        let (Some(place), count) = (group.iter().position(|one| one == own), group.count()) else {
            return;
        };
        let Some(entry) = self.shelf.get(&id) else {
            return;
        };
        let mine = |index: usize| {
            (0..CHUNK_SENDERS)
                .any(|turn| index.saturating_add(turn).checked_rem(count) == Some(place))
        };
        let validators = self.relay.authority.validators.iter().enumerate();
        let sent: Vec<(PublicKey, u16, Bytes)> = validators
            .filter(|(index, _)| !group.contains(*index) && mine(*index))
            .filter_map(|(index, key)| {
                let chunk = entry.chunks.get(index)?.clone();
                Some((key.clone(), u16::try_from(index).ok()?, chunk))
            })
            .collect();
        for (key, index, chunk) in sent {
            self.metrics.sent_chunks.inc();
            let message = LargeMessage::Chunk {
                candidate: id,
                coding: *coding,
                index,
                chunk,
            };
            self.send_large(Recipients::One(key), message);
        }
    }

    /// A backer's statement.
    pub(crate) fn hear_statement(&mut self, peer: &PublicKey, signed: SignedStatement) {
        let (descriptor, schedule) = (&signed.envelope.descriptor, &signed.envelope.schedule);
        let ledger = self.ledger();
        let Some(segment) = ledger.shard(descriptor.shard) else {
            return;
        };
        let group = ledger.group(schedule.core, schedule.height);
        if signed.envelope.coding.epoch != ledger.epoch() {
            return;
        }
        let rules = ledger.rules();
        let near = schedule.height.saturating_add(rules.schedule_window) > ledger.height()
            && schedule.height <= ledger.height().saturating_add(HEIGHTS_AHEAD);
        // Cores of a height that this node has not come to may be others: not even its signature is looked at yet.
        if near && schedule.height > ledger.height() {
            if self.relay.authority.key(signed.validator) == Some(peer) {
                self.statements.wait(peer, signed);
            }
            return;
        }
        if near && !group.contains(usize::from(signed.validator)) {
            self.ban(peer, "a statement by nobody of the group");
            return;
        }
        let highest = segment.newest().number.saturating_add(NUMBERS_AHEAD);
        let lowest = segment.finalized().number.saturating_sub(NUMBERS_AHEAD);
        let coded = signed.envelope.coding;
        let possible = near
            && (lowest..=highest).contains(&descriptor.number)
            && ledger.core_owner(schedule.core, schedule.height) == Some(descriptor.shard)
            && coded.total == rules.validators
            && usize::from(coded.minimum) == rules.witnesses();
        let brings_nothing =
            self.statements.is_known(&signed) || self.statements.is_full(&signed, ledger);
        if !possible || brings_nothing {
            return;
        }
        let namespace = &self.relay.authority.namespace;
        let statement = signed.envelope.statement();
        let key = self.relay.authority.key(signed.validator);
        if !key.is_some_and(|key| statement.is_signed(namespace, key, &signed.signature)) {
            self.ban(peer, "a statement with a wrong signature");
            return;
        }
        self.metrics.received_statements.inc();
        self.add_statement(signed);
    }

    /// Statements about schedules of the future may be about those of now.
    pub(crate) fn hear_early_statements(&mut self) {
        for (peer, signed) in self.statements.take_early() {
            self.hear_statement(&peer, signed);
        }
    }

    fn add_statement(&mut self, signed: SignedStatement) {
        let (descriptor, schedule) = (&signed.envelope.descriptor, signed.envelope.schedule);
        let id = descriptor.id();
        let relay = std::sync::Arc::clone(&self.relay);
        let backer = relay.authority.key(signed.validator);
        let backer = backer.filter(|_| self.is_timely(descriptor));
        let known = backer.and_then(|backer| {
            let origin = Origin::Backer(backer);
            self.shelf.learn(id, descriptor, origin, self.now_ms)
        });
        if let Some(entry) = known {
            entry.signed = true;
            self.hear_schedule(&id, schedule);
        }
        if let Some(evidence) = self.statements.add(signed) {
            self.metrics.equivocations.inc();
            tracing::warn!(
                validator = evidence.first.validator,
                "a validator backed two candidates for one place"
            );
            self.inclusion.add_equivocation(evidence);
        }
        self.stirred = true;
    }

    /// Hands over what has enough backers.
    fn put_forward(&mut self) {
        let relay = std::sync::Arc::clone(&self.relay);
        let backed: Vec<BackedEnvelope> = self.statements.take_backed(&relay.ledger);
        for envelope in backed {
            self.metrics.backable.inc();
            self.inclusion.add_backed(envelope);
        }
    }

    /// A candidate was checked and cut.
    pub(crate) fn examined(
        &mut self,
        id: CandidateId,
        finding: Finding,
        cut: Option<(Coding, Vec<Bytes>)>,
    ) {
        self.working.remove(&id);
        match finding {
            Finding::Valid => self.metrics.valid_candidates.inc(),
            Finding::Invalid => self.metrics.invalid_candidates.inc(),
            Finding::Undecided => self.metrics.undecided_candidates.inc(),
        };
        let retry_ms = self.now_ms.saturating_add(super::config::UNDECIDED_MS);
        let now_ms = self.now_ms;
        let Some(entry) = self.shelf.get_mut(&id) else {
            return;
        };
        match finding {
            Finding::Valid | Finding::Invalid => entry.finding = Some(finding),
            Finding::Undecided => entry.retry_ms = retry_ms,
        }
        let Some((coding, chunks)) = cut else {
            return;
        };
        entry.coding = Some(coding);
        let own = self.epochs.own(coding.epoch);
        let chunk = own.and_then(|own| chunks.get(usize::from(own)).cloned());
        // What is final is held elsewhere, whoever checked it late.
        if entry.fate != Fate::Final {
            entry.chunks = chunks;
        }
        if let Some(chunk) = chunk.filter(|_| !self.memory.holds(id, coding.root)) {
            let held = HeldChunk {
                coding,
                chunk,
                from: None,
                since_ms: now_ms,
            };
            self.hold((id, coding.root), held);
        }
    }
}
