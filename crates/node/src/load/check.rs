//! What the chain holds at the end, against what the transactions did: a second way to count them.
//!
//! ```text
//! succeeded transactions ─ their actions again ─▶ Expected ─┐
//!                                                           ├─▶ Check: how many of how many are right
//! balances, supplies, counters, tallies, items ─ eth_call ──┘
//! ```
//! Everything is of this run alone, because its contracts and recipients are. With transactions missing
//! there is nothing to expect, and a run with such has failed already.

use super::{
    OnProgress, Progress,
    client::Client,
    error::LoadError,
    fates::{Fate, Fates},
    plan::{Action, COLLECTIONS, PAIRS, Plan},
    scene::{Place, Scene, VALUE_WEI},
};
use crate::contracts;
use alloy_primitives::{Address, Bytes, U256};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// One property, and how far it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How many accounts, counters or items there are.
    pub expected: u64,
    /// How many of them hold what they should.
    pub found: u64,
}

/// What the transactions that succeeded come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Expected {
    /// Of each recipient: wei and tokens.
    transfers: BTreeMap<u32, u64>,
    tokens: BTreeMap<u32, u64>,
    swaps: u64,
    mints: BTreeMap<u32, u64>,
    /// Votes against, in favour and abstaining on each proposal.
    votes: BTreeMap<u64, [u64; 3]>,
    /// Steps of each item.
    items: BTreeMap<u64, u64>,
}

/// Reads and compares.
pub(super) struct Checker<'a> {
    pub(super) client: &'a Client,
    pub(super) scene: &'a Scene,
    pub(super) senders: &'a [Address],
    pub(super) progress: OnProgress<'a>,
}

impl Check {
    fn count(name: &'static str, pairs: impl Iterator<Item = (U256, U256)>) -> Self {
        let (mut expected, mut found) = (0, 0);
        for (should, is) in pairs {
            expected += 1;
            found += u64::from(should == is);
        }
        Self {
            name,
            expected,
            found,
        }
    }

    /// Whether it holds everywhere.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.expected == self.found
    }
}

impl Expected {
    fn of(plan: &Plan, fates: &Fates) -> Self {
        let mut expected = Self::default();
        let actions = (0..plan.senders).flat_map(|sender| {
            let actions = plan.actions(sender).enumerate();
            actions.map(move |(nth, action)| (plan.index_of(sender, nth), action))
        });
        for (index, action) in actions {
            if fates.fate(index) == Some(Fate::Succeeded) {
                expected.add(action);
            }
        }
        expected
    }

    fn add(&mut self, action: Action) {
        match action {
            Action::Transfer { recipient } => *self.transfers.entry(recipient).or_default() += 1,
            Action::Token { recipient } => *self.tokens.entry(recipient).or_default() += 1,
            Action::Swap { .. } => self.swaps += 1,
            Action::Mint { collection } => *self.mints.entry(collection).or_default() += 1,
            Action::Vote { proposal, support } => {
                let tally = self.votes.entry(proposal).or_default();
                if let Some(votes) = tally.get_mut(usize::from(support)) {
                    *votes += 1;
                }
            }
            Action::Make { item } | Action::Pass { item, .. } => {
                *self.items.entry(item).or_default() += 1;
            }
        }
    }
}

impl Checker<'_> {
    /// Every property of the plan's contracts.
    pub(super) async fn run(&self, plan: &Plan, fates: &Fates) -> Result<Vec<Check>, LoadError> {
        let expected = Expected::of(plan, fates);
        let mut checks = Vec::new();
        if !expected.transfers.is_empty() {
            checks.push(self.transfers(&expected).await?);
        }
        if !expected.tokens.is_empty() {
            checks.extend(self.tokens(&expected).await?);
        }
        if expected.swaps > 0 {
            checks.extend(self.swaps().await?);
        }
        if !expected.mints.is_empty() {
            checks.push(self.mints(&expected, plan).await?);
        }
        if !expected.votes.is_empty() {
            checks.push(self.votes(&expected).await?);
        }
        if !expected.items.is_empty() {
            checks.push(self.items(&expected).await?);
        }
        Ok(checks)
    }

    async fn transfers(&self, expected: &Expected) -> Result<Check, LoadError> {
        let accounts = expected.transfers.keys().copied();
        let accounts = accounts.map(|number| json!([self.scene.recipient(number), "latest"]));
        let total = expected.transfers.len();
        let told = |done| (self.progress)(Progress::of("checking", done, total));
        let balances: Vec<U256> = self.client.read("eth_getBalance", accounts, told).await?;
        let gains = expected.transfers.values();
        let gains = gains.map(|count| U256::from(*count) * VALUE_WEI);
        Ok(Check::count("recipients' balances", gains.zip(balances)))
    }

    async fn tokens(&self, expected: &Expected) -> Result<[Check; 2], LoadError> {
        let token = self.scene.address(Place::Token);
        let recipients = expected
            .tokens
            .keys()
            .map(|number| self.scene.recipient(*number));
        let recipients: Vec<Address> = recipients.collect();
        let gained = self.balances(token, &recipients).await?;
        let kept = self.balances(token, self.senders).await?;
        let held = gained
            .iter()
            .chain(&kept)
            .fold(U256::ZERO, |sum, held| sum + held);
        let supply = self.number(token, "totalSupply()").await?;
        let gains = expected.tokens.values().map(|count| U256::from(*count));
        Ok([
            Check::count("recipients' tokens", gains.zip(gained)),
            Check::count("token supply", [(supply, held)].into_iter()),
        ])
    }

    /// What senders and pairs hold of a coin is all there is, and pairs know what they hold.
    async fn swaps(&self) -> Result<[Check; 2], LoadError> {
        let pairs: Vec<Address> = (0..=PAIRS)
            .map(|pair| self.scene.address(Place::Pair(pair)))
            .collect();
        let (mut supplies, mut holdings) = (Vec::new(), Vec::new());
        for coin in [0, 1] {
            let coin = self.scene.address(Place::Coin(coin));
            let supply = self.number(coin, "totalSupply()").await?;
            let senders = self.balances(coin, self.senders).await?;
            let held = self.balances(coin, &pairs).await?;
            let all = senders
                .iter()
                .chain(&held)
                .fold(U256::ZERO, |sum, held| sum + held);
            supplies.push((supply, all));
            holdings.push(held);
        }
        let reserves = pairs
            .iter()
            .map(|pair| (*pair, contracts::call("getReserves()", &[])));
        let reserves = self.call(reserves).await?;
        let known = [0, 1].map(|coin| reserves.iter().map(move |words| word(words, coin)));
        let known = known.into_iter().flatten();
        let held = holdings.into_iter().flatten();
        Ok([
            Check::count("coin supplies", supplies.into_iter()),
            Check::count("reserves of pairs", known.zip(held)),
        ])
    }

    async fn mints(&self, expected: &Expected, plan: &Plan) -> Result<Check, LoadError> {
        let spread = match plan.is_all_hot(super::Workload::Nft) {
            true => 0,
            false => COLLECTIONS,
        };
        let input = contracts::call("nextId()", &[]);
        let calls: Vec<_> = (0..=spread)
            .map(|number| (self.scene.address(Place::Collection(number)), input.clone()))
            .collect();
        let counters = self.call(calls.into_iter()).await?;
        let minted = (0..=spread).map(|number| expected.mints.get(&number).copied());
        let minted = minted.map(|count| U256::from(count.unwrap_or_default()));
        let counters = counters.iter().map(|words| word(words, 0));
        Ok(Check::count(
            "counters of collections",
            minted.zip(counters),
        ))
    }

    async fn votes(&self, expected: &Expected) -> Result<Check, LoadError> {
        let governor = self.scene.address(Place::Governor);
        let proposals = expected.votes.keys();
        let calls = proposals.map(|proposal| (governor, of_number("votes(uint256)", *proposal)));
        let tallies = self.call(calls).await?;
        let pairs = expected.votes.values().zip(&tallies).map(|(votes, words)| {
            let is_same = (0..3)
                .zip(votes)
                .all(|(at, votes)| word(words, at) == U256::from(*votes));
            (U256::ONE, U256::from(is_same))
        });
        Ok(Check::count("tallies of proposals", pairs))
    }

    async fn items(&self, expected: &Expected) -> Result<Check, LoadError> {
        let chain = self.scene.address(Place::SupplyChain);
        let items = expected.items.keys();
        let calls = items.map(|item| (chain, of_number("itemOf(uint256)", *item)));
        let found = self.call(calls).await?;
        let stages = found.iter().map(|words| word(words, 1));
        let steps = expected.items.values().map(|steps| U256::from(*steps));
        Ok(Check::count("stages of items", steps.zip(stages)))
    }

    async fn number(&self, contract: Address, signature: &str) -> Result<U256, LoadError> {
        let call = (contract, contracts::call(signature, &[]));
        let found = self.call([call].into_iter()).await?;
        Ok(found
            .first()
            .map(|words| word(words, 0))
            .unwrap_or_default())
    }

    async fn balances(&self, token: Address, owners: &[Address]) -> Result<Vec<U256>, LoadError> {
        let calls = owners.iter().map(|owner| {
            let input = contracts::call("balanceOf(address)", &[owner.into_word()]);
            (token, input)
        });
        let found = self.call(calls).await?;
        Ok(found.iter().map(|words| word(words, 0)).collect())
    }

    async fn call(
        &self,
        calls: impl ExactSizeIterator<Item = (Address, Bytes)>,
    ) -> Result<Vec<Bytes>, LoadError> {
        let total = calls.len();
        // Older nodes know the input by this name only.
        let params = calls.map(|(to, input)| json!([{"to": to, "data": input}, "latest"]));
        let told = |done| (self.progress)(Progress::of("checking", done, total));
        self.client.read("eth_call", params, told).await
    }
}

fn of_number(signature: &str, number: u64) -> Bytes {
    contracts::call(signature, &[U256::from(number).into()])
}

/// A word of what a call returned; zero if there is none.
fn word(words: &Bytes, at: usize) -> U256 {
    let word = words.get(32 * at..32 * at + 32);
    word.map(U256::from_be_slice).unwrap_or_default()
}
