//! One shard in the ledger: its newest final block, and the candidates built on it.

use super::{event::ShardHead, rules::ShardTerms};
use alloy_primitives::B256;
use primitives::shard::{Bits, CandidateId, Descriptor, Envelope, ShardId};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::event::Named;

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

/// A candidate that is backed and not final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The number by which votes name it; rises with every candidate of every shard.
    pub sequence: u64,
    /// As it was put forward.
    pub envelope: Envelope,
    /// The hash of its descriptor.
    pub candidate: CandidateId,
    /// Who backed it.
    pub backers: Bits,
    /// The relay height at which it was backed.
    pub backed_height: u64,
    /// The relay time at which it was backed, in milliseconds.
    pub backed_ms: u64,
    /// The relay time at which it was included, in milliseconds.
    pub included_ms: Option<u64>,
    /// Who holds their chunks.
    pub held: Bits,
    /// Who found it valid.
    pub valid: Bits,
    /// Who found it invalid.
    pub invalid: Bits,
}

impl Pending {
    /// Whether its chunks are held and its predecessor's are.
    #[must_use]
    pub const fn is_included(&self) -> bool {
        self.included_ms.is_some()
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

/// A validator that may not back candidates of a shard for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// How often what it backed was not available.
    pub strikes: u8,
    /// The first relay height at which it may back again.
    pub until: u64,
}

/// Relay blocks that the first strike lasts; each further one lasts twice as long.
pub(crate) const PENALTY_BLOCKS: u64 = 16;
/// Strikes beyond which a penalty grows no more.
pub(crate) const STRIKES_MAX: u8 = 8;

/// Other rules that a shard has from some relay height on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Their digest.
    pub rules: B256,
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
    pub(crate) penalties: BTreeMap<u16, Penalty>,
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
            penalties: BTreeMap::new(),
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
        match self.upgrade {
            Some(upgrade) if anchor_height >= upgrade.height => upgrade.rules,
            Some(_) | None => self.terms.rules,
        }
    }

    /// Whether a validator may back its candidates at a relay height.
    #[must_use]
    pub fn may_back(&self, validator: u16, height: u64) -> bool {
        self.penalties
            .get(&validator)
            .is_none_or(|penalty| height >= penalty.until)
    }

    pub(crate) fn strike(&mut self, validator: u16, height: u64) {
        let penalty = self.penalties.entry(validator).or_insert(Penalty {
            strikes: 0,
            until: height,
        });
        let blocks = PENALTY_BLOCKS.saturating_mul(1_u64 << penalty.strikes.min(STRIKES_MAX));
        penalty.strikes = penalty.strikes.saturating_add(1).min(STRIKES_MAX);
        penalty.until = penalty.until.max(height.saturating_add(blocks));
    }

    pub(crate) fn ban(&mut self, validator: u16) {
        let penalty = Penalty {
            strikes: STRIKES_MAX,
            until: u64::MAX,
        };
        self.penalties.insert(validator, penalty);
    }

    /// A candidate that they backed became final: earlier strikes are forgotten.
    pub(crate) fn forgive(&mut self, backers: &Bits, height: u64) {
        self.penalties.retain(|validator, penalty| {
            penalty.until > height || !backers.contains(usize::from(*validator))
        });
    }
}
