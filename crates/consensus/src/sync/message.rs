//! What travels on the channel. An answer says nothing about itself: only who asked knows what the bytes
//! have to be.

use super::{STATES_MAX, message_bytes_max};
use alloy_primitives::B256;
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, FixedSize, RangeCfg, Read, ReadExt, Write};
use primitives::{
    BlockLimits,
    anchor::AnchorHead,
    codec::{WORD_SIZE, read_b256, write_b256},
    crypto::BlockDigest,
};
use state::sync::CODES_MAX;

/// What a peer is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// What it offers.
    Offer,
    /// The ordering block with this digest, of an offered anchor.
    Block(BlockDigest),
    /// A page of the manifest with this digest.
    Page(B256, u32),
    /// A chunk of the state whose manifest has this digest.
    Chunk(B256, u32),
    /// Codes, by hash, of the state whose manifest has this digest.
    Codes(B256, Vec<B256>),
}

/// What a peer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has nothing to offer, or serves this state no more.
    Gone,
    /// Its newest state.
    Offer {
        /// The evidence, without ordering blocks.
        head: Box<AnchorHead>,
        /// Digest of the manifest.
        manifest: B256,
        /// Length of the manifest, in bytes.
        manifest_bytes: u32,
        /// Digests of the manifests of older states that it still serves.
        older: Vec<B256>,
    },
    /// What was asked for.
    Bytes(Bytes),
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request, with a number that comes back.
    Request(u64, Want),
    /// The answer to the request with this number.
    Response(u64, Answer),
}

impl Write for Want {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::Offer => 0_u8.write(buf),
            Self::Block(digest) => {
                1_u8.write(buf);
                digest.write(buf);
            }
            Self::Page(manifest, page) => write_place(2, manifest, *page, buf),
            Self::Chunk(manifest, number) => write_place(3, manifest, *number, buf),
            Self::Codes(manifest, hashes) => {
                4_u8.write(buf);
                write_b256(manifest, buf);
                write_hashes(hashes, buf);
            }
        }
    }
}

fn write_place(tag: u8, manifest: &B256, place: u32, buf: &mut impl BufMut) {
    tag.write(buf);
    write_b256(manifest, buf);
    place.write(buf);
}

fn write_hashes(hashes: &[B256], buf: &mut impl BufMut) {
    hashes.len().write(buf);
    for hash in hashes {
        write_b256(hash, buf);
    }
}

fn hashes_size(hashes: &[B256]) -> usize {
    hashes.len().encode_size() + hashes.len() * WORD_SIZE
}

fn read_hashes(buf: &mut impl Buf, count: RangeCfg<usize>) -> Result<Vec<B256>, Error> {
    let count = usize::read_cfg(buf, &count)?;
    (0..count).map(|_| read_b256(buf)).collect()
}

impl EncodeSize for Want {
    fn encode_size(&self) -> usize {
        let fields = match self {
            Self::Offer => 0,
            Self::Block(_) => BlockDigest::SIZE,
            Self::Page(..) | Self::Chunk(..) => WORD_SIZE + u32::SIZE,
            Self::Codes(_, hashes) => WORD_SIZE + hashes_size(hashes),
        };
        u8::SIZE + fields
    }
}

impl Read for Want {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        match u8::read(buf)? {
            0 => Ok(Self::Offer),
            1 => Ok(Self::Block(BlockDigest::read(buf)?)),
            2 => Ok(Self::Page(read_b256(buf)?, u32::read(buf)?)),
            3 => Ok(Self::Chunk(read_b256(buf)?, u32::read(buf)?)),
            4 => {
                let manifest = read_b256(buf)?;
                let hashes = read_hashes(buf, RangeCfg::new(1..=CODES_MAX))?;
                Ok(Self::Codes(manifest, hashes))
            }
            other => Err(Error::InvalidEnum(other)),
        }
    }
}

impl Write for Answer {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::Gone => 0_u8.write(buf),
            Self::Offer {
                head,
                manifest,
                manifest_bytes,
                older,
            } => {
                1_u8.write(buf);
                head.write(buf);
                write_b256(manifest, buf);
                manifest_bytes.write(buf);
                write_hashes(older, buf);
            }
            Self::Bytes(bytes) => {
                2_u8.write(buf);
                bytes.write(buf);
            }
        }
    }
}

impl EncodeSize for Answer {
    fn encode_size(&self) -> usize {
        let fields = match self {
            Self::Gone => 0,
            Self::Offer { head, older, .. } => {
                head.encode_size() + WORD_SIZE + u32::SIZE + hashes_size(older)
            }
            Self::Bytes(bytes) => bytes.encode_size(),
        };
        u8::SIZE + fields
    }
}

impl Read for Answer {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, limits: &BlockLimits) -> Result<Self, Error> {
        match u8::read(buf)? {
            0 => Ok(Self::Gone),
            1 => Ok(Self::Offer {
                head: Box::new(AnchorHead::read_cfg(buf, limits)?),
                manifest: read_b256(buf)?,
                manifest_bytes: u32::read(buf)?,
                older: read_hashes(buf, RangeCfg::new(0..STATES_MAX))?,
            }),
            2 => {
                let range = RangeCfg::new(0..=message_bytes_max(limits));
                Ok(Self::Bytes(Bytes::read_cfg(buf, &range)?))
            }
            other => Err(Error::InvalidEnum(other)),
        }
    }
}

impl Write for Message {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::Request(id, want) => {
                0_u8.write(buf);
                id.write(buf);
                want.write(buf);
            }
            Self::Response(id, answer) => {
                1_u8.write(buf);
                id.write(buf);
                answer.write(buf);
            }
        }
    }
}

impl EncodeSize for Message {
    fn encode_size(&self) -> usize {
        let body = match self {
            Self::Request(_, want) => want.encode_size(),
            Self::Response(_, answer) => answer.encode_size(),
        };
        u8::SIZE + u64::SIZE + body
    }
}

impl Read for Message {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, limits: &BlockLimits) -> Result<Self, Error> {
        let tag = u8::read(buf)?;
        let id = u64::read(buf)?;
        match tag {
            0 => Ok(Self::Request(id, Want::read(buf)?)),
            1 => Ok(Self::Response(id, Answer::read_cfg(buf, limits)?)),
            other => Err(Error::InvalidEnum(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_codec::{Copying, Decode as _, Encode as _};
    use proptest::prelude::*;

    const LIMITS: BlockLimits = BlockLimits {
        body_bytes_max: 1 << 16,
        validators: 4,
        section: primitives::shard::SectionLimits::NONE,
    };

    fn hash() -> impl Strategy<Value = B256> {
        any::<[u8; 32]>().prop_map(B256::from)
    }

    fn message() -> impl Strategy<Value = Message> {
        let want = prop_oneof![
            Just(Want::Offer),
            any::<[u8; 32]>().prop_map(|digest| Want::Block(BlockDigest::from(digest))),
            (hash(), any::<u32>()).prop_map(|(manifest, page)| Want::Page(manifest, page)),
            (hash(), any::<u32>()).prop_map(|(manifest, number)| Want::Chunk(manifest, number)),
            (hash(), proptest::collection::vec(hash(), 1..=CODES_MAX))
                .prop_map(|(manifest, hashes)| Want::Codes(manifest, hashes)),
        ];
        let answer = prop_oneof![
            Just(Answer::Gone),
            any::<Vec<u8>>().prop_map(|bytes| Answer::Bytes(bytes.into())),
        ];
        prop_oneof![
            (any::<u64>(), want).prop_map(|(id, want)| Message::Request(id, want)),
            (any::<u64>(), answer).prop_map(|(id, answer)| Message::Response(id, answer)),
        ]
    }

    proptest! {
        #[test]
        fn a_message_reads_back_as_it_was_written(message in message()) {
            let bytes = message.encode();
            prop_assert_eq!(bytes.len(), message.encode_size());
            let read = Message::decode_cfg(Copying(&bytes), &LIMITS).unwrap();
            prop_assert_eq!(read, message);
        }

        #[test]
        fn garbage_is_refused_or_a_message(garbage: Vec<u8>) {
            let _any = Message::decode_cfg(Copying(&garbage), &LIMITS);
        }
    }

    #[test]
    fn codes_are_asked_for_in_small_numbers() {
        let many = Message::Request(0, Want::Codes(B256::ZERO, vec![B256::ZERO; CODES_MAX + 1]));
        assert!(Message::decode_cfg(Copying(&many.encode()), &LIMITS).is_err());
    }
}
