//! A real Ethereum block with the state it touches: do we get the receipts that everybody got?
//!
//! The state root cannot be checked over such a part of the state; gas, bloom and, since Byzantium,
//! the receipts root can.

use super::read::{self, Codes};
use crate::replay::ReplayError;
use alloy_primitives::{B256, Bloom};
use executor::{BlockEnvironment, EthereumRules, ExecutedBlock, ExecutionInput, Fork};
use primitives::{ChainConfig, RecoveredTransaction, chain::Protocol};
use state::MemoryState;
use std::{fmt, path::Path};

/// A block that can be executed and compared.
#[derive(Debug)]
pub struct MainnetBlock {
    pub(super) environment: BlockEnvironment,
    pub(super) rules: EthereumRules,
    pub(super) transactions: Vec<RecoveredTransaction>,
    pub(super) state: MemoryState,
    pub(super) expected: Expected,
}

/// What mainnet agreed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) gas_used: u64,
    pub(super) logs_bloom: Bloom,
    pub(super) receipts_root: B256,
    pub(super) transactions_root: B256,
}

impl MainnetBlock {
    /// Reads a block's file.
    ///
    /// # Errors
    /// When it can't be read, has another form, or names code that `codes` lacks.
    pub fn read(path: &Path, codes: &Codes) -> Result<Self, ReplayError> {
        read::block(path, codes)
    }

    /// Height of the block.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.environment.height
    }

    /// The fork whose rules it ran under.
    #[must_use]
    pub const fn fork(&self) -> Fork {
        self.rules.fork
    }

    /// Gas that its header says it used.
    #[must_use]
    pub const fn gas_used(&self) -> u64 {
        self.expected.gas_used
    }

    /// Its transactions.
    #[must_use]
    pub fn transactions(&self) -> &[RecoveredTransaction] {
        &self.transactions
    }

    /// What it touches.
    #[must_use]
    pub const fn state(&self) -> &MemoryState {
        &self.state
    }

    /// What to execute over [`Self::state`].
    #[must_use]
    pub fn input<'a>(&'a self, chain: &'a ChainConfig) -> ExecutionInput<'a> {
        let environment = self.environment.clone();
        ExecutionInput::ethereum(chain, environment, &self.transactions, self.rules)
    }

    /// Every difference between our result and mainnet's.
    #[must_use]
    pub fn differences(&self, executed: &ExecutedBlock) -> Vec<Difference> {
        let expected = &self.expected;
        let roots = executed.roots(&self.transactions);
        let mut found = Vec::new();
        let mut compare = |field, expected: &dyn fmt::Display, got: &dyn fmt::Display| {
            let (expected, got) = (expected.to_string(), got.to_string());
            if expected != got {
                let detail = format!("expected={expected} got={got}");
                found.push(Difference {
                    height: self.environment.height,
                    field,
                    detail,
                });
            }
        };
        compare(Field::GasUsed, &expected.gas_used, &executed.gas_used);
        compare(
            Field::TransactionsRoot,
            &expected.transactions_root,
            &roots.transactions_root,
        );
        // Receipts named the state root of each transaction before Byzantium.
        if self.rules.fork >= Fork::Byzantium {
            compare(
                Field::ReceiptsRoot,
                &expected.receipts_root,
                &roots.receipts_root,
            );
        }
        if executed.logs_bloom != expected.logs_bloom {
            found.push(self.difference(Field::LogsBloom, String::new()));
        }
        let faults = executed.inclusion_faults.iter();
        found.extend(faults.map(|fault| self.difference(Field::Inclusion, fault.to_string())));
        found
    }

    /// Every difference between two ways of executing this block.
    pub(super) fn differences_between(
        &self,
        reference: &ExecutedBlock,
        executed: &ExecutedBlock,
    ) -> Vec<Difference> {
        let mut found = Vec::new();
        if reference.receipts != executed.receipts {
            let mut pairs = reference.receipts.iter().zip(&executed.receipts);
            let first = pairs.position(|(one, other)| one != other);
            let first =
                first.unwrap_or_else(|| reference.receipts.len().min(executed.receipts.len()));
            found.push(self.difference(Field::Receipts, format!("transaction={first}")));
        }
        if reference.diff != executed.diff {
            found.push(self.difference(Field::StateDiff, String::new()));
        }
        found
    }

    const fn difference(&self, field: Field, detail: String) -> Difference {
        Difference {
            height: self.environment.height,
            field,
            detail,
        }
    }
}

/// Ethereum mainnet.
#[must_use]
pub fn chain() -> ChainConfig {
    ChainConfig {
        chain_id: 1,
        gas_limit: u64::MAX,
        protocol: Protocol::default(),
    }
}

/// What may differ from mainnet, or from sequential execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Gas of the whole block.
    GasUsed,
    /// Bloom over all logs.
    LogsBloom,
    /// Root over the receipts: status, gas and logs of every transaction.
    ReceiptsRoot,
    /// Root over the transactions.
    TransactionsRoot,
    /// A transaction that mainnet ran could not run.
    Inclusion,
    /// Receipts of a parallel way against the sequential ones.
    Receipts,
    /// State changes of a parallel way against the sequential ones.
    StateDiff,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GasUsed => "gas used",
            Self::LogsBloom => "logs bloom",
            Self::ReceiptsRoot => "receipts root",
            Self::TransactionsRoot => "transactions root",
            Self::Inclusion => "inclusion",
            Self::Receipts => "receipts",
            Self::StateDiff => "state diff",
        })
    }
}

/// One field of one block that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The block.
    pub height: u64,
    /// The field.
    pub field: Field,
    /// Both values, where they are short.
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            height,
            field,
            detail,
        } = self;
        write!(f, "block {height}: {field} differs")?;
        match detail.as_str() {
            "" => Ok(()),
            detail => write!(f, ": {detail}"),
        }
    }
}
