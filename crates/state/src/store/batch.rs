//! What a flush writes: the blocks since the flushed height, as sorted rows.
//!
//! ```text
//!   diffs, by height ─▶ writes (key, height, before, after), sorted ─┬─▶ history   every write's `before`
//!                                                                    └─▶ state     every key's last `after`
//!   records ─▶ blocks, index
//! ```
//!
//! What was before comes from memory, where the flushed height and all later ones are kept.

use super::chain::{Batch, Written};
use super::marker::Marker;
use super::rows::{
    AccountValue, Part, StateKey, block_hash_key, block_key, code_key, encode_location,
    encode_slot, transaction_key,
};
use crate::diff::AccountDiff;
use crate::record::BlockRecord;
use crate::runs::{self, Family, Heights, Rows, RowsError};
use crate::sparse::{Changes, Lanes};
use crate::versions::Versions;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Bytes of the values of most writes, before and after.
const WRITE_BYTES: usize = 110;

/// Writes of some blocks to the state, and where their values lie.
struct Writes {
    writes: Vec<Write>,
    values: Vec<u8>,
}

/// One block's write to a key. Orders by key, then by height.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Write {
    key: StateKey,
    height: u64,
    /// `None` where the block did not change the value.
    before: Option<Place>,
    after: Place,
}

/// Where a value lies; empty for none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    start: usize,
    end: usize,
}

/// Whose writes are being added, and of which block.
struct Owner<'a> {
    address: &'a Address,
    key: B256,
    height: u64,
    versions: &'a Versions,
}

impl Owner<'_> {
    /// The height below the block's.
    fn before(&self) -> u64 {
        self.height.saturating_sub(1)
    }
}

/// The rows of a batch, and its marker. `history_kept` is how many heights below the batch's own can be read
/// from the history; `None` for all.
pub(super) fn rows(
    batch: &Batch,
    marker: &Marker,
    versions: &Versions,
    history_kept: Option<u64>,
) -> Result<runs::Batch, RowsError> {
    let count: usize = batch.blocks.iter().map(|block| block.diff.len()).sum();
    let mut writes = Writes {
        writes: Vec::with_capacity(count),
        values: Vec::with_capacity(count.saturating_mul(WRITE_BYTES)),
    };
    for block in &batch.blocks {
        writes.add_block(block, versions);
    }
    writes.writes.sort_unstable();
    let mut written = runs::Batch::new(marker.encode());
    writes.put_state(written.rows(Family::State))?;
    writes.put_history(written.rows(Family::History))?;
    put_blocks(batch, written.rows(Family::Blocks))?;
    let indexed: Vec<Indexed<'_>> = batch
        .blocks
        .iter()
        .map(|block| (&*block.record, &block.diff.code))
        .collect();
    put_index(written.rows(Family::Index), &indexed)?;
    let first = batch.blocks.first();
    let first = first.map_or(marker.height, |block| block.record.height);
    written.set_history(Heights {
        low: first.saturating_sub(1),
        high: marker.height,
    });
    if let Some(kept) = history_kept {
        written.drop_history_below(marker.height.saturating_sub(kept));
    }
    Ok(written)
}

impl Writes {
    fn add_block(&mut self, block: &Written, versions: &Versions) {
        let accounts = &block.diff.accounts;
        let (keys, slot_keys) = Changes::keys_of(&block.diff, Lanes::Widest);
        let mut slot_keys = slot_keys.as_slice();
        for ((address, change), key) in accounts.iter().zip(keys) {
            let owner = Owner {
                address,
                key,
                height: block.record.height,
                versions,
            };
            let (own, rest) = slot_keys.split_at(change.storage.len());
            slot_keys = rest;
            self.add_account(&owner, change, block.storage_roots.get(address));
            self.wipe(&owner, change);
            // The slots that a deleted account wrote go with it.
            if change.account.is_some() {
                let slots = change.storage.iter().zip(own);
                slots.for_each(|(slot, key)| self.add_slot(&owner, *key, slot));
            }
        }
    }

    fn add_account(&mut self, owner: &Owner<'_>, change: &AccountDiff, root: Option<&B256>) {
        let before = owner.versions.account(owner.before(), owner.address);
        if before.is_none() && change.account.is_none() {
            return;
        }
        let is_new = before != change.account;
        let value = |account, storage_root| AccountValue {
            address: *owner.address,
            account,
            storage_root,
        };
        let root = root.copied().unwrap_or(EMPTY_ROOT_HASH);
        let before = before.map(|account| value(account, EMPTY_ROOT_HASH));
        let after = change.account.map(|account| value(account, root));
        let write = Write {
            key: StateKey::Account(owner.key),
            height: owner.height,
            before: is_new.then(|| self.put_account(before)),
            after: self.put_account(after),
        };
        self.writes.push(write);
    }

    /// Adds the end of the slots that the block wiped and did not write.
    fn wipe(&mut self, owner: &Owner<'_>, change: &AccountDiff) {
        if !change.drops_storage() || !owner.versions.has_slots(owner.address) {
            return;
        }
        let written = |slot| change.account.is_some() && change.storage.contains_key(slot);
        let slots = owner.versions.slots_at(owner.before(), owner.address);
        for (slot, before) in slots.iter().filter(|(slot, _)| !written(slot)) {
            let key = keccak256(slot.to_be_bytes::<32>());
            self.put_slot(owner, key, slot, (*before, U256::ZERO));
        }
    }

    fn add_slot(&mut self, owner: &Owner<'_>, key: B256, (slot, value): (&U256, &U256)) {
        let before = owner.versions.storage(owner.before(), owner.address, slot);
        self.put_slot(owner, key, slot, (before, *value));
    }

    fn put_slot(
        &mut self,
        owner: &Owner<'_>,
        key: B256,
        slot: &U256,
        (before, after): (U256, U256),
    ) {
        if before == after {
            return;
        }
        let mut place = |value: U256| {
            let start = self.values.len();
            if !value.is_zero() {
                encode_slot(slot, &value, &mut self.values);
            }
            Place {
                start,
                end: self.values.len(),
            }
        };
        let write = Write {
            key: StateKey::Slot(owner.key, key),
            height: owner.height,
            before: Some(place(before)),
            after: place(after),
        };
        self.writes.push(write);
    }

    fn put_account(&mut self, value: Option<AccountValue>) -> Place {
        let start = self.values.len();
        if let Some(value) = value {
            value.encode(&mut self.values);
        }
        Place {
            start,
            end: self.values.len(),
        }
    }

    /// Puts the last value of every key.
    fn put_state(&self, rows: &mut Rows) -> Result<(), RowsError> {
        for same in self.writes.chunk_by(|one, next| one.key == next.key) {
            let Some(last) = same.last() else { continue };
            let value = self.value(last.after);
            last.key.with_bytes(|key| match value.is_empty() {
                true => rows.delete(key),
                false => rows.put(key, value),
            })?;
        }
        Ok(())
    }

    /// Puts the value before each write that changed one. There is nothing before genesis.
    fn put_history(&self, rows: &mut Rows) -> Result<(), RowsError> {
        for write in self.writes.iter().filter(|write| write.height > 0) {
            let Some(before) = write.before else { continue };
            let value = self.value(before);
            write
                .key
                .with_bytes(|key| rows.put_before(key, write.height, value))?;
        }
        Ok(())
    }

    fn value(&self, place: Place) -> &[u8] {
        &self.values[place.start..place.end]
    }
}

fn put_blocks(batch: &Batch, rows: &mut Rows) -> Result<(), RowsError> {
    let mut blocks = batch.blocks.iter();
    blocks.try_for_each(|block| put_record(rows, &block.record, &block.root))
}

/// Puts a block and the root of the state after it.
pub(super) fn put_record(
    rows: &mut Rows,
    record: &BlockRecord,
    root: &B256,
) -> Result<(), RowsError> {
    let hashes = [record.hash, *root].concat();
    let transactions = record.transaction_hashes.as_slice().concat();
    let parts = [
        (Part::Hashes, hashes.into()),
        (Part::Header, record.header.clone()),
        (Part::Body, record.body.clone()),
        (Part::Receipts, record.receipts.clone()),
        (Part::TransactionHashes, transactions.into()),
        (Part::AccessList, record.access_list.clone()),
    ];
    let mut parts = parts.into_iter();
    parts.try_for_each(|(part, bytes)| rows.put_shared(&block_key(record.height, part), bytes))
}

/// Puts what is known of a block from before the state was imported.
pub(super) fn put_hash(rows: &mut Rows, height: u64, hash: B256) -> Result<(), RowsError> {
    let hashes = [hash, B256::ZERO].concat();
    rows.put(&block_key(height, Part::Hashes), &hashes)
}

/// A block, and the code it deployed.
type Indexed<'a> = (&'a BlockRecord, &'a BTreeMap<B256, Bytes>);

/// Puts where blocks and transactions are, and the code that was deployed.
pub(super) fn put_index(rows: &mut Rows, blocks: &[Indexed<'_>]) -> Result<(), RowsError> {
    let mut index: BTreeMap<[u8; 33], Cow<'_, [u8]>> = BTreeMap::new();
    for (record, code) in blocks {
        let height = record.height.to_be_bytes();
        index.insert(block_hash_key(&record.hash), height.to_vec().into());
        for (hash, number) in record.transaction_hashes.iter().zip(0u32..) {
            let location = encode_location((record.height, number));
            index.insert(transaction_key(hash), location.to_vec().into());
        }
        for (hash, code) in *code {
            index.insert(code_key(hash), (&code[..]).into());
        }
    }
    index
        .iter()
        .try_for_each(|(key, value)| rows.put(key, value))
}
