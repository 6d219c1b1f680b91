//! What a batch writes: per family, rows in order.
//!
//! | family | key | deletions | newest row of a key |
//! |---|---|---|---|
//! | State | up to 247 bytes | yes | counts |
//! | Blocks | rising from batch to batch | no | is the only one |
//! | Index | up to 247 bytes | yes | counts |
//! | History | key ‖ height, big-endian | no | is the only one |
//!
//! Rows of the history are ordered by key and then by height, so that those of a key are together
//! also where one key is another's beginning.
//!
//! Limits: keys of [`KEY_BYTES_MAX`], values of [`VALUE_BYTES_MAX`], a batch in memory.

use super::error::RowsError;
use alloy_primitives::Bytes;
use std::cmp::Ordering;

/// Bytes of the longest key, without the height of a history row.
pub(crate) const KEY_BYTES_MAX: usize = 255 - HEIGHT_BYTES;
/// Bytes of the longest value.
pub(crate) const VALUE_BYTES_MAX: usize = 256 << 20;
/// Bytes of the height at the end of a history row's key.
pub(super) const HEIGHT_BYTES: usize = 8;

/// Rows with the same life, kept in files of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// The state at the marker: later rows override earlier ones.
    State,
    /// What never changes and comes in rising order: blocks by height.
    Blocks,
    /// Where to find things by hash: like the state.
    Index,
    /// The values before each height, dropped from the oldest height on.
    History,
}

/// How the keys of a family are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As bytes.
    Bytes,
    /// As bytes without the last eight, then by these.
    KeyThenHeight,
}

impl Family {
    /// Number of families.
    pub(super) const COUNT: usize = 4;
    /// All of them; each one's place is its number.
    pub(crate) const ALL: [Self; Self::COUNT] =
        [Self::State, Self::Blocks, Self::Index, Self::History];

    pub(super) fn order(self) -> Order {
        match self {
            Self::State | Self::Blocks | Self::Index => Order::Bytes,
            Self::History => Order::KeyThenHeight,
        }
    }

    /// Whether a later row overrides an earlier one of its key, or deletes it.
    pub(super) fn overrides(self) -> bool {
        matches!(self, Self::State | Self::Index)
    }

    /// Whether it is worth a filter: its runs overlap.
    pub(super) fn has_filter(self) -> bool {
        self != Self::Blocks
    }
}

impl Order {
    pub(super) fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Bytes => a.cmp(b),
            Self::KeyThenHeight => split_height(a).cmp(&split_height(b)),
        }
    }

    /// A number that is not greater than a later key's. Where two are equal the keys are to be compared.
    pub(super) fn prefix(self, key: &[u8]) -> u64 {
        let subject = self.subject(key);
        let bytes = subject.first_chunk::<8>().copied();
        u64::from_be_bytes(bytes.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            bytes[..subject.len()].copy_from_slice(subject);
            bytes
        }))
    }

    /// The part of a key that is looked for: what the filters know.
    pub(super) fn subject(self, key: &[u8]) -> &[u8] {
        match self {
            Self::Bytes => key,
            Self::KeyThenHeight => split_height(key).0,
        }
    }
}

/// The key and the height of a history row.
pub(super) fn split_height(row_key: &[u8]) -> (&[u8], &[u8]) {
    row_key.split_at(row_key.len().saturating_sub(HEIGHT_BYTES))
}

/// The key of a history row.
pub(super) fn with_height(key: &[u8], height: u64) -> Vec<u8> {
    [key, &height.to_be_bytes()].concat()
}

/// A row: the key, and the value or none if it is deleted.
pub(super) type Row<'a> = (&'a [u8], Option<&'a [u8]>);

/// A batch's rows of one family, each after the one before.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    family: Family,
    /// Length of the key, where the value is, key, value; row after row.
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
    /// Values that are not copied, and the rows they belong to, in their order.
    shared: Vec<(usize, Bytes)>,
}

/// Where a row's value is.
const DELETED: u8 = 0;
const COPIED: u8 = 1;
const SHARED: u8 = 2;

impl Rows {
    /// No rows yet.
    pub(crate) fn new(family: Family) -> Self {
        Self {
            family,
            bytes: Vec::new(),
            ends: Vec::new(),
            shared: Vec::new(),
        }
    }

    /// Adds a row with a value that is large and not copied.
    pub(crate) fn put_shared(&mut self, key: &[u8], value: Bytes) -> Result<(), RowsError> {
        if self.family == Family::History {
            return Err(self.kind());
        }
        check_value(&value)?;
        self.push(&[key], (SHARED, &[]))?;
        self.shared.push((self.len() - 1, value));
        Ok(())
    }

    /// Adds a row with a value.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowsError> {
        if self.family == Family::History {
            return Err(self.kind());
        }
        self.push(&[key], (COPIED, value))
    }

    /// Adds a row that says that its key has no value any more.
    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<(), RowsError> {
        if !self.family.overrides() {
            return Err(self.kind());
        }
        self.push(&[key], (DELETED, &[]))
    }

    /// Adds a row of the history: the value that a key had before a height changed it.
    pub(crate) fn put_before(
        &mut self,
        key: &[u8],
        height: u64,
        before: &[u8],
    ) -> Result<(), RowsError> {
        if self.family != Family::History {
            return Err(self.kind());
        }
        self.push(&[key, &height.to_be_bytes()], (COPIED, before))
    }

    fn kind(&self) -> RowsError {
        RowsError::Kind {
            family: self.family,
        }
    }

    fn push(&mut self, key: &[&[u8]], (place, value): (u8, &[u8])) -> Result<(), RowsError> {
        let bytes: usize = key.iter().map(|part| part.len()).sum();
        let key_bytes_max = match self.family.order() {
            Order::Bytes => KEY_BYTES_MAX,
            Order::KeyThenHeight => KEY_BYTES_MAX + HEIGHT_BYTES,
        };
        let len = u8::try_from(bytes).ok().filter(|_| bytes <= key_bytes_max);
        let len = len.ok_or(RowsError::KeyLength { bytes })?;
        check_value(value)?;
        let start = self.bytes.len();
        self.bytes.extend([len, place]);
        key.iter()
            .for_each(|part| self.bytes.extend_from_slice(part));
        if !self.rises(start) {
            self.bytes.truncate(start);
            return Err(RowsError::Order { row: self.len() });
        }
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Whether the key from `start` on comes after the last row's.
    fn rises(&self, start: usize) -> bool {
        let key = &self.bytes[start + 2..];
        let order = self.family.order();
        self.last_key()
            .is_none_or(|last| order.compare(last, key).is_lt())
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    pub(super) fn first_key(&self) -> Option<&[u8]> {
        self.iter().next().map(|(key, _)| key)
    }

    pub(super) fn last_key(&self) -> Option<&[u8]> {
        let last = self.len().checked_sub(1)?;
        Some(self.row(last).0)
    }

    fn row(&self, index: usize) -> Row<'_> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let row = &self.bytes[start..self.ends[index]];
        let (key, value) = row[2..].split_at(usize::from(row[0]));
        let value = match row[1] {
            DELETED => None,
            SHARED => {
                let place = self.shared.partition_point(|(row, _)| *row < index);
                self.shared.get(place).map(|(_, value)| &value[..])
            }
            _ => Some(value),
        };
        (key, value)
    }

    /// The rows in order: the key, and the value or none if it is deleted.
    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }
}

fn check_value(value: &[u8]) -> Result<(), RowsError> {
    let bytes = value.len();
    if bytes > VALUE_BYTES_MAX {
        return Err(RowsError::ValueLength { bytes });
    }
    Ok(())
}

/// What is written at once: all of it or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(super) marker: Vec<u8>,
    pub(super) rows: [Rows; Family::COUNT],
    /// The heights after `low`, up to `high`, that the history rows belong to.
    pub(super) heights: Option<Heights>,
    pub(super) drop_below: Option<u64>,
}

/// The heights after `low`, up to and with `high`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heights {
    /// The height before the first.
    pub(crate) low: u64,
    /// The last height.
    pub(crate) high: u64,
}

impl Batch {
    /// A batch without rows. The marker is handed back with every view of what the batch leads to.
    pub(crate) fn new(marker: Vec<u8>) -> Self {
        Self {
            marker,
            rows: Family::ALL.map(Rows::new),
            heights: None,
            drop_below: None,
        }
    }

    /// The rows of a family, to add to.
    pub(crate) fn rows(&mut self, family: Family) -> &mut Rows {
        &mut self.rows[family as usize]
    }

    /// The heights that the history of this batch is complete for. Without them it has none, and
    /// what it changes is not in the history. Heights that do not follow on those before begin a
    /// new history.
    pub(crate) fn set_history(&mut self, heights: Heights) {
        self.heights = Some(heights);
    }

    /// The history at and below the height is no longer needed. Files go when all that is in them
    /// is below, so some of it remains. Without this call nothing is ever dropped; a first call
    /// with 0 says that there will be more.
    pub(crate) fn drop_history_below(&mut self, height: u64) {
        self.drop_below = Some(height);
    }

    /// The rows of each family that has some.
    pub(super) fn written(&self) -> impl Iterator<Item = &Rows> {
        self.rows.iter().filter(|rows| !rows.is_empty())
    }
}
