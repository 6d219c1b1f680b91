//! What the next leader can put into its relay block: backed envelopes, votes, evidence.
//!
//! Everything here has been checked by whoever brought it, signatures too; what may enter a given block is
//! decided by trying it on the ledger after that block's parent.
//!
//! Limits: [`ENVELOPES_MAX`] envelopes for each shard, [`VOTES_MAX`] votes of each validator. Of votes those of the
//! highest relay blocks stay, whenever they came: anybody can send a validator's old votes again.

use crate::ledger::{Draft, Ledger, LedgerEvent};
use alloy_primitives::B256;
use primitives::shard::{
    BackedEnvelope, CarriedOrders, Equivocation, ShardId, ShardSection, ShardVote,
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most envelopes kept for one shard.
pub const ENVELOPES_MAX: usize = 64;
/// Most votes kept of one validator: one for each ledger that relay blocks in flight may follow.
pub const VOTES_MAX: usize = 4;
/// Most pieces of evidence kept.
pub const EQUIVOCATIONS_MAX: usize = 64;

#[derive(Debug, Default)]
struct Waiting {
    backed: BTreeMap<ShardId, VecDeque<BackedEnvelope>>,
    /// Of each validator, by the height that is named.
    votes: BTreeMap<u16, BTreeMap<u64, ShardVote>>,
    equivocations: VecDeque<Equivocation>,
}

type Listener = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    listener: Mutex<Option<Listener>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// What waits for a relay block. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Inclusion {
    shared: Arc<Shared>,
}

/// What a leader says about shards, and where that leads.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The section.
    pub section: ShardSection,
    /// The ledger after it.
    pub ledger: Ledger,
    /// What it does.
    pub events: Vec<LedgerEvent>,
}

/// The relay block that a section is for.
#[derive(Clone, Copy, Debug)]
pub struct RelayPlace {
    /// Its height.
    pub height: u64,
    /// Digest of the relay block before it.
    pub parent_digest: B256,
    /// Its time, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// The height whose certified result its header names.
    pub executed_height: u64,
}

impl Inclusion {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls this whenever something new waits. The one who proposes listens.
    pub fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        let mut place = self
            .shared
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(Box::new(listener));
    }

    fn tell(&self) {
        let listener = self
            .shared
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = listener.as_ref() {
            listener();
        }
    }

    /// An envelope has enough backers. The same envelope with other backers replaces it.
    pub fn add_backed(&self, backed: BackedEnvelope) {
        {
            let mut waiting = self.lock();
            let shard = backed.envelope.descriptor.shard;
            let envelopes = waiting.backed.entry(shard).or_default();
            envelopes.retain(|known| known.envelope != backed.envelope);
            envelopes.push_back(backed);
            if envelopes.len() > ENVELOPES_MAX {
                envelopes.pop_front();
            }
        }
        self.tell();
    }

    /// A validator voted.
    pub fn add_vote(&self, vote: ShardVote) {
        {
            let mut waiting = self.lock();
            let votes = waiting.votes.entry(vote.validator).or_default();
            let known = votes.get(&vote.votes.height);
            if known.is_some_and(|known| known.votes.say_all_of(&vote.votes)) {
                return;
            }
            votes.insert(vote.votes.height, vote);
            if votes.len() > VOTES_MAX {
                votes.pop_first();
            }
        }
        self.tell();
    }

    /// A validator backed two candidates for one place.
    pub fn add_equivocation(&self, equivocation: Equivocation) {
        {
            let mut waiting = self.lock();
            if !waiting.equivocations.contains(&equivocation) {
                waiting.equivocations.push_back(equivocation);
            }
            if waiting.equivocations.len() > EQUIVOCATIONS_MAX {
                waiting.equivocations.pop_front();
            }
        }
        self.tell();
    }

    /// Everything that may enter a relay block on this ledger, after the orders that are due; none if the ledger
    /// is not its parent's.
    #[must_use]
    pub fn assemble(
        &self,
        ledger: &Ledger,
        place: RelayPlace,
        orders: &CarriedOrders,
    ) -> Option<Assembled> {
        let mut draft = Draft::new(
            ledger,
            place.height,
            place.parent_digest,
            place.timestamp_ms,
        )
        .ok()?;
        draft.carry(orders, place.executed_height).ok()?;
        let limits = ledger.limits();
        let waiting = self.lock();
        let mut section = ShardSection {
            orders: orders.clone(),
            ..ShardSection::default()
        };
        for equivocation in &waiting.equivocations {
            let room = section.equivocations.len() < usize::from(limits.equivocations);
            if room && draft.convict(equivocation).is_ok() {
                section.equivocations.push(equivocation.clone());
            }
        }
        let names = |vote: &&ShardVote| ledger.digest_at(vote.votes.height).is_some();
        let all = waiting.votes.values();
        // The newest of everybody, which says all that older ones said of what is still pending; then what room is
        // left for: nobody's older votes take the place of another's only one.
        let turns = (0..VOTES_MAX).flat_map(|turn| {
            let newest_first = all.clone().map(move |of| of.values().rev().filter(names));
            newest_first.filter_map(move |mut of| of.nth(turn))
        });
        for vote in turns {
            let room = section.votes.len() < usize::from(limits.votes);
            if room && draft.count(vote).is_ok() {
                section.votes.push(vote.clone());
            }
        }
        draft.settle();
        for envelopes in waiting.backed.values() {
            section
                .backed
                .extend(back(&mut draft, envelopes, usize::from(limits.backed)));
        }
        drop(waiting);
        let (ledger, events) = draft.finish();
        Some(Assembled {
            section,
            ledger,
            events,
        })
    }

    /// Forgets what can't enter a relay block after this finalized ledger.
    pub fn settle(&self, ledger: &Ledger) {
        let mut waiting = self.lock();
        let oldest = ledger
            .height()
            .saturating_sub(ledger.rules().schedule_window);
        waiting.backed.retain(|shard, envelopes| {
            let final_number = ledger
                .shard(*shard)
                .map_or(u64::MAX, |one| one.finalized().number);
            envelopes.retain(|one| {
                one.envelope.descriptor.number > final_number
                    && one.envelope.schedule.height >= oldest
            });
            !envelopes.is_empty()
        });
        for votes in waiting.votes.values_mut() {
            votes.retain(|height, _| ledger.digest_at(*height).is_some());
        }
        let window = ledger.height().saturating_sub(ledger.rules().vote_window);
        waiting
            .equivocations
            .retain(|one| one.first.envelope.schedule.height >= window);
    }
}

/// Lets in one candidate after the other, each on the one before, as long as one fits.
fn back(
    draft: &mut Draft,
    envelopes: &VecDeque<BackedEnvelope>,
    max: usize,
) -> Vec<BackedEnvelope> {
    let mut entered: Vec<BackedEnvelope> = Vec::new();
    while entered.len() < max {
        let Some(next) = envelopes.iter().find(|one| draft.back(one).is_ok()) else {
            break;
        };
        entered.push(next.clone());
    }
    entered
}

#[cfg(test)]
mod tests {
    use super::{Inclusion, VOTES_MAX};
    use commonware_cryptography::Signer as _;
    use primitives::{
        crypto::PrivateKey,
        shard::{Bits, ShardVote, Votes},
    };

    fn vote(validator: u16, height: u64, held: usize) -> ShardVote {
        let votes = Votes {
            height,
            held: Bits::below(held),
            ..Votes::default()
        };
        ShardVote {
            validator,
            votes,
            signature: PrivateKey::from_seed(validator.into()).sign(b"votes", b"any"),
        }
    }

    fn kept(inclusion: &Inclusion, validator: u16) -> Vec<(u64, usize)> {
        let waiting = inclusion.lock();
        let votes = waiting.votes.get(&validator).into_iter().flatten();
        votes
            .map(|(height, vote)| (*height, vote.votes.held.count()))
            .collect()
    }

    #[test]
    fn of_each_validator_the_votes_on_the_highest_relay_blocks_stay() {
        let inclusion = Inclusion::default();
        for height in [20, 21, 22, 23, 16, 17, 18, 19, 22] {
            inclusion.add_vote(vote(1, height, 3));
        }
        inclusion.add_vote(vote(2, 5, 1));
        assert_eq!(kept(&inclusion, 1), [(20, 3), (21, 3), (22, 3), (23, 3)]);
        assert_eq!(kept(&inclusion, 1).len(), VOTES_MAX);
        assert_eq!(kept(&inclusion, 2), [(5, 1)]);
    }

    #[test]
    fn a_vote_that_says_less_replaces_none() {
        let inclusion = Inclusion::default();
        for held in [2, 1, 3, 2] {
            inclusion.add_vote(vote(1, 7, held));
        }
        assert_eq!(kept(&inclusion, 1), [(7, 3)]);
    }
}
