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
pub use fraud::{Falsehood, Field, ListFraud};
use index::Index;
use job::{Job, Outcome};
use opening::Opening;
pub(crate) use reader::ListReader;
use spread::Spread;
use state::StateReader;

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
                let workers = pool.current_num_threads();
                pool.install(|| self.attempt(&with_cache, state, list, workers))
            }
            _ => self.attempt(&with_cache, state, list, 1),
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
        workers: usize,
    ) -> Result<Attempt, ExecutionFault> {
        let lists = list.lists();
        if lists.gas_used.len() != input.transactions.len() {
            let fraud = ListFraud::new(0, Falsehood::Malformed, Field::Block);
            return Ok(Attempt::False(fraud));
        }
        let spread = Spread { workers };
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
                executed.report = probe.into_report(Way::Listed, workers);
                executed.report.executions = executions;
                Ok(Attempt::Executed(Box::new(executed)))
            }
            Outcome::False(fraud) => Ok(Attempt::False(fraud)),
        }
    }
}

/// What came of executing a block by a list.
enum Attempt {
    Executed(Box<ExecutedBlock>),
    False(ListFraud),
    /// No list can describe the block.
    Indescribable,
}
