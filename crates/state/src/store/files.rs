//! Reading the rows of the files: the state at any height the history reaches, blocks, code.
//!
//! The value at an old height is what the first later write found there; without such a write, it is
//! the value of today.

use super::error::{Corruption, StoreError};
use super::rows::{
    AccountValue, Part, StateKey, block_hash_key, block_key, code_key, decode_location,
    decode_slot, transaction_key,
};
use crate::reader::Account;
use crate::record::{BlockReceipts, BlockRecord, TransactionLocation};
use crate::runs::{Family, View};
use crate::sparse::{AccountRow, Leaves, Missing, SlotWrite};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::Nibbles;

type Result<T> = std::result::Result<T, StoreError>;

/// The account at a height that the history reaches.
pub(crate) fn account(view: &View, height: u64, address: &Address) -> Result<Option<Account>> {
    let value = value_at(view, height, StateKey::account(address))?;
    let value = value.map(|bytes| decode_account(&bytes)).transpose()?;
    Ok(value.map(|value| value.account))
}

/// The slot at a height that the history reaches; zero when there is none.
pub(crate) fn storage(view: &View, height: u64, address: &Address, slot: &U256) -> Result<U256> {
    match value_at(view, height, StateKey::slot(address, slot))? {
        Some(bytes) => Ok(decode_slot(&bytes).ok_or_else(|| bad_row("slot"))?.1),
        None => Ok(U256::ZERO),
    }
}

/// All leaves of a part of the trie at the flushed height.
pub(super) fn leaves(view: &View, part: &Missing) -> Result<Leaves> {
    let (first, last) = bounds(&part.path);
    let key = |path: B256| match part.account {
        None => StateKey::Account(path),
        Some(account) => StateKey::Slot(account, path),
    };
    let rows = key(first).with_bytes(|first| view.range(Family::State, first, None));
    let last = key(last);
    let mut accounts = Vec::new();
    let mut slots = Vec::new();
    for row in rows {
        let (key, value) = row?;
        match StateKey::parse(&key) {
            Some(key) if key > last => break,
            Some(StateKey::Account(key)) => accounts.push(account_row(key, &value)?),
            Some(StateKey::Slot(_, key)) => {
                let value = decode_slot(&value).ok_or_else(|| bad_row("slot"))?.1;
                slots.push(SlotWrite { key, value });
            }
            None => return Err(bad_row("state key")),
        }
    }
    Ok(match part.account {
        None => Leaves::Accounts(accounts),
        Some(_) => Leaves::Slots(slots),
    })
}

fn account_row(key: B256, value: &[u8]) -> Result<AccountRow> {
    let value = decode_account(value)?;
    Ok(AccountRow {
        key,
        account: value.account,
        storage_root: value.storage_root,
    })
}

/// The first and the last key that begin with these nibbles.
fn bounds(path: &Nibbles) -> (B256, B256) {
    let (mut first, mut last) = (B256::ZERO, B256::repeat_byte(0xff));
    for (index, nibble) in path.iter().enumerate() {
        let shift = 4 * (1 - index % 2);
        first[index / 2] |= nibble << shift;
        last[index / 2] &= !((0xf ^ nibble) << shift);
    }
    (first, last)
}

pub(super) fn code(view: &View, hash: &B256) -> Result<Option<Bytes>> {
    let code = view.get(Family::Index, &code_key(hash))?;
    Ok(code.map(Bytes::from))
}

/// A part of what is kept of an import.
pub(super) fn import_part(view: &View, kind: u8) -> Result<Option<Bytes>> {
    Ok(view.get(Family::Index, &[kind])?.map(Bytes::from))
}

pub(super) fn block_hash(view: &View, height: u64) -> Result<Option<B256>> {
    Ok(hashes(view, height)?.map(|(hash, _)| hash))
}

/// The hash of the block at a height, and the root of the state after it.
pub(super) fn hashes(view: &View, height: u64) -> Result<Option<(B256, B256)>> {
    let Some(row) = part(view, height, Part::Hashes)? else {
        return Ok(None);
    };
    match row.split_at_checked(32) {
        Some((hash, root)) if root.len() == 32 => {
            Ok(Some((B256::from_slice(hash), B256::from_slice(root))))
        }
        _ => Err(bad_row("hashes")),
    }
}

pub(super) fn record(view: &View, height: u64) -> Result<Option<BlockRecord>> {
    let mut parts = parts(view, height, |_| true)?;
    let Some((hash, header)) = parts.head()? else {
        return Ok(None);
    };
    Ok(Some(BlockRecord {
        height,
        hash,
        header,
        body: parts.take(Part::Body)?,
        receipts: parts.take(Part::Receipts)?,
        access_list: parts.take(Part::AccessList)?,
        transaction_hashes: parts.transaction_hashes()?,
    }))
}

pub(super) fn receipts(view: &View, height: u64) -> Result<Option<BlockReceipts>> {
    let is_wanted = |part| !matches!(part, Part::Body | Part::AccessList);
    let mut parts = parts(view, height, is_wanted)?;
    let Some((hash, header)) = parts.head()? else {
        return Ok(None);
    };
    Ok(Some(BlockReceipts {
        hash,
        header,
        receipts: parts.take(Part::Receipts)?,
        transaction_hashes: parts.transaction_hashes()?,
    }))
}

/// Parts of one block's record.
struct Parts(Vec<(Part, Bytes)>);

impl Parts {
    fn find(&mut self, part: Part) -> Option<Bytes> {
        let found = self.0.iter_mut().find(|(of, _)| *of == part);
        found.map(|(_, bytes)| std::mem::take(bytes))
    }

    fn take(&mut self, part: Part) -> Result<Bytes> {
        self.find(part).ok_or_else(|| bad_row("block"))
    }

    /// The block's hash and its header; none if it is not there. Of blocks from before the state that was
    /// imported there is the hash alone.
    fn head(&mut self) -> Result<Option<(B256, Bytes)>> {
        let Some(hashes) = self.find(Part::Hashes) else {
            return Ok(None);
        };
        let hash = hashes
            .first_chunk::<32>()
            .ok_or_else(|| bad_row("hashes"))?;
        let header = self.find(Part::Header);
        Ok(header.map(|header| (hash.into(), header)))
    }

    fn transaction_hashes(&mut self) -> Result<Vec<B256>> {
        let hashes = self.take(Part::TransactionHashes)?;
        Ok(hashes.chunks_exact(32).map(B256::from_slice).collect())
    }
}

/// The parts of a block's record that are wanted. They lie together, so they are read at once.
fn parts(view: &View, height: u64, is_wanted: impl Fn(Part) -> bool) -> Result<Parts> {
    let from = block_key(height, Part::Hashes);
    let to = block_key(height.saturating_add(1), Part::Hashes);
    let mut rows = view.range(Family::Blocks, &from, Some(&to));
    let mut found = Vec::new();
    while let Some((key, value)) = rows.next_row()? {
        let part = Part::ALL
            .into_iter()
            .find(|part| key == block_key(height, *part));
        match part {
            Some(part) if is_wanted(part) => found.push((part, Bytes::copy_from_slice(value))),
            Some(_) => {}
            None => return Err(bad_row("block key")),
        }
    }
    Ok(Parts(found))
}

pub(super) fn header(view: &View, height: u64) -> Result<Option<Bytes>> {
    part(view, height, Part::Header)
}

/// Empty where there is none.
pub(super) fn access_list(view: &View, height: u64) -> Result<Bytes> {
    Ok(part(view, height, Part::AccessList)?.unwrap_or_default())
}

pub(super) fn height_of_block(view: &View, hash: &B256) -> Result<Option<u64>> {
    let Some(row) = view.get(Family::Index, &block_hash_key(hash))? else {
        return Ok(None);
    };
    let height = row.as_slice().try_into().map(u64::from_be_bytes);
    Ok(Some(height.map_err(|_| bad_row("height"))?))
}

pub(super) fn transaction_location(
    view: &View,
    hash: &B256,
) -> Result<Option<TransactionLocation>> {
    let row = view.get(Family::Index, &transaction_key(hash))?;
    row.map(|row| decode_location(&row).ok_or_else(|| bad_row("location")))
        .transpose()
}

pub(super) fn decode_account(bytes: &[u8]) -> Result<AccountValue> {
    AccountValue::decode(bytes).ok_or_else(|| bad_row("account"))
}

pub(super) fn bad_row(kind: &'static str) -> StoreError {
    Corruption::Row { kind }.into()
}

fn part(view: &View, height: u64, part: Part) -> Result<Option<Bytes>> {
    let row = view.get(Family::Blocks, &block_key(height, part))?;
    Ok(row.map(Bytes::from))
}

/// The value of a key at a height; `None` when there was none.
fn value_at(view: &View, height: u64, key: StateKey) -> Result<Option<Vec<u8>>> {
    key.with_bytes(|key| match view.history(key, height)? {
        Some(before) => Ok((!before.is_empty()).then_some(before)),
        None => Ok(view.get(Family::State, key)?),
    })
}
