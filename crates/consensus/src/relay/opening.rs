//! What a message is for, from its first bytes. Pure.
//!
//! Transactions and blocks take far longer to read than to receive: each is parsed and hashed. So who sent them
//! and why is looked at before.

use super::message::{TRANSACTIONS, WHOLE};
use commonware_codec::{Copying, ReadExt as _};
use primitives::crypto::BlockDigest;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Something that peers send when they like; or nothing that can be read.
    Free,
    /// Transactions of this block, which somebody asked for.
    Transactions(BlockDigest),
    /// A block that somebody asked for: too large to be sent otherwise.
    Whole,
}

impl Opening {
    /// Of a message; up to so many bytes a whole block need not be asked for.
    pub(super) fn of(message: &[u8], unasked_bytes_max: usize) -> Self {
        match message.split_first() {
            Some((&TRANSACTIONS, rest)) => match BlockDigest::read(&mut Copying(rest)) {
                Ok(digest) => Self::Transactions(digest),
                Err(_) => Self::Free,
            },
            Some((&WHOLE, _)) if message.len() > unasked_bytes_max => Self::Whole,
            _ => Self::Free,
        }
    }
}
