//! One shard in the ledger: its newest final block, and the candidates built on it.

use super::{
    asked::Asked,
    event::{Named, ShardHead},
    penalty::{Penalties, Penalty},
    rules::ShardTerms,
};
use alloy_primitives::{B256, Bytes};
use primitives::shard::{Bits, CandidateId, Descriptor, Envelope, ShardId};
use std::{collections::VecDeque, sync::Arc};

/// Whether a shard takes candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Active,
    /// It finishes what is pending and takes nothing new.
    Paused,
    /// It is over.
    Retired,
}

/// When something happened, by the relay chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The relay height.
    pub height: u64,
    /// That block's time, in milliseconds.
    pub ms: u64,
}

/// A candidate that is backed and not final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Rises with every candidate of every shard, and is never given again.
    pub sequence: u64,
    /// The bit by which votes name it: no other pending candidate has it, a later one may.
    pub place: u8,
    /// As it was put forward.
    pub envelope: Envelope,
    /// The hash of its descriptor.
    pub candidate: CandidateId,
    /// Who backed it.
    pub backers: Bits,
    /// When it was backed.
    pub backed: Moment,
    /// When it was included, or the validators changed after that: their time to approve it begins here.
    pub included: Option<Moment>,
    /// Who holds their chunks.
    pub held: Bits,
    /// Who found it valid.
    pub valid: Bits,
    /// Who found it invalid.
    pub invalid: Bits,
    /// Who has to find it valid or invalid.
    pub asked: Asked,
}

impl Pending {
    /// Whether its chunks are held and its predecessor's are.
    #[must_use]
    pub const fn is_included(&self) -> bool {
        self.included.is_some()
    }

    /// What readers need of it.
    #[must_use]
    pub fn named(&self) -> Named {
        Named {
            shard: self.envelope.descriptor.shard,
            number: self.envelope.descriptor.number,
            candidate: self.candidate,
            sequence: self.sequence,
        }
    }

    /// The block it makes its shard's newest.
    #[must_use]
    pub const fn head(&self) -> ShardHead {
        head_of(&self.envelope.descriptor)
    }
}

/// The head that a descriptor leads to.
#[must_use]
pub const fn head_of(descriptor: &Descriptor) -> ShardHead {
    ShardHead {
        number: descriptor.number,
        hash: descriptor.head,
        state_root: descriptor.state_root,
        timestamp_ms: descriptor.timestamp_ms,
        anchor_height: descriptor.anchor.height,
    }
}

/// Other rules that a shard has from some relay height on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Their digest.
    pub rules: B256,
    /// The charter that it is of.
    pub charter: Bytes,
    /// Block gas limit.
    pub gas_limit: u64,
    /// The first anchor height at which they hold.
    pub height: u64,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub(crate) shard: ShardId,
    pub(crate) terms: Arc<ShardTerms>,
    pub(crate) status: Status,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) finalized: ShardHead,
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) penalties: Penalties,
}

impl Segment {
    pub(crate) fn new(shard: ShardId, terms: Arc<ShardTerms>) -> Self {
        let finalized = ShardHead {
            number: 0,
            hash: terms.genesis_hash,
            state_root: terms.genesis_root,
            timestamp_ms: terms.genesis_ms,
            anchor_height: 0,
        };
        Self {
            shard,
            terms,
            status: Status::Active,
            upgrade: None,
            finalized,
            pending: VecDeque::new(),
            penalties: Penalties::default(),
        }
    }

    /// What it agreed to at its creation.
    #[must_use]
    pub fn terms(&self) -> &ShardTerms {
        &self.terms
    }

    /// Whether it takes candidates.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Its newest final block.
    #[must_use]
    pub const fn finalized(&self) -> &ShardHead {
        &self.finalized
    }

    /// Its candidates that are not final, oldest first.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = &Pending> {
        self.pending.iter()
    }

    /// The block that the next candidate has to follow: the newest pending one, or the newest final one.
    #[must_use]
    pub fn newest(&self) -> ShardHead {
        self.pending.back().map_or(self.finalized, Pending::head)
    }

    /// The newest block whose collation is available: the newest included one, or the newest final one.
    #[must_use]
    pub fn included(&self) -> ShardHead {
        let included = self.pending.iter().rev().find(|one| one.is_included());
        included.map_or(self.finalized, Pending::head)
    }

    /// The rules under which a candidate with this anchor is executed.
    #[must_use]
    pub fn rules_at(&self, anchor_height: u64) -> B256 {
        self.upgrade_at(anchor_height)
            .map_or(self.terms.rules, |upgrade| upgrade.rules)
    }

    /// The block gas limit of a candidate with this anchor.
    #[must_use]
    pub fn gas_limit_at(&self, anchor_height: u64) -> u64 {
        self.upgrade_at(anchor_height)
            .map_or(self.terms.gas_limit, |upgrade| upgrade.gas_limit)
    }

    fn upgrade_at(&self, anchor_height: u64) -> Option<&Upgrade> {
        let upgrade = self.upgrade.as_ref();
        upgrade.filter(|upgrade| anchor_height >= upgrade.height)
    }

    /// The rules that follow, if any are ordered; those that hold by now until others are ordered.
    #[must_use]
    pub const fn upgrade(&self) -> Option<&Upgrade> {
        self.upgrade.as_ref()
    }

    /// The charter of a digest, if candidates may name it.
    #[must_use]
    pub fn charter(&self, rules: &B256) -> Option<&Bytes> {
        let terms = (self.terms.rules, &self.terms.charter);
        let upgrade = self.upgrade.iter().map(|one| (one.rules, &one.charter));
        let mut all = std::iter::once(terms).chain(upgrade);
        all.find(|(digest, _)| digest == rules)
            .map(|(_, charter)| charter)
    }

    /// Who of these backs nothing at a relay height: those with strikes, but never more than a third.
    #[must_use]
    pub fn set_aside(&self, among: &Bits, height: u64) -> Bits {
        self.penalties.set_aside(among, height)
    }

    /// Validators with strikes.
    pub fn penalties(&self) -> impl ExactSizeIterator<Item = (u16, &Penalty)> {
        self.penalties.iter()
    }
}
