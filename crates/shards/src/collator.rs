//! Collating: following a shard, and building its next block when it is one's turn.
//!
//! ```text
//!   ledger:  final ── pending ── pending      line: what follows, and is in no relay block yet
//!                                   └── c1 ── c2 ── c3 ◀─ build here, if it is our turn and there is room
//!                                        │     └ offered, its schedule alive: wait
//!                                        └ its schedule is over: put forward again, unchanged
//! ```
//! The line is computed anew at every look, from the candidates that are known and the ledger: it begins at the
//! shard's newest block and takes, number by number, the candidate that most backers have signed. So whatever
//! the ledger discards comes back into the line by itself, as long as its anchor is in the window, unless it was
//! found invalid; and what was built on something else drops out. What too few sign drops out as well, one's own after
//! a part of its anchor's window: another block of the same number may be one that they sign.
//!
//! Room is what rule R1 leaves: candidates in the segment and on the cores that the shard has now, those of the line
//! counted as if they had entered, with as many more as relay blocks may pass before a schedule is over. Under
//! synchronous rules that is none more, and an anchor is good for one relay block: the same code then builds on
//! included parents only. Within that room a block is begun as late as its place in a relay block allows (`pace`).
//!
//! A builder is asked for one thing at a time in each shard, and says after each what its newest block is. It is
//! given what is final, what the ledger names, and of what follows the line, what most of a group has backed:
//! never one of two blocks for one number that may both come to nothing. When the ledger names another block than
//! the one that it has, it takes its own back.
//!
//! ```text
//!   builder, after a restart   … F            the ledger, brought to the present    F+1 … L final, pending
//!                                └──────── follows, as their collations come from others ────────▶
//! ```
//! A node that restarts goes through the relay blocks since it stored its ledger again, so it knows the candidates
//! since then, and their collations come from whoever keeps them. Which blocks became final before that, as for a
//! collator that is new, `search` finds in the relay blocks on this node's disk.

use crate::{
    agent::{
        config::{BODIES_AHEAD, BUILD_RETRY_MS, FOLLOWS_MAX, RECENT_NUMBERS, UNDECIDED_MS},
        duties::{Duties, Effect, Order},
        seams::{BuildOrder, Built, Finding},
        search::Search,
        shelf::{Entry, Fate, Kept, Origin},
    },
    ledger::{Segment, ShardHead, Status, head_of},
    message::{LargeMessage, Offered, SmallMessage},
    pace::Pace,
    turn::{Turn, patience_ms, turn},
};
use alloy_primitives::B256;
use commonware_p2p::Recipients;
use primitives::{
    crypto::PublicKey,
    shard::{CandidateId, RelayAnchor, Schedule, ShardId},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// Candidates that a line has at most.
const LINE_MAX: usize = 64;
/// Relay blocks before its schedule is over that a candidate is put forward again.
const RENEWED_AHEAD: u64 = 1;

/// What a collator does in one shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// The builder is at work on a block.
    building: bool,
    /// When it may be asked again, in milliseconds.
    retry_ms: u64,
    /// The block that the next is built on, and since when it is.
    top: B256,
    top_since_ms: u64,
    /// Heads that the builder was given, and whether it has them, with their numbers.
    heads: BTreeMap<B256, (u64, bool)>,
    /// Number of the newest block that the builder has.
    newest: u64,
    /// Number of the newest block that its files have.
    durable: u64,
    /// The number that it had first.
    begins_at: Option<u64>,
    pub(crate) search: Search,
    following: usize,
    /// After how long the turn to build passes on, in milliseconds.
    patience_ms: u64,
    pub(crate) pace: Pace,
}

impl Line {
    /// Of a builder whose files have all numbers up to this one, and whose newest block is this.
    #[cfg(test)]
    pub(crate) fn having(durable: u64, (newest, head): (u64, B256)) -> Self {
        Self {
            newest,
            durable,
            heads: BTreeMap::from([(head, (newest, true))]),
            ..Self::default()
        }
    }

    pub(crate) fn has(&self, head: &B256) -> bool {
        self.heads.get(head).is_some_and(|(_, done)| *done)
    }

    /// The number of the newest block that the builder had at first.
    pub(crate) fn begins_at(&self) -> u64 {
        self.begins_at.unwrap_or_default()
    }

    /// Whether it is known what the builder has.
    pub(crate) const fn has_begun(&self) -> bool {
        self.begins_at.is_some()
    }

    /// The number of the newest block that the builder has.
    pub(crate) const fn newest(&self) -> u64 {
        self.newest
    }

    /// The number of the newest block that the builder's files have.
    pub(crate) const fn durable(&self) -> u64 {
        self.durable
    }

    /// The numbers that it works on: recent ones, and as many ahead as it gets the collations of.
    pub(crate) const fn window(&self) -> RangeInclusive<u64> {
        let first = self.newest.saturating_sub(RECENT_NUMBERS);
        first..=self.newest.saturating_add(BODIES_AHEAD)
    }

    /// Forgets what is long final, except for what may come next to what the builder has.
    fn forget(&mut self, finalized: u64) {
        let first = self.durable.min(self.newest);
        self.heads.retain(|_, (number, _)| {
            *number >= first || number.saturating_add(RECENT_NUMBERS) >= finalized
        });
    }
}

impl Duties {
    /// Looks at every shard that this node collates.
    pub(crate) fn collate(&mut self) {
        let shards: Vec<ShardId> = self.lines.keys().copied().collect();
        for shard in shards {
            let relay = std::sync::Arc::clone(&self.relay);
            let Some(segment) = relay.ledger.shard(shard) else {
                continue;
            };
            let patience_ms = patience_ms(segment, self.ledger().height());
            if let Some(line) = self.lines.get_mut(&shard) {
                line.patience_ms = patience_ms.unwrap_or(self.config.patience_ms);
            }
            self.search(segment);
            let line = self.line(segment);
            self.follow(segment, &line);
            self.renew(segment, &line);
            self.build_next(segment, &line);
        }
    }

    /// The newest block that the builder of a shard has; what is beside the chain to it, it has no more.
    pub(crate) fn has(&mut self, shard: ShardId, newest: Option<(u64, B256)>) {
        let (Some(line), Some((number, head))) = (self.lines.get_mut(&shard), newest) else {
            return;
        };
        line.newest = number;
        line.begins_at.get_or_insert(number);
        line.heads
            .retain(|_, (other, done)| !*done || *other < number);
        line.heads.insert(head, (number, true));
    }

    /// The number of the newest block that the files of a shard's builder have.
    pub(crate) fn lasts(&mut self, shard: ShardId, durable: u64) {
        if let Some(line) = self.lines.get_mut(&shard) {
            line.durable = durable;
        }
    }

    /// Hands what others built to the builder, parents first.
    fn follow(&mut self, segment: &Segment, ahead: &[CandidateId]) {
        let shard = segment.shard;
        let backed = |id: &&CandidateId| self.statements.is_backable(id);
        let mut named: BTreeSet<CandidateId> = ahead.iter().filter(backed).copied().collect();
        named.extend(segment.pending().map(|one| one.candidate));
        let Some(line) = self.lines.get_mut(&shard) else {
            return;
        };
        line.forget(segment.finalized().number);
        let mut orders = Vec::new();
        for (id, entry) in self.shelf.within(shard, line.window()) {
            let descriptor = &entry.descriptor;
            let ready = line.following < FOLLOWS_MAX
                && (entry.fate == Fate::Final || named.contains(&id))
                && entry.retry_ms <= self.now_ms
                && !entry.is_invalid()
                && !line.heads.contains_key(&descriptor.head)
                && line.has(&descriptor.parent);
            if let Some(collation) = entry.collation.clone().filter(|_| ready) {
                line.heads
                    .insert(descriptor.head, (descriptor.number, false));
                line.following = line.following.saturating_add(1);
                orders.push(Order::Follow(Box::new(descriptor.clone()), collation));
            }
        }
        self.effects.extend(orders.into_iter().map(Effect::Order));
    }

    /// The builder has followed a block, or refused to.
    pub(crate) fn followed(
        &mut self,
        shard: ShardId,
        head: B256,
        id: CandidateId,
        finding: Finding,
    ) {
        let retry_ms = self.now_ms.saturating_add(UNDECIDED_MS);
        let Some(line) = self.lines.get_mut(&shard) else {
            return;
        };
        line.following = line.following.saturating_sub(1);
        match finding {
            Finding::Valid => {
                self.metrics.followed.inc();
                if let Some((_, done)) = line.heads.get_mut(&head) {
                    *done = true;
                }
            }
            Finding::Invalid => {
                // Another candidate may lead to that head, and be right.
                line.heads.remove(&head);
                if let Some(entry) = self.shelf.get_mut(&id) {
                    entry.finding = Some(Finding::Invalid);
                }
            }
            Finding::Undecided => {
                line.heads.remove(&head);
                if let Some(entry) = self.shelf.get_mut(&id) {
                    entry.retry_ms = retry_ms;
                }
            }
        }
    }

    /// What follows the shard's newest block and is in no relay block yet.
    fn line(&self, segment: &Segment) -> Vec<CandidateId> {
        let mut line = Vec::new();
        let mut top = segment.newest();
        while line.len() < LINE_MAX {
            let number = top.number.saturating_add(1);
            let next = self
                .shelf
                .at(segment.shard, number)
                .filter(|(id, entry)| self.continues(&top, id, entry))
                .max_by_key(|(id, _)| (self.statements.backers(id).count(), Reverse(*id)));
            let Some((id, entry)) = next else {
                break;
            };
            top = head_of(&entry.descriptor);
            line.push(id);
        }
        line
    }

    pub(crate) fn patience_ms(&self, shard: ShardId) -> u64 {
        let line = self.lines.get(&shard);
        line.map_or(self.config.patience_ms, |line| line.patience_ms)
    }

    pub(crate) fn is_mine(&self, entry: &Entry) -> bool {
        entry.descriptor.collator == self.public_key
    }

    /// Offers what is new and what has waited in vain.
    fn renew(&mut self, segment: &Segment, line: &[CandidateId]) {
        for id in line {
            let Some(entry) = self.shelf.get(id) else {
                continue;
            };
            // What others have seen of a collator it still has after a power failure.
            let lasts = !self.is_mine(entry) || entry.body == Kept::Done;
            if self.is_alive(entry.schedule) || !lasts || !self.is_mine_to_offer(segment, entry) {
                continue;
            }
            let (Some(core), Some(signature)) =
                (self.free_core(segment, line), entry.signature.clone())
            else {
                continue;
            };
            let first = self.is_mine(entry) && entry.schedule.is_none();
            let collation = entry.collation.clone().filter(|_| first);
            let schedule = Schedule {
                core,
                height: self.ledger().height(),
            };
            let offered = Offered {
                descriptor: entry.descriptor.clone(),
                schedule,
                signature,
            };
            let now_ms = self.now_ms;
            if let Some(entry) = self.shelf.get_mut(id) {
                entry.schedule = Some(schedule);
                entry.heard_ms = now_ms;
            }
            self.offer(segment, offered, collation);
        }
    }

    /// Whether a candidate put forward so can still enter, and for more than a moment.
    pub(crate) fn is_alive(&self, schedule: Option<Schedule>) -> bool {
        let ledger = self.ledger();
        let next = ledger.height().saturating_add(1);
        let window = ledger.rules().schedule_window;
        // The relay block that is being proposed is higher than the next that this node knows of.
        let margin = RENEWED_AHEAD.min(window.saturating_sub(1));
        let oldest = next.saturating_add(margin).saturating_sub(window);
        schedule.is_some_and(|schedule| schedule.height >= oldest)
    }

    /// One's own at once; another's after a while, and then one collator after the other.
    fn is_mine_to_offer(&self, segment: &Segment, entry: &Entry) -> bool {
        if self.is_mine(entry) {
            return true;
        }
        let waited_ms = self.now_ms.saturating_sub(entry.heard_ms);
        let patience_ms = self.patience_ms(segment.shard);
        let of = Turn {
            collators: &segment.terms().collators,
            number: entry.descriptor.number,
            parent: Some(&entry.descriptor.collator),
            waited_ms,
            patience_ms,
        };
        let first = segment.terms().collators.is_empty() || turn(&of) == Some(&self.public_key);
        first && waited_ms >= patience_ms
    }

    fn offer(&mut self, segment: &Segment, offered: Offered, collation: Option<bytes::Bytes>) {
        let schedule = offered.schedule;
        let group = self.ledger().group(schedule.core, schedule.height);
        let mut to: BTreeSet<PublicKey> = self.audience_keys(group.iter());
        let fellows = segment.terms().collators.iter();
        to.extend(fellows.filter(|key| **key != self.public_key).cloned());
        let to = Recipients::Some(to.into_iter().collect());
        let own = self.public_key.clone();
        self.take_offer(&own, offered.clone(), None);
        match collation {
            Some(collation) => {
                self.send_large(to, LargeMessage::Offer(Box::new(offered), collation));
            }
            None => {
                self.metrics.renewed.inc();
                self.send_small(to, SmallMessage::Renewal(Box::new(offered)));
            }
        }
    }

    /// Relay blocks that may pass before a candidate's schedule is over, not counting the one it enters.
    fn ahead(&self) -> usize {
        let ahead = self.ledger().rules().schedule_window.saturating_sub(1);
        usize::try_from(ahead).unwrap_or(usize::MAX)
    }

    /// The core of a shard with fewest candidates, if it has room for one more.
    fn free_core(&self, segment: &Segment, line: &[CandidateId]) -> Option<u16> {
        let ledger = self.ledger();
        let (rules, ahead) = (ledger.rules(), self.ahead());
        let depth = usize::from(rules.core_depth).saturating_add(ahead);
        let most = usize::from(rules.segment_max).saturating_add(ahead);
        let cores = (0_u16..).zip(ledger.cores());
        let of_shard = cores.filter(|(_, owner)| **owner == Some(segment.shard));
        of_shard
            .map(|(core, _)| (self.load(line, core), core))
            .filter(|((waiting, all), _)| *waiting < depth && *all < most)
            .min()
            .map(|(_, core)| core)
    }

    /// Candidates of a core that wait for their chunks, and all of them, whichever shard's they are: it may have
    /// been another's. Those of the line that are on their way to it are among both.
    fn load(&self, line: &[CandidateId], core: u16) -> (usize, usize) {
        let offered = line.iter().filter(|id| {
            let schedule = self.shelf.get(id).and_then(|entry| entry.schedule);
            self.is_alive(schedule) && schedule.is_some_and(|one| one.core == core)
        });
        let offered = offered.count();
        let (mut waiting, mut all) = (offered, offered);
        for one in self.ledger().pending() {
            if one.envelope.schedule.core == core {
                all = all.saturating_add(1);
                waiting = waiting.saturating_add(usize::from(!one.is_included()));
            }
        }
        (waiting, all)
    }

    fn has_room(&self, segment: &Segment, line: &[CandidateId]) -> bool {
        let ledger = self.ledger();
        let cores = ledger.cores_of(segment.shard);
        let each = usize::from(ledger.rules().segment_max).saturating_add(self.ahead());
        let all = segment.pending().len().saturating_add(line.len());
        // What enters later than its schedule allows would have to be signed again.
        let entering = self.ahead().max(1).saturating_mul(cores);
        segment.status() == Status::Active
            && line.len() < entering
            && all < each.saturating_mul(cores)
            && self.free_core(segment, line).is_some()
    }

    fn build_next(&mut self, segment: &Segment, line: &[CandidateId]) {
        let newest = segment.newest();
        let last = line.last().and_then(|id| self.shelf.get(id));
        let parent = last.map_or(newest, |entry| head_of(&entry.descriptor));
        let builder = match last {
            Some(entry) => Some(entry.descriptor.collator.clone()),
            None => self.builder_of(segment, &newest),
        };
        let now_ms = self.now_ms;
        let begins = now_ms >= self.begins_ms(segment, line) && self.has_room(segment, line);
        let Some(state) = self.lines.get_mut(&segment.shard) else {
            return;
        };
        if state.top != parent.hash {
            (state.top, state.top_since_ms) = (parent.hash, now_ms);
        }
        let idle = !state.building && now_ms >= state.retry_ms && state.has(&parent.hash);
        if !idle || !begins {
            return;
        }
        let waited_ms = now_ms.saturating_sub(state.top_since_ms);
        let of = Turn {
            collators: &segment.terms().collators,
            number: parent.number.saturating_add(1),
            parent: builder.as_ref(),
            waited_ms,
            patience_ms: state.patience_ms,
        };
        if !segment.terms().collators.is_empty() && turn(&of) != Some(&self.public_key) {
            return;
        }
        state.building = true;
        let order = BuildOrder {
            shard: segment.shard,
            parent,
            anchor: RelayAnchor {
                height: self.relay.height,
                digest: self.relay.digest,
            },
            now_ms,
        };
        self.effects.push(Effect::Order(Order::Build(order)));
    }

    /// Who built the shard's newest block, as far as that is still known.
    fn builder_of(&self, segment: &Segment, newest: &ShardHead) -> Option<PublicKey> {
        let pending = segment.pending().last();
        let builder = pending.map(|one| one.envelope.descriptor.collator.clone());
        builder.or_else(|| {
            let mut known = self
                .shelf
                .of_head(segment.shard, newest.number, &newest.hash);
            let known = known.find(|(_, entry)| entry.backed && !entry.is_invalid());
            known.map(|(_, entry)| entry.descriptor.collator.clone())
        })
    }

    /// The builder has a block, or nothing to put into one.
    pub(crate) fn built(&mut self, shard: ShardId, built: Option<Built>) {
        let now_ms = self.now_ms;
        let bytes_max = self.ledger().rules().collation_bytes_max;
        let Some(line) = self.lines.get_mut(&shard) else {
            return;
        };
        line.building = false;
        let Some(built) = built else {
            line.retry_ms = now_ms.saturating_add(BUILD_RETRY_MS);
            return;
        };
        let descriptor = built.descriptor;
        let own = descriptor.shard == shard && descriptor.collator == self.public_key;
        if !own || descriptor.collation_bytes > bytes_max {
            tracing::error!(%shard, "the builder built what can't be offered");
            line.retry_ms = now_ms.saturating_add(UNDECIDED_MS);
            return;
        }
        line.heads
            .insert(descriptor.head, (descriptor.number, true));
        let id = descriptor.id();
        let signature = id.sign(&self.relay.authority.namespace, &self.config.key);
        let origin = Origin::Own(&signature);
        if let Some(entry) = self.shelf.learn(id, &descriptor, origin, now_ms) {
            entry.collation = Some(built.collation);
            self.metrics.built.inc();
        }
    }
}
