//! Leaves with their preimages, and their bytes in chunks and manifests.
//!
//! ```text
//!   account  address 20 │ flags 1 │ balance length 1 │ nonce │ balance │ code hash? 32 │ storage?
//!   storage  in a chunk: slots 4 │ slot …       in a manifest: the top of its trie
//!   slot     slot length 1 │ value length 1 │ slot │ value
//!   flags    1: has code   2: has storage   4 bits: length of the nonce
//! ```
//!
//! Integers in leaves are big-endian without leading zeros, counts little-endian. A leaf has one encoding:
//! whatever else would decode to it is malformed.

use crate::reader::Account;
use crate::sparse::SlotWrite;
use alloy_primitives::{Address, B256, U256};
use alloy_trie::KECCAK_EMPTY;

const HAS_CODE: u8 = 1;
const HAS_STORAGE: u8 = 2;
/// The number of slots before them.
pub(super) const COUNT_BYTES: usize = 4;

/// An account of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLeaf {
    /// Keccak of the address.
    pub key: B256,
    /// The address.
    pub address: Address,
    /// The account.
    pub account: Account,
    /// Root of its storage trie; that of the empty trie when it has none.
    pub storage_root: B256,
}

/// A slot of a state's account, which is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLeaf {
    /// Keccak of the slot's number in 32 bytes.
    pub key: B256,
    /// Number of the slot.
    pub slot: U256,
    /// Its value.
    pub value: U256,
}

impl SlotLeaf {
    pub(super) fn write(&self) -> SlotWrite {
        SlotWrite {
            key: self.key,
            value: self.value,
        }
    }
}

/// An account as it was read: its key and storage are not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountHead {
    pub(super) address: Address,
    pub(super) account: Account,
    pub(super) has_storage: bool,
}

/// Bytes of an account without its storage.
pub(super) fn account_bytes(account: &Account) -> usize {
    let code = if account.has_code() { 32 } else { 0 };
    22 + nonce_bytes(account) + account.balance.byte_len() + code
}

/// Bytes of a slot.
pub(super) fn slot_bytes(slot: &U256, value: &U256) -> usize {
    2 + slot.byte_len() + value.byte_len()
}

/// Appends an account up to its storage.
pub(super) fn put_account(out: &mut Vec<u8>, head: &AccountHead) {
    let account = &head.account;
    let nonce = nonce_bytes(account);
    let flags = u8::from(account.has_code()) * HAS_CODE + u8::from(head.has_storage) * HAS_STORAGE;
    out.extend_from_slice(head.address.as_slice());
    out.push(flags | length(nonce) << 4);
    out.push(length(account.balance.byte_len()));
    out.extend_from_slice(&account.nonce.to_be_bytes()[8 - nonce..]);
    put_number(out, &account.balance);
    if account.has_code() {
        out.extend_from_slice(account.code_hash.as_slice());
    }
}

/// Appends a slot.
pub(super) fn put_slot(out: &mut Vec<u8>, slot: &U256, value: &U256) {
    out.push(length(slot.byte_len()));
    out.push(length(value.byte_len()));
    put_number(out, slot);
    put_number(out, value);
}

fn put_number(out: &mut Vec<u8>, number: &U256) {
    let bytes = number.to_be_bytes::<32>();
    out.extend_from_slice(&bytes[32 - number.byte_len()..]);
}

fn nonce_bytes(account: &Account) -> usize {
    8 - account.nonce.leading_zeros() as usize / 8
}

fn length(bytes: usize) -> u8 {
    u8::try_from(bytes).expect("at most 32")
}

/// Not the one encoding of anything: where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) usize);

/// Bytes of anyone, read from the front.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let bytes = self.bytes[self.at..].get(..length);
        let bytes = bytes.ok_or(Malformed(self.at))?;
        self.at += length;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.take(N)?.try_into();
        Ok(bytes.expect("as many as were taken"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    pub(super) fn ensure(&self, holds: bool) -> Result<(), Malformed> {
        match holds {
            true => Ok(()),
            false => Err(Malformed(self.at)),
        }
    }

    pub(super) fn account(&mut self) -> Result<AccountHead, Malformed> {
        let address = Address::from(self.array()?);
        let [flags, balance] = self.array()?;
        self.ensure(flags & 0x0f & !(HAS_CODE | HAS_STORAGE) == 0 && flags >> 4 <= 8)?;
        let nonce = self.number(flags >> 4)?;
        let balance = self.number(balance)?;
        let mut account = Account {
            nonce: nonce.as_limbs()[0],
            balance,
            code_hash: KECCAK_EMPTY,
        };
        if flags & HAS_CODE != 0 {
            account.code_hash = B256::from(self.array()?);
            self.ensure(account.has_code())?;
        }
        Ok(AccountHead {
            address,
            account,
            has_storage: flags & HAS_STORAGE != 0,
        })
    }

    /// A slot's number and value.
    pub(super) fn slot(&mut self) -> Result<(U256, U256), Malformed> {
        let [slot, value] = self.array()?;
        let slot = self.number(slot)?;
        let value = self.number(value)?;
        self.ensure(!value.is_zero())?;
        Ok((slot, value))
    }

    /// A number without leading zeros.
    fn number(&mut self, length: u8) -> Result<U256, Malformed> {
        self.ensure(length <= 32)?;
        let bytes = self.take(usize::from(length))?;
        self.ensure(bytes.first() != Some(&0))?;
        Ok(U256::from_be_slice(bytes))
    }
}
