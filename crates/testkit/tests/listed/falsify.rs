//! Making a list false in one place.

use super::tree::{ADDRESS, BALANCES, CHANGED_SLOTS, CODES, NONCES, READ_SLOTS, Tree, WIPES};
use alloy_primitives::U256;
use rand::{RngExt as _, rngs::StdRng};

/// A list with something false in it.
pub(super) struct Falsified {
    pub(super) how: &'static str,
    pub(super) list: Tree,
}

type Change = fn(&mut StdRng, &mut Tree);

const CHANGES: [(&str, Change); 12] = [
    ("wrong value", wrong_value),
    ("wrong value", wrong_value),
    ("dropped change", drop_change),
    ("dropped change", drop_change),
    ("dropped slot", drop_slot),
    ("dropped account", drop_account),
    ("added change", add_change),
    ("added slot", add_slot),
    ("added account", add_account),
    ("swapped values", swap_values),
    ("wrong gas", wrong_gas),
    ("wrong wipe", wrong_wipe),
];

/// The same list, false in one place; sometimes it is not false after all, or not a list.
pub(super) fn falsify(rng: &mut StdRng, list: &Tree) -> Falsified {
    let (how, change) = CHANGES[rng.random_range(0..CHANGES.len())];
    let mut list = list.clone();
    change(rng, &mut list);
    Falsified { how, list }
}

/// Changes lists: balances, nonces, code, those of slots.
fn change_lists(list: &mut Tree) -> Vec<&mut Vec<Tree>> {
    let mut found = Vec::new();
    for account in list.accounts_mut() {
        for (field, part) in account.list_mut().iter_mut().enumerate() {
            match field {
                BALANCES | NONCES | CODES => found.push(part.list_mut()),
                CHANGED_SLOTS => {
                    let slots = part.list_mut().iter_mut();
                    found.extend(slots.map(|slot| slot.list_mut()[1].list_mut()));
                }
                _ => {}
            }
        }
    }
    found
}

fn with_changes<'t>(rng: &mut StdRng, list: &'t mut Tree) -> Option<&'t mut Vec<Tree>> {
    let mut lists = change_lists(list);
    lists.retain(|changes| !changes.is_empty());
    pick(rng, lists)
}

fn pick<T>(rng: &mut StdRng, mut all: Vec<T>) -> Option<T> {
    (!all.is_empty()).then(|| all.swap_remove(rng.random_range(0..all.len())))
}

fn wrong_value(rng: &mut StdRng, list: &mut Tree) {
    let Some(changes) = with_changes(rng, list) else {
        return;
    };
    let place = rng.random_range(0..changes.len());
    let value = &mut changes[place].list_mut()[1];
    if value.bytes().len() > 32 {
        value.bytes_mut()[0] ^= 1;
    } else {
        *value = other_word(rng, value.to_word());
    }
}

/// Another number: near to a value, or as large as there is one.
fn other_word(rng: &mut StdRng, value: U256) -> Tree {
    match rng.random_range(0..6) {
        0 => Tree::word(U256::MAX),
        1 => Tree::number(u64::MAX),
        2 => Tree::word(U256::ZERO),
        _ => Tree::word(value.wrapping_add(U256::from(rng.random_range(1..4)))),
    }
}

/// A number, or a delegation to somebody whose address is a low number.
fn any_value(rng: &mut StdRng) -> Tree {
    let number = rng.random_range(0..1_000);
    match rng.random_range(0..3) {
        0 => {
            let mut delegation = vec![0; 23];
            delegation[..3].copy_from_slice(&[0xef, 0x01, 0x00]);
            delegation[22] = rng.random();
            Tree::Bytes(delegation)
        }
        1 => other_word(rng, U256::from(number)),
        _ => Tree::number(number),
    }
}

fn drop_change(rng: &mut StdRng, list: &mut Tree) {
    if let Some(changes) = with_changes(rng, list) {
        changes.remove(rng.random_range(0..changes.len()));
    }
    // A slot without changes is one that is only read.
    for account in list.accounts_mut() {
        let fields = account.list_mut();
        let slots = std::mem::take(fields[CHANGED_SLOTS].list_mut());
        let (changed, mut read): (Vec<_>, Vec<_>) = slots
            .into_iter()
            .partition(|slot| !slot.list()[1].list().is_empty());
        *fields[CHANGED_SLOTS].list_mut() = changed;
        let keys = read.iter_mut().map(|slot| slot.list_mut().swap_remove(0));
        fields[READ_SLOTS].list_mut().extend(keys);
        sort_words(fields[READ_SLOTS].list_mut());
    }
}

fn sort_words(words: &mut [Tree]) {
    words.sort_by_key(Tree::to_word);
}

fn drop_slot(rng: &mut StdRng, list: &mut Tree) {
    let accounts = list.accounts_mut().iter_mut();
    let lists = accounts.flat_map(|account| {
        let fields = account.list_mut().iter_mut().enumerate();
        let slots = fields.filter(|(field, _)| [CHANGED_SLOTS, READ_SLOTS].contains(field));
        slots.map(|(_, slots)| slots.list_mut())
    });
    let lists: Vec<_> = lists.filter(|slots| !slots.is_empty()).collect();
    if let Some(slots) = pick(rng, lists) {
        slots.remove(rng.random_range(0..slots.len()));
    }
}

fn drop_account(rng: &mut StdRng, list: &mut Tree) {
    let accounts = list.accounts_mut();
    if !accounts.is_empty() {
        accounts.remove(rng.random_range(0..accounts.len()));
    }
}

fn add_change(rng: &mut StdRng, list: &mut Tree) {
    let at = rng.random_range(0..=list.gas_mut().len());
    let value = any_value(rng);
    let Some(changes) = pick(rng, change_lists(list)) else {
        return;
    };
    let change = Tree::List(vec![Tree::number(at as u64), value]);
    changes.push(change);
    changes.sort_by_key(|change| change.list()[0].to_word());
}

fn add_slot(rng: &mut StdRng, list: &mut Tree) {
    let key = U256::from(rng.random_range(0..10_u64)).wrapping_sub(U256::from(3));
    let accounts = list.accounts_mut().iter_mut();
    if let Some(account) = pick(rng, accounts.collect()) {
        let slots = account.list_mut()[READ_SLOTS].list_mut();
        slots.push(Tree::word(key));
        sort_words(slots);
    }
}

fn add_account(rng: &mut StdRng, list: &mut Tree) {
    let at = rng.random_range(0..=list.gas_mut().len());
    let empty = || Tree::List(Vec::new());
    let address = Tree::Bytes(rng.random::<[u8; 20]>().to_vec());
    let mut fields = vec![
        address,
        empty(),
        empty(),
        empty(),
        empty(),
        empty(),
        empty(),
    ];
    if rng.random_ratio(1, 2) {
        let change = vec![Tree::number(at as u64), Tree::number(1)];
        fields[BALANCES].list_mut().push(Tree::List(change));
    }
    let accounts = list.accounts_mut();
    accounts.push(Tree::List(fields));
    accounts.sort_by(|left, right| left.list()[ADDRESS].cmp(&right.list()[ADDRESS]));
}

/// Two transactions get each other's value, or one change gets another index.
fn swap_values(rng: &mut StdRng, list: &mut Tree) {
    let count = list.gas_mut().len();
    let Some(changes) = with_changes(rng, list) else {
        return;
    };
    if changes.len() < 2 {
        changes[0].list_mut()[0] = Tree::number(rng.random_range(0..=count) as u64);
        return;
    }
    let place = rng.random_range(1..changes.len());
    let value = changes[place].list()[1].clone();
    let before = &mut changes[place - 1].list_mut()[1];
    let before = std::mem::replace(before, value);
    changes[place].list_mut()[1] = before;
}

fn wrong_gas(rng: &mut StdRng, list: &mut Tree) {
    let gas = list.gas_mut();
    let place = rng.random_range(0..gas.len());
    gas[place] = Tree::word(gas[place].to_word() ^ U256::ONE);
}

fn wrong_wipe(rng: &mut StdRng, list: &mut Tree) {
    let at = Tree::number(rng.random_range(0..=list.gas_mut().len()) as u64);
    let accounts = list.accounts_mut().iter_mut();
    let wipes = accounts.map(|account| account.list_mut()[WIPES].list_mut());
    let (wiped, other): (Vec<_>, Vec<_>) = wipes.partition(|wipes| !wipes.is_empty());
    let wipes = if wiped.is_empty() || rng.random_ratio(1, 2) {
        pick(rng, other)
    } else {
        pick(rng, wiped)
    };
    let Some(wipes) = wipes else { return };
    match wipes.iter().position(|wipe| *wipe == at) {
        Some(place) => drop(wipes.remove(place)),
        None if rng.random_ratio(1, 2) => wipes.clear(),
        None => wipes.push(at),
    }
    sort_words(wipes);
}
