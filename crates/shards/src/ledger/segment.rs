//! One shard in the ledger: its newest final block, and the candidates built on it.

use super::{
    event::{Named, ShardHead},
    rules::ShardTerms,
};
use alloy_primitives::{B256, Bytes};
use primitives::shard::{Bits, CandidateId, Descriptor, Envelope, ShardId};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A validator that is asked last to back candidates of a shard, for a while. What it backed did not become
/// available; whose fault that was nobody can prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// How often what it backed was not available.
    pub strikes: u8,
    /// The first relay height at which it is asked like all others.
    pub until: u64,
}

/// Relay blocks that the first strike lasts; each further one lasts twice as long.
pub(crate) const PENALTY_BLOCKS: u64 = 16;
/// Strikes beyond which a penalty grows no more.
pub(crate) const STRIKES_MAX: u8 = 8;

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

    /// Who of these is set aside at a relay height: those with strikes, but never more than a third of them, the
    /// longest struck first. A slow network strikes everybody, and must not stop a shard.
    #[must_use]
    pub fn set_aside(&self, among: &Bits, height: u64) -> Bits {
        let mut struck: Vec<(Reverse<u64>, u16)> = self
            .penalties
            .iter()
            .filter(|(validator, penalty)| {
                among.contains(usize::from(**validator)) && height < penalty.until
            })
            .map(|(validator, penalty)| (Reverse(penalty.until), *validator))
            .collect();
        struck.sort_unstable();
        let most = among.count() / 3;
        let aside = struck.into_iter().take(most);
        aside.map(|(_, validator)| usize::from(validator)).collect()
    }

    /// Validators with strikes.
    pub fn penalties(&self) -> impl ExactSizeIterator<Item = (u16, &Penalty)> {
        self.penalties
            .iter()
            .map(|(validator, one)| (*validator, one))
    }

    pub(crate) fn strike(&mut self, validator: u16, height: u64) {
        let penalty = self.penalties.entry(validator).or_insert(Penalty {
            strikes: 0,
            until: height,
        });
        let blocks = lasts(penalty.strikes);
        penalty.strikes = penalty.strikes.saturating_add(1).min(STRIKES_MAX);
        penalty.until = penalty.until.max(height.saturating_add(blocks));
    }

    /// A candidate that they backed became final: strikes that are over are forgotten.
    pub(crate) fn forgive(&mut self, backers: &Bits, height: u64) {
        self.penalties.retain(|validator, penalty| {
            penalty.until > height || !backers.contains(usize::from(*validator))
        });
    }

    /// Strikes are forgotten when the next one's time has passed without it.
    pub(crate) fn forget(&mut self, height: u64) {
        self.penalties
            .retain(|_, penalty| penalty.until.saturating_add(lasts(penalty.strikes)) > height);
    }
}

/// Relay blocks that a strike lasts after so many others.
fn lasts(strikes: u8) -> u64 {
    PENALTY_BLOCKS.saturating_mul(1_u64 << strikes.min(STRIKES_MAX))
}
