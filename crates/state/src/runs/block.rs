//! A block: some rows in order, each saying only how its key differs from the one before.
//!
//! ```text
//!   row row … row │ restart offsets (u32 each) │ their number (u32)
//!   row = shared key bytes (u8), further key bytes (u8), value length + 1 or 0 if deleted (varint),
//!         further key, value
//! ```
//!
//! At a restart, each sixteenth row, the key is whole: a search halves the restarts and then walks.
//! Nothing here trusts its bytes, although their checksum is right by then.

use super::codec::{narrow, short};
use super::rows::Order;
use std::cmp::Ordering;
use std::ops::Range;

const RESTART_ROWS: usize = 16;
/// Bytes of a row before its key, and of its restart, at most.
const ROW_HEADER_BYTES_MAX: usize = 2 + 5 + 4;
const TRAILER_BYTES: usize = 4;

/// The bytes of a block make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A block in the making.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    rows: usize,
    /// Of the last row, also after the block is finished.
    last_key: Vec<u8>,
}

impl BlockBuilder {
    /// Adds a row. Its key, of at most 255 bytes, comes after the last one's.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let mut shared = 0;
        if self.rows.is_multiple_of(RESTART_ROWS) {
            self.restarts.push(short(self.bytes.len()));
        } else {
            shared = shared_len(&self.last_key, key);
        }
        let further = &key[shared..];
        for len in [shared, further.len()] {
            let len = u8::try_from(len).expect("keys are short");
            self.bytes.push(len);
        }
        put_varint(
            &mut self.bytes,
            value.map_or(0, |value| short(value.len() + 1)),
        );
        self.bytes.extend_from_slice(further);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.rows += 1;
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(further);
    }

    /// Bytes of the block with one more row, at most.
    pub(super) fn bytes_with(&self, key: &[u8], value: Option<&[u8]>) -> usize {
        let row = ROW_HEADER_BYTES_MAX + key.len() + value.map_or(0, <[u8]>::len);
        self.bytes.len() + row + self.restarts.len() * 4 + TRAILER_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The key of the last row; of the block before if there is none yet.
    pub(super) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Adds the block to the bytes and begins the next one.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
        for restart in &self.restarts {
            out.extend(restart.to_le_bytes());
        }
        out.extend(short(self.restarts.len()).to_le_bytes());
        self.restarts.clear();
        self.rows = 0;
    }
}

/// Number of bytes that two keys begin with in common.
pub(super) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(0x80 | u8::try_from(number & 0x7f).expect("seven bits"));
        number >>= 7;
    }
    bytes.push(u8::try_from(number).expect("seven bits"));
}

/// A place in a block: a row, or before the first one.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Where the next row begins.
    next: usize,
    /// Where the rows end.
    end: usize,
    pub(super) key: Vec<u8>,
    /// Where the row's value is in the block; `None` if it is deleted.
    pub(super) value: Option<Range<usize>>,
}

impl Place {
    /// In no block yet, but not after a key.
    pub(super) fn before(key: Vec<u8>) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// Goes before the first row of a block.
    pub(super) fn enter(&mut self, block: &[u8]) -> Result<(), Malformed> {
        let (end, _) = parts(block)?;
        (self.next, self.end) = (0, end);
        self.key.clear();
        self.value = None;
        Ok(())
    }

    /// Goes to the next row of the block; false if there is none.
    pub(super) fn step(&mut self, block: &[u8]) -> Result<bool, Malformed> {
        let rows = block.get(..self.end).ok_or(Malformed)?;
        if self.next >= rows.len() {
            return Ok(false);
        }
        let (row, key) = read_row(rows, self.next)?;
        if row.shared > self.key.len() {
            return Err(Malformed);
        }
        self.key.truncate(row.shared);
        self.key.extend_from_slice(key);
        self.value = row.value;
        self.next = row.end;
        Ok(true)
    }

    /// Goes to the first row of the block whose key is not before `from`; false if there is none.
    pub(super) fn seek(
        &mut self,
        block: &[u8],
        order: Order,
        from: &[u8],
    ) -> Result<bool, Malformed> {
        let (end, restarts) = parts(block)?;
        let rows = &block[..end];
        let (mut low, mut high) = (0, restarts.len());
        while low < high {
            let middle = low.midpoint(high);
            let start = narrow(u32::from_le_bytes(restarts[middle]).into());
            let (_, key) = read_row(rows, start)?;
            match order.compare(key, from) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal | Ordering::Greater => high = middle,
            }
        }
        let before = low.saturating_sub(1);
        self.enter(block)?;
        self.next = narrow(u32::from_le_bytes(restarts[before]).into());
        while self.step(block)? {
            if order.compare(&self.key, from).is_ge() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

type Parts<'a> = (usize, &'a [[u8; 4]]);

/// Where the rows of a block end, and its restarts, of which there is one at least.
fn parts(block: &[u8]) -> Result<Parts<'_>, Malformed> {
    let (rest, count) = block.split_last_chunk::<TRAILER_BYTES>().ok_or(Malformed)?;
    let count = narrow(u32::from_le_bytes(*count).into());
    let bytes = count.checked_mul(4).filter(|bytes| *bytes > 0);
    let end = bytes.and_then(|bytes| rest.len().checked_sub(bytes));
    let end = end.ok_or(Malformed)?;
    Ok((end, rest[end..].as_chunks().0))
}

struct Row {
    shared: usize,
    value: Option<Range<usize>>,
    end: usize,
}

type Read<'a, T> = Result<(T, &'a [u8]), Malformed>;

/// The row that begins at `start`, and the bytes of its key that it does not share.
fn read_row(rows: &[u8], start: usize) -> Read<'_, Row> {
    let bytes = rows.get(start..).ok_or(Malformed)?;
    let (&[shared, further], after) = bytes.split_first_chunk().ok_or(Malformed)?;
    let (tag, after) = read_varint(after)?;
    let (key, after) = after
        .split_at_checked(usize::from(further))
        .ok_or(Malformed)?;
    let value_bytes = tag.saturating_sub(1);
    if value_bytes > after.len() {
        return Err(Malformed);
    }
    let value_start = rows.len() - after.len();
    let end = value_start + value_bytes;
    let row = Row {
        shared: usize::from(shared),
        value: (tag > 0).then_some(value_start..end),
        end,
    };
    Ok((row, key))
}

/// A number, and the bytes after it.
fn read_varint(bytes: &[u8]) -> Read<'_, usize> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((number, &bytes[place + 1..]));
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::{BlockBuilder, Malformed, Order, Place};

    type Rows = Vec<(Vec<u8>, Option<Vec<u8>>)>;

    fn some_rows(count: u32) -> Rows {
        let row = |number: u32| {
            let key = [b"account/", &number.to_be_bytes()[..]].concat();
            let value = vec![7; usize::try_from(number % 300).expect("small")];
            (key, (!number.is_multiple_of(5)).then_some(value))
        };
        (0..count).map(|number| row(number * 2)).collect()
    }

    fn build(rows: &Rows) -> Vec<u8> {
        let mut builder = BlockBuilder::default();
        let mut block = Vec::new();
        for (key, value) in rows {
            let most = builder.bytes_with(key, value.as_deref());
            builder.push(key, value.as_deref());
            assert!(builder.bytes.len() + builder.restarts.len() * 4 + 4 <= most);
        }
        builder.finish(&mut block);
        block
    }

    fn walk(block: &[u8]) -> Result<Rows, Malformed> {
        let mut place = Place::default();
        let mut rows = Vec::new();
        place.enter(block)?;
        while place.step(block)? {
            let value = place.value.clone().map(|range| block[range].to_vec());
            rows.push((place.key.clone(), value));
        }
        Ok(rows)
    }

    #[test]
    fn it_has_the_rows_that_were_put_in() {
        for count in [1, 2, 15, 16, 17, 100] {
            let rows = some_rows(count);
            assert_eq!(walk(&build(&rows)), Ok(rows));
        }
    }

    #[test]
    fn seeking_finds_the_first_row_not_before() {
        let rows = some_rows(100);
        let block = build(&rows);
        let mut place = Place::default();
        for number in 0..210_u32 {
            let from = [b"account/", &number.to_be_bytes()[..]].concat();
            let expected = rows.iter().find(|(key, _)| *key >= from);
            let found = place.seek(&block, Order::Bytes, &from);
            assert_eq!(found, Ok(expected.is_some()));
            if let Some((key, _)) = expected {
                assert_eq!(place.key, *key);
            }
        }
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic() {
        let block = build(&some_rows(40));
        let mut place = Place::default();
        let mut results = Vec::new();
        for at in 0..block.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = block.clone();
                damaged[at] ^= flip;
                let found = place.seek(&damaged, Order::Bytes, b"account/\0\0\0\x20");
                let other = place.seek(&damaged, Order::KeyThenHeight, b"");
                results.push((walk(&damaged).map(|_| true), found, other));
            }
            let found = place.seek(&block[..at], Order::Bytes, b"b");
            results.push((walk(&block[..at]).map(|_| true), found, found));
        }
        assert!(results.iter().any(|(walk, ..)| walk.is_err()));
        assert_eq!(walk(&[]), Err(Malformed));
        assert_eq!(walk(&[0; 4]), Err(Malformed));
    }
}
