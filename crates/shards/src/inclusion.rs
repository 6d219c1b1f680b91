//! What the next leader can put into its relay block: backed envelopes, votes, evidence.
//!
//! Everything here has been checked by whoever brought it, signatures too; what may enter a given block is
//! decided by trying it on the ledger after that block's parent.
//!
//! Limits: [`ENVELOPES_MAX`] envelopes for each shard, [`VOTES_MAX`] votes of each validator, the newest stay.

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
    votes: BTreeMap<u16, VecDeque<ShardVote>>,
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
            votes.retain(|known| known.votes.height != vote.votes.height);
            votes.push_back(vote);
            if votes.len() > VOTES_MAX {
                votes.pop_front();
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
        for vote in waiting.votes.values().flat_map(newest_first) {
            let room = section.votes.len() < usize::from(limits.votes);
            let names = ledger.digest_at(vote.votes.height).is_some();
            if room && names && draft.count(vote).is_ok() {
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
            votes.retain(|vote| ledger.digest_at(vote.votes.height).is_some());
        }
        let window = ledger.height().saturating_sub(ledger.rules().vote_window);
        waiting
            .equivocations
            .retain(|one| one.first.envelope.schedule.height >= window);
    }
}

/// A newer vote says all that an older one said, so it goes first.
fn newest_first(votes: &VecDeque<ShardVote>) -> impl Iterator<Item = &ShardVote> {
    votes.iter().rev()
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
