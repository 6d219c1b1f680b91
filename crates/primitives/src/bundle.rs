//! How raw transactions travel together, between nodes and in bulk submission.
//!
//! ```text
//! version u8 = 1 │ key count u16 │ keys, 64 bytes each │ per transaction: key u16 │ length u32 │ raw bytes
//!                                        ▲                                    │
//!                                        └────────────────────────────────────┘  0xffff: no hint
//! ```
//! Numbers are big-endian. A key is a *sender hint*: with it a signature costs less to check than without.
//! Hints are advice. One that is false, or no point of the curve, is not an error of the format, and what
//! the transactions are does not depend on any.
//!
//! Decoding copies no transaction, reads every byte once and is bounded by [`limits::BUNDLE_BYTES_MAX`],
//! [`limits::BUNDLE_TRANSACTIONS_MAX`] and [`limits::BUNDLE_KEYS_MAX`]. Whether the raw bytes are
//! transactions is for [`Transaction::decode`](crate::Transaction::decode) to say.

use crate::{
    limits,
    signature::{KEY_BYTES, SenderKey},
};
use alloy_primitives::{Bytes, map::HashMap};
use bytes::{Buf, BufMut, BytesMut};

/// The version that is written and read.
const VERSION: u8 = 1;
/// The index that stands for no hint.
const NO_KEY: u16 = u16::MAX;
/// Bytes before the keys.
const HEAD_BYTES: usize = 3;
/// Bytes before each transaction.
const ITEM_HEAD_BYTES: usize = 6;

const _: () = assert!(limits::BUNDLE_KEYS_MAX <= NO_KEY as usize);

/// Raw transactions and what their sender's keys are said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    keys: Vec<SenderKey>,
    items: Vec<BundleItem>,
}

/// One transaction of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleItem {
    /// Its raw bytes, a slice of the message.
    pub raw: Bytes,
    /// Where in [`Bundle::keys`] its sender's key is said to be.
    pub key: Option<u16>,
}

/// Why bytes are not a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Longer than [`limits::BUNDLE_BYTES_MAX`].
    #[error("bundle is too large: bytes={bytes} max={max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The bytes end inside of something.
    #[error("bundle ends early")]
    Truncated,
    /// Another version than this node knows.
    #[error("bundle version not supported: version={0}")]
    UnsupportedVersion(u8),
    /// More keys than [`limits::BUNDLE_KEYS_MAX`].
    #[error("bundle has too many keys: count={count} max={max}")]
    TooManyKeys {
        /// How many it announces.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// More transactions than [`limits::BUNDLE_TRANSACTIONS_MAX`].
    #[error("bundle has too many transactions: max={max}")]
    TooManyTransactions {
        /// The limit.
        max: usize,
    },
    /// A transaction names a key that is not there.
    #[error("bundle names a key it does not carry: key={key} count={count}")]
    UnknownKey {
        /// The index.
        key: u16,
        /// How many keys there are.
        count: usize,
    },
}

impl Bundle {
    /// Decodes a whole message.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn decode(message: bytes::Bytes) -> Result<Self, BundleError> {
        let (bytes, max) = (message.len(), limits::BUNDLE_BYTES_MAX);
        if bytes > max {
            return Err(BundleError::TooLarge { bytes, max });
        }
        let mut rest = message;
        let keys = read_keys(&mut rest)?;
        let mut items = Vec::new();
        while rest.has_remaining() {
            if items.len() >= limits::BUNDLE_TRANSACTIONS_MAX {
                let max = limits::BUNDLE_TRANSACTIONS_MAX;
                return Err(BundleError::TooManyTransactions { max });
            }
            items.push(read_item(&mut rest, keys.len())?);
        }
        Ok(Self { keys, items })
    }

    /// The keys that transactions name.
    #[must_use]
    pub fn keys(&self) -> &[SenderKey] {
        &self.keys
    }

    /// The transactions in their order.
    #[must_use]
    pub fn items(&self) -> &[BundleItem] {
        &self.items
    }

    /// The key that an item of this bundle names.
    #[must_use]
    pub fn key_of(&self, item: &BundleItem) -> Option<&SenderKey> {
        item.key.and_then(|key| self.keys.get(usize::from(key)))
    }
}

fn read_keys(rest: &mut bytes::Bytes) -> Result<Vec<SenderKey>, BundleError> {
    let truncated = |_| BundleError::Truncated;
    let version = rest.try_get_u8().map_err(truncated)?;
    if version != VERSION {
        return Err(BundleError::UnsupportedVersion(version));
    }
    let count = usize::from(rest.try_get_u16().map_err(truncated)?);
    let max = limits::BUNDLE_KEYS_MAX;
    if count > max {
        return Err(BundleError::TooManyKeys { count, max });
    }
    if rest.remaining() / KEY_BYTES < count {
        return Err(BundleError::Truncated);
    }
    let mut key = || {
        let mut bytes = [0; KEY_BYTES];
        rest.copy_to_slice(&mut bytes);
        SenderKey::new(bytes)
    };
    Ok((0..count).map(|_| key()).collect())
}

fn read_item(rest: &mut bytes::Bytes, keys: usize) -> Result<BundleItem, BundleError> {
    let truncated = |_| BundleError::Truncated;
    let key = rest.try_get_u16().map_err(truncated)?;
    if key != NO_KEY && usize::from(key) >= keys {
        return Err(BundleError::UnknownKey { key, count: keys });
    }
    let length = rest.try_get_u32().map_err(truncated)?;
    let length = usize::try_from(length).map_err(|_| BundleError::Truncated)?;
    if length > rest.remaining() {
        return Err(BundleError::Truncated);
    }
    Ok(BundleItem {
        raw: Bytes::from(rest.split_to(length)),
        key: (key != NO_KEY).then_some(key),
    })
}

/// A transaction did not fit any more; the bundle is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bundle is full")]
pub struct BundleFull;

/// Builds bundles of bounded size, one after the other; equal keys travel once.
#[derive(Clone, Debug)]
pub struct BundleBuilder {
    bytes_max: usize,
    keys: HashMap<SenderKey, u16>,
    /// The keys as they will be written, in the order of their indices.
    table: BytesMut,
    items: BytesMut,
    transactions: usize,
}

impl BundleBuilder {
    /// A builder of bundles of at most so many bytes, or of [`limits::BUNDLE_BYTES_MAX`] if that is less.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max: bytes_max.min(limits::BUNDLE_BYTES_MAX),
            keys: HashMap::default(),
            table: BytesMut::new(),
            items: BytesMut::new(),
            transactions: 0,
        }
    }

    /// Adds a transaction, with its sender's key where it is known.
    ///
    /// # Errors
    /// [`BundleFull`] when the bundle would exceed a limit: [`finish`](Self::finish) it and push again. A
    /// transaction that an empty bundle refuses fits none.
    pub fn push(&mut self, raw: &[u8], key: Option<&SenderKey>) -> Result<(), BundleFull> {
        let known = key.map(|key| (key, self.keys.get(key).copied()));
        let is_new = matches!(known, Some((_, None)));
        let key_bytes = if is_new { KEY_BYTES } else { 0 };
        let added = raw.len().saturating_add(ITEM_HEAD_BYTES);
        let bytes = self.bytes().saturating_add(added).saturating_add(key_bytes);
        let is_full = bytes > self.bytes_max
            || self.transactions >= limits::BUNDLE_TRANSACTIONS_MAX
            || (is_new && self.keys.len() >= limits::BUNDLE_KEYS_MAX);
        let length = u32::try_from(raw.len()).map_err(|_| BundleFull)?;
        if is_full {
            return Err(BundleFull);
        }
        let index = match known {
            None => NO_KEY,
            Some((_, Some(index))) => index,
            Some((key, None)) => self.add_key(key),
        };
        self.items.put_u16(index);
        self.items.put_u32(length);
        self.items.put_slice(raw);
        self.transactions = self.transactions.saturating_add(1);
        Ok(())
    }

    fn add_key(&mut self, key: &SenderKey) -> u16 {
        let index = self.key_count();
        self.keys.insert(*key, index);
        self.table.put_slice(key.as_bytes());
        index
    }

    fn key_count(&self) -> u16 {
        u16::try_from(self.keys.len()).expect("at most as many keys as there are indices")
    }

    /// How many bytes the bundle has so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let keys_and_items = self.table.len().saturating_add(self.items.len());
        keys_and_items.saturating_add(HEAD_BYTES)
    }

    /// How many transactions it has so far.
    #[must_use]
    pub const fn transactions(&self) -> usize {
        self.transactions
    }

    /// The encoded bundle; the builder begins the next one.
    pub fn finish(&mut self) -> bytes::Bytes {
        let mut message = BytesMut::with_capacity(self.bytes());
        message.put_u8(VERSION);
        message.put_u16(self.key_count());
        message.put_slice(&self.table);
        message.put_slice(&self.items);
        *self = Self::new(self.bytes_max);
        message.freeze()
    }
}

#[cfg(test)]
mod tests;
