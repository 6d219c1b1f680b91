//! What a hot place is: told from what was written there, who called, and what was logged.
//!
//! ```text
//! values   1, 2, 3           each adds 1                        ─▶ counter
//! key      keccak(holder · n), a Transfer of that holder         ─▶ what the holder has of a token
//! key      small, Sync or Swap of that contract                  ─▶ a pool's reserves
//! ```
//! Guesses, all of them, and only for words: nothing is computed with them. Limits: topics of
//! [`TRANSFERS_MAX`] logs are tried as holders, at [`MAPPINGS_MAX`] bases.

use super::{
    FUNCTIONS_MAX, Function, HotPlace, PLACE_TRANSACTIONS_MAX, PlaceKind, SPREAD_PARTS, Writes,
    graph::{Heat, Place, Spot, place_in_block},
};
use crate::{
    access::{Change, Lists},
    receipt::Receipt,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Log, U256, b256, keccak256};
use primitives::RecoveredTransaction;
use std::{cmp::Reverse, collections::BTreeMap};

/// Logs whose accounts are tried as holders.
const TRANSFERS_MAX: usize = 4;
/// Storage slots at which a token's balances may begin.
const MAPPINGS_MAX: u64 = 64;
/// Keys below are variables; those above come from a hash.
const VARIABLES_MAX: U256 = U256::from_limbs([1 << 32, 0, 0, 0]);

/// `Transfer(address,address,uint256)`.
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `Sync(uint112,uint112)`, and `Swap` of the second and third Uniswap.
const POOL_EVENTS: [B256; 3] = [
    b256!("1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"),
    b256!("d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"),
    b256!("c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"),
];
/// Where OpenZeppelin's upgradeable token (ERC-7201) keeps its balances.
const NAMESPACED_BALANCES: B256 =
    b256!("52c63247e1f47db19d5ce0460030c497f067ca4cebf71ba98eeadabe20bace00");

/// A block as its hot places are described from it.
pub(super) struct Executed<'a> {
    pub(super) list: &'a Lists,
    pub(super) transactions: &'a [RecoveredTransaction],
    pub(super) receipts: &'a [Receipt],
}

impl Executed<'_> {
    /// Everything there is to say of a hot place.
    pub(super) fn describe(&self, heat: &Heat) -> HotPlace {
        let Place { address, spot } = heat.place;
        let (slot, changes) = match spot {
            Spot::Slot(key, listed) => (Some(key), self.list.values_of(listed)),
            Spot::Code(_) => (None, &[][..]),
        };
        let touching = match spot {
            Spot::Slot(..) => changes
                .iter()
                .filter_map(|change| place_in_block(change.index))
                .collect(),
            Spot::Code(_) => self.callers(address),
        };
        let writes = writes(changes);
        let holder = slot.and_then(|key| self.holder(address, key, &touching));
        HotPlace {
            kind: match slot {
                None => PlaceKind::Code,
                Some(_) if holder.is_some() => PlaceKind::TokenBalance,
                Some(key) => self.kind(address, key, writes, &touching),
            },
            address,
            slot,
            holder,
            waiting_count: heat.waiting_count,
            waiting_gas: heat.waiting_gas,
            critical_count: heat.critical_count,
            critical_gas: heat.critical_gas,
            writes,
            functions: self.functions(&touching),
            spread: spread(&touching, self.list.gas_used.len()),
            transactions: touching.into_iter().take(PLACE_TRANSACTIONS_MAX).collect(),
        }
    }

    fn kind(&self, address: Address, key: U256, writes: Writes, touching: &[usize]) -> PlaceKind {
        let is_variable = key < VARIABLES_MAX;
        let is_pool = |log: &Log| {
            log.topics()
                .first()
                .is_some_and(|topic| POOL_EVENTS.contains(topic))
        };
        let mut logs = self.logs_of(address, touching);
        match writes {
            _ if is_variable && logs.any(is_pool) => PlaceKind::PoolReserves,
            Writes::Step(_) => PlaceKind::Counter,
            Writes::Rising | Writes::Falling => PlaceKind::Sum,
            Writes::Mixed if is_variable => PlaceKind::Variable,
            Writes::Mixed => PlaceKind::Entry,
        }
    }

    /// Whose balance of a token a key stands for.
    fn holder(&self, token: Address, key: U256, touching: &[usize]) -> Option<Address> {
        if key < VARIABLES_MAX {
            return None;
        }
        let is_transfer = |log: &&Log| log.topics().first() == Some(&TRANSFER);
        let transfers = self.logs_of(token, touching).filter(is_transfer);
        let accounts = transfers
            .take(TRANSFERS_MAX)
            .flat_map(|log| log.topics().iter().skip(1).take(2));
        let key = B256::from(key);
        let mut accounts = accounts.copied();
        let holder = accounts.find(|account| {
            let numbered = (0..MAPPINGS_MAX).map(|base| B256::from(U256::from(base)));
            let mut bases = numbered.chain([NAMESPACED_BALANCES]);
            bases.any(|base| keccak256([account.0, base.0].concat()) == key)
        });
        holder.map(Address::from_word)
    }

    /// What a contract logged in some transactions.
    fn logs_of(&self, address: Address, touching: &[usize]) -> impl Iterator<Item = &Log> {
        let receipts = touching
            .iter()
            .filter_map(|place| self.receipts.get(*place));
        let receipts: Vec<&Receipt> = receipts.take(PLACE_TRANSACTIONS_MAX).collect();
        receipts
            .into_iter()
            .flat_map(|receipt| receipt.envelope.logs())
            .filter(move |log| log.address == address)
    }

    fn callers(&self, address: Address) -> Vec<usize> {
        let transactions = self.transactions.iter().enumerate();
        let callers = transactions.filter(|(_, transaction)| transaction.to() == Some(address));
        callers.map(|(place, _)| place).collect()
    }

    fn functions(&self, touching: &[usize]) -> Vec<Function> {
        let mut counts: BTreeMap<(Option<Address>, Option<[u8; 4]>), usize> = BTreeMap::new();
        for place in touching {
            let Some(transaction) = self.transactions.get(*place) else {
                continue;
            };
            let selector = match transaction.to() {
                Some(_) => transaction.input().first_chunk().copied(),
                None => None,
            };
            let count = counts.entry((transaction.to(), selector)).or_default();
            *count = count.saturating_add(1);
        }
        let mut functions: Vec<Function> = counts
            .into_iter()
            .map(|((to, selector), transaction_count)| Function {
                to,
                selector,
                transaction_count,
            })
            .collect();
        functions.sort_by_key(|function| Reverse(function.transaction_count));
        functions.truncate(FUNCTIONS_MAX);
        functions
    }
}

/// How many of some transactions lie in each part of a block.
fn spread(touching: &[usize], transactions: usize) -> Vec<usize> {
    let mut spread = vec![0_usize; SPREAD_PARTS.min(transactions)];
    for place in touching {
        let part = place.saturating_mul(spread.len()).checked_div(transactions);
        if let Some(count) = part.and_then(|part| spread.get_mut(part)) {
            *count = count.saturating_add(1);
        }
    }
    spread
}

/// How a slot's value went from one transaction to the next. What it was before the first is not known.
fn writes(changes: &[Change<U256>]) -> Writes {
    let values = changes.iter().filter(|change| change.index > 0);
    let values: Vec<U256> = values.map(|change| change.value).collect();
    let pairs = || values.iter().zip(values.iter().skip(1));
    let mut steps = pairs().map(|(before, after)| after.wrapping_sub(*before));
    let Some(step) = steps.next() else {
        return Writes::Mixed;
    };
    let is_rising = pairs().all(|(before, after)| after > before);
    let is_falling = pairs().all(|(before, after)| after < before);
    // Two values have one step, which is always the same as itself.
    let is_step = is_rising && values.len() > 2 && steps.all(|other| other == step);
    match (is_step, is_rising, is_falling) {
        (true, ..) => Writes::Step(step),
        (_, true, _) => Writes::Rising,
        (_, _, true) => Writes::Falling,
        _ => Writes::Mixed,
    }
}
