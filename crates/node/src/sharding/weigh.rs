//! What each transaction of a block needs of a collation: each is executed alone, over a state that notes what is read.
//!
//! What several of them touch is in a witness once, so what fits together is more than what each weighs. Alone, a
//! transaction finds the nonce that it names, and may do something else than in its block: what is built of these
//! weights is measured again.

use super::{
    chain::ShardChain,
    room::{Shares, Weight},
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{B256HashMap, HashSet},
};
use executor::{BlockEnvironment, ExecutionInput, execute_sequential};
use pipeline::ExecutedRecord;
use primitives::RecoveredTransaction;
use state::{Account, ReadFault, Snapshot, StateReader};
use std::{cell::RefCell, collections::BTreeSet, slice};

/// An account, or a slot of one.
type Location = (Address, Option<U256>);

/// What is read.
#[derive(Debug, Default)]
struct Touched {
    locations: HashSet<Location>,
    /// Bytes of code, by hash.
    codes: B256HashMap<usize>,
}

/// The state under a block as one of its transactions finds it, noting what is read.
struct Noting<'a> {
    state: &'a Snapshot,
    sender: Address,
    nonce: u64,
    touched: RefCell<Touched>,
}

impl StateReader for Noting<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        let mut account = self.state.account(address)?;
        let mut touched = self.touched.borrow_mut();
        touched.locations.insert((*address, None));
        // A witness has the code of every account that is touched, whether or not it runs.
        if let Some(account) = account.as_ref().filter(|account| account.has_code()) {
            let code = self.state.code(&account.code_hash)?;
            let bytes = code.map_or(0, |code| code.len());
            touched.codes.insert(account.code_hash, bytes);
        }
        if *address == self.sender {
            account.get_or_insert_default().nonce = self.nonce;
        }
        Ok(account)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        let mut touched = self.touched.borrow_mut();
        touched.locations.insert((*address, Some(*slot)));
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        self.state.code(code_hash)
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
    fn of(
        transaction: &RecoveredTransaction,
        (input, state): (&ExecutionInput<'_>, &Snapshot),
    ) -> Option<Self> {
        let noting = Noting {
            state,
            sender: transaction.sender(),
            nonce: transaction.nonce(),
            touched: RefCell::default(),
        };
        let input = ExecutionInput {
            transactions: slice::from_ref(transaction),
            ..input.clone()
        };
        execute_sequential(&input, &noting).ok()?;
        Some(Self {
            hash: transaction.hash(),
            body: transaction.raw().len(),
            touched: noting.touched.into_inner(),
        })
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
        let transactions = record.transactions.iter();
        let loads = transactions.map(|one| Load::of(one, (&input, &state)));
        let loads = loads.collect::<Option<Vec<_>>>()?;
        let mut all = Touched::default();
        loads.iter().for_each(|load| all.take(&load.touched));
        let bodies = loads.iter().map(|load| load.body);
        let rest = bodies.chain(all.codes.values().copied());
        // What is left are the paths to the locations; that of one is about as long as that of another.
        let paths = bytes.saturating_sub(rest.fold(0, usize::saturating_add));
        let path = paths.checked_div(all.locations.len()).unwrap_or_default();
        Some(Self { loads, path })
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
}
