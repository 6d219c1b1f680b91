//! Executing a block by its access list.
//!
//! ```text
//!                 ┌ Index: where everything is, what the state says ┐
//!  AccessList ────┤                                                 ├─▶ Worker: execute, compare ─▶ receipts
//!                 └ finish: what differs after the block ───────────┘           └ false: execute without
//! ```
//! The list says what every transaction finds, so all of them run at once and nobody waits for
//! anybody. It also says what each does, and each is compared with that. If every transaction does
//! over what the list says of all earlier ones what the list says of it, then the list is right, by
//! induction. A list that is false costs time and nothing else: the block is executed without it,
//! and the first thing that is false in it is named, the same on every machine.

mod buckets;
mod effects;
mod finish;
mod fraud;
mod index;
mod job;
mod opening;
mod order;
mod reader;
mod spread;
mod worker;

use crate::{
    access::AccessList,
    conformance::Fork,
    engine::Engine,
    executed::ExecutedBlock,
    fault::ExecutionFault,
    input::ExecutionInput,
    report::{Probe, Way},
};
use alloy_consensus::Transaction as _;
pub use fraud::{Falsehood, Field, ListFraud};
use index::Index;
use job::{Job, Outcome};
use opening::Opening;
pub(crate) use reader::ListReader;
use spread::Spread;
use state::StateReader;

/// Locations of a block whose index and diff are made by one thread.
const LOCATIONS_FEW: usize = 8_192;
/// Gas of the first access to a slot that an access list names (EIP-2930), the cheapest there is.
const LOCATION_GAS: u64 = 1_900;
/// Gas of `BALANCE` at first.
const LOCATION_GAS_BEFORE_BERLIN: u64 = 20;
/// Accounts that a transaction touches without paying for each: sender, recipient, code, fee receiver.
const FREE_LOCATIONS: usize = 8;
/// What a block touches before its first transaction, and precompiles.
const OPENING_LOCATIONS: usize = 128;

/// A block that was executed by an access list. Either way the result is that of executing it in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The list is right.
    Executed(ExecutedBlock),
    /// The list is false, and the block was executed without it.
    False {
        /// The first thing that is false.
        fraud: ListFraud,
        /// The result.
        executed: ExecutedBlock,
    },
}

impl Listed {
    /// The block's result.
    #[must_use]
    pub fn into_executed(self) -> ExecutedBlock {
        match self {
            Self::Executed(executed) | Self::False { executed, .. } => executed,
        }
    }
}

impl Engine {
    /// Executes a block over the state before it by its access list, and checks the list.
    ///
    /// What no list can describe is executed without one: blocks before EIP-161, where an empty account
    /// was not the same as none, and directives that set slots of an account that they remove.
    ///
    /// # Errors
    /// When this node's state cannot be read, or the input is cancelled; neither a transaction nor a
    /// list can cause one.
    pub fn execute_listed(
        &self,
        input: &ExecutionInput<'_>,
        state: &(impl StateReader + Sync),
        list: &AccessList,
    ) -> Result<Listed, ExecutionFault> {
        if input.ethereum.unwrap_or_default().fork < Fork::SpuriousDragon {
            return self.execute(input, state).map(Listed::Executed);
        }
        let with_cache = ExecutionInput {
            code_cache: input.code_cache.or_else(|| Some(self.code_cache())),
            ..input.clone()
        };
        let gas_used = list.gas_used().iter().copied();
        let total_gas = gas_used.fold(0, u64::saturating_add);
        let attempt = match &self.pool {
            Some(pool) if total_gas >= self.parallel_gas_min => {
                let lists = list.lists();
                let workers = pool.current_num_threads();
                match lists.accounts.len().saturating_add(lists.slots.len()) < LOCATIONS_FEW {
                    true => self.attempt(
                        &with_cache,
                        state,
                        list,
                        Spread {
                            workers: 1,
                            pool: Some(pool),
                        },
                    ),
                    false => pool.install(|| {
                        self.attempt(
                            &with_cache,
                            state,
                            list,
                            Spread {
                                workers,
                                pool: None,
                            },
                        )
                    }),
                }
            }
            _ => self.attempt(
                &with_cache,
                state,
                list,
                Spread {
                    workers: 1,
                    pool: None,
                },
            ),
        };
        match attempt? {
            Attempt::Executed(executed) => Ok(Listed::Executed(*executed)),
            Attempt::False(fraud) => Ok(Listed::False {
                fraud,
                executed: self.execute(input, state)?,
            }),
            Attempt::Indescribable => self.execute(input, state).map(Listed::Executed),
        }
    }

    fn attempt(
        &self,
        input: &ExecutionInput<'_>,
        state: &(dyn StateReader + Sync),
        list: &AccessList,
        spread: Spread<'_>,
    ) -> Result<Attempt, ExecutionFault> {
        let lists = list.lists();
        if lists.gas_used.len() != input.transactions.len() {
            let fraud = ListFraud::new(0, Falsehood::Malformed, Field::Block);
            return Ok(Attempt::False(fraud));
        }
        if lists.accounts.len().saturating_add(lists.slots.len()) > locations_max(input) {
            let fraud = ListFraud::new(0, Falsehood::TooLong, Field::Block);
            return Ok(Attempt::False(fraud));
        }
        let (opening, index) = spread.join(
            || Opening::execute(input, state),
            || Index::new(lists, state, spread),
        );
        let (opening, index) = (opening?, index?);
        let Some(opening) = opening else {
            return Ok(Attempt::Indescribable);
        };
        let share = match opening.compare(&index) {
            Ok(share) => share,
            Err(fraud) => return Ok(Attempt::False(*fraud)),
        };
        let probe = Probe::new(self.clock.as_ref());
        let job = Job::new(input, state, &index, &probe, share);
        match job.execute(spread)? {
            Outcome::True(executed) => {
                let mut executed = executed.into_block(list, spread);
                let executions = executed.report.executions;
                executed.report = probe.into_report(Way::Listed, self.workers().get());
                executed.report.executions = executions;
                Ok(Attempt::Executed(Box::new(executed)))
            }
            Outcome::False(fraud) => Ok(Attempt::False(fraud)),
        }
    }
}

/// More locations than a block can touch: a list of more is not read.
fn locations_max(input: &ExecutionInput<'_>) -> usize {
    let fork = input.ethereum.unwrap_or_default().fork;
    let cheapest = match fork >= Fork::Berlin {
        true => LOCATION_GAS,
        false => LOCATION_GAS_BEFORE_BERLIN,
    };
    let transactions = input.transactions.iter();
    let gas = transactions.map(|transaction| transaction.gas_limit());
    let gas = gas.fold(0, u64::saturating_add);
    let by_gas = gas.checked_div(cheapest).unwrap_or(u64::MAX);
    let free = input.transactions.len().saturating_mul(FREE_LOCATIONS);
    usize::try_from(by_gas)
        .unwrap_or(usize::MAX)
        .saturating_add(free)
        .saturating_add(input.directives.len())
        .saturating_add(OPENING_LOCATIONS)
}

/// What came of executing a block by a list.
enum Attempt {
    Executed(Box<ExecutedBlock>),
    False(ListFraud),
    /// No list can describe the block.
    Indescribable,
}
