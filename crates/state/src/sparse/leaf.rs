//! Leaves: what they hold, how they lie in an arena, and how they are encoded.
//!
//! ```text
//!   account  3 │ key 32 │ flags 1 │ balance length 1 │ storage? │ code hash? 32 │ nonce │ balance
//!   storage  place 4 │ bytes 4 │ root 32
//!   flags    1: has code   2: has storage   4 bits: length of the nonce
//! ```
//!
//! What an account without code and storage has by definition is not stored. In tests a slot may hold
//! any value as it is: those of the published tries are no numbers.

use super::arena::{Arena, NONE, Ptr};
use super::node::{ACCOUNT, KEY_NIBBLES, Kind, SLOT};
use crate::reader::Account;
use alloy_primitives::{B256, U256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};

/// The largest leaf: an account with everything.
pub(super) const LEAF_BYTES_MAX: usize = STORAGE_AT + STORAGE_BYTES + 32 + 8 + 32;
pub(super) const SLOT_VALUE_AT: usize = 33;
const STORAGE_AT: usize = 35;
const STORAGE_BYTES: usize = 40;
const HAS_CODE: u8 = 1;
const HAS_STORAGE: u8 = 2;
/// Beside [`SLOT`], in tests: the value is no number, and stands in the trie as it is.
pub(super) const RAW: u8 = 0x40;
/// The place of a storage trie that has parts of its own.
const LARGE: u32 = 1 << 31;

/// A key and its new value.
pub(super) trait Write: Sync {
    fn key(&self) -> &[u8; 32];
    /// Whether the key goes.
    fn is_delete(&self) -> bool;
    /// The leaf with the new value.
    fn leaf<'a>(&self, block: &'a mut [u8; LEAF_BYTES_MAX]) -> &'a [u8];
}

/// A slot and its new value; zero deletes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotWrite {
    /// Keccak of the slot's number.
    pub key: B256,
    /// The new value.
    pub value: U256,
}

impl Write for SlotWrite {
    fn key(&self) -> &[u8; 32] {
        &self.key.0
    }

    fn is_delete(&self) -> bool {
        self.value.is_zero()
    }

    fn leaf<'a>(&self, block: &'a mut [u8; LEAF_BYTES_MAX]) -> &'a [u8] {
        let length = self.value.byte_len();
        block[0] = SLOT | u8::try_from(length).expect("at most 32 bytes");
        block[1..33].copy_from_slice(self.key.as_slice());
        let value = self.value.to_be_bytes::<32>();
        block[SLOT_VALUE_AT..][..length].copy_from_slice(&value[32 - length..]);
        &block[..SLOT_VALUE_AT + length]
    }
}

/// Where the storage of an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Empty,
    /// Known by its root only.
    Unresolved,
    /// In the arena of the account.
    Small(Ptr),
    /// In parts of its own.
    Large,
}

/// The storage of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) place: Place,
    /// What a small storage trie takes, for knowing when to give it parts of its own.
    pub(super) bytes: u32,
    pub(super) root: B256,
}

impl Stored {
    pub(super) const EMPTY: Self = Self {
        place: Place::Empty,
        bytes: 0,
        root: EMPTY_ROOT_HASH,
    };

    pub(super) fn is_unresolved(&self) -> bool {
        self.place == Place::Unresolved
    }

    pub(super) fn small_root(&self) -> Option<Ptr> {
        match self.place {
            Place::Small(root) => Some(root),
            Place::Empty | Place::Unresolved | Place::Large => None,
        }
    }
}

/// A new account leaf, or the end of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct AccountWrite {
    pub(super) key: B256,
    pub(super) value: Option<(Account, Stored)>,
}

impl Write for AccountWrite {
    fn key(&self) -> &[u8; 32] {
        &self.key.0
    }

    fn is_delete(&self) -> bool {
        self.value.is_none()
    }

    fn leaf<'a>(&self, block: &'a mut [u8; LEAF_BYTES_MAX]) -> &'a [u8] {
        let (account, stored) = self.value.as_ref().expect("not a deletion");
        let (nonce, balance) = (
            account.nonce.to_be_bytes(),
            account.balance.to_be_bytes::<32>(),
        );
        let nonce = &nonce[nonce_zeros(account)..];
        let balance = &balance[32 - account.balance.byte_len()..];
        let mut flags = u8::try_from(nonce.len()).expect("at most eight") << 4;
        let mut at = STORAGE_AT;
        let mut put = |bytes: &[u8]| {
            block[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        if stored.place != Place::Empty {
            flags |= HAS_STORAGE;
            put(&place_word(stored.place).to_le_bytes());
            put(&stored.bytes.to_le_bytes());
            put(stored.root.as_slice());
        }
        if account.has_code() {
            flags |= HAS_CODE;
            put(account.code_hash.as_slice());
        }
        put(nonce);
        put(balance);
        block[0] = ACCOUNT;
        block[1..33].copy_from_slice(self.key.as_slice());
        block[33] = flags;
        block[34] = u8::try_from(balance.len()).expect("at most 32");
        &block[..at]
    }
}

fn nonce_zeros(account: &Account) -> usize {
    account.nonce.leading_zeros() as usize / 8
}

fn place_word(place: Place) -> u32 {
    match place {
        Place::Empty | Place::Unresolved => NONE,
        Place::Small(root) => root,
        Place::Large => LARGE,
    }
}

impl Arena {
    pub(super) fn leaf_size(&self, node: Ptr) -> usize {
        let block = &self.bytes()[self.at(node)..];
        if block[0] & SLOT != 0 {
            return SLOT_VALUE_AT + usize::from(block[0] & !(SLOT | RAW));
        }
        code_at(block[33])
            + 32 * usize::from(block[33] & HAS_CODE)
            + usize::from(block[33] >> 4)
            + usize::from(block[34])
    }

    pub(super) fn key(&self, leaf: Ptr) -> &[u8; 32] {
        let at = self.at(leaf);
        let key = self.bytes()[at + 1..at + 33].try_into();
        key.expect("thirty-two bytes")
    }

    /// The block of a leaf.
    pub(super) fn leaf_block(&self, leaf: Ptr) -> &[u8] {
        let at = self.at(leaf);
        &self.bytes()[at..at + self.leaf_size(leaf)]
    }

    pub(super) fn slot_value(&self, leaf: Ptr) -> U256 {
        U256::from_be_slice(&self.leaf_block(leaf)[SLOT_VALUE_AT..])
    }

    pub(super) fn account(&self, leaf: Ptr) -> Account {
        let block = self.leaf_block(leaf);
        let mut at = code_at(block[33]);
        let mut code_hash = KECCAK_EMPTY;
        if block[33] & HAS_CODE != 0 {
            code_hash = B256::from_slice(&block[at..at + 32]);
            at += 32;
        }
        let (nonce, balance) = block[at..].split_at(usize::from(block[33] >> 4));
        let nonce = nonce
            .iter()
            .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        Account {
            nonce,
            balance: U256::from_be_slice(balance),
            code_hash,
        }
    }

    pub(super) fn stored(&self, leaf: Ptr) -> Stored {
        let at = self.at(leaf);
        if self.bytes()[at + 33] & HAS_STORAGE == 0 {
            return Stored::EMPTY;
        }
        let place = match self.u32_at(at + STORAGE_AT) {
            NONE => Place::Unresolved,
            LARGE => Place::Large,
            small => Place::Small(small),
        };
        Stored {
            place,
            bytes: self.u32_at(at + STORAGE_AT + 4),
            root: B256::from_slice(&self.bytes()[at + STORAGE_AT + 8..][..32]),
        }
    }

    /// Moves the storage of an account that has some, without changing it.
    pub(super) fn set_place(&mut self, leaf: Ptr, place: Place) {
        let at = self.at(leaf) + STORAGE_AT;
        self.set_u32_at(at, place_word(place));
    }

    pub(super) fn set_small_root(&mut self, leaf: Ptr, root: Ptr) {
        self.set_place(leaf, Place::Small(root));
    }

    /// Length of a leaf's encoding at this depth.
    pub(super) fn leaf_length(&self, leaf: Ptr, depth: usize) -> usize {
        let payload = path_length(depth) + self.value_length(leaf);
        payload + if payload < 56 { 1 } else { 2 }
    }

    /// Encodes a leaf at this depth.
    pub(super) fn encode_leaf(&self, leaf: Ptr, depth: usize, out: &mut [u8]) {
        let payload = path_length(depth) + self.value_length(leaf);
        let mut at = put_header(out, 0xc0, payload);
        at += put_path(&mut out[at..], self.key(leaf), depth);
        let block = self.leaf_block(leaf);
        match self.kind(leaf) {
            Kind::Slot => encode_slot(block, &mut out[at..]),
            _ => encode_account(block, &mut out[at..]),
        }
    }

    /// Length of the encoded value with its header.
    fn value_length(&self, leaf: Ptr) -> usize {
        let block = self.leaf_block(leaf);
        match self.kind(leaf) {
            Kind::Slot => match &block[SLOT_VALUE_AT..] {
                [0..0x80] => 1,
                value if is_raw(block) => value.len() + 1,
                value => value.len() + 2,
            },
            _ => account_payload(block) + 4,
        }
    }
}

fn is_raw(block: &[u8]) -> bool {
    cfg!(test) && block[0] & RAW != 0
}

fn code_at(flags: u8) -> usize {
    STORAGE_AT + usize::from(flags & HAS_STORAGE != 0) * STORAGE_BYTES
}

/// Length of the list of an account's four fields, which is between 56 and 255.
fn account_payload(block: &[u8]) -> usize {
    let (nonce, balance) = numbers(block);
    66 + number_length(nonce) + number_length(balance)
}

fn numbers(block: &[u8]) -> (&[u8], &[u8]) {
    let at = code_at(block[33]) + 32 * usize::from(block[33] & HAS_CODE);
    block[at..].split_at(usize::from(block[33] >> 4))
}

fn number_length(number: &[u8]) -> usize {
    match number {
        [0..0x80] => 1,
        number => number.len() + 1,
    }
}

/// A number as a string: itself if it is a small byte.
fn put_number(out: &mut [u8], number: &[u8]) -> usize {
    if let [byte @ 0..0x80] = number {
        out[0] = *byte;
        return 1;
    }
    let at = put_header(out, 0x80, number.len());
    out[at..at + number.len()].copy_from_slice(number);
    at + number.len()
}

/// The string of the encoding of a value of at most 32 bytes.
fn encode_slot(block: &[u8], out: &mut [u8]) {
    let value = &block[SLOT_VALUE_AT..];
    let at = match value {
        [0..0x80] => 0,
        _ if is_raw(block) => 0,
        value => put_header(out, 0x80, value.len() + 1),
    };
    put_number(&mut out[at..], value);
}

fn encode_account(block: &[u8], out: &mut [u8]) {
    let payload = account_payload(block);
    let (nonce, balance) = numbers(block);
    let mut at = put_header(out, 0x80, payload + 2);
    at += put_header(&mut out[at..], 0xc0, payload);
    at += put_number(&mut out[at..], nonce);
    at += put_number(&mut out[at..], balance);
    let root = match block[33] & HAS_STORAGE {
        0 => EMPTY_ROOT_HASH.as_slice(),
        _ => &block[STORAGE_AT + 8..][..32],
    };
    at += put_number(&mut out[at..], root);
    let code_hash = match block[33] & HAS_CODE {
        0 => KECCAK_EMPTY.as_slice(),
        _ => &block[code_at(block[33])..][..32],
    };
    put_number(&mut out[at..], code_hash);
}

/// The header of a string (0x80) or list (0xc0) below 64 KiB, and its length.
pub(super) fn put_header(out: &mut [u8], kind: u8, payload: usize) -> usize {
    let [.., high, low] = payload.to_be_bytes();
    match payload {
        0..56 => out[0] = kind + low,
        56..256 => out[..2].copy_from_slice(&[kind + 0x38, low]),
        _ => out[..3].copy_from_slice(&[kind + 0x39, high, low]),
    }
    header_length(payload)
}

pub(super) fn header_length(payload: usize) -> usize {
    match payload {
        0..56 => 1,
        56..256 => 2,
        _ => 3,
    }
}

/// Length of the encoded rest of a key below this depth.
fn path_length(depth: usize) -> usize {
    let packed = 1 + (KEY_NIBBLES - depth) / 2;
    packed + usize::from(packed > 1)
}

/// The rest of a key below this depth, marked as that of a leaf.
fn put_path(out: &mut [u8], key: &[u8; 32], depth: usize) -> usize {
    let odd = !depth.is_multiple_of(2);
    let first = if odd {
        0x30 | key[depth / 2] & 0x0f
    } else {
        0x20
    };
    let rest = &key[depth.div_ceil(2)..];
    let at = match rest.is_empty() {
        true => 0,
        false => put_header(out, 0x80, 1 + rest.len()),
    };
    out[at] = first;
    out[at + 1..at + 1 + rest.len()].copy_from_slice(rest);
    at + 1 + rest.len()
}
