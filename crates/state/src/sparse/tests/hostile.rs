//! Witnesses from somebody who wants them to do harm: to panic, or to take more memory than they may.

use super::Changes;
use super::model::{any_batches, any_key};
use crate::sparse::changes::AccountChange;
use crate::sparse::leaf::SlotWrite;
use crate::sparse::witness::{Touched, Witness, WitnessError, memory_bytes_max};
use alloy_primitives::{B256, U256};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const HASH: u8 = 0;
const BRANCH: u8 = 1;
const EXTENSION: u8 = 2;
const STORAGE_LEAF: u8 = 3;
const ACCOUNT: u8 = 4;
const NO_CODES: [u8; 4] = [0; 4];

fn decode(bytes: &[u8], trusted: B256) -> Result<Witness, WitnessError> {
    Witness::decode(bytes, trusted, BTreeMap::new())
}

/// The root of a witness that is one.
fn root_of(bytes: &[u8]) -> Option<B256> {
    match decode(bytes, B256::ZERO) {
        Err(WitnessError::Root { found, .. }) => Some(found),
        _ => None,
    }
}

/// Writes a witness as the format has it, of no state that ever was. Every choice is a random byte, and
/// the first one when these are used up.
struct Forger {
    choices: std::vec::IntoIter<u8>,
    bytes: Vec<u8>,
    keys: Vec<(B256, Option<B256>)>,
}

/// Where a node is written.
#[derive(Clone, Copy)]
struct Place {
    account: Option<B256>,
    key: [u8; 32],
    depth: usize,
}

impl Place {
    fn below(mut self, nibble: u8) -> Self {
        self.key[self.depth / 2] |= nibble << (4 * (1 - self.depth % 2));
        self.depth += 1;
        self
    }
}

impl Forger {
    fn witness(choices: Vec<u8>) -> Self {
        let mut forger = Self {
            choices: choices.into_iter(),
            bytes: vec![1],
            keys: Vec::new(),
        };
        forger.trie(None);
        forger.bytes.extend(NO_CODES);
        forger
    }

    fn choose(&mut self, bound: u8) -> u8 {
        self.choices.next().unwrap_or(0) % bound
    }

    fn trie(&mut self, account: Option<B256>) {
        let (key, depth) = ([0; 32], 0);
        let root = Place {
            account,
            key,
            depth,
        };
        match self.choose(3) {
            0 => self.leaf(root),
            1 => self.extension(root),
            _ => self.branch(root),
        }
    }

    fn node(&mut self, place: Place) {
        match self.choose(8) {
            0 | 1 => {
                let byte = self.choose(u8::MAX);
                self.bytes.push(HASH);
                self.bytes.extend([byte; 32]);
            }
            2 | 3 if place.depth < 64 => self.branch(place),
            4 if place.depth < 63 => self.extension(place),
            _ => self.leaf(place),
        }
    }

    fn branch(&mut self, place: Place) {
        let masks = [0x0003u16, 0x8001, 0x0110, 0x4222, 0xffff];
        let children = masks[usize::from(self.choose(5))];
        self.bytes.push(BRANCH);
        self.bytes.extend(children.to_le_bytes());
        for nibble in (0..16).filter(|nibble| children >> nibble & 1 == 1) {
            self.node(place.below(nibble));
        }
    }

    /// Of a zero path, often nearly to the end of the key.
    fn extension(&mut self, mut place: Place) {
        let most = u8::try_from(63 - place.depth).expect("shorter than a key");
        let length = match self.choose(2) {
            0 => most - self.choose(most.min(4)),
            _ => 1 + self.choose(most),
        };
        self.bytes.extend([EXTENSION, length]);
        self.bytes.extend((0..length.div_ceil(2)).map(|_| 0));
        place.depth += usize::from(length);
        self.branch(place);
    }

    fn leaf(&mut self, mut place: Place) {
        let rest = self.choose(4);
        place.key[place.depth.div_ceil(2)..].fill(rest);
        let key = B256::from(place.key);
        self.keys
            .push((place.account.unwrap_or(key), place.account.map(|_| key)));
        let tag = match place.account {
            Some(_) => STORAGE_LEAF,
            None => ACCOUNT,
        };
        self.bytes.push(tag);
        self.bytes.extend(&key[place.depth / 2..]);
        match place.account {
            Some(_) => self.value(),
            None => self.account(key),
        }
    }

    fn value(&mut self) {
        let length = [1, 32][usize::from(self.choose(2))];
        let byte = 1 + self.choose(0xff);
        self.bytes.push(length);
        self.bytes.extend((0..length).map(|_| byte));
    }

    fn account(&mut self, key: B256) {
        let flags = self.choose(4);
        self.bytes.extend([flags, 0]);
        if flags & 1 != 0 {
            self.bytes.extend([7; 32]);
        }
        if flags & 2 != 0 {
            self.trie(Some(key));
        }
    }

    /// Deletes every other leaf that was shown, and changes the others.
    fn changes(&self) -> Changes {
        let mut writes: BTreeMap<B256, AccountChange> = BTreeMap::new();
        for (number, (account, storage)) in self.keys.iter().enumerate() {
            let write = writes.entry(*account).or_insert_with(|| AccountChange {
                key: *account,
                account: Some(crate::reader::Account::default()),
                storage_wiped: false,
                slots: Vec::new(),
            });
            let deleted = number % 2 == 0;
            match storage {
                Some(key) => write.slots.push(SlotWrite {
                    key: *key,
                    value: U256::from(if deleted { 0 } else { number }),
                }),
                None if deleted => write.account = None,
                None => {}
            }
        }
        let writes = writes.into_values().map(|write| AccountChange {
            slots: match write.account {
                Some(_) => write.slots,
                None => Vec::new(),
            },
            ..write
        });
        Changes::new(writes.collect())
    }
}

proptest! {
    #[test]
    fn forged_witness_is_read_and_written_without_panic(
        choices in vec(any::<u8>(), 0..600),
        batches in any_batches(),
        keys in vec(any_key(), 4),
    ) {
        let forger = Forger::witness(choices);
        let root = root_of(&forger.bytes).expect("it is as the format has it");
        let mut touched = Touched::default();
        let mut witness = decode(&forger.bytes, root).expect("this is its root");
        for (account, storage) in &forger.keys {
            match storage {
                Some(key) => {
                    touched.slot_key(*account, *key);
                    prop_assert_ne!(witness.trie().slot(account, key), Ok(U256::ZERO));
                    prop_assert!(witness.trie().storage_proof(account, key).is_ok());
                }
                None => {
                    touched.account_key(*account);
                    prop_assert!(matches!(witness.trie().account_leaf(account), Ok(Some(_))));
                    prop_assert!(witness.trie().account_proof(account).is_ok());
                }
            }
        }
        for key in &keys {
            drop(witness.trie().slot(key, key));
            drop(witness.trie().account_proof(key));
        }
        let again = witness.trie().witness(touched, &Changes::default(), &[]);
        let again = again.expect("what was shown can be shown");
        prop_assert_eq!(root_of(&again), Some(root));
        // Some of these need what is not shown, which is an error.
        drop(witness.apply_changes(&forger.changes(), None));
        for batch in batches {
            drop(witness.apply_changes(&Changes::new(batch), None));
        }
    }

    #[test]
    fn bytes_of_anybody_are_an_error_or_a_witness(
        choices in vec(any::<u8>(), 0..300),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..16),
        noise in vec(0u8..8, 0..300),
    ) {
        let mut bytes = Forger::witness(choices).bytes;
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            drop(decode(&bytes, B256::ZERO));
            drop(decode(&bytes[..at], B256::ZERO));
        }
        drop(decode(&noise, B256::ZERO));
        drop(decode(&[&[1], &noise[..]].concat(), B256::ZERO));
    }
}

/// As many tries as it says, each as deep as tries get and of nodes as short as nodes get.
fn deepest(tries: usize) -> Vec<u8> {
    let full = [BRANCH, 0xff, 0xff];
    let leaves = [&full[..], &[ACCOUNT, 0, 0].repeat(16)].concat();
    let path = [&[EXTENSION, 60][..], &[0; 30]].concat();
    let trie = [&path[..], &full, &leaves.repeat(16)].concat();
    let hash = [&[HASH][..], &[1; 32]].concat();
    let children = (0..256).map(|number| if number < tries { &trie } else { &hash });
    let children: Vec<&[u8]> = children.map(Vec::as_slice).collect();
    let lower = children
        .chunks(16)
        .map(|sixteen| [&full, &sixteen.concat()[..]].concat());
    let lower: Vec<u8> = lower.collect::<Vec<_>>().concat();
    [&[1][..], &full, &lower, &NO_CODES].concat()
}

#[test]
fn decoding_stops_at_its_memory() {
    let large = deepest(256);
    let (max, taken) = match decode(&large, B256::ZERO) {
        Err(WitnessError::TooMuchMemory { taken, max }) => (max, taken),
        other => panic!("{other:?}"),
    };
    assert_eq!(max, memory_bytes_max(large.len()));
    assert!(
        taken > max && taken < max + max / 4,
        "taken={taken} max={max}"
    );
    // What takes little may be as dense as it likes.
    let small = deepest(8);
    let root = root_of(&small).expect("a witness");
    assert!(decode(&small, root).is_ok());
}

#[test]
fn decoding_counts_codes() {
    let count = 50_000u32;
    let mut bytes = [&[1, 5][..], &count.to_le_bytes()].concat();
    for number in 0..count {
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(&number.to_le_bytes()[..3]);
    }
    let decoded = decode(&bytes, alloy_trie::EMPTY_ROOT_HASH);
    assert!(
        matches!(decoded, Err(WitnessError::TooMuchMemory { .. })),
        "{decoded:?}"
    );
}
