//! Blocks made from nothing but a number: for benchmarks, and to compare ways of executing.
//!
//! ```text
//! benchmark: one kind of conflict each, every transaction succeeds ─┐
//!                                                                   ├─▶ GeneratedBlock ─▶ ExecutionInput
//! random:    few accounts, every oddity, faults included ───────────┘
//! ```
//! Nothing is signed but EIP-7702 authorizations: a transaction names its sender. The same number
//! gives the same block.

pub mod benchmark;
mod draft;
mod feature;
mod probe;
pub mod random;

#[cfg(test)]
pub(crate) use draft::Draft;
pub use feature::Feature;
pub use random::random_block;

use executor::{BlockEnvironment, EthereumRules, ExecutionInput};
use primitives::{ChainConfig, Directive, RecoveredTransaction};
use state::MemoryState;
use std::collections::BTreeSet;

/// A block and the state that it runs on.
#[derive(Clone, Debug)]
pub struct GeneratedBlock {
    /// The state before it.
    pub state: MemoryState,
    /// Its transactions, in order.
    pub transactions: Vec<RecoveredTransaction>,
    /// Its place in the chain.
    pub environment: BlockEnvironment,
    /// The rules of the chain.
    pub chain: ChainConfig,
    /// Changes applied first, on a development chain.
    pub directives: Vec<Directive>,
    /// Ethereum's rules, if not the chain's own.
    pub ethereum: Option<EthereumRules>,
    /// What the generator put into it on purpose.
    pub features: BTreeSet<Feature>,
}

impl GeneratedBlock {
    /// What to execute over [`Self::state`].
    #[must_use]
    pub fn input(&self) -> ExecutionInput<'_> {
        let (environment, transactions) = (self.environment.clone(), &self.transactions);
        match self.ethereum {
            Some(rules) => ExecutionInput::ethereum(&self.chain, environment, transactions, rules),
            None => ExecutionInput::new(&self.chain, environment, transactions, &self.directives),
        }
    }

    /// Its result, one transaction after the other.
    #[cfg(test)]
    pub(crate) fn execute(&self) -> executor::ExecutedBlock {
        let executed = executor::execute_sequential(&self.input(), &self.state);
        executed.expect("a state in memory reads")
    }
}
