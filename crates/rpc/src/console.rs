//! What a developer sees in the terminal of a development chain: console lines and reasons of failure.
//!
//! ```text
//! executed block ─▶ access list names the console? ─ yes ─▶ run it again, listening ─▶ lines ─┐
//!                └▶ receipts that failed ─▶ reason ─────────────────────────────────────────── ┴▶ log, target `console`
//! eth_call, eth_estimateGas ─▶ touched the console? ─ yes ─▶ run it again, listening ─▶ lines ─┘
//! ```
//! Hardhat's `console.sol` calls an address without code, with the signature of what it was given. What does not
//! touch that address costs nothing. Control characters are replaced, so that no contract writes to the terminal
//! what it likes. Limits: the executor's for lines, and those of every trace.

use crate::{
    backend::{Backend, run},
    error::RpcError,
    eth::call::Scene,
    retrace::{Again, limits},
    revert,
    switch::Switch,
};
use alloy_primitives::{Address, Bytes, I256, U256, hex, keccak256};
use executor::{
    CONSOLE, CallOutcome, CallRequest, Overrides,
    trace::{TraceCalls, console_lines, console_lines_of_call},
};
use pipeline::{ChainEvent, ExecutedRecord};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};
use tokio::sync::broadcast::error::RecvError;

const WORD: usize = 32;
/// Most values in one line.
const VALUES_MAX: usize = 4;

/// Lines of one block.
const STORY_LINES_MAX: usize = 1_024;

/// What one value of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Uint,
    Int,
    Text,
    Bool,
    Address,
    Bytes,
    Fixed(usize),
}

/// By selector, what a line has.
type Signatures = HashMap<[u8; 4], Vec<Kind>>;
/// The types of a signature as text, and what they mean.
type Values = (String, Vec<Kind>);

static SIGNATURES: LazyLock<Signatures> = LazyLock::new(signatures);

/// What a value may be; the short names of integers are those of old versions of the library.
const KINDS: [(&str, Kind); 7] = [
    ("uint256", Kind::Uint),
    ("uint", Kind::Uint),
    ("int256", Kind::Int),
    ("int", Kind::Int),
    ("string", Kind::Text),
    ("bool", Kind::Bool),
    ("address", Kind::Address),
];

fn signatures() -> Signatures {
    let mut lists: Vec<Values> = vec![(String::new(), Vec::new())];
    let mut all = lists.clone();
    for _ in 0..VALUES_MAX {
        lists = lists.iter().flat_map(one_longer).collect();
        all.extend(lists.iter().cloned());
    }
    all.push(("bytes".to_owned(), vec![Kind::Bytes]));
    all.extend((1..=WORD).map(|length| (format!("bytes{length}"), vec![Kind::Fixed(length)])));
    let selector = |names: &str| {
        let hash = keccak256(format!("log({names})"));
        [hash[0], hash[1], hash[2], hash[3]]
    };
    all.into_iter()
        .map(|(names, list)| (selector(&names), list))
        .collect()
}

fn one_longer((names, list): &Values) -> impl Iterator<Item = Values> {
    let comma = if names.is_empty() { "" } else { "," };
    KINDS.iter().map(move |(name, kind)| {
        let mut list = list.clone();
        list.push(*kind);
        (format!("{names}{comma}{name}"), list)
    })
}

/// A line as a developer reads it; in hexadecimal if it has none of the known forms.
pub(crate) fn line(input: &[u8]) -> String {
    let text = known_line(input).unwrap_or_else(|| format!("0x{}", hex::encode(input)));
    let clean = |c: char| match c.is_control() && c != '\n' && c != '\t' {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(clean).collect()
}

fn known_line(input: &[u8]) -> Option<String> {
    let (selector, body) = input.split_first_chunk::<4>()?;
    let kinds = SIGNATURES.get(selector)?;
    let values = kinds.iter().enumerate();
    let values = values.map(|(place, kind)| value(*kind, body, place * WORD));
    let values = values.collect::<Option<Vec<_>>>()?;
    Some(match (kinds.first(), values.split_first()) {
        (Some(Kind::Text), Some((format, rest))) => fill_in(format, rest),
        _ => values.join(" "),
    })
}

fn word(body: &[u8], offset: usize) -> Option<U256> {
    let bytes = body.get(offset..offset.checked_add(WORD)?)?;
    Some(U256::from_be_slice(bytes))
}

fn value(kind: Kind, body: &[u8], offset: usize) -> Option<String> {
    let head = word(body, offset)?;
    Some(match kind {
        Kind::Uint => head.to_string(),
        Kind::Int => I256::from_raw(head).to_string(),
        Kind::Bool => (!head.is_zero()).to_string(),
        Kind::Address => Address::from_word(head.into()).to_string(),
        Kind::Fixed(length) => {
            let bytes = head.to_be_bytes::<WORD>();
            format!("0x{}", hex::encode(bytes.get(..length)?))
        }
        Kind::Text => String::from_utf8_lossy(tail(body, head)?).into_owned(),
        Kind::Bytes => format!("0x{}", hex::encode(tail(body, head)?)),
    })
}

/// What lies at an offset, behind its length.
fn tail(body: &[u8], offset: U256) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    let length = usize::try_from(word(body, offset)?).ok()?;
    let start = offset.checked_add(WORD)?;
    body.get(start..start.checked_add(length)?)
}

/// Puts values where a text has `%s` and the like, and the rest behind it.
fn fill_in(format: &str, values: &[String]) -> String {
    let mut text = String::with_capacity(format.len());
    let mut values = values.iter();
    let mut rest = format;
    while let Some(place) = rest.find('%') {
        let (before, after) = rest.split_at(place);
        text.push_str(before);
        let mark = after.chars().nth(1);
        let is_value = matches!(mark, Some('s' | 'd' | 'i' | 'o' | 'O' | 'x'));
        match (mark, is_value.then(|| values.next()).flatten()) {
            (_, Some(value)) => text.push_str(value),
            (Some('%'), None) => text.push('%'),
            _ => {
                text.push('%');
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
        }
        rest = after.get(2..).unwrap_or_default();
    }
    text.push_str(rest);
    for value in values {
        text.push(' ');
        text.push_str(value);
    }
    text
}

/// Tells a developer about every executed block, on whichever chain is served.
pub(crate) async fn narrate(switch: Switch) {
    let mut changes = switch.changes();
    loop {
        let told = narrate_one(switch.current());
        tokio::select! {
            () = told => changes.next().await,
            () = changes.next() => {}
        }
    }
}

/// The same for one chain, until it stops.
async fn narrate_one(backend: Arc<Backend>) {
    let mut events = backend.chain.subscribe();
    loop {
        let record = match events.recv().await {
            Ok(ChainEvent::Executed(record)) => record,
            Ok(ChainEvent::Stage { .. }) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        if record.transactions.is_empty() {
            continue;
        }
        let told = run(Arc::clone(&backend), move |backend| {
            for line in story(backend, record)? {
                tracing::info!(target: "console", "{line}");
            }
            Ok(())
        });
        if let Err(error) = told.await {
            tracing::debug!(%error, "a block could not be told");
        }
    }
}

/// What there is to tell of a block: console lines, then what failed.
pub(crate) fn story(
    backend: &Backend,
    record: Arc<ExecutedRecord>,
) -> Result<Vec<String>, RpcError> {
    let mut story = Vec::new();
    let list = backend.chain.access_list(record.height())?;
    let console = CONSOLE.as_slice();
    let named = |list: &Bytes| list.windows(console.len()).any(|bytes| bytes == console);
    if list.as_ref().is_some_and(named) {
        let again = Again::new(backend, Arc::clone(&record))?;
        let heard = again.run(
            backend,
            again.all(),
            limits(backend, None)?,
            |block, state| console_lines(block, state),
        )?;
        let heard = heard.into_iter().flat_map(|traced| traced.trace);
        let lines = heard.flatten().map(|input| line(&input));
        story.extend(lines.take(STORY_LINES_MAX));
    }
    let transactions = record.transactions.iter().zip(&record.receipts);
    for (transaction, receipt) in transactions {
        if story.len() >= STORY_LINES_MAX {
            story.push("more is left out: this block has too much to tell".to_owned());
            break;
        }
        if !receipt.is_success() {
            let why = match receipt.output.is_empty() {
                true => "reverted without a reason, or ran out of gas".to_owned(),
                false => revert::reason(&receipt.output)
                    .map_or_else(|| receipt.output.to_string(), |reason| line_of(&reason)),
            };
            story.push(format!("transaction {} failed: {why}", transaction.hash()));
        }
    }
    Ok(story)
}

/// A text from a contract, without control characters.
fn line_of(text: &str) -> String {
    text.chars()
        .map(|c| match c.is_control() {
            true => char::REPLACEMENT_CHARACTER,
            false => c,
        })
        .collect()
}

/// On a development chain, tells what a call wrote to the console, if it touched it.
pub(crate) fn tell_call(
    backend: &Backend,
    scene: &Scene,
    (request, overrides): (&CallRequest, &Overrides),
    outcome: &CallOutcome,
) -> Result<(), RpcError> {
    let touched = &outcome.access_list.0;
    if backend.dev.is_none() || !touched.iter().any(|item| item.address == CONSOLE) {
        return Ok(());
    }
    let calls = TraceCalls {
        scene: scene.open(backend, overrides),
        limits: limits(backend, None)?,
    };
    for input in console_lines_of_call(&calls, request)? {
        tracing::info!(target: "console", "{}", line(&input));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(signature: &str, words: &[String]) -> Vec<u8> {
        let mut input = keccak256(signature)[..4].to_vec();
        for word in words {
            input.extend(hex::decode(word).unwrap());
        }
        input
    }

    fn number(number: u64) -> String {
        format!("{number:064x}")
    }

    fn text(text: &str) -> String {
        format!("{:0<64}", hex::encode(text))
    }

    #[test]
    fn lines_read_as_they_were_written() {
        let two = encode("log(uint256,bool)", &[number(7), number(1)]);
        assert_eq!(line(&two), "7 true");
        let old = encode("log(uint)", &[number(9)]);
        assert_eq!(line(&old), "9");
        let minus = encode("log(int256)", &["f".repeat(64)]);
        assert_eq!(line(&minus), "-1");
        let words = [number(64), number(5), number(3), text("n=%d")];
        let mut named = encode("log(string,uint256)", &words);
        assert_eq!(line(&named), "n=% 5");
        named[4 + 3 * 32 - 1] = 4;
        assert_eq!(line(&named), "n=5");
        let bytes = encode("log(bytes2)", &[text("hi")]);
        assert_eq!(line(&bytes), "0x6869");
        assert_eq!(line(&encode("log()", &[])), "");
    }

    #[test]
    fn what_is_malformed_is_shown_as_it_is() {
        assert_eq!(line(&[1, 2]), "0x0102");
        let short = encode("log(string)", &[number(32)]);
        assert!(line(&short).starts_with("0x"), "{}", line(&short));
        let escape = [number(32), number(2), text("\u{1b}c")];
        let escape = encode("log(string)", &escape);
        assert_eq!(line(&escape), "\u{fffd}c");
    }

    #[test]
    fn values_without_a_place_come_last() {
        let values = ["1".to_owned(), "2".to_owned()];
        assert_eq!(fill_in("a %s b", &values), "a 1 b 2");
        assert_eq!(fill_in("100%", &values), "100% 1 2");
        assert_eq!(fill_in("%% %z %s %s %s", &values), "% %z 1 2 %s");
    }
}
