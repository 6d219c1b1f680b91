//! The file: eight tables, written together, at one height.
//!
//! | table | key | value |
//! |---|---|---|
//! | flushed | – | format, height, state root, block hash |
//! | accounts | address | nonce, balance, code hash |
//! | storage | address ‖ slot | value, never zero |
//! | code | code hash | code |
//! | blocks | height | hash, header, body, receipts, transaction hashes |
//! | access_lists | height | access list, never empty |
//! | heights | block hash | height |
//! | transactions | transaction hash | height, index |
//!
//! Numbers in keys are big-endian, so that the slots of an account are one range.
//!
//! Access lists have a table of their own because they came later: a file of before lacks the table
//! until the next block is written to it, and the lists of the blocks in it for ever. Builds of before
//! read and write such a file too; what they write has no lists. So the format is the same.

use super::chain::Batch;
use crate::diff::{AccountDiff, StateDiff};
use crate::reader::Account;
use crate::record::{BlockRecord, TransactionLocation};
use alloy_primitives::{Address, B256, Bytes, U256};
use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition,
    WriteTransaction,
};

/// The format of the file that this version writes and reads.
pub(super) const FORMAT: u32 = 1;

type Word = &'static [u8; 32];
type Slot = &'static [u8; 52];
type Text = &'static [u8];
type FlushedRow = (u32, u64, Word, Word);
type AccountRow = (u64, Word, Word);
type BlockRow = (Word, Text, Text, Text, Text);
type Result<T> = std::result::Result<T, redb::Error>;

const FLUSHED: TableDefinition<'static, (), FlushedRow> = TableDefinition::new("flushed");
const ACCOUNTS: TableDefinition<'static, &[u8; 20], AccountRow> = TableDefinition::new("accounts");
const STORAGE: TableDefinition<'static, Slot, Word> = TableDefinition::new("storage");
const CODE: TableDefinition<'static, Word, Text> = TableDefinition::new("code");
const BLOCKS: TableDefinition<'static, u64, BlockRow> = TableDefinition::new("blocks");
const ACCESS_LISTS: TableDefinition<'static, u64, Text> = TableDefinition::new("access_lists");
const HEIGHTS: TableDefinition<'static, Word, u64> = TableDefinition::new("heights");
const TRANSACTIONS: TableDefinition<'static, Word, (u64, u32)> =
    TableDefinition::new("transactions");

/// A slot: whose, which, and its value.
pub(super) type SlotOf = (Address, U256, U256);

/// What the file says of itself.
pub(super) struct Flushed {
    pub(super) format: u32,
    pub(super) height: u64,
    pub(super) root: B256,
    pub(super) hash: B256,
}

/// Writes some blocks and their state, durably, all or nothing.
pub(super) fn write(database: &Database, batch: &Batch) -> Result<()> {
    let transaction = database.begin_write()?;
    let mut merged = StateDiff::default();
    for (diff, record) in &batch.blocks {
        merged.merge(diff);
        write_block(&transaction, record)?;
    }
    write_accounts(&transaction, &merged)?;
    write_code(&transaction, &merged)?;
    if let Some((_, newest)) = batch.blocks.last() {
        let row = (FORMAT, batch.height, &batch.root.0, &newest.hash.0);
        transaction.open_table(FLUSHED)?.insert((), row)?;
    }
    transaction.commit()?;
    Ok(())
}

fn write_accounts(transaction: &WriteTransaction, diff: &StateDiff) -> Result<()> {
    let mut accounts = transaction.open_table(ACCOUNTS)?;
    let mut storage = transaction.open_table(STORAGE)?;
    for (address, change) in &diff.accounts {
        match &change.account {
            Some(account) => {
                let balance = account.balance.to_be_bytes();
                let row = (account.nonce, &balance, &account.code_hash.0);
                accounts.insert(&address.0.0, row)?;
            }
            None => drop(accounts.remove(&address.0.0)?),
        }
        write_storage(&mut storage, address, change)?;
    }
    Ok(())
}

fn write_storage(
    table: &mut Table<'_, Slot, Word>,
    address: &Address,
    change: &AccountDiff,
) -> Result<()> {
    if change.drops_storage() {
        let (first, last) = (
            slot_key(address, &U256::ZERO),
            slot_key(address, &U256::MAX),
        );
        table.retain_in::<&[u8; 52], _>(&first..=&last, |_, _| false)?;
    }
    if change.account.is_none() {
        return Ok(());
    }
    for (slot, value) in &change.storage {
        let key = slot_key(address, slot);
        if value.is_zero() {
            table.remove(&key)?;
        } else {
            table.insert(&key, &value.to_be_bytes())?;
        }
    }
    Ok(())
}

fn write_code(transaction: &WriteTransaction, diff: &StateDiff) -> Result<()> {
    let mut table = transaction.open_table(CODE)?;
    for (hash, code) in &diff.code {
        table.insert(&hash.0, &code[..])?;
    }
    Ok(())
}

fn write_block(transaction: &WriteTransaction, record: &BlockRecord) -> Result<()> {
    let height = record.height;
    let hashes = record.transaction_hashes.as_slice().concat();
    let row = (
        &record.hash.0,
        &record.header[..],
        &record.body[..],
        &record.receipts[..],
        &hashes[..],
    );
    transaction.open_table(BLOCKS)?.insert(height, row)?;
    if !record.access_list.is_empty() {
        let mut access_lists = transaction.open_table(ACCESS_LISTS)?;
        access_lists.insert(height, &record.access_list[..])?;
    }
    let mut heights = transaction.open_table(HEIGHTS)?;
    heights.insert(&record.hash.0, height)?;
    let mut transactions = transaction.open_table(TRANSACTIONS)?;
    for (hash, index) in record.transaction_hashes.iter().zip(0u32..) {
        transactions.insert(&hash.0, (height, index))?;
    }
    Ok(())
}

/// `None` for a new file.
pub(super) fn flushed(database: &Database) -> Result<Option<Flushed>> {
    let table = match database.begin_read()?.open_table(FLUSHED) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        table => table?,
    };
    let row = table.get(())?;
    Ok(row.map(|row| {
        let (format, height, root, hash) = row.value();
        Flushed {
            format,
            height,
            root: root.into(),
            hash: hash.into(),
        }
    }))
}

pub(super) fn code(database: &Database, hash: &B256) -> Result<Option<Bytes>> {
    let table = database.begin_read()?.open_table(CODE)?;
    let row = table.get(&hash.0)?;
    Ok(row.map(|row| Bytes::copy_from_slice(row.value())))
}

pub(super) fn block_hash(database: &Database, height: u64) -> Result<Option<B256>> {
    let table = database.begin_read()?.open_table(BLOCKS)?;
    let row = table.get(height)?;
    Ok(row.map(|row| row.value().0.into()))
}

pub(super) fn record(database: &Database, height: u64) -> Result<Option<BlockRecord>> {
    let table = database.begin_read()?.open_table(BLOCKS)?;
    let Some(row) = table.get(height)? else {
        return Ok(None);
    };
    let (hash, header, body, receipts, hashes) = row.value();
    Ok(Some(BlockRecord {
        height,
        hash: hash.into(),
        header: Bytes::copy_from_slice(header),
        body: Bytes::copy_from_slice(body),
        receipts: Bytes::copy_from_slice(receipts),
        access_list: access_list(database, height)?,
        transaction_hashes: hashes.chunks_exact(32).map(B256::from_slice).collect(),
    }))
}

/// Empty where there is none.
pub(super) fn access_list(database: &Database, height: u64) -> Result<Bytes> {
    let table = match database.begin_read()?.open_table(ACCESS_LISTS) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Bytes::new()),
        table => table?,
    };
    let row = table.get(height)?;
    let list = row.map(|row| Bytes::copy_from_slice(row.value()));
    Ok(list.unwrap_or_default())
}

pub(super) fn height_of_block(database: &Database, hash: &B256) -> Result<Option<u64>> {
    let table = database.begin_read()?.open_table(HEIGHTS)?;
    Ok(table.get(&hash.0)?.map(|row| row.value()))
}

pub(super) fn transaction_location(
    database: &Database,
    hash: &B256,
) -> Result<Option<TransactionLocation>> {
    let table = database.begin_read()?.open_table(TRANSACTIONS)?;
    Ok(table.get(&hash.0)?.map(|row| row.value()))
}

/// All accounts and slots, at one moment.
pub(super) struct Rows {
    accounts: ReadOnlyTable<&'static [u8; 20], AccountRow>,
    storage: ReadOnlyTable<Slot, Word>,
}

impl Rows {
    pub(super) fn open(database: &Database) -> Result<Self> {
        let transaction = database.begin_read()?;
        Ok(Self {
            accounts: transaction.open_table(ACCOUNTS)?,
            storage: transaction.open_table(STORAGE)?,
        })
    }

    /// The accounts, by address.
    pub(super) fn accounts(&self) -> Result<impl Iterator<Item = Result<(Address, Account)>>> {
        Ok(self.accounts.iter()?.map(|row| {
            let (address, account) = row?;
            let (nonce, balance, code_hash) = account.value();
            let account = Account {
                nonce,
                balance: U256::from_be_bytes(*balance),
                code_hash: code_hash.into(),
            };
            Ok((address.value().into(), account))
        }))
    }

    /// The slots, by address and slot.
    pub(super) fn storage(&self) -> Result<impl Iterator<Item = Result<SlotOf>>> {
        Ok(self.storage.iter()?.map(|row| {
            let (key, value) = row?;
            let (address, slot) = key.value().split_at(20);
            Ok((
                Address::from_slice(address),
                U256::from_be_slice(slot),
                U256::from_be_bytes(*value.value()),
            ))
        }))
    }
}

fn slot_key(address: &Address, slot: &U256) -> [u8; 52] {
    let mut key = [0; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

#[cfg(test)]
pub(super) mod tests {
    //! Ways for the store's tests to damage a table, and to make a file of an earlier build.

    use super::{ACCESS_LISTS, Database, STORAGE};

    pub(in crate::store) fn put_slot(database: &Database, key: &[u8; 52]) {
        let transaction = database.begin_write().expect("the only writer");
        let mut table = transaction.open_table(STORAGE).expect("of this type");
        table.insert(key, &[1; 32]).expect("a healthy disk");
        drop(table);
        transaction.commit().expect("a healthy disk");
    }

    pub(in crate::store) fn drop_access_lists(database: &Database) {
        let transaction = database.begin_write().expect("the only writer");
        let dropped = transaction.delete_table(ACCESS_LISTS);
        assert!(dropped.expect("a healthy disk"), "there was one");
        transaction.commit().expect("a healthy disk");
    }
}
