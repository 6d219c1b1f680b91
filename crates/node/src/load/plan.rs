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
        let own = self.sender as u64 * ITEM_STEPS + step;
        let custodian = if hot {
            HOT
        } else {
            u32::try_from(1 + own).unwrap_or(u32::MAX)
        };
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
    let offset = usize::try_from(turn % HUNDRED as u64).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const ALL: [Workload; 7] = [
        Workload::Transfers,
        Workload::Erc20,
        Workload::Dex,
        Workload::Nft,
        Workload::Governance,
        Workload::SupplyChain,
        Workload::Mixed,
    ];

    fn plans() -> impl Iterator<Item = Plan> {
        ALL.into_iter().flat_map(|workload| {
            [1, 7, 20, 100, 250].into_iter().flat_map(move |senders| {
                [None, Some(0), Some(37), Some(100)].map(|conflicts| Plan {
                    workload,
                    transactions: 2_000,
                    senders,
                    conflicts,
                    recipients: None,
                })
            })
        })
    }

    /// Every action by its index.
    fn actions(plan: &Plan) -> BTreeMap<usize, Action> {
        let mut all = BTreeMap::new();
        for sender in 0..plan.senders {
            for (nth, action) in plan.actions(sender).enumerate() {
                let index = plan.index_of(sender, nth);
                assert_eq!((plan.sender_of(index), plan.nth_of(index)), (sender, nth));
                assert_eq!(all.insert(index, action), None);
            }
        }
        all
    }

    const fn is_hot(action: Action) -> bool {
        match action {
            Action::Transfer { recipient } | Action::Token { recipient } => recipient == HOT,
            Action::Swap { pair, .. } => pair == HOT,
            Action::Mint { collection } => collection == HOT,
            Action::Vote { proposal, .. } => proposal < 1 << 32,
            Action::Make { .. } => false,
            Action::Pass { custodian, .. } => custodian == HOT,
        }
    }

    #[test]
    fn every_index_is_somebodys_and_shares_differ_by_one_at_most() {
        for (transactions, senders) in [(20_000, 20), (7, 3), (2, 5), (1, 1), (1_000, 999)] {
            let plan = Plan {
                workload: Workload::Mixed,
                transactions,
                senders,
                conflicts: None,
                recipients: None,
            };
            assert_eq!(actions(&plan).len(), transactions);
            let shares: Vec<usize> = (0..senders).map(|sender| plan.share(sender)).collect();
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn of_every_hundred_so_many_are_hot() {
        for plan in plans().filter(|plan| plan.kinds().len() == 1) {
            let kind = plan.workload;
            let expected = plan.conflicts.unwrap_or_else(|| usual_conflicts(kind));
            let all: Vec<Action> = actions(&plan).into_values().collect();
            for hundred in all.chunks(100) {
                let hot = hundred.iter().filter(|action| is_hot(**action)).count();
                // The making of an item touches nobody else's.
                let made = hundred
                    .iter()
                    .filter(|action| matches!(action, Action::Make { .. }));
                let range = usize::from(expected).saturating_sub(made.count())..=expected.into();
                assert!(range.contains(&hot), "{plan:?}: {hot}");
            }
        }
    }

    #[test]
    fn a_mixture_has_its_shares_in_every_hundred() {
        for plan in plans().filter(|plan| plan.workload == Workload::Mixed) {
            let all: Vec<Action> = actions(&plan).into_values().collect();
            for hundred in all.chunks(100) {
                let count = |is_one: fn(&&Action) -> bool| hundred.iter().filter(is_one).count();
                let counts = [
                    count(|action| matches!(action, Action::Transfer { .. })),
                    count(|action| matches!(action, Action::Token { .. })),
                    count(|action| matches!(action, Action::Swap { .. })),
                    count(|action| matches!(action, Action::Make { .. } | Action::Pass { .. })),
                    count(|action| matches!(action, Action::Mint { .. })),
                    count(|action| matches!(action, Action::Vote { .. })),
                ];
                assert_eq!(counts, [40, 25, 15, 10, 5, 5]);
            }
        }
    }

    /// What makes the contracts refuse: a second vote, an item passed before it is made or too often.
    #[test]
    fn nothing_is_done_that_a_contract_refuses() {
        for plan in plans() {
            let mut items: BTreeMap<u64, u64> = BTreeMap::new();
            for sender in 0..plan.senders {
                require_lawful(&plan, sender, &mut items);
            }
        }
    }

    fn require_lawful(plan: &Plan, sender: usize, items: &mut BTreeMap<u64, u64>) {
        let mut voted = BTreeSet::new();
        for action in plan.actions(sender) {
            match action {
                Action::Vote { proposal, support } => {
                    assert!(voted.insert(proposal) && support < 3, "{plan:?}");
                }
                Action::Make { item } => assert_eq!(items.insert(item, 1), None),
                Action::Pass { item, .. } => {
                    let steps = items.get_mut(&item).expect("made before");
                    *steps += 1;
                    assert!(*steps <= ITEM_STEPS);
                }
                _ => {}
            }
        }
    }

    /// Of two senders, what is spread touches nothing that both write.
    #[test]
    fn what_is_spread_is_apart() {
        for plan in plans().filter(|plan| plan.conflicts == Some(0) && plan.senders <= 16) {
            let mut owners: BTreeMap<String, usize> = BTreeMap::new();
            for (index, action) in actions(&plan) {
                let place = match action {
                    Action::Transfer { recipient } => format!("recipient {recipient}"),
                    Action::Token { recipient } => format!("holder {recipient}"),
                    Action::Swap { pair, .. } => format!("pair {pair}"),
                    Action::Mint { collection } => format!("collection {collection}"),
                    Action::Vote { proposal, .. } => format!("proposal {proposal}"),
                    Action::Make { item } => format!("item {item}"),
                    Action::Pass { custodian, .. } => format!("custodian {custodian}"),
                };
                let sender = plan.sender_of(index);
                assert_eq!(*owners.entry(place).or_insert(sender), sender, "{plan:?}");
            }
        }
    }

    #[test]
    fn recipients_are_as_many_as_asked_for() {
        let plan = |recipients| Plan {
            workload: Workload::Transfers,
            transactions: 1_000,
            senders: 7,
            conflicts: None,
            recipients,
        };
        let count = |recipients| {
            let all = actions(&plan(recipients)).into_values();
            let all: BTreeSet<u32> = all
                .map(|action| match action {
                    Action::Transfer { recipient } => recipient,
                    other => panic!("{other:?}"),
                })
                .collect();
            all.len()
        };
        assert_eq!(count(None), 1_000);
        assert_eq!(count(Some(10)), 10);
        assert_eq!(count(Some(1)), 1);
    }
}
