//! What one transaction did, taken out of the virtual machine: what it saw and what it changes.
//!
//! Changes of balance are sums, not values: a transaction that did not look at a balance may be
//! committed over another one, as long as what it sent is there. Everything else it saw has to be
//! what the turn finds.

use super::{
    cells::{AccountCell, Cells, Present, Seen, SlotCell},
    reader::CellReader,
};
use crate::{fault::ExecutionFault, receipt::ReceiptDraft, view::Notes};
use alloy_primitives::{B256, U256};
use revm::{
    bytecode::Bytecode,
    context::TxEnv,
    context_interface::Transaction as _,
    state::{Account as EvmAccount, EvmState},
};
use state::Account;

/// One transaction, executed but not committed.
#[derive(Debug, Default)]
pub(crate) struct Run<'a> {
    pub(crate) accounts: Vec<AccountEffect<'a>>,
    pub(crate) slots: Vec<SlotEffect<'a>>,
    pub(crate) codes: Vec<NewCode>,
    pub(crate) draft: ReceiptDraft,
    /// For the fee receiver, in wei.
    pub(crate) tip: U256,
    /// No account got more than this from others, in wei.
    inflow_max: U256,
}

/// Runs on their way between workers, or over and kept for their memory.
pub(crate) type Runs<'a> = Vec<Box<Run<'a>>>;

/// Code that a transaction gives an account.
#[derive(Debug)]
pub(crate) struct NewCode {
    /// Place of the account among the effects.
    account: usize,
    pub(crate) hash: B256,
    /// Nothing for a delegation that ended.
    pub(crate) code: Option<Bytecode>,
}

/// One account that a transaction has loaded.
#[derive(Debug)]
pub(crate) struct AccountEffect<'a> {
    pub(crate) cell: &'a AccountCell,
    pub(crate) seen: Seen<Present>,
    need: Need,
    change: Option<Change>,
}

/// What a transaction needs of an account besides its code, incarnation and existence.
#[derive(Clone, Copy, Debug, Default)]
struct Need {
    /// Exactly the balance it saw.
    exact_balance: bool,
    /// At least so much, in wei, if the balance is lower than what it saw.
    balance: U256,
    nonce: NonceNeed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum NonceNeed {
    /// Only whether it is zero, which decides whether an address is free, or used up.
    #[default]
    Zeroness,
    /// What it saw.
    Same,
    /// The transaction's own.
    Exactly(u64),
}

/// How an account comes out of a transaction.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// Added to the balance, or taken from it.
    amount: U256,
    is_debit: bool,
    nonce: Option<u64>,
    has_new_code: bool,
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
    pub(crate) seen: Seen<U256>,
    pub(crate) written: Option<U256>,
}

/// A location that is not what a transaction saw.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Changed<'a> {
    Account(&'a AccountCell),
    Slot(&'a SlotCell),
}

/// What to take a transaction's effects from.
#[derive(Debug)]
pub(crate) struct Outcome<'n> {
    pub(crate) changes: &'n EvmState,
    pub(crate) notes: &'n Notes,
    pub(crate) transaction: &'n TxEnv,
    pub(crate) draft: ReceiptDraft,
}

impl<'a> Run<'a> {
    /// Takes over what `reader` has read and adds what came of it; the reader gets this run's
    /// memory for the next transaction.
    pub(crate) fn take(
        &mut self,
        reader: &mut CellReader<'a>,
        outcome: Outcome<'_>,
    ) -> Result<(), ExecutionFault> {
        std::mem::swap(self, &mut reader.run);
        self.draft = outcome.draft;
        self.tip = outcome.notes.tip;
        self.inflow_max = outcome.notes.sum_of_outflows();
        let changes = outcome.changes;
        let mut created = Vec::new();
        for (place, effect) in self.accounts.iter_mut().enumerate() {
            let Some(after) = changes.get(&effect.cell.address) else {
                continue;
            };
            effect.need = Need::new(effect, outcome.notes, outcome.transaction, after);
            effect.change = Change::new(effect, after);
            if effect.change.is_some_and(|change| change.has_new_code) {
                self.codes.push(NewCode {
                    account: place,
                    hash: after.info.code_hash,
                    code: after.info.code.clone(),
                });
            }
            if after.is_created() && !after.is_selfdestructed() {
                created.push(place);
            }
        }
        for effect in &mut self.slots {
            let after = changes.get(&effect.cell.address);
            let slot = after.and_then(|after| after.storage.get(&effect.cell.key));
            effect.written = slot
                .filter(|slot| slot.is_changed() && !created.contains(&effect.account))
                .map(|slot| slot.present_value);
        }
        for place in created {
            self.take_created_slots(reader.cells, place, changes)?;
        }
        Ok(())
    }

    /// Forgets everything but its memory.
    pub(crate) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.codes.clear();
    }

    /// The slots of a created account were never loaded.
    fn take_created_slots(
        &mut self,
        cells: &'a Cells<'a>,
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
            let cell = cells.slot(&address, key)?;
            self.slots.push(SlotEffect {
                cell,
                account: place,
                seen: cell.see(incarnation),
                written: Some(value),
            });
        }
        Ok(())
    }

    /// The hash of the code that the account at a place gets.
    pub(crate) fn new_code_hash(&self, place: usize) -> Option<B256> {
        let mut codes = self.codes.iter();
        codes
            .find(|code| code.account == place)
            .map(|code| code.hash)
    }

    /// The first location that is not what the transaction saw, if there is one.
    pub(crate) fn find_conflict(&self) -> Option<Changed<'a>> {
        let mut accounts = self.accounts.iter();
        let account = accounts.find(|effect| !effect.holds(self.inflow_max));
        if let Some(effect) = account {
            return Some(Changed::Account(effect.cell));
        }
        let slot = self.slots.iter().find(|effect| !self.slot_holds(effect));
        slot.map(|effect| Changed::Slot(effect.cell))
    }

    fn slot_holds(&self, effect: &SlotEffect<'_>) -> bool {
        effect.cell.version() == effect.seen.version
            || self.accounts.get(effect.account).is_some_and(|account| {
                effect.cell.value(account.seen.value.incarnation) == effect.seen.value
            })
    }
}

impl<'a> AccountEffect<'a> {
    /// An account that was loaded, as it is now.
    pub(crate) fn new(cell: &'a AccountCell) -> Self {
        Self {
            cell,
            seen: cell.see(),
            need: Need::default(),
            change: None,
        }
    }

    /// Whether the account is still what the transaction saw, as far as it looked.
    fn holds(&self, inflow_max: U256) -> bool {
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
            // A payment fails as well when what the payee has does not fit into a word any more.
            false => {
                now.balance == seen.balance
                    || now.balance >= seen.balance.min(self.need.balance)
                        && now.balance.checked_add(inflow_max).is_some()
            }
        };
        nonce_holds && balance_holds && now.code_hash == seen.code_hash && self.after(now).is_some()
    }

    /// The account after the transaction, if it was `now` before; `None` if a sum does not fit.
    fn after(&self, now: Account) -> Option<Account> {
        let Some(change) = &self.change else {
            return Some(now);
        };
        let balance = match change.is_debit {
            true => now.balance.checked_sub(change.amount)?,
            false => now.balance.checked_add(change.amount)?,
        };
        Some(Account {
            nonce: change.nonce.unwrap_or(now.nonce),
            balance,
            code_hash: now.code_hash,
        })
    }

    /// The account's value once the transaction is committed; `None` if it changes nothing.
    /// The fee receiver's gets its fee in the same step, because that may be what keeps it from being
    /// empty.
    pub(crate) fn committed(
        &self,
        now: Present,
        code_hash: Option<B256>,
        tip: Option<U256>,
    ) -> Option<Present> {
        let Some(change) = self.change.as_ref() else {
            let account = now.account.unwrap_or_default();
            return tip.map(|tip| now.keep(with_tip(account, tip)));
        };
        let mut account = match change.fate {
            Fate::Destroyed => None,
            Fate::Kept | Fate::Created => self.after(now.account.unwrap_or_default()),
        };
        if let (Some(account), Some(code_hash)) = (&mut account, code_hash) {
            account.code_hash = code_hash;
        }
        let account = account.map(|account| match tip {
            Some(tip) => with_tip(account, tip),
            None => account,
        });
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

    /// Whether the transaction gives the account other code.
    pub(crate) fn has_new_code(&self) -> bool {
        self.change.is_some_and(|change| change.has_new_code)
    }
}

impl Change {
    fn new(effect: &AccountEffect<'_>, after: &EvmAccount) -> Option<Self> {
        if !after.is_touched() {
            return None;
        }
        let before = effect.seen.value.account.unwrap_or_default();
        let info = &after.info;
        let is_sender = matches!(effect.need.nonce, NonceNeed::Exactly(_));
        Some(Self {
            amount: info.balance.abs_diff(before.balance),
            is_debit: info.balance < before.balance,
            nonce: (is_sender || info.nonce != before.nonce).then_some(info.nonce),
            has_new_code: info.code_hash != before.code_hash,
            fate: match (after.is_selfdestructed(), after.is_created()) {
                (true, _) => Fate::Destroyed,
                (false, true) => Fate::Created,
                (false, false) => Fate::Kept,
            },
        })
    }
}

impl Need {
    fn new(
        effect: &AccountEffect<'_>,
        notes: &Notes,
        transaction: &TxEnv,
        after: &EvmAccount,
    ) -> Self {
        let address = &effect.cell.address;
        let outflow = notes.outflow(address);
        let is_sender = transaction.caller == *address;
        let authorizes = !transaction.authorization_list.is_empty();
        let before = effect.seen.value.account.unwrap_or_default();
        let uses_nonce = authorizes || notes.observes_all || notes.creators.contains(address);
        let changes_nonce = after.info.nonce != before.nonce && !after.is_created();
        Self {
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

/// As on Ethereum, a sum that does not fit changes nothing.
pub(crate) fn with_tip(account: Account, tip: U256) -> Account {
    let balance = account.balance.checked_add(tip);
    Account {
        balance: balance.unwrap_or(account.balance),
        ..account
    }
}

fn is_absent(account: Option<Account>) -> bool {
    account.is_none_or(|account| account.is_empty())
}
