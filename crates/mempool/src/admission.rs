//! What the pool takes, and what it says when it does not.
//!
//! ```text
//! RecoveredTransaction ─check (rules of the chain)─▶ CheckedTransaction ─admit (account, prices, room)─▶ lane
//! ```
//! The first step needs no state and no lock. Messages are geth's, because wallets and libraries
//! match on them.

use crate::{config::Config, entry::Fees};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use primitives::{
    RecoveredTransaction,
    static_check::{StaticError, check_static},
};

/// A transaction that the rules of the chain allow at some base fee, whatever the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTransaction {
    pub(crate) transaction: RecoveredTransaction,
    pub(crate) nonce: u64,
    pub(crate) fees: Fees,
    pub(crate) cost: U256,
    /// The part of `cost` that is gas.
    pub(crate) gas_cost: U256,
}

impl CheckedTransaction {
    /// Checks a transaction against the rules of the chain and the smallest fee taken.
    ///
    /// Its maximum fee may lie below the current base fee: it then waits for the base fee to fall.
    ///
    /// # Errors
    /// [`AdmissionError::Static`], [`AdmissionError::FeeTooLow`].
    pub fn check(
        transaction: RecoveredTransaction,
        config: &Config,
    ) -> Result<Self, AdmissionError> {
        check_static(&transaction, &config.chain, 0)?;
        let fees = Fees::of(&transaction);
        if fees.priority_fee < config.priority_fee_min {
            return Err(AdmissionError::FeeTooLow {
                priority_fee: fees.priority_fee,
                least: config.priority_fee_min,
            });
        }
        let gas_cost = U256::from(fees.max_fee) * U256::from(transaction.gas_limit());
        let cost = gas_cost.checked_add(transaction.value());
        let cost = cost.expect("the static check refuses a cost that overflows");
        Ok(Self {
            nonce: transaction.nonce(),
            fees,
            cost,
            gas_cost,
            transaction,
        })
    }

    /// The transaction.
    #[must_use]
    pub const fn transaction(&self) -> &RecoveredTransaction {
        &self.transaction
    }
}

/// A transaction that is in the pool now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Which one.
    pub hash: B256,
    /// Executable now; otherwise queued behind a nonce gap.
    pub pending: bool,
    /// The one it took the place of.
    pub replaced: Option<B256>,
}

/// Why a transaction is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// Against the rules of the chain, whatever the state.
    #[error(transparent)]
    Static(#[from] StaticError),
    /// This very transaction is in the pool.
    #[error("already known")]
    AlreadyKnown,
    /// Its nonce is used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's nonce.
        next: u64,
        /// Its own.
        nonce: u64,
    },
    /// Its nonce is too far ahead.
    #[error("nonce too high: next nonce {next}, tx nonce {nonce}, gap allowed {gap_max}")]
    NonceTooHigh {
        /// The sender's next executable nonce.
        next: u64,
        /// Its own.
        nonce: u64,
        /// The limit.
        gap_max: u64,
    },
    /// Another one has its nonce and does not pay sufficiently less.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The sender cannot pay for it.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        .cost.saturating_sub(*.balance)
    )]
    InsufficientFunds {
        /// What the sender has.
        balance: U256,
        /// The most it may take.
        cost: U256,
    },
    /// The sender cannot pay for it on top of what is pending.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {pending_cost}, tx cost {cost}, \
         overshot {}",
        .pending_cost.saturating_add(*.cost).saturating_sub(*.balance)
    )]
    Overdrawn {
        /// What the sender has.
        balance: U256,
        /// The most that the sender's other pending ones may take.
        pending_cost: U256,
        /// The most it may take.
        cost: U256,
    },
    /// Gas of a delegated account is paid from its reserve, because its code may spend the rest.
    #[error(
        "insufficient funds for gas * price of a delegated account: reserve {reserve}, gas cost {gas_cost}"
    )]
    ReserveTooLow {
        /// The reserve, or the balance if that is less.
        reserve: U256,
        /// What its gas may cost.
        gas_cost: U256,
    },
    /// The sender is a contract (EIP-3607).
    #[error("sender not an eoa: address {0}")]
    SenderIsContract(Address),
    /// Its priority fee is below what this node takes.
    #[error("transaction underpriced: gas tip cap {priority_fee}, minimum needed {least}")]
    FeeTooLow {
        /// What it offers.
        priority_fee: u128,
        /// What is taken.
        least: u128,
    },
    /// The pool is full of better ones.
    #[error("transaction underpriced")]
    Underpriced,
    /// The pool is full and this one would take the place of a pending one without being so itself.
    #[error("txpool is full")]
    PoolFull,
    /// The sender has as many as it may.
    #[error("account limit exceeded: {max} transactions")]
    AccountLimitExceeded {
        /// The limit.
        max: usize,
    },
}
