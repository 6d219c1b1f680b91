//! The shard ledger: what all validators agree on about all shards. A pure state machine.
//!
//! ```text
//!              enough backers, in relay block h       2f+1 hold chunks          its checkers found it valid
//!  collated ───────────────────────────────▶ BACKED ───────────────▶ INCLUDED ────────────────▶ FINAL
//!     ▲                                        │  too late             │ f+1 invalid, too late
//!     └────────────── put forward again ───────┴──── discarded, with all that was built on it
//! ```
//! Every validator applies a relay block's section to the ledger after its parent before it votes, and the
//! header names the digest of the ledger after it. What a step does depends on nothing but the two.
//!
//! The rules, by the names that tests use:
//! - R1 backed: [`BackedFault`] lists what is asked of a candidate that enters.
//! - R2 available: 2f+1 validators say that they hold their chunk.
//! - R3 included: backed, available, and the predecessor included; it no longer occupies its core.
//! - R4 final: included, the predecessor final, and found valid: by 2f+1 where everybody checks; where a few do, by
//!   each of them, or of those who replaced them, with no objection. Only then anything leaves the shard.
//! - R5 discarded: f+1 found it invalid, or a deadline passed; with all that was built on it, and nothing else.
//! - R6 put forward again: a discarded candidate's descriptor may enter again under another envelope.
//! - R7 one place, one candidate: a shard's pending candidates form one chain; who backs two for one place commits
//!   an offence.
//! - R8 pure: equal ledgers and equal blocks lead to equal ledgers, with bounded work.
//!
//! Limits: [`PENDING_MAX`](rules::PENDING_MAX) candidates, [`CORES_MAX`](rules::CORES_MAX) cores,
//! [`SHARDS_MAX`](rules::SHARDS_MAX) shards, [`OFFENCES_MAX`] offences remembered, [`ORDERS_MAX`] orders in a block.

mod asked;
mod backing;
mod carried;
mod cores;
mod draft;
mod encoding;
mod event;
mod fault;
mod order;
mod penalty;
pub mod rules;
mod segment;
mod settle;
mod signed;
#[cfg(test)]
mod tests;

pub use asked::{Asked, Few};
pub use backing::Quota;
pub use draft::Draft;
pub use event::{Discard, Escalation, LedgerEvent, Named, Offence, OffenceKind, ShardHead};
pub use fault::{BackedFault, CountFault, EvidenceFault, SectionFault};
pub use order::{ORDERS_MAX, OrderKind, Refusal, ShardOrder};
pub use penalty::{Penalties, Penalty};
pub use rules::{Approval, LedgerRules, RulesError, ShardTerms};
pub use segment::{Moment, Pending, Segment, Status, Upgrade, head_of};
pub use signed::{Authority, CheckedSection};

use crate::sampling::{Groups, Ring};
use alloy_primitives::B256;
use commonware_codec::Write as _;
use commonware_cryptography::Hasher as _;
use primitives::{
    crypto::BlockHasher,
    limits::SHARD_GAS_MAX,
    shard::{BITS_MAX, Bits, SectionLimits, ShardId},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Offences remembered, newest last: one of each kind for each of the most validators.
pub const OFFENCES_MAX: usize = 5 * BITS_MAX;

/// What an ordinary ledger takes, in bytes; more is reserved when it takes more.
const ENCODED_BYTES: usize = 16 * 1024;

/// The ledger after one relay block. Cheap enough to clone at every block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    rules: Arc<LedgerRules>,
    epoch: u64,
    height: u64,
    timestamp_ms: u64,
    next_sequence: u64,
    /// The relay height up to which the registry's orders are carried.
    orders_height: u64,
    /// Digests of relay blocks, the one before `height` last.
    anchors: VecDeque<B256>,
    /// Digests of this ledger after earlier relay blocks, the one before `height` last.
    past: VecDeque<B256>,
    /// What chooses the epoch's backing groups.
    seed: B256,
    cores: cores::Cores,
    shards: BTreeMap<ShardId, Segment>,
    /// What was done wrong in this epoch, and who may back nothing until it ends.
    offences: VecDeque<Offence>,
    banned: Bits,
    /// Who was asked to check a candidate and was not there.
    no_shows: Penalties,
    digest: B256,
    /// How the validators stand at this height, when groups are chosen: follows from the rest.
    ring: Arc<Ring>,
}

/// A relay block, as far as the ledger is concerned.
#[derive(Clone, Copy, Debug)]
pub struct RelayStep<'a> {
    /// Its height.
    pub height: u64,
    /// Digest of the relay block before it.
    pub parent_digest: B256,
    /// Its time, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// The height whose certified result its header names: orders come from there and below.
    pub executed_height: u64,
    /// What it says about shards.
    pub section: &'a CheckedSection,
}

impl Ledger {
    /// The ledger at height 0 with these shards, each on as many cores as named.
    ///
    /// # Errors
    /// When the rules or the shards are out of range.
    pub fn genesis(
        rules: LedgerRules,
        timestamp_ms: u64,
        shards: impl IntoIterator<Item = (ShardId, ShardTerms, u16)>,
    ) -> Result<Self, RulesError> {
        rules.check()?;
        let mut ledger = Self {
            seed: B256::ZERO,
            cores: cores::Cores::new(&rules),
            ring: Arc::default(),
            rules: Arc::new(rules),
            epoch: 0,
            height: 0,
            timestamp_ms,
            next_sequence: 0,
            orders_height: 0,
            anchors: VecDeque::new(),
            past: VecDeque::new(),
            shards: BTreeMap::new(),
            offences: VecDeque::new(),
            banned: Bits::EMPTY,
            no_shows: Penalties::default(),
            digest: B256::ZERO,
        };
        let refuse = |must| RulesError {
            field: "shards",
            must,
        };
        for (shard, terms, cores) in shards {
            check_terms(&terms)?;
            let full = ledger.shards.len() >= rules::SHARDS_MAX;
            if full || ledger.shards.contains_key(&shard) {
                return Err(refuse("at most 256, of different numbers"));
            }
            let given = ledger.give_cores(shard, cores);
            if given != Ok(cores) {
                return Err(refuse(
                    "on the cores there are, with at most 256 candidates",
                ));
            }
            let segment = Segment::new(shard, Arc::new(terms));
            ledger.shards.insert(shard, segment);
        }
        ledger.seal();
        // Everything that the chain begins with decides who is asked first.
        ledger.seed = ledger.digest;
        ledger.seal();
        Ok(ledger)
    }

    /// The ledger after the next relay block, and what that block did.
    ///
    /// # Errors
    /// When the block's section breaks a rule.
    pub fn apply(&self, step: &RelayStep<'_>) -> Result<(Self, Vec<LedgerEvent>), SectionFault> {
        let section = step.section.section();
        if !section.is_empty() && step.section.ledger_digest() != self.digest {
            return Err(SectionFault::Unrelated);
        }
        let mut draft = Draft::new(self, step.height, step.parent_digest, step.timestamp_ms)?;
        draft.carry(&section.orders, step.executed_height)?;
        for (index, equivocation) in section.equivocations.iter().enumerate() {
            draft
                .convict(equivocation)
                .map_err(|fault| SectionFault::Equivocation { index, fault })?;
        }
        for (index, vote) in section.votes.iter().enumerate() {
            draft
                .count(vote)
                .map_err(|fault| SectionFault::Vote { index, fault })?;
        }
        draft.settle();
        for (index, backed) in section.backed.iter().enumerate() {
            draft
                .back(backed)
                .map_err(|fault| SectionFault::Backed { index, fault })?;
        }
        Ok(draft.finish())
    }

    /// The ledger under other validators. What is not included goes back to its collators; what is included is
    /// approved by the new ones, in the time that any candidate has for it, while the old ones still hold the
    /// chunks. Offences and strikes are the old ones': they leave the ledger, and their events remain.
    ///
    /// # Errors
    /// When there can't be so many validators.
    pub fn begin_epoch(&self, validators: u16) -> Result<(Self, Vec<LedgerEvent>), RulesError> {
        let rules = LedgerRules {
            validators,
            ..(*self.rules).clone()
        };
        rules.check()?;
        let mut next = self.clone();
        next.rules = Arc::new(rules);
        next.epoch = next.epoch.saturating_add(1);
        next.seed = self.digest;
        next.offences.clear();
        next.banned = Bits::EMPTY;
        next.no_shows.clear();
        // Votes name validators by their indices, which may be others' now: none may name a ledger of before.
        next.past.clear();
        let (now, asked) = (next.now(), next.asked_first());
        let mut events = Vec::new();
        for segment in next.shards.values_mut() {
            let kept = segment.pending.iter().take_while(|one| one.is_included());
            let dropped = segment.pending.split_off(kept.count());
            events.extend(
                dropped
                    .iter()
                    .map(|one| LedgerEvent::Discarded(one.named(), Discard::Epoch)),
            );
            for pending in &mut segment.pending {
                (pending.valid, pending.invalid) = (Bits::EMPTY, Bits::EMPTY);
                pending.included = Some(now);
                pending.asked = asked.clone();
            }
            segment.penalties.clear();
        }
        next.seal();
        Ok((next, events))
    }

    /// The parameters.
    #[must_use]
    pub fn rules(&self) -> &LedgerRules {
        &self.rules
    }

    /// Bounds of the next relay block's section.
    #[must_use]
    pub fn limits(&self) -> SectionLimits {
        section_limits(&self.rules, self.cores().len())
    }

    /// The epoch whose validators vote.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The relay height after which it is.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// The time of that relay block, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// The relay height up to which the registry's orders are carried.
    #[must_use]
    pub const fn orders_height(&self) -> u64 {
        self.orders_height
    }

    /// What the header of that relay block names.
    #[must_use]
    pub const fn digest(&self) -> B256 {
        self.digest
    }

    /// The digest of the ledger after an earlier relay block, or after this one, for votes that name it.
    #[must_use]
    pub fn digest_at(&self, height: u64) -> Option<B256> {
        if height == self.height {
            return Some(self.digest);
        }
        nth_back(&self.past, self.height, height)
    }

    /// The digest of an earlier relay block, if an anchor may name it.
    #[must_use]
    pub fn anchor_at(&self, height: u64) -> Option<B256> {
        nth_back(&self.anchors, self.height, height)
    }

    /// Whose the cores are now.
    #[must_use]
    pub fn cores(&self) -> &[Option<ShardId>] {
        self.cores.owners()
    }

    /// A shard.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> Option<&Segment> {
        self.shards.get(&shard)
    }

    /// All shards, by their numbers.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = (ShardId, &Segment)> {
        self.shards.iter().map(|(shard, segment)| (*shard, segment))
    }

    /// All candidates that are not final.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.shards.values().flat_map(|segment| &segment.pending)
    }

    /// What validators have done wrong in this epoch, newest last; one of each kind.
    pub fn offences(&self) -> impl ExactSizeIterator<Item = &Offence> {
        self.offences.iter()
    }

    /// Who may back nothing until the epoch ends.
    #[must_use]
    pub const fn banned(&self) -> Bits {
        self.banned
    }

    /// Who was asked to check a candidate and was not there: they are chosen last for a while.
    #[must_use]
    pub const fn no_shows(&self) -> &Penalties {
        &self.no_shows
    }

    /// The validators that back candidates of a core, for a schedule of this height.
    #[must_use]
    pub fn group(&self, core: u16, height: u64) -> Bits {
        self.groups(height)
            .group_on(&self.ring, core, self.rotation(height))
    }

    fn groups(&self, height: u64) -> Groups {
        let cores = u16::try_from(self.cores.at(height).len()).unwrap_or(u16::MAX);
        Groups {
            seed: self.seed,
            epoch: self.epoch,
            validators: self.rules.validators,
            cores,
            size: self.rules.group_size,
        }
    }

    fn rotation(&self, height: u64) -> u64 {
        height.checked_div(self.rules.rotation_blocks).unwrap_or(0)
    }

    /// Its encoding: what the digest covers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENCODED_BYTES);
        self.write(&mut bytes);
        bytes
    }

    /// The same with groups as a test wants them.
    #[cfg(test)]
    pub(crate) fn seeded(mut self, wanted: impl Fn(&Self) -> bool) -> Self {
        for salt in 0..100_000_u64 {
            self.seed = B256::left_padding_from(&salt.to_be_bytes());
            if wanted(&self) {
                self.seal();
                return self;
            }
        }
        panic!("no seed gives these groups");
    }

    const fn now(&self) -> Moment {
        Moment {
            height: self.height,
            ms: self.timestamp_ms,
        }
    }

    fn seal(&mut self) {
        let (groups, rotation) = (self.groups(self.height), self.rotation(self.height));
        if !self.ring.is_of(&groups, rotation) {
            self.ring = Arc::new(groups.ring(rotation));
        }
        self.digest = B256::from_slice(BlockHasher::hash(&[&self.to_bytes()]).as_ref());
    }
}

/// Bounds of the sections of a relay chain with these rules and so many cores.
#[must_use]
pub fn section_limits(rules: &LedgerRules, cores: usize) -> SectionLimits {
    SectionLimits {
        backed: u16::try_from(cores).unwrap_or(u16::MAX),
        votes: rules.validators,
        equivocations: rules.validators,
        orders: u16::try_from(ORDERS_MAX).unwrap_or(u16::MAX),
    }
}

fn check_terms(terms: &ShardTerms) -> Result<(), RulesError> {
    if terms.collators.len() > rules::COLLATORS_MAX {
        return Err(RulesError {
            field: "collators",
            must: "at most 64",
        });
    }
    check_gas_limit(terms.gas_limit)?;
    if terms.cores_max == 0 {
        return Err(RulesError {
            field: "cores_max",
            must: "above 0",
        });
    }
    Ok(())
}

/// Whoever owns a shard sets its gas limit, and all validators execute what it allows.
const fn check_gas_limit(gas_limit: u64) -> Result<(), RulesError> {
    if gas_limit == 0 || gas_limit > SHARD_GAS_MAX {
        return Err(RulesError {
            field: "gas_limit",
            must: "1 to 1000000000",
        });
    }
    Ok(())
}

/// The entry of a ring whose last one is of the height before `newest`.
fn nth_back(ring: &VecDeque<B256>, newest: u64, height: u64) -> Option<B256> {
    let back = usize::try_from(newest.checked_sub(height)?).ok()?;
    ring.get(ring.len().checked_sub(back)?).copied()
}
