//! The rows of the files: which keys there are, and how values are encoded.
//!
//! | family | key | value |
//! |---|---|---|
//! | state | `0` ‖ keccak(address) | address, account, storage root |
//! | state | `1` ‖ keccak(address) ‖ keccak(slot) | slot, value (never zero) |
//! | blocks | height ‖ part | hash and state root; header; body; receipts; transaction hashes; access list |
//! | index | `0` ‖ block hash | height |
//! | index | `1` ‖ transaction hash | height, index |
//! | index | `2` ‖ code hash | code |
//! | index | `3`, `4`, `5` ‖ number | of a state that is being imported: manifest, evidence, a chunk that is there |
//! | history | a key of the state ‖ height | the value before that height, empty if there was none |
//!
//! The state lies in the order of its tries, so that the leaves below any node are one range. Numbers in
//! keys are big-endian; numbers in values are without leading zeros, after their length.

use crate::reader::Account;
use crate::record::TransactionLocation;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};

const ACCOUNT: u8 = 0;
const SLOT: u8 = 1;
const BLOCK_HASH: u8 = 0;
const TRANSACTION: u8 = 1;
const CODE: u8 = 2;
/// Of the manifest of a state that is being imported.
pub(crate) const IMPORT_MANIFEST: u8 = 3;
/// Of the evidence for it.
pub(crate) const IMPORT_EVIDENCE: u8 = 4;
const IMPORT_CHUNK: u8 = 5;
/// The range of the chunks that are imported.
pub(crate) const IMPORT_CHUNKS: (&[u8], &[u8]) = (&[IMPORT_CHUNK], &[IMPORT_CHUNK + 1]);
const HAS_CODE: u8 = 1;
const HAS_STORAGE: u8 = 2;
const ACCOUNT_KEY_BYTES: usize = 33;
const SLOT_KEY_BYTES: usize = 65;

/// A key of the state: an account's, or a slot's. Orders as its bytes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StateKey {
    /// Keccak of the address.
    Account(B256),
    /// Keccak of the address, keccak of the slot.
    Slot(B256, B256),
}

/// An account as its row has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountValue {
    pub(crate) address: Address,
    pub(crate) account: Account,
    /// Root of its storage trie when the row was written.
    pub(crate) storage_root: B256,
}

/// A part of a block's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Part {
    /// Block hash and state root.
    Hashes,
    Header,
    Body,
    Receipts,
    TransactionHashes,
    AccessList,
}

impl Part {
    /// All of them, in the order of their rows.
    pub(crate) const ALL: [Self; 6] = [
        Self::Hashes,
        Self::Header,
        Self::Body,
        Self::Receipts,
        Self::TransactionHashes,
        Self::AccessList,
    ];
}

impl StateKey {
    pub(crate) fn account(address: &Address) -> Self {
        Self::Account(keccak256(address))
    }

    pub(crate) fn slot(address: &Address, slot: &U256) -> Self {
        Self::Slot(keccak256(address), keccak256(slot.to_be_bytes::<32>()))
    }

    /// Calls `with` with the key's bytes.
    pub(crate) fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
        let mut key = [0; SLOT_KEY_BYTES];
        match self {
            Self::Account(account) => {
                key[0] = ACCOUNT;
                key[1..ACCOUNT_KEY_BYTES].copy_from_slice(account.as_slice());
                with(&key[..ACCOUNT_KEY_BYTES])
            }
            Self::Slot(account, slot) => {
                key[0] = SLOT;
                key[1..ACCOUNT_KEY_BYTES].copy_from_slice(account.as_slice());
                key[ACCOUNT_KEY_BYTES..].copy_from_slice(slot.as_slice());
                with(&key)
            }
        }
    }

    /// `None` for bytes that are no key of the state.
    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let (kind, hashes) = key.split_first()?;
        match (*kind, hashes.len()) {
            (ACCOUNT, 32) => Some(Self::Account(B256::from_slice(hashes))),
            (SLOT, 64) => {
                let (account, slot) = hashes.split_at(32);
                Some(Self::Slot(
                    B256::from_slice(account),
                    B256::from_slice(slot),
                ))
            }
            _ => None,
        }
    }
}

impl AccountValue {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let has_code = self.account.has_code();
        let has_storage = self.storage_root != EMPTY_ROOT_HASH;
        out.extend_from_slice(self.address.as_slice());
        out.push((u8::from(has_code) * HAS_CODE) | (u8::from(has_storage) * HAS_STORAGE));
        put_number(out, &U256::from(self.account.nonce));
        put_number(out, &self.account.balance);
        if has_code {
            out.extend_from_slice(self.account.code_hash.as_slice());
        }
        if has_storage {
            out.extend_from_slice(self.storage_root.as_slice());
        }
    }

    /// `None` for bytes that are no such value.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let address = Address::from_slice(take(&mut bytes, 20)?);
        let flags = take(&mut bytes, 1)?[0];
        let nonce = u64::try_from(take_number(&mut bytes)?).ok()?;
        let balance = take_number(&mut bytes)?;
        let mut hash = |flag: u8, otherwise: B256| match flags & flag {
            0 => Some(otherwise),
            _ => take(&mut bytes, 32).map(B256::from_slice),
        };
        let code_hash = hash(HAS_CODE, KECCAK_EMPTY)?;
        let storage_root = hash(HAS_STORAGE, EMPTY_ROOT_HASH)?;
        bytes.is_empty().then_some(Self {
            address,
            account: Account {
                nonce,
                balance,
                code_hash,
            },
            storage_root,
        })
    }
}

/// A slot's row: its number and its value.
pub(crate) fn encode_slot(slot: &U256, value: &U256, out: &mut Vec<u8>) {
    put_number(out, slot);
    put_number(out, value);
}

/// The slot and its value; `None` for bytes that are no slot's row.
pub(crate) fn decode_slot(mut bytes: &[u8]) -> Option<(U256, U256)> {
    let slot = take_number(&mut bytes)?;
    let value = take_number(&mut bytes)?;
    bytes.is_empty().then_some((slot, value))
}

/// The key above all accounts'.
pub(crate) const ACCOUNTS_END: &[u8] = &[SLOT];
/// The range of the accounts: its first key, and the first one after it.
pub(crate) const ACCOUNTS: (&[u8], &[u8]) = (&[ACCOUNT], ACCOUNTS_END);
/// The range of the slots.
pub(crate) const SLOTS: (&[u8], &[u8]) = (&[SLOT], &[SLOT + 1]);

pub(crate) fn block_key(height: u64, part: Part) -> [u8; 9] {
    let mut key = [0; 9];
    key[..8].copy_from_slice(&height.to_be_bytes());
    key[8] = part as u8;
    key
}

pub(crate) fn block_hash_key(hash: &B256) -> [u8; 33] {
    index_key(BLOCK_HASH, hash)
}

pub(crate) fn transaction_key(hash: &B256) -> [u8; 33] {
    index_key(TRANSACTION, hash)
}

pub(crate) fn code_key(hash: &B256) -> [u8; 33] {
    index_key(CODE, hash)
}

/// Of a chunk that is imported, by its number.
pub(crate) fn import_chunk_key(number: usize) -> [u8; 9] {
    let mut key = [IMPORT_CHUNK; 9];
    key[1..].copy_from_slice(&(number as u64).to_be_bytes());
    key
}

fn index_key(kind: u8, hash: &B256) -> [u8; 33] {
    let mut key = [kind; 33];
    key[1..].copy_from_slice(hash.as_slice());
    key
}

/// The height and index of a transaction.
pub(crate) fn encode_location((height, index): TransactionLocation) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&height.to_be_bytes());
    bytes[8..].copy_from_slice(&index.to_be_bytes());
    bytes
}

/// `None` for bytes that are no location.
pub(crate) fn decode_location(bytes: &[u8]) -> Option<TransactionLocation> {
    let bytes: [u8; 12] = bytes.try_into().ok()?;
    let (height, index) = bytes.split_first_chunk::<8>()?;
    Some((
        u64::from_be_bytes(*height),
        u32::from_be_bytes(index.try_into().ok()?),
    ))
}

fn put_number(out: &mut Vec<u8>, number: &U256) {
    let bytes = number.to_be_bytes::<32>();
    let length = number.byte_len();
    out.push(u8::try_from(length).expect("at most 32 bytes"));
    out.extend_from_slice(&bytes[32 - length..]);
}

fn take_number(bytes: &mut &[u8]) -> Option<U256> {
    let length = usize::from(take(bytes, 1)?[0]);
    let digits = (length <= 32).then(|| take(bytes, length))??;
    U256::try_from_be_slice(digits)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}
