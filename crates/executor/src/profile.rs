//! What kept the transactions of a block from running at once, and what its contracts could do about it.
//!
//! ```text
//! access list ─▶ who wrote what after whom ─▶ graph ─┬▶ critical path, bounds      ─┐
//! transactions, receipts (calls, logs) ──────────────┴▶ hot places, what they are ─┴▶ Profile ─▶ advice
//! ```
//! A transaction *waits* for the one before it that wrote a storage slot it writes too, or that gave code
//! to the account it calls. Balances and nonces are sums here: fees, transfers and the nonces of one sender
//! make nobody wait. Work is measured in gas, so that every node says the same of the same block.
//!
//! What is not seen: a transaction that only reads what an earlier one wrote, because an access list does
//! not say who read; a call of fresh code that another contract makes. So the critical path is a lower
//! bound of the true one, as in [`ExecutedBlock::critical_path`](crate::ExecutedBlock::critical_path).
//!
//! Limits: [`HOT_PLACES_MAX`] places, with [`FUNCTIONS_MAX`] functions and [`PLACE_TRANSACTIONS_MAX`]
//! transactions each, [`PATH_TRANSACTIONS_MAX`] of the critical path, [`NONCE_CHAINS_MAX`] senders.

mod advice;
mod graph;
mod place;

use crate::{
    access::AccessList,
    parallel::simulate::{SimulatedMachine, SimulatedTransaction, Timeline, simulate},
    receipt::Receipt,
};
use alloy_primitives::{Address, U256};
use graph::Graph;
use primitives::RecoveredTransaction;
use std::{cmp::Reverse, collections::BTreeMap, num::NonZeroUsize};

/// Places of a block that are described.
pub const HOT_PLACES_MAX: usize = 32;
/// Functions named with one place.
pub const FUNCTIONS_MAX: usize = 8;
/// Transactions named with one place.
pub const PLACE_TRANSACTIONS_MAX: usize = 64;
/// Parts of a block for which it is told how many transactions touch a place.
pub const SPREAD_PARTS: usize = 48;
/// Transactions of the critical path that are named.
pub const PATH_TRANSACTIONS_MAX: usize = 256;
/// Senders with several transactions that are named.
pub const NONCE_CHAINS_MAX: usize = 8;

/// Numbers of workers whose best speed-up is told.
const SPEEDUP_WORKERS: [usize; 6] = [2, 4, 8, 16, 32, 64];
/// Transactions of one sender below which nobody wants to hear of its nonces.
const NONCE_CHAIN_MIN: usize = 8;

/// What one block says about running at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Transactions of the block.
    pub transaction_count: usize,
    /// Their gas.
    pub gas: u64,
    /// Transactions that wait for an earlier one.
    pub waiting_count: usize,
    /// Their gas.
    pub waiting_gas: u64,
    /// What no number of workers makes faster.
    pub critical_path: CriticalPath,
    /// What workers could bring at best.
    pub speedups: Vec<Speedup>,
    /// Places at which somebody waits.
    pub place_count: usize,
    /// Those with most gas waiting, most first.
    pub hot_places: Vec<HotPlace>,
    /// Senders with many transactions, most first. Nobody waits for a nonce alone.
    pub nonce_chains: Vec<NonceChain>,
    nodes: Vec<SimulatedTransaction>,
}

/// The longest chain of transactions of which each waits for the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// Gas of the chain with most gas.
    pub gas: u64,
    /// Transactions of that chain.
    pub transaction_count: usize,
    /// The first of them, by their places in the block.
    pub transactions: Vec<usize>,
    /// Transactions of the chain with most transactions.
    pub count_max: usize,
}

/// What a number of workers could bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speedup {
    /// How many.
    pub workers: usize,
    /// No schedule is more times faster than one worker, in thousandths.
    pub bound_permille: u64,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A storage slot that goes up by the same each time.
    Counter,
    /// A storage slot that only rises or only falls.
    Sum,
    /// What one account has of a token.
    TokenBalance,
    /// What a pool of two tokens has of them, and so its price.
    PoolReserves,
    /// A variable of a contract: a storage slot with a small number.
    Variable,
    /// An entry of a mapping or an array.
    Entry,
    /// The code of an account.
    Code,
}

/// What transactions wrote to a place, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Each added the same.
    Step(U256),
    /// Each added something.
    Rising,
    /// Each took something.
    Falling,
    /// This and that.
    Mixed,
}

/// A place that transactions of a block wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotPlace {
    /// What it is, as far as the block tells.
    pub kind: PlaceKind,
    /// The account.
    pub address: Address,
    /// The storage slot; none for code.
    pub slot: Option<U256>,
    /// Whose balance it is, of a token's.
    pub holder: Option<Address>,
    /// Transactions that wait for an earlier one here.
    pub waiting_count: usize,
    /// Their gas.
    pub waiting_gas: u64,
    /// Transactions of the critical path that wait here.
    pub critical_count: usize,
    /// Their gas.
    pub critical_gas: u64,
    /// What was written.
    pub writes: Writes,
    /// The functions whose calls touch it, most calls first.
    pub functions: Vec<Function>,
    /// The first transactions that touch it, by their places in the block.
    pub transactions: Vec<usize>,
    /// How many touch it in each part of the block, from its beginning to its end; the parts are equal, and
    /// as many as [`SPREAD_PARTS`] or as there are transactions.
    pub spread: Vec<usize>,
}

/// A function as transactions call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Whom the transactions call; none where they create a contract.
    pub to: Option<Address>,
    /// The first four bytes of their input; none where there are fewer.
    pub selector: Option<[u8; 4]>,
    /// How many.
    pub transaction_count: usize,
}

/// Many transactions of one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceChain {
    /// Who.
    pub sender: Address,
    /// How many.
    pub transaction_count: usize,
    /// Their gas.
    pub gas: u64,
}

impl Profile {
    /// What an executed block says: its list, and its transactions and their receipts in order.
    #[must_use]
    pub fn new(
        list: &AccessList,
        transactions: &[RecoveredTransaction],
        receipts: &[Receipt],
    ) -> Self {
        let graph = Graph::new(list.lists(), transactions);
        let path = graph.path();
        let hot = graph.hottest(&path, HOT_PLACES_MAX);
        let block = place::Executed {
            list: list.lists(),
            transactions,
            receipts,
        };
        let hot_places = hot.into_iter().map(|heat| block.describe(&heat)).collect();
        let (waiting_count, waiting_gas) = graph.waiting();
        let nodes = graph.nodes();
        let mut profile = Self {
            transaction_count: graph.gas.len(),
            gas: total(&graph.gas),
            waiting_count,
            waiting_gas,
            place_count: graph.place_count(),
            critical_path: CriticalPath {
                gas: path.gas,
                transaction_count: path.transactions.len(),
                transactions: path
                    .transactions
                    .iter()
                    .copied()
                    .take(PATH_TRANSACTIONS_MAX)
                    .collect(),
                count_max: path.count_max,
            },
            speedups: Vec::new(),
            hot_places,
            nonce_chains: nonce_chains(&graph.gas, transactions),
            nodes,
        };
        profile.speedups = SPEEDUP_WORKERS.map(|n| profile.speedup(n)).to_vec();
        profile
    }

    /// What would help, in sentences; the first one says how the block is as a whole.
    #[must_use]
    pub fn advice(&self) -> Vec<String> {
        advice::sentences(self)
    }

    /// The schedule that this node's workers would follow if each transaction took as long as its gas is
    /// much, and nothing else took any time.
    #[must_use]
    pub fn schedule(&self, workers: NonZeroUsize) -> Timeline {
        simulate(&self.nodes, &SimulatedMachine::ideal(workers))
    }

    /// A part of the block's gas, in thousandths of it.
    #[must_use]
    pub fn permille(&self, gas: u64) -> u64 {
        share(gas, self.gas)
    }

    fn speedup(&self, workers: usize) -> Speedup {
        let count = u64::try_from(workers).unwrap_or(u64::MAX);
        let equal = self.gas.div_ceil(count.max(1));
        let shortest = equal.max(self.critical_path.gas).max(1);
        Speedup {
            workers,
            bound_permille: share(self.gas, shortest).max(1_000),
        }
    }
}

/// A part in thousandths of a whole.
fn share(part: u64, whole: u64) -> u64 {
    let scaled = u128::from(part).saturating_mul(1_000);
    let share = scaled.checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn total(gas: &[u64]) -> u64 {
    gas.iter().copied().fold(0, u64::saturating_add)
}

fn nonce_chains(gas: &[u64], transactions: &[RecoveredTransaction]) -> Vec<NonceChain> {
    let mut by_sender: BTreeMap<Address, (usize, u64)> = BTreeMap::new();
    for (transaction, gas) in transactions.iter().zip(gas) {
        let (count, sum) = by_sender.entry(transaction.sender()).or_default();
        *count = count.saturating_add(1);
        *sum = sum.saturating_add(*gas);
    }
    let mut chains: Vec<NonceChain> = by_sender
        .into_iter()
        .filter(|(_, (count, _))| *count >= NONCE_CHAIN_MIN)
        .map(|(sender, (transaction_count, gas))| NonceChain {
            sender,
            transaction_count,
            gas,
        })
        .collect();
    chains.sort_by_key(|chain| (Reverse(chain.transaction_count), chain.sender));
    chains.truncate(NONCE_CHAINS_MAX);
    chains
}
