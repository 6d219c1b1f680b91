//! A node that is honest but for the states that it gives to others: its real answers, with one thing wrong.

use bytes::Bytes;
use commonware_codec::{Copying, Decode as _, Encode as _};
use consensus::sync::{Answer, Message};
use primitives::{Block, BlockLimits};

/// What is wrong with the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateLie {
    /// Chunks and codes with a changed byte.
    Chunk,
    /// Bytes that are no message, in the place of chunks.
    Garbage,
    /// Silence, in the place of chunks.
    Stall,
    /// A manifest with a changed byte.
    Manifest,
    /// Ordering blocks with a changed byte.
    Block,
    /// Evidence for another height than the one it names.
    Anchor,
    /// Evidence with a changed byte.
    Header,
}

/// All of them.
pub const STATE_LIES: [StateLie; 7] = [
    StateLie::Chunk,
    StateLie::Garbage,
    StateLie::Stall,
    StateLie::Manifest,
    StateLie::Block,
    StateLie::Anchor,
    StateLie::Header,
];

/// Where the height is in an encoded offer: after the tag, the number and the tag of the answer.
const HEIGHT_OFFSET: usize = 1 + 8 + 1 + 7;
/// Where the headers are, counted from the end: within the newest one, before what follows it.
const HEADER_OFFSET: usize = 300;

impl StateLie {
    /// The message that goes out in the place of a true one.
    pub(super) fn tell(self, message: Bytes, limits: &BlockLimits) -> Bytes {
        let Ok(Message::Response(id, answer)) = Message::decode_cfg(Copying(&message), limits)
        else {
            return message;
        };
        let is_piece = id % 2 == 1;
        match (self, answer) {
            (Self::Chunk, Answer::Bytes(bytes)) if is_piece => respond(id, changed(&bytes)),
            (Self::Garbage, Answer::Bytes(_)) if is_piece => Bytes::from_static(b"garbage"),
            (Self::Stall, Answer::Bytes(bytes)) if is_piece => respond(u64::MAX, bytes),
            (Self::Manifest, Answer::Bytes(bytes)) if !is_piece && !is_block(&bytes, limits) => {
                respond(id, changed(&bytes))
            }
            (Self::Block, Answer::Bytes(bytes)) if !is_piece && is_block(&bytes, limits) => {
                respond(id, changed(&bytes))
            }
            (Self::Anchor, Answer::Offer { .. }) => flipped(&message, HEIGHT_OFFSET),
            (Self::Header, Answer::Offer { .. }) => {
                flipped(&message, message.len().saturating_sub(HEADER_OFFSET))
            }
            _ => message,
        }
    }
}

fn respond(id: u64, bytes: Bytes) -> Bytes {
    Message::Response(id, Answer::Bytes(bytes)).encode()
}

fn is_block(bytes: &Bytes, limits: &BlockLimits) -> bool {
    Block::decode_cfg(Copying(bytes), limits).is_ok()
}

fn changed(bytes: &Bytes) -> Bytes {
    flipped(bytes, bytes.len() / 2)
}

fn flipped(bytes: &Bytes, place: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 1;
    }
    bytes.into()
}
