//! What a node's error means for a transaction, and how often each was said.
//!
//! Every node has words of its own and few have codes, so this goes by the words of geth, reth, Erigon,
//! Nethermind, Besu, Anvil and our own.

use super::client::CallError;
use serde::Serialize;
use std::collections::BTreeMap;

/// Kinds of refusals that are told apart; the rest is counted together.
const KINDS_MAX: usize = 32;
/// Characters of a message that are kept.
const MESSAGE_CHARS_MAX: usize = 200;
/// What a node says too often for now (EIP-1474).
const LIMIT_EXCEEDED_CODE: i64 = -32_005;

/// The node has it already.
const KNOWN: &[&str] = &[
    "already known",
    "alreadyknown",
    "already imported",
    "known transaction",
    "already in",
];
/// Room will come: the pool or the account's part of it is full, or waits for what was refused for that.
const LATER: &[&str] = &[
    "pool is full",
    "pool full",
    "poolfull",
    "account limit exceeded",
    "nonce too high",
    "queued cost",
    "too many",
    "try again",
    "rate limit",
    "busy",
];

/// What to do about a refused transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it was taken before.
    Known,
    /// Send it again after a while.
    Later,
    /// Its nonce is used: by itself, if its first answer was lost. What follows it is not affected.
    Stale,
    /// Nothing helps.
    Never,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The first of them.
    pub message: String,
    /// How often it was said, counting every time a transaction was sent again.
    pub count: usize,
}

/// Errors by their words.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    kinds: BTreeMap<String, (usize, Refusal)>,
    others: usize,
}

impl Verdict {
    pub(super) fn of(error: &CallError) -> Self {
        let message = error.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        // A full pool of geth's calls what it has no room for underpriced.
        let is_outbid = message.contains("underpriced") && !message.contains("replacement");
        if says(KNOWN) {
            Self::Known
        } else if says(LATER) || is_outbid || error.code == LIMIT_EXCEEDED_CODE {
            Self::Later
        } else if says(&["nonce too low", "old nonce", "oldnonce", "invalid nonce"]) {
            Self::Stale
        } else {
            Self::Never
        }
    }
}

impl Refusals {
    pub(super) fn count(&mut self, message: &str) {
        let kind = kind(message);
        let order = self.kinds.len();
        if let Some((_, refusal)) = self.kinds.get_mut(&kind) {
            refusal.count += 1;
        } else if order < KINDS_MAX {
            let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
            self.kinds
                .insert(kind, (order, Refusal { message, count: 1 }));
        } else {
            self.others += 1;
        }
    }

    /// In the order in which they were first said.
    pub(super) fn list(&self) -> Vec<Refusal> {
        let mut kinds: Vec<_> = self.kinds.values().collect();
        kinds.sort_by_key(|(order, _)| *order);
        let mut list: Vec<Refusal> = kinds
            .into_iter()
            .map(|(_, refusal)| refusal.clone())
            .collect();
        if self.others > 0 {
            list.push(Refusal {
                message: "others".to_owned(),
                count: self.others,
            });
        }
        list
    }
}

/// The message without its numbers, addresses and hashes, so that one kind is one kind.
fn kind(message: &str) -> String {
    let words = message.split_inclusive(|c: char| !c.is_alphanumeric());
    let mut kind = String::new();
    for word in words.take(MESSAGE_CHARS_MAX) {
        let end = word.trim_end_matches(char::is_alphanumeric).len();
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        match is_number {
            true => {
                kind.push('#');
                kind.extend(
                    word.chars()
                        .last()
                        .filter(|c| end == word.len() && !c.is_alphanumeric()),
                );
            }
            false => kind.push_str(word),
        }
    }
    kind.chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_understood() {
        for (message, verdict) in [
            ("already known", Verdict::Known),
            ("transaction already imported", Verdict::Known),
            ("AlreadyKnown", Verdict::Known),
            ("txpool is full", Verdict::Later),
            ("Transaction pool full", Verdict::Later),
            ("transaction underpriced", Verdict::Later),
            ("account limit exceeded: 4096 transactions", Verdict::Later),
            ("replacement transaction underpriced", Verdict::Never),
            ("nonce too low: next nonce 4, tx nonce 2", Verdict::Stale),
            ("insufficient funds for gas * price + value", Verdict::Never),
            ("intrinsic gas too low", Verdict::Never),
        ] {
            let error = CallError {
                code: -32_000,
                message: message.to_owned(),
            };
            assert_eq!(Verdict::of(&error), verdict, "{message}");
        }
        let limited = CallError {
            code: LIMIT_EXCEEDED_CODE,
            message: "limit".to_owned(),
        };
        assert_eq!(Verdict::of(&limited), Verdict::Later);
    }

    #[test]
    fn numbers_do_not_make_kinds() {
        let mut refusals = Refusals::default();
        for nonce in 0..50 {
            refusals.count(&format!("nonce too low: next nonce 7, tx nonce {nonce}"));
            refusals.count(&format!("sender 0x{nonce:040x} is no account, bar"));
        }
        let list = refusals.list();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].message, "nonce too low: next nonce 7, tx nonce 0");
        assert!(list.iter().all(|refusal| refusal.count == 50));
    }

    #[test]
    fn a_node_that_always_says_something_else_fills_no_memory() {
        let mut refusals = Refusals::default();
        for letter in 0..1_000 {
            let word = "abcdefghij".chars().nth(letter % 10).unwrap().to_string();
            refusals.count(&(word.repeat(1 + letter / 10) + &"long ".repeat(100)));
        }
        let list = refusals.list();
        assert_eq!(list.len(), KINDS_MAX + 1);
        assert_eq!(
            list.iter().map(|refusal| refusal.count).sum::<usize>(),
            1_000
        );
        assert!(
            list.iter()
                .all(|refusal| refusal.message.len() <= MESSAGE_CHARS_MAX)
        );
    }
}
