//! Admission: a checked transaction against its sender's account and lane, then into the lane.
//!
//! ```text
//! already known? ─▶ nonce ─▶ funds ─▶ replacement price ─▶ Demand ─ room (mailbox) ─▶ lane
//! ```
//! Every check comes before the first change: a refused transaction changes nothing. Whether the
//! pool has room is not known here; [`Demand`] says what the newcomer needs and what leaves for
//! it anyway.

use super::Pool;
use crate::{
    admission::{AdmissionError, Admitted, CheckedTransaction},
    entry::{Entry, Fees, Rank},
    event::{DropReason, Event},
    lane::Lane,
    lanes::LaneId,
    room::Room,
    short_id::short_id,
};
use alloy_primitives::{Address, U256};
use primitives::affordability::{AccountView, CodeKind};

/// A transaction at the door, with what its caller read.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    /// Its place in its batch.
    pub(crate) index: usize,
    /// Its sender's.
    pub(crate) stripe: usize,
    pub(crate) transaction: CheckedTransaction,
    /// Its sender's account at the newest executed state that its caller knows; the pool's own
    /// knowledge wins where it is newer.
    pub(crate) account: AccountView,
    /// Order of arrival.
    pub(crate) arrival: u64,
    pub(crate) now_ms: u64,
}

impl Arrived {
    pub(crate) fn sender(&self) -> Address {
        self.transaction.transaction.sender()
    }
}

/// What a newcomer needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) rank: Rank,
    pub(crate) lane: Option<LaneId>,
    pub(crate) room: Room,
    /// Room of those that leave for it in its own lane.
    pub(crate) leaving: Room,
    /// Nonce of the own tail that leaves for it.
    own_tail: Option<u64>,
    account: AccountView,
}

impl Pool {
    /// Checks everything but the room.
    pub(crate) fn check(&self, arrived: &Arrived) -> Result<Demand, AdmissionError> {
        let transaction = &arrived.transaction;
        let sender = arrived.sender();
        let id = self.lanes.id(&sender);
        let lane = id.and_then(|id| self.lanes.get(id));
        let account = self.newest_account(&sender, arrived.account, lane);
        let same_nonce = lane.and_then(|lane| lane.get(transaction.nonce));
        if same_nonce.is_some_and(|entry| entry.hash() == transaction.transaction.hash()) {
            return Err(AdmissionError::AlreadyKnown);
        }
        self.check_nonce(transaction, &account, lane)?;
        self.check_funds(transaction, &account, lane)?;
        self.check_replacement(transaction, same_nonce)?;
        let own_tail = match lane {
            Some(lane) if same_nonce.is_none() => {
                self.own_tail_to_evict(lane, transaction.nonce)?
            }
            _ => None,
        };
        let leaving = [same_nonce, own_tail].into_iter().flatten();
        let leaving = leaving.fold(Room::default(), |room, entry| {
            room.plus(Room::one(entry.size()))
        });
        let pending_end = lane.map_or(account.nonce, Lane::pending_end);
        let price = transaction.fees.price();
        let pending = transaction.nonce <= pending_end;
        Ok(Demand {
            rank: Rank::new(pending, price, self.base_fee),
            lane: id,
            room: Room::one(transaction.transaction.raw().len()),
            leaving,
            own_tail: own_tail.map(|entry| entry.nonce),
            account,
        })
    }

    /// The account as the newest executed block left it: the state may have been read before.
    fn newest_account(
        &self,
        sender: &Address,
        account: AccountView,
        lane: Option<&Lane>,
    ) -> AccountView {
        if let Some(lane) = lane {
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
            // An impersonated sender may be any account, as in a block.
            CodeKind::Contract if transaction.transaction.impersonated_sender().is_none() => {
                return Err(AdmissionError::SenderIsContract(sender));
            }
            CodeKind::Delegated => self.check_reserve(transaction, balance)?,
            CodeKind::Contract | CodeKind::None => {}
        }
        if cost > balance {
            return Err(AdmissionError::InsufficientFunds { balance, cost });
        }
        let pending_cost = lane.map_or(U256::ZERO, |lane| {
            let replaced = lane.get(transaction.nonce);
            let replaced = replaced.filter(|entry| lane.is_pending(entry.nonce));
            lane.pending_cost() - replaced.map_or(U256::ZERO, |entry| U256::from(entry.cost))
        });
        if pending_cost > balance - cost {
            return Err(AdmissionError::Overdrawn {
                balance,
                pending_cost,
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
        same_nonce: Option<&Entry>,
    ) -> Result<(), AdmissionError> {
        let percent = self.config.price_bump_percent;
        match same_nonce.map(|entry| Fees::of(&entry.transaction)) {
            Some(fees) if !transaction.fees.bump(&fees, percent) => {
                Err(AdmissionError::ReplacementUnderpriced)
            }
            _ => Ok(()),
        }
    }

    /// A sender at its limit gives up its highest nonce for a lower one.
    fn own_tail_to_evict<'a>(
        &self,
        lane: &'a Lane,
        nonce: u64,
    ) -> Result<Option<&'a Entry>, AdmissionError> {
        let max = self.config.sender_transactions_max;
        if lane.len() < max {
            return Ok(None);
        }
        match lane.tail() {
            Some(tail) if tail.nonce > nonce => Ok(Some(tail)),
            _ => Err(AdmissionError::AccountLimitExceeded { max }),
        }
    }

    /// Puts a checked transaction in its lane; its room is taken.
    pub(crate) fn place(&mut self, arrived: &Arrived, demand: &Demand) -> Admitted {
        let sender = arrived.sender();
        if let Some((id, nonce)) = demand.lane.zip(demand.own_tail) {
            self.drop_entry(id, nonce, DropReason::Evicted);
        }
        let account = demand.account;
        // The own tail may have been all there was.
        let id = self.lanes.id(&sender);
        let id = id.unwrap_or_else(|| self.lanes.insert(Lane::new(sender, account)));
        let entry = Entry::new(&arrived.transaction, arrived.arrival, arrived.now_ms);
        let (nonce, hash) = (entry.nonce, entry.hash());
        let transaction = &arrived.transaction.transaction;
        self.counts.bytes += entry.size();
        let (pending, replaced) = self
            .change_lane(id, |lane| {
                lane.refresh_account(account);
                let replaced = lane.insert(entry);
                (lane.is_pending(nonce), replaced)
            })
            .expect("the lane is there");
        if !pending {
            self.events.push(Event::Queued(transaction.clone()));
        } else if replaced.is_some() {
            self.events.push(Event::Pending(transaction.clone()));
        }
        let replaced = replaced.map(|replaced| {
            let old = replaced.hash();
            self.forget(id, replaced, Some(DropReason::Replaced { by: hash }));
            old
        });
        let location = self.location(id, nonce);
        self.index.insert(short_id(&hash), location);
        Admitted {
            hash,
            pending,
            replaced,
        }
    }
}
