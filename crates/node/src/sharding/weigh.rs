//! What each transaction of a block adds to its collation: the block is executed once more, one transaction after the
//! other, over a state that notes what is read of it first.

use super::{chain::ShardChain, room::Weight};
use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{B256HashSet, HashSet},
};
use executor::{BlockEnvironment, ExecutionInput, execute_one_by_one};
use pipeline::ExecutedRecord;
use state::{Account, ReadFault, StateReader};
use std::cell::RefCell;

/// What has been read.
#[derive(Debug, Default)]
struct Noted {
    locations: HashSet<(Address, Option<U256>)>,
    codes: B256HashSet,
    code_bytes: usize,
}

/// A state that notes what is read of it.
struct Noting<S> {
    state: S,
    noted: RefCell<Noted>,
}

impl<S: StateReader> Noting<S> {
    /// Locations and bytes of code, so far.
    fn sums(&self) -> (usize, usize) {
        let noted = self.noted.borrow();
        (noted.locations.len(), noted.code_bytes)
    }
}

impl<S: StateReader> StateReader for Noting<S> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        let account = self.state.account(address)?;
        let code = account.map(|account| account.code_hash);
        let mut noted = self.noted.borrow_mut();
        noted.locations.insert((*address, None));
        // A witness has the code of every account that is touched, whether or not it runs.
        if let Some(code) = code.filter(|code| noted.codes.insert(*code)) {
            let bytes = self.state.code(&code)?.map_or(0, |bytes| bytes.len());
            noted.code_bytes = noted.code_bytes.saturating_add(bytes);
        }
        Ok(account)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        let mut noted = self.noted.borrow_mut();
        noted.locations.insert((*address, Some(*slot)));
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        self.state.block_hash(height)
    }
}

/// The weights of a block's transactions, in their order, given how long its collation is.
pub(super) fn weigh(
    chain: &ShardChain,
    parent: &ExecutedRecord,
    record: &ExecutedRecord,
    bytes: usize,
) -> Option<Vec<Weight>> {
    let rules = chain.chain.rules();
    let environment = BlockEnvironment::of(record.block.header(), parent.hash, &rules);
    let input = ExecutionInput::new(&rules, environment, &record.transactions, &[]);
    let state = Noting {
        state: chain.chain.snapshot(parent.height()).ok()?,
        noted: RefCell::default(),
    };
    let mut sums = Vec::with_capacity(record.transactions.len());
    let executed = execute_one_by_one(&input, &state, &mut || sums.push(state.sums()));
    executed.ok()?;
    let (locations, code_bytes) = state.sums();
    let bodies = record.transactions.iter().map(|one| one.raw().len());
    // What is left are the paths to the locations; that of one is as long as that of another.
    let paths = bytes.saturating_sub(bodies.fold(code_bytes, usize::saturating_add));
    let path = paths.checked_div(locations).unwrap_or_default();
    let mut before = (0, 0);
    let weights = record.transactions.iter().zip(sums).map(|(one, sums)| {
        let locations = sums.0.saturating_sub(before.0);
        let codes = sums.1.saturating_sub(before.1);
        before = sums;
        let weight = locations
            .saturating_mul(path)
            .saturating_add(codes)
            .saturating_add(one.raw().len());
        (one.hash(), weight)
    });
    Some(weights.collect())
}
