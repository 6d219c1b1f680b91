//! Admission: a checked transaction against its sender's account, its lane and the room there is.
//!
//! ```text
//! already known? ─▶ nonce ─▶ funds ─▶ replacement price ─▶ room (own limit, then the cheapest tails) ─▶ lane
//! ```
//! Every check comes before the first change: a refused transaction changes nothing.

use super::Pool;
use crate::{
    admission::{AdmissionError, Admitted, CheckedTransaction},
    entry::Entry,
    event::{DropReason, Event},
    eviction::Excess,
    lane::Lane,
};
use alloy_primitives::{Address, U256, U512};
use primitives::affordability::{AccountView, CodeKind};
use std::sync::Arc;

impl Pool {
    /// Takes a transaction in, given its sender's account at the newest executed state that its
    /// caller knows; the pool's own knowledge wins where it is newer.
    ///
    /// # Errors
    /// [`AdmissionError`]; the pool is then unchanged.
    pub fn admit(
        &mut self,
        transaction: CheckedTransaction,
        account: AccountView,
        now_ms: u64,
    ) -> Result<Admitted, AdmissionError> {
        let hash = transaction.transaction.hash();
        if self.by_hash.contains_key(&hash) {
            return Err(AdmissionError::AlreadyKnown);
        }
        let sender = transaction.transaction.sender();
        let account = self.newest_account(&sender, account);
        let lane = self.lanes.get(&sender).map(Arc::as_ref);
        self.check_nonce(&transaction, &account, lane)?;
        self.check_funds(&transaction, &account, lane)?;
        self.check_replacement(&transaction, lane)?;
        let entry = Entry::new(transaction, self.arrivals, now_ms);
        self.make_room(&entry, &account)?;
        self.arrivals += 1;
        Ok(self.place(entry, account))
    }

    /// The account as the newest executed block left it: the state may have been read before.
    fn newest_account(&self, sender: &Address, account: AccountView) -> AccountView {
        if let Some(lane) = self.lanes.get(sender) {
            let known = *lane.account();
            return if known.nonce > account.nonce {
                known
            } else {
                account
            };
        }
        let executed = self.executed_nonces.get(sender).unwrap_or_default();
        AccountView {
            nonce: account.nonce.max(executed),
            ..account
        }
    }

    fn check_nonce(
        &self,
        transaction: &CheckedTransaction,
        account: &AccountView,
        lane: Option<&Lane>,
    ) -> Result<(), AdmissionError> {
        let nonce = transaction.nonce;
        if nonce < account.nonce {
            let next = account.nonce;
            return Err(AdmissionError::NonceTooLow { next, nonce });
        }
        let next = lane.map_or(account.nonce, Lane::pending_end);
        let gap_max = self.config.nonce_gap_max;
        if nonce.saturating_sub(next) > gap_max {
            return Err(AdmissionError::NonceTooHigh {
                next,
                nonce,
                gap_max,
            });
        }
        Ok(())
    }

    fn check_funds(
        &self,
        transaction: &CheckedTransaction,
        account: &AccountView,
        lane: Option<&Lane>,
    ) -> Result<(), AdmissionError> {
        let sender = transaction.transaction.sender();
        let cost = transaction.cost;
        let balance = account.balance;
        match account.code {
            CodeKind::Contract => return Err(AdmissionError::SenderIsContract(sender)),
            CodeKind::Delegated => self.check_reserve(transaction, balance)?,
            CodeKind::None => {}
        }
        if cost > balance {
            return Err(AdmissionError::InsufficientFunds { balance, cost });
        }
        let pending_cost = lane.map_or(U512::ZERO, |lane| {
            let replaced = lane.entries().get(&transaction.nonce);
            let replaced = replaced.filter(|entry| lane.is_pending(entry.nonce));
            lane.pending_cost() - replaced.map_or(U512::ZERO, |entry| U512::from(entry.cost))
        });
        if pending_cost + U512::from(cost) > U512::from(balance) {
            return Err(AdmissionError::Overdrawn {
                balance,
                pending_cost: pending_cost.saturating_to(),
                cost,
            });
        }
        Ok(())
    }

    fn check_reserve(
        &self,
        transaction: &CheckedTransaction,
        balance: U256,
    ) -> Result<(), AdmissionError> {
        let reserve = self.config.chain.protocol.reserve.min(balance);
        let gas_cost = transaction.gas_cost;
        if gas_cost > reserve {
            return Err(AdmissionError::ReserveTooLow { reserve, gas_cost });
        }
        Ok(())
    }

    fn check_replacement(
        &self,
        transaction: &CheckedTransaction,
        lane: Option<&Lane>,
    ) -> Result<(), AdmissionError> {
        let percent = self.config.price_bump_percent;
        match lane.and_then(|lane| lane.entries().get(&transaction.nonce)) {
            Some(entry) if !transaction.fees.bump(&entry.fees, percent) => {
                Err(AdmissionError::ReplacementUnderpriced)
            }
            _ => Ok(()),
        }
    }

    /// Evicts what the limits want evicted for a newcomer, or refuses it.
    fn make_room(&mut self, entry: &Entry, account: &AccountView) -> Result<(), AdmissionError> {
        let sender = entry.sender();
        let lane = self.lanes.get(&sender);
        let replaced = lane.and_then(|lane| lane.entries().get(&entry.nonce));
        let own_tail = match lane {
            Some(lane) if replaced.is_none() => self.own_tail_to_evict(lane, entry.nonce)?,
            _ => None,
        };
        let leaving = [replaced.map(Arc::as_ref), own_tail];
        let leaving = leaving.iter().flatten();
        let transactions = self.counts.total() + 1 - leaving.clone().count();
        let bytes = self.counts.bytes + entry.size();
        let bytes = bytes - leaving.map(|entry| entry.size()).sum::<usize>();
        let excess = Excess {
            transactions: transactions.saturating_sub(self.config.transactions_max),
            bytes: bytes.saturating_sub(self.config.pool_bytes_max),
        };
        let pending_end = lane.map_or(account.nonce, |lane| lane.pending_end());
        let rank = entry.rank(entry.nonce <= pending_end, self.base_fee);
        let own_tail = own_tail.map(|entry| entry.nonce);
        let victims = self
            .tails
            .victims(&rank, &self.lanes, self.base_fee, excess)?;
        for victim in victims {
            self.drop_entry(victim.sender, victim.nonce, DropReason::Evicted);
        }
        if let Some(nonce) = own_tail {
            self.drop_entry(sender, nonce, DropReason::Evicted);
        }
        Ok(())
    }

    /// A sender at its limit gives up its highest nonce for a lower one.
    fn own_tail_to_evict<'a>(
        &self,
        lane: &'a Lane,
        nonce: u64,
    ) -> Result<Option<&'a Entry>, AdmissionError> {
        let max = self.config.sender_transactions_max;
        if lane.entries().len() < max {
            return Ok(None);
        }
        match lane.tail() {
            Some(tail) if tail.nonce > nonce => Ok(Some(tail)),
            _ => Err(AdmissionError::AccountLimitExceeded { max }),
        }
    }

    fn place(&mut self, entry: Entry, account: AccountView) -> Admitted {
        let (sender, nonce, hash) = (entry.sender(), entry.nonce, entry.hash());
        let entry = Arc::new(entry);
        self.by_hash.insert(hash, (sender, nonce));
        self.counts.bytes += entry.size();
        self.lanes
            .entry(sender)
            .or_insert_with(|| Arc::new(Lane::new(sender, account)));
        let (pending, replaced) = self
            .change_lane(sender, |lane| {
                lane.refresh_account(account);
                let replaced = lane.insert(Arc::clone(&entry));
                (lane.is_pending(nonce), replaced)
            })
            .expect("the lane was made above");
        let transaction = entry.transaction.clone();
        if !pending {
            self.events.push(Event::Queued(transaction));
        } else if replaced.is_some() {
            self.max_fee_bound = self.max_fee_bound.max(entry.fees.max_fee);
            self.events.push(Event::Pending(transaction));
        }
        if let Some(replaced) = &replaced {
            self.forget(replaced, Some(DropReason::Replaced { by: hash }));
        }
        Admitted {
            hash,
            pending,
            replaced: replaced.map(|replaced| replaced.hash()),
        }
    }
}
