//! The affordability rule: which transactions may be ordered before the blocks in between ran.
//!
//! ```text
//! … e ─────────── e+1 … N−1 ─────────── N ─────▶
//!   state at e    ordered, in flight    the block that is proposed, voted on, or simulated
//!                 record_ordered        admit, one by one
//! ```
//! Every transaction that [`InFlight::admit`] takes can pay and has the right nonce when it
//! executes, whatever the transactions around it do. The state that answers for it is the one
//! at `e`, the newest height with a certified result that the block's header names.
//!
//! - **Nonce**: the nonce at `e` plus the sender's transactions in flight.
//! - **Ordinary account** (no delegation at `e`): nobody else can take its money, so the balance at
//!   `e` covers the value and gas of all its transactions in flight and of this one. Money on its
//!   way to the account counts once it has arrived.
//! - **Delegated account**: anybody may spend its balance through its code, except for the reserve,
//!   which execution protects. So gas alone is counted, against `min(balance, reserve)`.
//! - **Authorization in flight** (EIP-7702): it *counts* if it may turn out valid: chain id 0 or
//!   ours, and a nonce between the authority's nonce at `e` and the highest it can have by then.
//!   From then on the authority may be delegated and its nonce is unknown, so nothing more of it is
//!   admitted until that has executed. What was ordered before is not affected. Old public
//!   authorizations have low nonces and freeze nobody.
//!
//! The rule is pure: account values in, a verdict out. The pool, a proposer, a voter and the RPC
//! budget all ask this one; the executor tests it against execution.

use crate::RecoveredTransaction;
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256, map::AddressMap};

/// What an account's code is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeKind {
    /// It has none.
    #[default]
    None,
    /// An EIP-7702 delegation: the account has a key, and anybody can run its code.
    Delegated,
    /// A contract's.
    Contract,
}

impl CodeKind {
    /// What code in the state is. A delegation is exactly `0xef0100` and an address.
    #[must_use]
    pub fn of(code: &[u8]) -> Self {
        match code {
            [] => Self::None,
            [0xef, 0x01, 0x00, address @ ..] if address.len() == Address::len_bytes() => {
                Self::Delegated
            }
            _ => Self::Contract,
        }
    }
}

/// What the rule reads of an account at `e`; an account that does not exist is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountView {
    /// Transaction count.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// What kind of code it has.
    pub code: CodeKind,
}

/// Why a transaction may not be ordered now. None of them says that it never may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unaffordable {
    /// The nonce is used, in the state or in flight.
    #[error("nonce too low: expected={expected} got={got}")]
    NonceTooLow {
        /// The sender's next nonce.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// Transactions before it are missing.
    #[error("nonce gap: expected={expected} got={got}")]
    NonceGap {
        /// The sender's next nonce.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// The balance does not cover it and what is in flight.
    #[error("insufficient funds for gas * price + value: needed={needed} available={available}")]
    InsufficientFunds {
        /// Value and the highest fee.
        needed: U256,
        /// The balance without what is in flight.
        available: U256,
    },
    /// The reserve of a delegated account does not cover its gas and what is in flight.
    #[error(
        "gas exceeds the reserve of a delegated account: needed={needed} available={available} reserve={reserve}"
    )]
    ReserveExceeded {
        /// The highest fee.
        needed: U256,
        /// What is left of the reserve, or of the balance if that is less.
        available: U256,
        /// The chain's reserve.
        reserve: U256,
    },
    /// The sender is a contract (EIP-3607).
    #[error("sender is a contract: sender={sender}")]
    SenderHasCode {
        /// The sender.
        sender: Address,
    },
    /// The sender signed an authorization that is ordered and has not executed.
    #[error("sender has an authorization in flight, retry when it has executed: sender={sender}")]
    PendingAuthorization {
        /// The sender.
        sender: Address,
    },
}

/// What an account has in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Commitment {
    /// Transactions it sent.
    transactions: u64,
    /// Authorizations of it that count.
    authorizations: u64,
    /// Most that its transactions can take from it: value and gas limit times price.
    spend: U256,
    /// The part of it that is gas.
    gas_spend: U256,
}

/// What an account can commit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The nonce its next transaction must have.
    pub nonce_next: u64,
    /// Wei its next transaction may cost at most: value and gas, or gas alone if delegated.
    pub available_wei: U256,
    /// Whether anybody may spend its balance through its code.
    pub delegated: bool,
    /// Whether nothing of it is admitted until an authorization has executed.
    pub blocked_until_executed: bool,
}

/// Everything ordered above `e`, by account.
#[derive(Clone, Debug)]
pub struct InFlight {
    reserve: U256,
    chain_id: u64,
    accounts: AddressMap<Commitment>,
}

impl InFlight {
    /// Nothing in flight yet.
    #[must_use]
    pub fn new(reserve: U256, chain_id: u64) -> Self {
        Self {
            reserve,
            chain_id,
            accounts: AddressMap::default(),
        }
    }

    /// Checks a transaction against the rule and, if it passes, counts it as in flight.
    ///
    /// `base_fee` is that of the block that would carry it, which [`crate::static_check`] has
    /// compared with the transaction's fees. On refusal nothing changes.
    ///
    /// # Errors
    /// Outside: what `account_at_e` reports. Inside: why the transaction is refused.
    pub fn admit<F, E>(
        &mut self,
        transaction: &RecoveredTransaction,
        base_fee: u64,
        mut account_at_e: F,
    ) -> Result<Result<(), Unaffordable>, E>
    where
        F: FnMut(&Address) -> Result<AccountView, E>,
    {
        let view = account_at_e(&transaction.sender())?;
        if let Err(reason) = self.check(transaction, &view) {
            return Ok(Err(reason));
        }
        self.record_ordered(transaction, base_fee, account_at_e)?;
        Ok(Ok(()))
    }

    /// Counts a transaction that is ordered already, in a block from `e + 1` on.
    ///
    /// # Errors
    /// Only what `account_at_e` reports; then nothing has changed.
    pub fn record_ordered<F, E>(
        &mut self,
        transaction: &RecoveredTransaction,
        base_fee: u64,
        mut account_at_e: F,
    ) -> Result<(), E>
    where
        F: FnMut(&Address) -> Result<AccountView, E>,
    {
        let mut nonces = Vec::with_capacity(transaction.authorities().len());
        for authority in transaction.authorities() {
            nonces.push(match authority {
                Some(authority) => Some((*authority, account_at_e(authority)?.nonce)),
                None => None,
            });
        }
        let gas = gas_cost(transaction, transaction.effective_gas_price(Some(base_fee)));
        let sender = self.accounts.entry(transaction.sender()).or_default();
        sender.transactions = sender.transactions.saturating_add(1);
        sender.gas_spend = sender.gas_spend.saturating_add(gas);
        sender.spend = sender
            .spend
            .saturating_add(gas)
            .saturating_add(transaction.value());
        let authorizations = transaction.authorization_list().unwrap_or_default();
        for (authorization, authority) in authorizations.iter().zip(nonces) {
            let Some((authority, nonce_at_e)) = authority else {
                continue;
            };
            let is_ours = authorization.chain_id.is_zero()
                || authorization.chain_id == U256::from(self.chain_id);
            if is_ours {
                self.record_authorization(authority, nonce_at_e, authorization.nonce);
            }
        }
        Ok(())
    }

    /// What an account can commit now, on top of what is in flight.
    #[must_use]
    pub fn budget(&self, address: &Address, view: &AccountView) -> Budget {
        let commitment = self.commitment(address);
        let delegated = view.code == CodeKind::Delegated;
        Budget {
            nonce_next: view.nonce.saturating_add(commitment.transactions),
            available_wei: if delegated {
                view.balance
                    .min(self.reserve)
                    .saturating_sub(commitment.gas_spend)
            } else {
                view.balance.saturating_sub(commitment.spend)
            },
            delegated,
            blocked_until_executed: commitment.authorizations > 0,
        }
    }

    fn check(
        &self,
        transaction: &RecoveredTransaction,
        view: &AccountView,
    ) -> Result<(), Unaffordable> {
        let sender = transaction.sender();
        // Only a development chain yields transactions of impersonated senders.
        if view.code == CodeKind::Contract && transaction.impersonated_sender().is_none() {
            return Err(Unaffordable::SenderHasCode { sender });
        }
        let budget = self.budget(&sender, view);
        if budget.blocked_until_executed {
            return Err(Unaffordable::PendingAuthorization { sender });
        }
        let (expected, got) = (budget.nonce_next, transaction.nonce());
        if got < expected {
            return Err(Unaffordable::NonceTooLow { expected, got });
        }
        if got > expected {
            return Err(Unaffordable::NonceGap { expected, got });
        }
        let fee_max = gas_cost(transaction, transaction.max_fee_per_gas());
        let available = budget.available_wei;
        if budget.delegated {
            if fee_max > available {
                return Err(Unaffordable::ReserveExceeded {
                    needed: fee_max,
                    available,
                    reserve: self.reserve,
                });
            }
            return Ok(());
        }
        match fee_max.checked_add(transaction.value()) {
            Some(needed) if needed <= available => Ok(()),
            needed => Err(Unaffordable::InsufficientFunds {
                needed: needed.unwrap_or(U256::MAX),
                available,
            }),
        }
    }

    /// An authorization that can be valid when it executes makes its authority's nonce uncertain by
    /// one more.
    fn record_authorization(&mut self, authority: Address, nonce_at_e: u64, nonce: u64) {
        let commitment = self.commitment(&authority);
        let highest = nonce_at_e
            .saturating_add(commitment.transactions)
            .saturating_add(commitment.authorizations);
        if (nonce_at_e..=highest).contains(&nonce) {
            let commitment = self.accounts.entry(authority).or_default();
            commitment.authorizations = commitment.authorizations.saturating_add(1);
        }
    }

    fn commitment(&self, address: &Address) -> Commitment {
        self.accounts.get(address).copied().unwrap_or_default()
    }
}

/// The whole gas limit at a price. `u64 × u128` fits in 256 bits.
fn gas_cost(transaction: &RecoveredTransaction, price: u128) -> U256 {
    U256::from(transaction.gas_limit()).saturating_mul(U256::from(price))
}

#[cfg(test)]
mod tests;
