//! What is done with each message, and with time: events in, effects out. Pure.
//!
//! ```text
//! send, receive, tick ─▶ Exchange: cache, rebuilds, allowances ─▶ effects: send, ready, ban, gave up
//! ```
//! Of several peers that sent the same compact block one is asked, and the next one when that one has not
//! answered. A peer that named other transactions than the one that is asked, and the block's leader, are asked
//! as well: whoever sends a false compact block first delays nobody.

use super::{
    cache::BlockCache,
    config::{
        ANSWERED_BYTES_PER_SECOND, LOOKUP_BYTES, REBUILT_BYTES_PER_SECOND,
        RECEIVED_BYTES_PER_SECOND, SMALL_BODY_BYTES_MAX, UNASKED_MAX, unasked_bytes_max,
    },
    message::{Compact, Message, Placed},
    opening::Opening,
    rebuild::{OtherTransaction, Rebuild, Stage},
    rebuilds::Rebuilds,
    source::BodySource,
};
use crate::allowance::Allowance;
use commonware_codec::EncodeSize as _;
use commonware_p2p::Recipients;
use commonware_utils::ordered::Set;
use primitives::{
    Block, BlockLimits,
    crypto::{BlockDigest, PublicKey},
};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// What a peer said that no honest one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lie {
    /// A transaction that is not the one that it named.
    #[error(transparent)]
    Other(#[from] OtherTransaction),
    /// Two compact blocks with one header and different bodies.
    #[error("two bodies under one header")]
    Contradiction,
    /// A compact block that names another body than its header commits to.
    #[error("not the transactions of the block: height={height}")]
    Names {
        /// Height of the block.
        height: u64,
    },
    /// An index that the block does not have.
    #[error("no such transaction: index={index}")]
    Index {
        /// The index.
        index: u16,
    },
    /// Transactions and blocks that nobody asked for, again and again.
    #[error("answers without questions")]
    Unasked,
}

/// How a block became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From the names of its transactions.
    Rebuilt,
    /// As it is.
    Whole,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Effect {
    /// Send a message.
    Send(Recipients<PublicKey>, Message),
    /// Give a block to whoever waits for it.
    Ready(Block, Origin),
    /// Ban a peer.
    Ban(PublicKey, Lie),
    /// Nobody who sent this block compact answers.
    GaveUp(BlockDigest),
}

#[derive(Debug)]
struct Account {
    received: Allowance,
    rebuilt: Allowance,
    answered: Allowance,
    /// Questions to it that it has not answered.
    owed: u32,
    /// Answers of it to no question.
    unasked: u32,
}

impl Account {
    const fn new(now: SystemTime) -> Self {
        Self {
            received: Allowance::new(RECEIVED_BYTES_PER_SECOND, now),
            rebuilt: Allowance::new(REBUILT_BYTES_PER_SECOND, now),
            answered: Allowance::new(ANSWERED_BYTES_PER_SECOND, now),
            owed: 0,
            unasked: 0,
        }
    }

    /// Takes an answer; whether there was a question.
    const fn settle(&mut self) -> bool {
        let was_asked = self.owed > 0;
        self.owed = self.owed.saturating_sub(1);
        if !was_asked {
            self.unasked = self.unasked.saturating_add(1);
        }
        was_asked
    }
}

/// The state of dissemination.
#[derive(Debug)]
pub(super) struct Exchange<S> {
    pub(super) source: S,
    limits: BlockLimits,
    own: PublicKey,
    timeout: Duration,
    pub(super) cache: BlockCache,
    pub(super) rebuilds: Rebuilds,
    accounts: BTreeMap<PublicKey, Account>,
    /// Compact blocks so far.
    number: u64,
    effects: Vec<Effect>,
}

impl<S: BodySource> Exchange<S> {
    pub(super) fn new(source: S, limits: BlockLimits, own: PublicKey, timeout: Duration) -> Self {
        Self {
            source,
            limits,
            own,
            timeout,
            cache: BlockCache::default(),
            rebuilds: Rebuilds::default(),
            accounts: BTreeMap::new(),
            number: 0,
            effects: Vec::new(),
        }
    }

    /// What is to be done since the last time.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_deadline(&self) -> Option<SystemTime> {
        self.rebuilds.next_deadline()
    }

    /// The validators are these, and with the others these are all peers.
    pub(super) fn follow(&mut self, primary: Set<PublicKey>, secondary: &Set<PublicKey>) {
        self.accounts.retain(|peer, _| {
            primary.position(peer).is_some() || secondary.position(peer).is_some()
        });
        self.cache.follow(primary);
    }

    /// Sends a block that this node holds.
    pub(super) fn send(&mut self, block: &Block, recipients: Recipients<PublicKey>) {
        self.cache.insert(&self.own, block);
        let is_small =
            u32::try_from(block.body_size()).is_ok_and(|size| size <= SMALL_BODY_BYTES_MAX);
        let message = match is_small {
            true => Message::Whole(block.clone()),
            false => Message::Compact(Box::new(Compact::new(block))),
        };
        self.effects.push(Effect::Send(recipients, message));
        self.ready(&self.own.clone(), block, None);
    }

    /// Whether what a peer sent is to be read at all: no answer that it was not asked for, and no more bytes than
    /// it may send.
    pub(super) fn admits(&mut self, peer: &PublicKey, message: &[u8], now: SystemTime) -> bool {
        let opening = Opening::of(message, unasked_bytes_max(&self.limits));
        if opening == Opening::Free {
            return self.charge(peer, message.len(), now);
        }
        let account = self.account(peer, now);
        if !account.settle() {
            if account.unasked > UNASKED_MAX {
                self.ban(peer, Lie::Unasked, now);
            }
            return false;
        }
        // Too late for transactions when the block is there, or somebody else is asked for all of it.
        if let Opening::Transactions(digest) = opening
            && self.rebuilds.get(&(peer.clone(), digest)).is_none()
        {
            return false;
        }
        self.charge(peer, message.len(), now)
    }

    fn charge(&mut self, peer: &PublicKey, bytes: usize, now: SystemTime) -> bool {
        self.account(peer, now).received.spend(bytes, now)
    }

    /// Takes what a peer sent.
    pub(super) fn receive(&mut self, peer: &PublicKey, message: Message, now: SystemTime) {
        match message {
            Message::Compact(compact) => self.compact(peer, *compact, now),
            Message::Missing { digest, indices } => self.missing(peer, &digest, &indices, now),
            Message::Transactions { digest, placed } => {
                self.transactions(peer, digest, placed, now);
            }
            Message::GetWhole { digest } => self.get_whole(peer, &digest, now),
            Message::Whole(block) => match self.cache.get(&block.digest()).cloned() {
                Some(held) => self.cache.insert(peer, &held),
                None => self.ready(peer, &block, Some(Origin::Whole)),
            },
        }
    }

    /// Turns from peers that have not answered.
    pub(super) fn tick(&mut self, now: SystemTime) {
        for key in self.rebuilds.overdue(now) {
            let Some(mut rebuild) = self.rebuilds.remove(&key) else {
                continue;
            };
            let (peer, digest) = key;
            if self.rebuilds.standby(&digest).is_some() {
                // It may only be slow: what it answers is of use as long as nobody else was faster.
                rebuild.stage = Stage::Late;
                self.keep(&peer, rebuild, now);
                self.ask_next(&digest, now);
            } else if matches!(rebuild.stage, Stage::Missing(_)) {
                // Gossip may have brought it meanwhile.
                self.look_up(&peer, &mut rebuild, now);
                self.advance(&peer, rebuild, true, now);
            } else if !self.rebuilds.is_asked(&digest) {
                self.effects.push(Effect::GaveUp(digest));
            }
        }
    }

    fn compact(&mut self, peer: &PublicKey, compact: Compact, now: SystemTime) {
        let digest = compact.header.digest();
        if let Some(held) = self.cache.get(&digest).cloned() {
            return self.cache.insert(peer, &held);
        }
        if let Some(earlier) = self.rebuilds.get(&(peer.clone(), digest)) {
            if !earlier.agrees(&compact) {
                return self.ban(peer, Lie::Contradiction, now);
            }
            if !earlier.is_late() {
                return;
            }
        }
        let is_leader = compact.header.context.leader == *peer;
        self.number = self.number.saturating_add(1);
        let mut rebuild = match Rebuild::new(compact, self.number) {
            Ok(rebuild) => rebuild,
            Err(other) => return self.ban(peer, other.into(), now),
        };
        if !self.look_up(peer, &mut rebuild, now) {
            return;
        }
        let is_asked_alike = self.rebuilds.is_asked_alike(&digest, rebuild.compact());
        if rebuild.is_complete() || is_leader || !is_asked_alike {
            self.advance(peer, rebuild, false, now);
        } else {
            self.keep(peer, rebuild, now);
        }
    }

    /// Looks up what is missing, if the peer may cause that.
    fn look_up(&mut self, peer: &PublicKey, rebuild: &mut Rebuild, now: SystemTime) -> bool {
        let lookups = rebuild.missing().count().saturating_mul(LOOKUP_BYTES);
        let may = self.account(peer, now).rebuilt.spend(lookups, now);
        if may {
            rebuild.look_up(&self.source);
        }
        may
    }

    /// Makes a block of a complete rebuild, or asks its peer for what it lacks.
    fn advance(&mut self, peer: &PublicKey, mut rebuild: Rebuild, whole: bool, now: SystemTime) {
        if rebuild.is_complete() {
            let bytes = rebuild.body_bytes();
            if !self.account(peer, now).rebuilt.spend(bytes, now) {
                let digest = rebuild.digest();
                return self.ask_next(&digest, now);
            }
            if let Ok(block) = rebuild.join(&self.limits, &self.source) {
                return self.ready(peer, &block, Some(Origin::Rebuilt));
            }
        }
        let (digest, until) = (rebuild.digest(), now + self.timeout);
        let message = if whole || rebuild.needs_whole() {
            rebuild.stage = Stage::Whole(until);
            Message::GetWhole { digest }
        } else {
            rebuild.stage = Stage::Missing(until);
            let indices = rebuild.missing().collect();
            Message::Missing { digest, indices }
        };
        let account = self.account(peer, now);
        account.owed = account.owed.saturating_add(1);
        self.effects
            .push(Effect::Send(Recipients::One(peer.clone()), message));
        self.keep(peer, rebuild, now);
    }

    fn keep(&mut self, peer: &PublicKey, rebuild: Rebuild, now: SystemTime) {
        for digest in self.rebuilds.insert(peer.clone(), rebuild) {
            self.ask_next(&digest, now);
        }
    }

    /// Asks the next peer about a block, unless somebody is asked.
    fn ask_next(&mut self, digest: &BlockDigest, now: SystemTime) {
        while !self.rebuilds.is_asked(digest)
            && let Some(key) = self.rebuilds.standby(digest)
            && let Some(mut rebuild) = self.rebuilds.remove(&key)
        {
            if self.look_up(&key.0, &mut rebuild, now) {
                self.advance(&key.0, rebuild, false, now);
            }
        }
    }

    /// A block is here: with no origin from marshal, which has it.
    fn ready(&mut self, peer: &PublicKey, block: &Block, origin: Option<Origin>) {
        self.cache.insert(peer, block);
        if let Some(origin) = origin {
            self.effects.push(Effect::Ready(block.clone(), origin));
        }
        for (other, rebuild) in self.rebuilds.finish(&block.digest()) {
            if rebuild.compact().describes(block) {
                self.cache.insert(&other, block);
            } else {
                let height = block.header().height;
                self.effects.push(Effect::Ban(other, Lie::Names { height }));
            }
        }
    }

    fn transactions(
        &mut self,
        peer: &PublicKey,
        digest: BlockDigest,
        placed: Vec<Placed>,
        now: SystemTime,
    ) {
        // None when it comes too late.
        let Some(mut rebuild) = self.rebuilds.remove(&(peer.clone(), digest)) else {
            return;
        };
        if let Err(other) = rebuild.place(placed) {
            self.ban(peer, other.into(), now);
            self.ask_next(&digest, now);
        } else if rebuild.is_complete() {
            self.advance(peer, rebuild, true, now);
        } else {
            // As it was: the deadline decides.
            self.keep(peer, rebuild, now);
        }
    }

    fn missing(
        &mut self,
        peer: &PublicKey,
        digest: &BlockDigest,
        indices: &[u16],
        now: SystemTime,
    ) {
        let Some(block) = self.cache.get(digest).cloned() else {
            return;
        };
        let mut placed = Vec::with_capacity(indices.len());
        for index in indices {
            let Some(transaction) = block.transactions().get(usize::from(*index)) else {
                return self.ban(peer, Lie::Index { index: *index }, now);
            };
            placed.push(Placed {
                index: *index,
                transaction: transaction.clone(),
            });
        }
        let digest = *digest;
        self.answer(peer, Message::Transactions { digest, placed }, now);
    }

    fn get_whole(&mut self, peer: &PublicKey, digest: &BlockDigest, now: SystemTime) {
        if let Some(block) = self.cache.get(digest) {
            let answer = Message::Whole(block.clone());
            self.answer(peer, answer, now);
        }
    }

    fn answer(&mut self, peer: &PublicKey, answer: Message, now: SystemTime) {
        let bytes = answer.encode_size();
        if self.account(peer, now).answered.spend(bytes, now) {
            let to = Recipients::One(peer.clone());
            self.effects.push(Effect::Send(to, answer));
        } else {
            tracing::debug!(%peer, bytes, "a peer asks for more than it may");
        }
    }

    fn ban(&mut self, peer: &PublicKey, lie: Lie, now: SystemTime) {
        self.effects.push(Effect::Ban(peer.clone(), lie));
        for digest in self.rebuilds.forget(peer) {
            self.ask_next(&digest, now);
        }
    }

    fn account(&mut self, peer: &PublicKey, now: SystemTime) -> &mut Account {
        self.accounts
            .entry(peer.clone())
            .or_insert_with(|| Account::new(now))
    }
}
