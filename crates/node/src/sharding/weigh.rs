//! What each transaction of a block needs of a collation: they are executed one after the other, each over what those
//! before it wrote and a state that notes what is read. So each does what it did in its block, whatever it depends on, and
//! what one touches is never another's weight.
//!
//! What several of them touch is in a witness once, so what fits together is more than what each weighs. Without one that
//! does not fit, those after it may do something else: what is built of these weights is measured again. But those before
//! it do the same.
//!
//! Limits: a location weighs [`PATH_MAX`] bytes at most.

use super::{
    chain::ShardChain,
    room::{Shares, Weight},
};
use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{B256HashMap, HashSet},
};
use executor::{BlockEnvironment, ExecutionInput, execute_sequential};
use pipeline::ExecutedRecord;
use primitives::RecoveredTransaction;
use state::{Account, AccountDiff, ReadFault, Snapshot, StateDiff, StateReader};
use std::{cell::RefCell, collections::BTreeSet, slice};

/// Of the path to a location in a witness: fifteen full branches, more than a state of any size has.
const PATH_MAX: usize = 8 << 10;

/// An account, or a slot of one.
type Location = (Address, Option<U256>);

/// What is read.
#[derive(Debug, Default)]
struct Touched {
    locations: HashSet<Location>,
    /// Bytes of code, by hash.
    codes: B256HashMap<usize>,
}

/// The state as a transaction of a block finds it, noting what is read.
struct Noting<'a> {
    /// Under the block.
    state: &'a Snapshot,
    /// By the transactions before.
    written: &'a StateDiff,
    touched: RefCell<Touched>,
}

impl Noting<'_> {
    fn written(&self, address: &Address) -> Option<&AccountDiff> {
        self.written.accounts.get(address)
    }
}

impl StateReader for Noting<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        let account = match self.written(address) {
            Some(written) => written.account,
            None => self.state.account(address)?,
        };
        let mut touched = self.touched.borrow_mut();
        touched.locations.insert((*address, None));
        // A witness has the code of every account that is touched, whether or not it runs, but not what its block deploys.
        let is_older = |one: &Account| !self.written.code.contains_key(&one.code_hash);
        let coded = account.filter(Account::has_code).filter(is_older);
        if let Some(account) = coded {
            let code = self.state.code(&account.code_hash)?;
            let bytes = code.map_or(0, |code| code.len());
            touched.codes.insert(account.code_hash, bytes);
        }
        Ok(account)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        let mut touched = self.touched.borrow_mut();
        touched.locations.insert((*address, Some(*slot)));
        let written = self.written(address);
        match written.and_then(|written| written.storage.get(slot)) {
            Some(value) => Ok(*value),
            None if written.is_some_and(AccountDiff::drops_storage) => Ok(U256::ZERO),
            None => self.state.storage(address, slot),
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        match self.written.code.get(code_hash) {
            Some(code) => Ok(Some(code.clone())),
            None => self.state.code(code_hash),
        }
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        self.state.block_hash(height)
    }
}

/// What one transaction needs.
struct Load {
    hash: B256,
    body: usize,
    touched: Touched,
}

impl Load {
    /// What a transaction needs after what was written, and what it writes.
    fn of(
        transaction: &RecoveredTransaction,
        written: &StateDiff,
        (input, state): (&ExecutionInput<'_>, &Snapshot),
    ) -> Option<(Self, StateDiff)> {
        let noting = Noting {
            state,
            written,
            touched: RefCell::default(),
        };
        let input = ExecutionInput {
            transactions: slice::from_ref(transaction),
            ..input.clone()
        };
        let executed = execute_sequential(&input, &noting).ok()?;
        let load = Self {
            hash: transaction.hash(),
            body: transaction.raw().len(),
            touched: noting.touched.into_inner(),
        };
        Some((load, executed.diff))
    }

    /// What it adds to a collation that has what others touch, where the path to a location is so long.
    fn beside(&self, others: &Touched, path: usize) -> usize {
        let locations = self.touched.locations.iter();
        let locations = locations.filter(|one| !others.locations.contains(*one));
        let codes = self.touched.codes.iter();
        let codes = codes.filter(|(hash, _)| !others.codes.contains_key(*hash));
        locations
            .count()
            .saturating_mul(path)
            .saturating_add(codes.map(|(_, bytes)| *bytes).sum())
            .saturating_add(self.body)
    }
}

impl Touched {
    fn take(&mut self, other: &Self) {
        self.locations.extend(other.locations.iter().copied());
        self.codes
            .extend(other.codes.iter().map(|(hash, bytes)| (*hash, *bytes)));
    }
}

/// The transactions of a block, weighed.
pub(super) struct Scale {
    loads: Vec<Load>,
    path: usize,
}

impl Scale {
    /// Weighs the transactions of a block, given how long its collation is; none if this node's state does not read.
    pub(super) fn new(
        chain: &ShardChain,
        parent: &ExecutedRecord,
        record: &ExecutedRecord,
        bytes: usize,
    ) -> Option<Self> {
        let rules = chain.chain.rules();
        let environment = BlockEnvironment::of(record.block.header(), parent.hash, &rules);
        let input = ExecutionInput::new(&rules, environment, &[], &[]);
        let state = chain.chain.snapshot(parent.height()).ok()?;
        let mut written = StateDiff::default();
        let mut loads = Vec::with_capacity(record.transactions.len());
        for transaction in record.transactions.iter() {
            let (load, diff) = Load::of(transaction, &written, (&input, &state))?;
            written.merge(&diff);
            loads.push(load);
        }
        let mut all = Touched::default();
        loads.iter().for_each(|load| all.take(&load.touched));
        let bodies = loads.iter().map(|load| load.body);
        let rest = bodies.chain(all.codes.values().copied());
        // What is left are the paths to the locations; that of one is about as long as that of another.
        let paths = bytes.saturating_sub(rest.fold(0, usize::saturating_add));
        let path = paths.checked_div(all.locations.len()).unwrap_or_default();
        Some(Self {
            loads,
            path: path.min(PATH_MAX),
        })
    }

    /// What each needs alone.
    pub(super) fn alone(&self) -> Vec<Weight> {
        let none = Touched::default();
        let loads = self.loads.iter();
        loads
            .map(|load| (load.hash, load.beside(&none, self.path)))
            .collect()
    }

    /// Those that fit together, in their order.
    pub(super) fn fitting(&self, mut shares: Shares) -> BTreeSet<B256> {
        let none = Touched::default();
        let mut together = Touched::default();
        let mut fitting = BTreeSet::new();
        for load in &self.loads {
            let (alone, more) = (
                load.beside(&none, self.path),
                load.beside(&together, self.path),
            );
            if shares.take(alone, more) {
                together.take(&load.touched);
                fitting.insert(load.hash);
            }
        }
        fitting
    }

    /// The first ones, as many as fit into so many bytes: without what follows they do what they did.
    pub(super) fn first(&self, bytes_max: usize) -> BTreeSet<B256> {
        let mut together = Touched::default();
        let mut left = bytes_max;
        let mut first = BTreeSet::new();
        for load in &self.loads {
            let Some(less) = left.checked_sub(load.beside(&together, self.path)) else {
                break;
            };
            left = less;
            together.take(&load.touched);
            first.insert(load.hash);
        }
        first
    }
}
