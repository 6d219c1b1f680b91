//! The state that is offered to nodes that join: one flushed height, unchanged for as long as somebody holds it.

use super::error::StoreError;
use super::files::{self, bad_row, decode_account};
use super::marker::Marker;
use super::rows::{ACCOUNTS_END, StateKey, decode_slot};
use crate::reader::ReadFault;
use crate::runs::{Family, RunsError, View};
use crate::sync::{AccountLeaf, LeafScan, SlotLeaf};
use alloy_primitives::{B256, Bytes};

/// The state at a height that all nodes offer: a multiple of the interval in the store's configuration.
#[derive(Clone, Debug)]
pub struct Served {
    view: View,
    marker: Marker,
}

impl Served {
    pub(super) fn new(view: View, marker: Marker) -> Self {
        Self { view, marker }
    }

    /// The height.
    pub fn height(&self) -> u64 {
        self.marker.height
    }

    /// The root of the state.
    pub fn root(&self) -> B256 {
        self.marker.root
    }

    /// The hash of the block at the height.
    pub fn block_hash(&self) -> B256 {
        self.marker.hash
    }

    /// The rows from a key on, up to another.
    fn rows(
        &self,
        from: StateKey,
        end: &[u8],
    ) -> impl Iterator<Item = Result<Row, ReadFault>> + use<> {
        let rows = from.with_bytes(|from| self.view.range(Family::State, from, Some(end)));
        rows.map(parse)
    }
}

/// A row as the files have it.
type Raw = Result<(Vec<u8>, Vec<u8>), RunsError>;
type Row = (StateKey, Vec<u8>);

fn parse(row: Raw) -> Result<Row, ReadFault> {
    let (key, value) = row.map_err(|error| fault(error.into()))?;
    let key = StateKey::parse(&key).ok_or_else(|| fault(bad_row("state key")))?;
    Ok((key, value))
}

fn fault(error: StoreError) -> ReadFault {
    ReadFault::Store(Box::new(error))
}

impl LeafScan for Served {
    fn accounts(&self, from: &B256) -> impl Iterator<Item = Result<AccountLeaf, ReadFault>> {
        let rows = self.rows(StateKey::Account(*from), ACCOUNTS_END);
        rows.map(|row| {
            let (key, value) = row?;
            let StateKey::Account(key) = key else {
                return Err(fault(bad_row("account key")));
            };
            let value = decode_account(&value).map_err(fault)?;
            Ok(AccountLeaf {
                key,
                address: value.address,
                account: value.account,
                storage_root: value.storage_root,
            })
        })
    }

    fn slots(
        &self,
        account: &B256,
        from: &B256,
    ) -> impl Iterator<Item = Result<SlotLeaf, ReadFault>> {
        let owner = *account;
        let last = StateKey::Slot(owner, B256::repeat_byte(0xff));
        // Just above the last possible key.
        let end = last.with_bytes(|key| [key, &[0]].concat());
        let rows = self.rows(StateKey::Slot(owner, *from), &end);
        rows.map(|row| {
            let (key, value) = row?;
            let StateKey::Slot(_, key) = key else {
                return Err(fault(bad_row("slot key")));
            };
            let (slot, value) = decode_slot(&value).ok_or_else(|| fault(bad_row("slot")))?;
            Ok(SlotLeaf { key, slot, value })
        })
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        files::code(&self.view, hash).map_err(fault)
    }
}
