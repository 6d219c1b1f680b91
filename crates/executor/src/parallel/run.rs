//! What one transaction did, taken out of the virtual machine: what it saw and what it changes.
//!
//! Changes of balance are sums, not values: a transaction that did not look at a balance may be
//! committed over another one, as long as what it sent is there. Everything else it saw has to be
//! what the turn finds.

use super::cells::{AccountCell, AccountLoad, CellReader, Present, Seen, SlotCell};
use crate::{fault::ExecutionFault, receipt::ReceiptDraft, view::Notes};
use alloy_primitives::{Address, B256, U256};
use revm::{
    bytecode::Bytecode,
    context::TxEnv,
    context_interface::Transaction as _,
    state::{Account as EvmAccount, EvmState},
};
use state::Account;

/// One transaction, executed but not committed.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) accounts: Vec<AccountEffect<'a>>,
    pub(crate) slots: Vec<SlotEffect<'a>>,
    pub(crate) codes: Vec<(B256, Bytecode)>,
    pub(crate) draft: ReceiptDraft,
    /// For the fee receiver, in wei.
    pub(crate) tip: U256,
}

/// One account that a transaction has loaded.
#[derive(Debug)]
pub(crate) struct AccountEffect<'a> {
    pub(crate) cell: &'a AccountCell,
    seen: Seen<Present>,
    need: Need,
    change: Option<Change>,
}

/// What a transaction needs of an account besides its code, incarnation and existence.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// Exactly the balance it saw.
    exact_balance: bool,
    /// At least so much, in wei, if the balance is lower than what it saw.
    balance: U256,
    nonce: NonceNeed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NonceNeed {
    /// Only whether it is zero, which decides whether an address is free, or used up.
    Zeroness,
    /// What it saw.
    Same,
    /// The transaction's own.
    Exactly(u64),
}

/// How an account comes out of a transaction.
#[derive(Clone, Copy, Debug)]
struct Change {
    credit: U256,
    debit: U256,
    nonce: Option<u64>,
    code_hash: Option<B256>,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Created,
    Destroyed,
}

/// One slot that a transaction has loaded.
#[derive(Debug)]
pub(crate) struct SlotEffect<'a> {
    pub(crate) cell: &'a SlotCell,
    /// Place of its account among the effects.
    pub(crate) account: usize,
    seen: Seen<U256>,
    pub(crate) written: Option<U256>,
}

/// What to take a transaction's effects from.
#[derive(Debug)]
pub(crate) struct Outcome<'n> {
    pub(crate) changes: EvmState,
    pub(crate) notes: &'n Notes,
    pub(crate) transaction: &'n TxEnv,
    pub(crate) draft: ReceiptDraft,
}

impl<'a> Run<'a> {
    /// Takes out what the last transaction did.
    pub(crate) fn new(
        reader: &mut CellReader<'a>,
        outcome: Outcome<'_>,
    ) -> Result<Self, ExecutionFault> {
        let Outcome {
            mut changes,
            notes,
            transaction,
            draft,
        } = outcome;
        let mut run = Self {
            accounts: Vec::with_capacity(reader.accounts.len()),
            slots: Vec::with_capacity(reader.slots.len()),
            codes: Vec::new(),
            draft,
            tip: notes.tip,
        };
        let mut created = Vec::new();
        for (place, load) in reader.accounts.iter().enumerate() {
            let address = load.cell.address;
            let Some(after) = changes.get_mut(&address) else {
                continue;
            };
            let need = need(load, notes, transaction, after);
            let effect = AccountEffect {
                cell: load.cell,
                seen: load.seen,
                need,
                change: Change::new(load.seen.value.account, after, need),
            };
            if let (Some(hash), Some(code)) = (effect.new_code_hash(), after.info.code.take()) {
                run.codes.push((hash, code));
            }
            run.accounts.push(effect);
            if after.is_created() && !after.is_selfdestructed() {
                created.push(place);
            }
        }
        for load in &reader.slots {
            let after = changes.get(&load.cell.address);
            let slot = after.and_then(|after| after.storage.get(&load.cell.key));
            let written = slot
                .filter(|slot| slot.is_changed())
                .map(|slot| slot.present_value);
            run.slots.push(SlotEffect {
                cell: load.cell,
                account: load.account,
                seen: load.seen,
                written: written.filter(|_| !created.contains(&load.account)),
            });
        }
        for place in created {
            run.take_created_slots(reader, place, &changes)?;
        }
        Ok(run)
    }

    /// The slots of a created account were never loaded.
    fn take_created_slots(
        &mut self,
        reader: &CellReader<'a>,
        place: usize,
        changes: &EvmState,
    ) -> Result<(), ExecutionFault> {
        let Some(effect) = self.accounts.get(place) else {
            return Ok(());
        };
        let address = effect.cell.address;
        let incarnation = effect.seen.value.incarnation;
        let storage = changes.get(&address).map(|account| &account.storage);
        let mut slots: Vec<(U256, U256)> = storage
            .into_iter()
            .flatten()
            .filter(|(_, slot)| slot.is_changed())
            .map(|(key, slot)| (*key, slot.present_value))
            .collect();
        slots.sort_unstable();
        for (key, value) in slots {
            let cell = reader.cells.slot(&address, key)?;
            self.slots.push(SlotEffect {
                cell,
                account: place,
                seen: cell.see(incarnation),
                written: Some(value),
            });
        }
        Ok(())
    }

    /// The first location that is not what the transaction saw, if there is one.
    pub(crate) fn find_conflict(&self) -> Option<(Address, Option<U256>)> {
        let account = self.accounts.iter().find(|effect| !effect.holds());
        if let Some(effect) = account {
            return Some((effect.cell.address, None));
        }
        let slot = self.slots.iter().find(|effect| !self.slot_holds(effect));
        slot.map(|effect| (effect.cell.address, Some(effect.cell.key)))
    }

    fn slot_holds(&self, effect: &SlotEffect<'_>) -> bool {
        effect.cell.version() == effect.seen.version
            || self.accounts.get(effect.account).is_some_and(|account| {
                effect.cell.value(account.seen.value.incarnation) == effect.seen.value
            })
    }
}

impl AccountEffect<'_> {
    /// Whether the account is still what the transaction saw, as far as it looked.
    fn holds(&self) -> bool {
        let mocked = matches!(self.need.nonce, NonceNeed::Exactly(_));
        if !mocked && self.cell.version() == self.seen.version {
            return true;
        }
        let now = self.cell.present();
        let seen = self.seen.value;
        if now.incarnation != seen.incarnation || is_absent(now.account) != is_absent(seen.account)
        {
            return false;
        }
        let now = now.account.unwrap_or_default();
        let seen = seen.account.unwrap_or_default();
        let nonce_holds = match self.need.nonce {
            NonceNeed::Zeroness => kind_of_nonce(now.nonce) == kind_of_nonce(seen.nonce),
            NonceNeed::Same => now.nonce == seen.nonce,
            NonceNeed::Exactly(nonce) => now.nonce == nonce,
        };
        let balance_holds = match self.need.exact_balance {
            true => now.balance == seen.balance,
            false => now.balance >= seen.balance.min(self.need.balance),
        };
        nonce_holds && balance_holds && now.code_hash == seen.code_hash && self.after(now).is_some()
    }

    /// The account after the transaction, if it was `now` before; `None` if a sum does not fit.
    fn after(&self, now: Account) -> Option<Account> {
        let Some(change) = &self.change else {
            return Some(now);
        };
        let credited = now.balance.checked_add(change.credit)?;
        Some(Account {
            nonce: change.nonce.unwrap_or(now.nonce),
            balance: credited.checked_sub(change.debit)?,
            code_hash: change.code_hash.unwrap_or(now.code_hash),
        })
    }

    /// The account's value once the transaction is committed; `None` if it changes nothing.
    pub(crate) fn committed(&self, now: Present) -> Option<Present> {
        let change = self.change.as_ref()?;
        let account = match change.fate {
            Fate::Destroyed => None,
            Fate::Kept | Fate::Created => self.after(now.account.unwrap_or_default()),
        };
        let account = account.filter(|account| change.fate == Fate::Created || !account.is_empty());
        let died = account.is_none() && now.account.is_some();
        let wiped = died || change.fate == Fate::Created;
        Some(Present {
            account,
            incarnation: match wiped {
                true => now.incarnation.wrapping_add(1),
                false => now.incarnation,
            },
        })
    }

    /// Whether the account no longer exists after the transaction because it destroyed itself.
    pub(crate) fn is_destroyed(&self) -> bool {
        let change = self.change.as_ref();
        change.is_some_and(|change| change.fate == Fate::Destroyed)
    }

    fn new_code_hash(&self) -> Option<B256> {
        let hash = self.change.as_ref()?.code_hash?;
        (hash != Account::default().code_hash).then_some(hash)
    }
}

impl Change {
    fn new(before: Option<Account>, after: &EvmAccount, need: Need) -> Option<Self> {
        if !after.is_touched() {
            return None;
        }
        let before = before.unwrap_or_default();
        let info = &after.info;
        Some(Self {
            credit: info.balance.saturating_sub(before.balance),
            debit: before.balance.saturating_sub(info.balance),
            nonce: (info.nonce != before.nonce || matches!(need.nonce, NonceNeed::Exactly(_)))
                .then_some(info.nonce),
            code_hash: (info.code_hash != before.code_hash).then_some(info.code_hash),
            fate: match (after.is_selfdestructed(), after.is_created()) {
                (true, _) => Fate::Destroyed,
                (false, true) => Fate::Created,
                (false, false) => Fate::Kept,
            },
        })
    }
}

fn need(load: &AccountLoad<'_>, notes: &Notes, transaction: &TxEnv, after: &EvmAccount) -> Need {
    let address = &load.cell.address;
    let outflow = notes.outflow(address);
    let is_sender = transaction.caller == *address;
    let authorizes = !transaction.authorization_list.is_empty();
    let before = load.seen.value.account.unwrap_or_default();
    let uses_nonce = authorizes || notes.creators.contains(address);
    let changes_nonce = after.info.nonce != before.nonce && !after.is_created();
    Need {
        exact_balance: notes.observes_all
            || notes.observed.contains(address)
            || after.is_selfdestructed(),
        balance: match is_sender {
            true => outflow.saturating_add(spent_at_most(transaction)),
            false => outflow,
        },
        nonce: match (is_sender, uses_nonce || changes_nonce) {
            (true, _) => NonceNeed::Exactly(transaction.nonce),
            (false, true) => NonceNeed::Same,
            (false, false) => NonceNeed::Zeroness,
        },
    }
}

/// What validation asks a sender to have, in wei.
fn spent_at_most(transaction: &TxEnv) -> U256 {
    let gas = U256::from(transaction.gas_limit);
    let fee = gas.saturating_mul(U256::from(transaction.max_fee_per_gas()));
    let blobs = U256::from(transaction.total_blob_gas());
    let blob_fee = blobs.saturating_mul(U256::from(transaction.max_fee_per_blob_gas()));
    fee.saturating_add(blob_fee)
        .saturating_add(transaction.value)
}

fn kind_of_nonce(nonce: u64) -> (bool, bool) {
    (nonce == 0, nonce == u64::MAX)
}

fn is_absent(account: Option<Account>) -> bool {
    account.is_none_or(|account| account.is_empty())
}
