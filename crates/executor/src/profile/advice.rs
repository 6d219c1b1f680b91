//! A profile in sentences: what waits for what, and what a contract's author can change.
//!
//! The first sentence is about the whole block; then come at most [`PLACES_MAX`] places that matter and one
//! sender. Names of functions are the usual ones of a few well-known selectors, in brackets.

use super::{Function, HotPlace, NonceChain, PlaceKind, Profile, Writes, share};
use alloy_primitives::{U256, hex};
use std::collections::BTreeSet;

/// Places that are talked of.
const PLACES_MAX: usize = 5;
/// Share of a block's transactions from which on waiting ones matter, in thousandths.
const WAITING_PERMILLE: u64 = 20;
/// Share of the critical path from which on a place matters, in thousandths.
const CRITICAL_PERMILLE: u64 = 100;
/// Share of a block's transactions from which on one sender is worth a word, in thousandths.
const SENDER_PERMILLE: u64 = 200;

/// Functions that nobody needs to look up.
const KNOWN: [([u8; 4], &str); 14] = [
    ([0xa9, 0x05, 0x9c, 0xbb], "transfer"),
    ([0x23, 0xb8, 0x72, 0xdd], "transferFrom"),
    ([0x09, 0x5e, 0xa7, 0xb3], "approve"),
    ([0x42, 0x84, 0x2e, 0x0e], "safeTransferFrom"),
    ([0x40, 0xc1, 0x0f, 0x19], "mint"),
    ([0x12, 0x49, 0xc5, 0x8b], "mint"),
    ([0xa0, 0x71, 0x2d, 0x68], "mint"),
    ([0xd0, 0xe3, 0x0d, 0xb0], "deposit"),
    ([0x2e, 0x1a, 0x7d, 0x4d], "withdraw"),
    ([0x02, 0x2c, 0x0d, 0x9f], "swap"),
    ([0x38, 0xed, 0x17, 0x39], "swapExactTokensForTokens"),
    ([0x7f, 0xf3, 0x6a, 0xb5], "swapExactETHForTokens"),
    ([0xac, 0x96, 0x50, 0xd8], "multicall"),
    ([0xd0, 0x9d, 0xe0, 0x8a], "increment"),
];

pub(super) fn sentences(profile: &Profile) -> Vec<String> {
    let mut sentences = vec![whole(profile)];
    let matters = |place: &&HotPlace| {
        place.waiting_count > 1
            && (share(count(place.waiting_count), count(profile.transaction_count))
                >= WAITING_PERMILLE
                || share(place.critical_gas, profile.critical_path.gas) >= CRITICAL_PERMILLE)
    };
    let mut pools = BTreeSet::new();
    let mut places: Vec<&HotPlace> = profile.hot_places.iter().filter(matters).collect();
    // A pool has several storage slots that all change at once, and its balances with them: one is enough.
    places.retain(|place| place.kind != PlaceKind::PoolReserves || pools.insert(place.address));
    places.retain(|place| place.holder.is_none_or(|holder| !pools.contains(&holder)));
    let places = places.into_iter().take(PLACES_MAX);
    sentences.extend(places.map(|place| about(place, profile)));
    let chain = profile.nonce_chains.first().filter(|chain| {
        let share = share(
            count(chain.transaction_count),
            count(profile.transaction_count),
        );
        share >= SENDER_PERMILLE
    });
    sentences.extend(chain.map(|chain| about_sender(chain, profile)));
    sentences
}

fn whole(profile: &Profile) -> String {
    let path = &profile.critical_path;
    if profile.transaction_count == 0 {
        return "The block is empty.".to_owned();
    }
    if profile.waiting_count == 0 {
        return format!(
            "No transaction waits for another: all {} could run at once.",
            grouped(profile.transaction_count)
        );
    }
    let percent = profile.permille(path.gas) / 10;
    let times = share(profile.gas, path.gas.max(1));
    format!(
        "{} of {} transactions wait for an earlier one. The longest chain has {} of them and {percent} % of the gas: no number of workers is more than {}.{} times faster than one.",
        grouped(profile.waiting_count),
        grouped(profile.transaction_count),
        grouped(path.transaction_count),
        times / 1_000,
        times % 1_000 / 100,
    )
}

fn about(place: &HotPlace, profile: &Profile) -> String {
    let waiting = grouped(place.waiting_count);
    let all = grouped(profile.transaction_count);
    let address = place.address;
    let at = match place.slot {
        Some(slot) => format!("slot {slot:#x} of {address}"),
        None => format!("the code of {address}"),
    };
    let callers = callers(place);
    let why = match place.kind {
        PlaceKind::Counter => {
            let step = match place.writes {
                Writes::Step(step) if step != U256::ONE => format!("{step}"),
                _ => "1".to_owned(),
            };
            format!(
                "each {callers} adds {step} to it. Keep a counter per user and add them up when they are read, or count events off chain."
            )
        }
        PlaceKind::Sum => format!(
            "each {callers} moves it {}. Keep a sum per user and add them up when they are read, or sum up events off chain.",
            match place.writes {
                Writes::Falling => "down",
                Writes::Step(_) | Writes::Rising | Writes::Mixed => "up",
            }
        ),
        PlaceKind::TokenBalance => {
            let holder = place.holder.unwrap_or_default();
            format!(
                "it is what {holder} has of that token, and each {callers} changes it. Pay from and to several accounts, or pay many in one transaction."
            )
        }
        PlaceKind::PoolReserves => format!(
            "it holds a pool's reserves, and each {callers} trades at the price that the one before left. Settle many orders in one transaction, or spread trades over several pools."
        ),
        PlaceKind::Variable => format!(
            "each {callers} changes it after the one before. Give each user storage of their own (a mapping by msg.sender), or write it once for many."
        ),
        PlaceKind::Entry => format!(
            "it is an entry of a mapping or an array, and each {callers} changes it. Spread what is kept there over more keys."
        ),
        PlaceKind::Code => {
            "it is set in this block. Deploy, or delegate, a block before the first call."
                .to_owned()
        }
    };
    format!("{waiting} of {all} transactions wait for {at}: {why}")
}

fn about_sender(chain: &NonceChain, profile: &Profile) -> String {
    format!(
        "{} of {} transactions are of one sender, {}: its nonces make nobody wait here, but one that is refused holds up all after it. Send from several accounts.",
        grouped(chain.transaction_count),
        grouped(profile.transaction_count),
        chain.sender
    )
}

/// What touches a place, as in "call of 0xa9059cbb (transfer) on 0x…".
fn callers(place: &HotPlace) -> String {
    let Some(function) = place.functions.first() else {
        return "transaction".to_owned();
    };
    let call = match (function.to, function.selector) {
        (None, _) => "deployment".to_owned(),
        (Some(to), selector) => {
            let name = selector.map_or_else(
                || "call without input".to_owned(),
                |selector| format!("call of {}", with_name(selector)),
            );
            match to == place.address {
                true => name,
                false => format!("{name} on {to}"),
            }
        }
    };
    match place.functions.len() {
        1 => call,
        others => format!(
            "{call} (and of {} other functions)",
            others.saturating_sub(1)
        ),
    }
}

fn with_name(selector: [u8; 4]) -> String {
    let number = hex::encode_prefixed(selector);
    let name = KNOWN.iter().find(|(known, _)| *known == selector);
    name.map_or_else(|| number.clone(), |(_, name)| format!("{number} ({name})"))
}

impl Function {
    /// The selector with the name it usually has, as in `0xa9059cbb (transfer)`; none without a selector.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.selector.map(with_name)
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(place);
        if place > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
