//! Chunks: leaves with their preimages, served by one side and checked by the other.
//!
//! ```text
//!   bytes ─▶ rows ─▶ keys (hash_many) ─▶ ascending, each inside a unit ─▶ storage roots ─▶ units
//!                                                                          each has its reference
//! ```
//!
//! A chunk is its accounts, or its slots, and nothing else: see `leaf`.

use super::LeafScan;
use super::leaf::{self, AccountHead, AccountLeaf, COUNT_BYTES, Malformed, Reader, SlotLeaf};
use super::manifest::{Manifest, Unit};
use crate::reader::ReadFault;
use crate::sparse::subtrie::{self, Reference, Subtries};
use crate::sparse::{AccountRow, Lanes, SlotWrite};
use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use std::ops::Range;

/// Bytes that are not the chunk that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The manifest has fewer chunks.
    #[error("no chunk={0} in the manifest")]
    Unknown(usize),
    /// Of another length.
    #[error("chunk has bytes={found}, not bytes={expected}")]
    Length {
        /// The length that the manifest says.
        expected: usize,
        /// The length of the bytes.
        found: usize,
    },
    /// Not a sequence of leaves.
    #[error("malformed chunk at byte={0}")]
    Malformed(usize),
    /// A leaf is not above the one before it.
    #[error("leaf out of order: key={0}")]
    Order(B256),
    /// A leaf is in none of the chunk's subtries.
    #[error("leaf outside of the chunk: key={0}")]
    Outside(B256),
    /// A subtrie has other leaves: one is missing, too many or changed.
    #[error("leaves do not have the hash of their subtrie: first={first} nibbles={depth}")]
    Mismatch {
        /// The lowest key that may be in the subtrie.
        first: B256,
        /// How many nibbles of it all keys share.
        depth: u8,
    },
}

impl From<Malformed> for ChunkError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

/// A chunk that can't be served: our fault, or not our snapshot.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The leaves can't be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// The manifest has fewer chunks.
    #[error("no chunk={0} in the manifest")]
    Unknown(usize),
    /// The leaves are not those that the manifest was made of.
    #[error("chunk={chunk} of the state has other leaves than its manifest says")]
    Changed {
        /// Number of the chunk.
        chunk: usize,
    },
    /// No account of the state has this code.
    #[error("no code_hash={0} in the state")]
    NoCode(B256),
}

/// The leaves of a chunk, all of them and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedChunk {
    number: usize,
    accounts: Owners,
    slots: Vec<SlotLeaf>,
}

/// Accounts, each with its range of the slots.
type Owners = Vec<(AccountLeaf, Range<usize>)>;

/// An account of a chunk, and slots of it: all of them, or, when its storage has chunks of its own, those
/// in this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedAccount<'a> {
    /// The account; the same in every chunk of its storage.
    pub leaf: &'a AccountLeaf,
    /// Slots by key.
    pub slots: &'a [SlotLeaf],
}

impl CheckedChunk {
    /// Its number in the manifest.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The accounts by key.
    pub fn accounts(&self) -> impl Iterator<Item = CheckedAccount<'_>> {
        self.accounts.iter().map(|(leaf, slots)| CheckedAccount {
            leaf,
            slots: &self.slots[slots.clone()],
        })
    }

    /// Hashes of the accounts' code, as often as they occur.
    pub fn code_hashes(&self) -> impl Iterator<Item = B256> {
        let accounts = self.accounts.iter().map(|(leaf, _)| &leaf.account);
        let with_code = accounts.filter(|account| account.has_code());
        with_code.map(|account| account.code_hash)
    }
}

impl Manifest {
    /// A chunk's bytes, from the state that the manifest was made of.
    ///
    /// # Errors
    ///
    /// When there is no such chunk, or the leaves are others now.
    pub fn serve(&self, leaves: &impl LeafScan, number: usize) -> Result<Bytes, ServeError> {
        let chunk = self.chunks.get(number).ok_or(ServeError::Unknown(number))?;
        let units = self.units(chunk);
        let (Some(first), Some(last)) = (units.first(), units.last()) else {
            return Err(ServeError::Unknown(number));
        };
        let keys = (first.first, last.last());
        let mut out = Vec::with_capacity(chunk.bytes);
        match chunk.account {
            Some(account) => {
                let account = self.accounts[account].key;
                put_slots(leaves, &account, keys, chunk.bytes, &mut out)?;
            }
            None => put_accounts(leaves, keys, chunk.bytes, &mut out)?,
        }
        match out.len() == chunk.bytes {
            true => Ok(out.into()),
            false => Err(ServeError::Changed { chunk: number }),
        }
    }

    /// The leaves of a chunk, if these bytes are exactly those.
    ///
    /// # Errors
    ///
    /// Any of them says that whoever sent the bytes, and the manifest, lied.
    pub fn check(&self, number: usize, bytes: &[u8]) -> Result<CheckedChunk, ChunkError> {
        let mut subtries = Subtries::new(Lanes::Widest);
        self.check_with(&mut subtries, number, bytes)
    }

    pub(super) fn check_with(
        &self,
        subtries: &mut Subtries,
        number: usize,
        bytes: &[u8],
    ) -> Result<CheckedChunk, ChunkError> {
        let chunk = self.chunks.get(number).ok_or(ChunkError::Unknown(number))?;
        if bytes.len() != chunk.bytes {
            return Err(ChunkError::Length {
                expected: chunk.bytes,
                found: bytes.len(),
            });
        }
        let open = chunk.account.map(|account| self.accounts[account]);
        let rows = Rows::read(bytes, open.is_some())?;
        let checked = rows.check(subtries, self.units(chunk), open)?;
        Ok(CheckedChunk { number, ..checked })
    }
}

fn put_accounts(
    leaves: &impl LeafScan,
    (first, last): (B256, B256),
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), ReadFault> {
    for leaf in leaves.accounts(&first) {
        let leaf = leaf?;
        if leaf.key > last || out.len() > bytes_max {
            break;
        }
        let head = AccountHead {
            address: leaf.address,
            account: leaf.account,
            has_storage: leaf.storage_root != EMPTY_ROOT_HASH,
        };
        leaf::put_account(out, &head);
        if head.has_storage {
            let at = out.len();
            out.extend_from_slice(&[0; COUNT_BYTES]);
            let keys = (B256::ZERO, B256::repeat_byte(0xff));
            let count = put_slots(leaves, &leaf.key, keys, bytes_max, out)?;
            out[at..at + COUNT_BYTES].copy_from_slice(&count.to_le_bytes());
        }
    }
    Ok(())
}

/// Appends the slots in a range of keys, until the chunk is too long; how many.
fn put_slots(
    leaves: &impl LeafScan,
    account: &B256,
    (first, last): (B256, B256),
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<u32, ReadFault> {
    let mut count = 0;
    for leaf in leaves.slots(account, &first) {
        let leaf = leaf?;
        if leaf.key > last || out.len() > bytes_max {
            break;
        }
        leaf::put_slot(out, &leaf.slot, &leaf.value);
        count += 1;
    }
    Ok(count)
}

/// Leaves as they were sent.
#[derive(Debug, Default)]
struct Rows {
    accounts: Vec<(AccountHead, Range<usize>)>,
    slots: Vec<(U256, U256)>,
}

impl Rows {
    fn read(bytes: &[u8], are_slots: bool) -> Result<Self, Malformed> {
        let mut rows = Self::default();
        let mut reader = Reader::new(bytes);
        while reader.left() > 0 {
            match are_slots {
                true => rows.slots.push(reader.slot()?),
                false => rows.read_account(&mut reader)?,
            }
        }
        Ok(rows)
    }

    fn read_account(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let head = reader.account()?;
        let first = self.slots.len();
        if head.has_storage {
            let count = reader.count()?;
            reader.ensure(count > 0)?;
            for _ in 0..count {
                self.slots.push(reader.slot()?);
            }
        }
        self.accounts.push((head, first..self.slots.len()));
        Ok(())
    }

    fn check(
        self,
        subtries: &mut Subtries,
        units: &[Unit],
        open: Option<AccountLeaf>,
    ) -> Result<CheckedChunk, ChunkError> {
        let slots = with_keys(&self.slots);
        let writes: Vec<SlotWrite> = slots.iter().map(SlotLeaf::write).collect();
        if let Some(open) = open {
            let ranges = ranges(writes.iter().map(|slot| slot.key), units)?;
            let references = subtries.slots(&writes, ranges.into_iter());
            compare(units, &references)?;
            let all = 0..slots.len();
            return Ok(CheckedChunk {
                number: 0,
                accounts: vec![(open, all)],
                slots,
            });
        }
        let accounts = self.accounts(subtries, &writes)?;
        let rows = accounts.iter().map(|(leaf, _)| AccountRow {
            key: leaf.key,
            account: leaf.account,
            storage_root: leaf.storage_root,
        });
        let rows: Vec<AccountRow> = rows.collect();
        let ranges = ranges(rows.iter().map(|row| row.key), units)?;
        let references = subtries.accounts(&rows, ranges.into_iter());
        compare(units, &references)?;
        Ok(CheckedChunk {
            number: 0,
            accounts,
            slots,
        })
    }

    /// The accounts with their keys and the roots of their storage.
    fn accounts(self, subtries: &mut Subtries, writes: &[SlotWrite]) -> Result<Owners, ChunkError> {
        let addresses = self.accounts.iter().flat_map(|(head, _)| head.address.0.0);
        let keys = hashes::<20>(&addresses.collect::<Vec<u8>>());
        let tries = self.accounts.iter().map(|(_, slots)| slots.clone());
        let tries: Vec<Range<usize>> = tries.filter(|slots| !slots.is_empty()).collect();
        for slots in &tries {
            ascend(writes[slots.clone()].iter().map(|slot| slot.key))?;
        }
        let mut roots = subtries
            .storage_roots(writes, tries.into_iter())
            .into_iter();
        let accounts = self.accounts.into_iter().zip(keys);
        let accounts = accounts.map(|((head, slots), key)| {
            let storage_root = match slots.is_empty() {
                true => EMPTY_ROOT_HASH,
                false => roots.next().expect("a root for each trie"),
            };
            let leaf = AccountLeaf {
                key,
                address: head.address,
                account: head.account,
                storage_root,
            };
            (leaf, slots)
        });
        Ok(accounts.collect())
    }
}

fn with_keys(slots: &[(U256, U256)]) -> Vec<SlotLeaf> {
    let numbers = slots.iter().flat_map(|(slot, _)| slot.to_be_bytes::<32>());
    let keys = hashes::<32>(&numbers.collect::<Vec<u8>>());
    let leaves = slots.iter().zip(keys);
    let leaves = leaves.map(|((slot, value), key)| SlotLeaf {
        key,
        slot: *slot,
        value: *value,
    });
    leaves.collect()
}

fn hashes<const N: usize>(messages: &[u8]) -> Vec<B256> {
    let mut digests = vec![[0; 32]; messages.len() / N];
    Lanes::Widest.hash_many(messages, &mut digests);
    digests.into_iter().map(B256::from).collect()
}

fn ascend(keys: impl Iterator<Item = B256>) -> Result<(), ChunkError> {
    let mut before = None;
    for key in keys {
        if before.is_some_and(|before| before >= key) {
            return Err(ChunkError::Order(key));
        }
        before = Some(key);
    }
    Ok(())
}

/// Which leaves are in which unit. Every leaf is in one, and every unit has some.
fn ranges(
    keys: impl Iterator<Item = B256> + Clone,
    units: &[Unit],
) -> Result<Vec<subtrie::Unit>, ChunkError> {
    ascend(keys.clone())?;
    let mut keys = keys.peekable();
    let mut ranges = Vec::with_capacity(units.len());
    let mut from = 0;
    for unit in units {
        let mut to = from;
        while keys.next_if(|key| unit.contains(key)).is_some() {
            to += 1;
        }
        if from == to {
            return Err(match keys.peek() {
                Some(key) if *key < unit.first => ChunkError::Outside(*key),
                _ => mismatch(unit),
            });
        }
        ranges.push((from..to, usize::from(unit.depth)));
        from = to;
    }
    match keys.next() {
        Some(key) => Err(ChunkError::Outside(key)),
        None => Ok(ranges),
    }
}

fn compare(units: &[Unit], references: &[Reference]) -> Result<(), ChunkError> {
    let mut pairs = units.iter().zip(references);
    match pairs.find(|(unit, reference)| unit.reference != **reference) {
        Some((unit, _)) => Err(mismatch(unit)),
        None => Ok(()),
    }
}

fn mismatch(unit: &Unit) -> ChunkError {
    ChunkError::Mismatch {
        first: unit.first,
        depth: unit.depth,
    }
}
