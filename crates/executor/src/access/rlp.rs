//! The bytes of an access list.
//!
//! ```text
//! list     [[account, …], [gas used, …]]
//! account  [address, [[key, [[index, value], …]], …], [key read, …],
//!           [[index, balance], …], [[index, nonce], …], [[index, code], …], [index of wipe, …]]
//! ```
//! An account is EIP-7928's with the wipes after it. Nothing is in the list twice, everything is in
//! ascending order, and no index lies beyond the last transaction: a list has one encoding, and what
//! decodes is a list. Limits: [`limits`](super::limits).

use super::{
    limits::{CODE_BYTES_MAX, LIST_BYTES_MAX, TRANSACTIONS_MAX},
    list::{AccessList, Change, Code, Lists, Part},
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, Header};
use std::{cmp::Ordering, fmt};

/// Bytes are not an access list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessListError {
    /// A field has the wrong form.
    #[error("access list is malformed: {0}")]
    Malformed(#[from] alloy_rlp::Error),
    /// There are too many bytes.
    #[error("access list is too long: bytes={bytes} bytes_max={LIST_BYTES_MAX}")]
    TooLong {
        /// So many.
        bytes: usize,
    },
    /// There are too many transactions.
    #[error("access list is of too many transactions: transactions_max={TRANSACTIONS_MAX}")]
    TooManyTransactions,
    /// An account gets too much code.
    #[error("access list has too long code: bytes={bytes} bytes_max={CODE_BYTES_MAX}")]
    CodeTooLong {
        /// So many.
        bytes: usize,
    },
    /// A list is not in ascending order.
    #[error("access list is out of order: field={0}")]
    Unsorted(ListField),
    /// Something is there twice.
    #[error("access list has a duplicate: field={0}")]
    Duplicate(ListField),
    /// A change by a transaction that the block does not have.
    #[error("access list has an index out of range: index={index} transactions={transactions}")]
    OutOfRange {
        /// Its index.
        index: u32,
        /// How many transactions there are.
        transactions: usize,
    },
    /// A slot is among the changed ones and has no change.
    #[error("access list has a changed slot without a change")]
    Unchanged,
    /// Something follows the list.
    #[error("access list has trailing bytes")]
    Trailing,
}

/// What is in ascending order in an access list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListField {
    /// Accounts by address.
    Address,
    /// Slots of an account by key.
    Slot,
    /// Changes of a location by transaction.
    Index,
}

impl fmt::Display for ListField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Address => "address",
            Self::Slot => "slot",
            Self::Index => "index",
        })
    }
}

impl AccessList {
    /// Keccak of the encoded list.
    #[must_use]
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// The list's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let lists = self.lists();
        let mut out = Vec::new();
        write_list(&mut out, |out| {
            write_list(out, |out| {
                lists
                    .parts()
                    .for_each(|part| encode_account(out, lists, part));
            });
            write_list(out, |out| {
                lists.gas_used.iter().for_each(|gas| gas.encode(out));
            });
        });
        out
    }

    /// Reads a list.
    ///
    /// # Errors
    /// When the bytes are not what [`Self::encode`] would write, or pass a limit.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, AccessListError> {
        if bytes.len() > LIST_BYTES_MAX {
            let bytes = bytes.len();
            return Err(AccessListError::TooLong { bytes });
        }
        let mut fields = read_list(&mut bytes)?;
        let mut accounts = read_list(&mut fields)?;
        let mut gas = read_list(&mut fields)?;
        check_end(fields)?;
        check_end(bytes)?;
        let mut reader = Reader::default();
        while !gas.is_empty() {
            if reader.lists.gas_used.len() == TRANSACTIONS_MAX {
                return Err(AccessListError::TooManyTransactions);
            }
            reader.lists.gas_used.push(u64::decode(&mut gas)?);
        }
        let mut last = None;
        while !accounts.is_empty() {
            let mut fields = read_list(&mut accounts)?;
            let address = Address::decode(&mut fields)?;
            check_order(&mut last, address, ListField::Address)?;
            reader.read_account(address, &mut fields)?;
            check_end(fields)?;
        }
        Ok(Self::new(reader.lists))
    }
}

fn encode_slot(out: &mut Vec<u8>, key: U256, values: &[Change<U256>]) {
    write_list(out, |out| {
        key.encode(out);
        encode_changes(out, values, |value, out| value.encode(out));
    });
}

fn encode_account(out: &mut Vec<u8>, lists: &Lists, part: Part<'_>) {
    let slots = part.slots.iter().enumerate().map(|(place, slot)| {
        let values = lists.values_of(part.first_slot.saturating_add(place));
        (slot.key, values)
    });
    write_list(out, |out| {
        part.address.encode(out);
        write_list(out, |out| {
            let changed = slots.clone().filter(|(_, values)| !values.is_empty());
            changed.for_each(|(key, values)| encode_slot(out, key, values));
        });
        write_list(out, |out| {
            let read = slots.clone().filter(|(_, values)| values.is_empty());
            read.for_each(|(key, _)| key.encode(out));
        });
        encode_changes(out, part.balances, |balance, out| balance.encode(out));
        encode_changes(out, part.nonces, |nonce, out| nonce.encode(out));
        encode_changes(out, part.codes, |code, out| code.bytes.encode(out));
        write_list(out, |out| {
            part.wipes.iter().for_each(|wipe| wipe.index.encode(out));
        });
    });
}

fn encode_changes<T>(out: &mut Vec<u8>, changes: &[Change<T>], value: fn(&T, &mut Vec<u8>)) {
    write_list(out, |out| {
        changes.iter().for_each(|change| {
            write_list(out, |out| {
                change.index.encode(out);
                value(&change.value, out);
            });
        });
    });
}

/// Writes a list whose length is not known before.
fn write_list(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let header = Header {
        list: true,
        payload_length: out.len().saturating_sub(start),
    };
    let mut bytes = Vec::with_capacity(header.length());
    header.encode(&mut bytes);
    out.splice(start..start, bytes);
}

#[derive(Default)]
struct Reader {
    lists: Lists,
}

impl Reader {
    fn read_account(
        &mut self,
        address: Address,
        fields: &mut &[u8],
    ) -> Result<(), AccessListError> {
        self.lists.begin_account(address);
        let changed = read_list(fields)?;
        let read = read_list(fields)?;
        self.read_slots(changed, read)?;
        let transactions = self.lists.gas_used.len();
        let lists = &mut self.lists;
        read_changes(fields, transactions, &mut lists.balances, read_value)?;
        read_changes(fields, transactions, &mut lists.nonces, read_value)?;
        read_changes(fields, transactions, &mut lists.codes, read_code)?;
        let mut wipes = read_list(fields)?;
        let mut last = None;
        while !wipes.is_empty() {
            let index = read_index(&mut wipes, transactions, &mut last)?;
            lists.wipes.push(Change { index, value: () });
        }
        Ok(())
    }

    /// Merges changed and read slots, which are both by key.
    fn read_slots(&mut self, mut changed: &[u8], mut read: &[u8]) -> Result<(), AccessListError> {
        let transactions = self.lists.gas_used.len();
        let (mut last_changed, mut last_read) = (None, None);
        let mut next_read = next_key(&mut read, &mut last_read)?;
        while !changed.is_empty() {
            let mut fields = read_list(&mut changed)?;
            let key = U256::decode(&mut fields)?;
            check_order(&mut last_changed, key, ListField::Slot)?;
            while let Some(earlier) = next_read.filter(|read| *read < key) {
                self.lists.begin_slot(earlier);
                next_read = next_key(&mut read, &mut last_read)?;
            }
            if next_read == Some(key) {
                return Err(AccessListError::Duplicate(ListField::Slot));
            }
            self.lists.begin_slot(key);
            let before = self.lists.values.len();
            let values = &mut self.lists.values;
            read_changes(&mut fields, transactions, values, read_value)?;
            check_end(fields)?;
            if values.len() == before {
                return Err(AccessListError::Unchanged);
            }
        }
        while let Some(later) = next_read {
            self.lists.begin_slot(later);
            next_read = next_key(&mut read, &mut last_read)?;
        }
        Ok(())
    }
}

fn next_key(keys: &mut &[u8], last: &mut Option<U256>) -> Result<Option<U256>, AccessListError> {
    if keys.is_empty() {
        return Ok(None);
    }
    let key = U256::decode(keys)?;
    check_order(last, key, ListField::Slot)?;
    Ok(Some(key))
}

fn read_value<T: Decodable>(bytes: &mut &[u8]) -> Result<T, AccessListError> {
    Ok(T::decode(bytes)?)
}

fn read_code(bytes: &mut &[u8]) -> Result<Code, AccessListError> {
    let code = Header::decode_bytes(bytes, false)?;
    if code.len() > CODE_BYTES_MAX {
        let bytes = code.len();
        return Err(AccessListError::CodeTooLong { bytes });
    }
    let bytes = Bytes::copy_from_slice(code);
    let hash = match bytes.is_empty() {
        true => KECCAK256_EMPTY,
        false => keccak256(&bytes),
    };
    Ok(Code { hash, bytes })
}

/// Takes a value from the front of a payload.
type ReadValue<T> = fn(&mut &[u8]) -> Result<T, AccessListError>;

fn read_changes<T>(
    fields: &mut &[u8],
    transactions: usize,
    changes: &mut Vec<Change<T>>,
    value: ReadValue<T>,
) -> Result<(), AccessListError> {
    let mut payload = read_list(fields)?;
    let mut last = None;
    while !payload.is_empty() {
        let mut fields = read_list(&mut payload)?;
        let index = read_index(&mut fields, transactions, &mut last)?;
        let value = value(&mut fields)?;
        check_end(fields)?;
        changes.push(Change { index, value });
    }
    Ok(())
}

fn read_index(
    fields: &mut &[u8],
    transactions: usize,
    last: &mut Option<u32>,
) -> Result<u32, AccessListError> {
    let index = u32::decode(fields)?;
    check_order(last, index, ListField::Index)?;
    match usize::try_from(index) {
        Ok(place) if place <= transactions => Ok(index),
        _ => Err(AccessListError::OutOfRange {
            index,
            transactions,
        }),
    }
}

fn check_order<T: Ord>(
    last: &mut Option<T>,
    next: T,
    field: ListField,
) -> Result<(), AccessListError> {
    match last.as_ref().map(|last| last.cmp(&next)) {
        Some(Ordering::Greater) => Err(AccessListError::Unsorted(field)),
        Some(Ordering::Equal) => Err(AccessListError::Duplicate(field)),
        Some(Ordering::Less) | None => {
            *last = Some(next);
            Ok(())
        }
    }
}

fn read_list<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], AccessListError> {
    Ok(Header::decode_bytes(bytes, true)?)
}

const fn check_end(rest: &[u8]) -> Result<(), AccessListError> {
    match rest.is_empty() {
        true => Ok(()),
        false => Err(AccessListError::Trailing),
    }
}
