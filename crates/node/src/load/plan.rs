//! What each transaction of a run does: a pure function of the options, so that nothing of it is stored.
//!
//! ```text
//! index ─▶ sender = index mod senders, nth = index / senders
//!       ─▶ kind (its share of a hundred)  ─▶ hot or spread (so many of a hundred)  ─▶ Action
//! ```
//! Of every hundred transactions in a row exactly `conflicts` are hot, in an order that no number of
//! senders lines up with. What an action names (a recipient, an item, a proposal) is a number; the scene
//! knows the addresses.

use super::Workload;

/// Pairs that spread swaps go over, beside the hot one.
pub(super) const PAIRS: u32 = 16;
/// Collections that spread mints go over, beside the hot one.
pub(super) const COLLECTIONS: u32 = 16;
/// Steps of an item from its making to its delivery; the contract refuses more.
pub(super) const ITEM_STEPS: u64 = 5;
/// The place that hot transactions share, among recipients, pairs, collections and custodians.
pub(super) const HOT: u32 = 0;
/// What kinds and their order are counted in.
const HUNDRED: usize = 100;

/// What one transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Sends one wei.
    Transfer { recipient: u32 },
    /// Sends one unit of the token.
    Token { recipient: u32 },
    /// Swaps one coin of a pair for the other.
    Swap { pair: u32, forward: bool },
    /// Takes the next number of a collection.
    Mint { collection: u32 },
    /// Votes.
    Vote { proposal: u64, support: u8 },
    /// Begins an item.
    Make { item: u64 },
    /// Hands it on.
    Pass { item: u64, custodian: u32 },
}

/// Which transactions a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) workload: Workload,
    pub(super) transactions: usize,
    pub(super) senders: usize,
    /// Of a hundred; none = what is usual for the workload.
    pub(super) conflicts: Option<u8>,
    /// Accounts that spread transfers go to; none = each to one of its own.
    pub(super) recipients: Option<usize>,
}

/// A sender's transactions, one after another.
#[derive(Debug)]
pub(super) struct Actions {
    plan: Plan,
    sender: usize,
    nth: usize,
    /// How many hot votes, spread votes, swaps and steps of items there were.
    hot_votes: u64,
    votes: u64,
    swaps: u64,
    steps: u64,
}

impl Plan {
    /// How many of the transactions a sender sends: as equal as can be.
    pub(super) const fn share(&self, sender: usize) -> usize {
        let more = sender < self.transactions % self.senders;
        self.transactions / self.senders + more as usize
    }

    pub(super) const fn sender_of(&self, index: usize) -> usize {
        index % self.senders
    }

    /// Where it stands among its sender's.
    pub(super) const fn nth_of(&self, index: usize) -> usize {
        index / self.senders
    }

    pub(super) const fn index_of(&self, sender: usize, nth: usize) -> usize {
        nth * self.senders + sender
    }

    /// What a sender's transactions do, in the order of their nonces.
    pub(super) const fn actions(&self, sender: usize) -> Actions {
        Actions {
            plan: *self,
            sender,
            nth: 0,
            hot_votes: 0,
            votes: 0,
            swaps: 0,
            steps: 0,
        }
    }

    /// The kinds that the run has any of.
    pub(super) fn kinds(&self) -> Vec<Workload> {
        match shares(self.workload) {
            [] => vec![self.workload],
            shares => shares.iter().map(|(kind, _)| *kind).collect(),
        }
    }

    fn kind(&self, index: usize) -> Workload {
        let mut place = shuffled(index, 1);
        for (kind, share) in shares(self.workload) {
            if place < *share {
                return *kind;
            }
            place -= share;
        }
        self.workload
    }

    /// Whether no transaction of a kind is spread.
    pub(super) fn is_all_hot(&self, kind: Workload) -> bool {
        self.conflicts.unwrap_or_else(|| usual_conflicts(kind)) >= 100
    }

    fn is_hot(&self, kind: Workload, index: usize) -> bool {
        let conflicts = self.conflicts.unwrap_or_else(|| usual_conflicts(kind));
        shuffled(index, 2) < usize::from(conflicts)
    }

    fn spread_recipient(&self, index: usize) -> u32 {
        let recipients = self.recipients.unwrap_or(usize::MAX);
        number(index % recipients).saturating_add(1)
    }
}

impl Iterator for Actions {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        if self.nth >= self.plan.share(self.sender) {
            return None;
        }
        let index = self.plan.index_of(self.sender, self.nth);
        self.nth += 1;
        let kind = self.plan.kind(index);
        let hot = self.plan.is_hot(kind, index);
        let recipient = match hot {
            true => HOT,
            false => self.plan.spread_recipient(index),
        };
        Some(match kind {
            // A run is never told to be mixed of mixtures.
            Workload::Transfers | Workload::Mixed => Action::Transfer { recipient },
            Workload::Erc20 => Action::Token { recipient },
            Workload::Dex => self.swap(hot),
            Workload::Nft => Action::Mint {
                collection: self.place(hot, COLLECTIONS),
            },
            Workload::Governance => self.vote(hot, index),
            Workload::SupplyChain => self.step(hot),
        })
    }
}

impl Actions {
    /// The hot place, or this sender's of the others.
    fn place(&self, hot: bool, places: u32) -> u32 {
        match hot {
            true => HOT,
            false => 1 + number(self.sender) % places,
        }
    }

    /// There and back again, so that no reserve runs dry.
    fn swap(&mut self, hot: bool) -> Action {
        self.swaps += 1;
        Action::Swap {
            pair: self.place(hot, PAIRS),
            forward: self.swaps % 2 == 1,
        }
    }

    /// A voter has one vote on each proposal: the n-th hot one of every voter is on the n-th proposal.
    fn vote(&mut self, hot: bool, index: usize) -> Action {
        let proposal = match hot {
            true => {
                self.hot_votes += 1;
                self.hot_votes
            }
            false => {
                self.votes += 1;
                self.own(self.votes)
            }
        };
        let support = [1, 0, 1, 2][index % 4];
        Action::Vote { proposal, support }
    }

    /// Items of one maker, each to its end before the next.
    fn step(&mut self, hot: bool) -> Action {
        let (item, step) = (self.steps / ITEM_STEPS, self.steps % ITEM_STEPS);
        self.steps += 1;
        let item = self.own(item);
        if step == 0 {
            return Action::Make { item };
        }
        // Each maker has custodians of its own, one for each step.
        let own = number(self.sender) * number(ITEM_STEPS as usize) + number(step as usize);
        let custodian = if hot { HOT } else { 1 + own };
        Action::Pass { item, custodian }
    }

    /// A number that no other sender uses, above those that all share.
    const fn own(&self, number: u64) -> u64 {
        ((self.sender as u64 + 1) << 32) | number
    }
}

/// The parts of a mixture, in hundredths; of anything else none.
const fn shares(workload: Workload) -> &'static [(Workload, usize)] {
    match workload {
        Workload::Mixed => &[
            (Workload::Transfers, 40),
            (Workload::Erc20, 25),
            (Workload::Dex, 15),
            (Workload::SupplyChain, 10),
            (Workload::Nft, 5),
            (Workload::Governance, 5),
        ],
        _ => &[],
    }
}

/// A collection has one counter and a proposal one tally: fighting over them is what they are for.
const fn usual_conflicts(kind: Workload) -> u8 {
    match kind {
        Workload::Nft | Workload::Governance => 100,
        _ => 0,
    }
}

/// The place of an index in a shuffle of its hundred: each of 0 to 99 once.
fn shuffled(index: usize, salt: u64) -> usize {
    let (hundred, place) = (index / HUNDRED, index % HUNDRED);
    let turn = mixed((hundred as u64).wrapping_mul(4).wrapping_add(salt));
    // Multipliers without a common factor with 100 keep every place.
    let factor = [37, 41, 43, 47, 53, 59, 61, 63][(turn >> 32) as usize % 8];
    let offset = (turn % HUNDRED as u64) as usize;
    (place * factor + offset) % HUNDRED
}

/// SplitMix64: a number that looks like chance.
const fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
