//! What travels on the blocks channel.
//!
//! ```text
//! 0 Compact       header │ directives │ shard section, if the header says there is one │ names │ placed transactions
//! 1 Missing       digest │ indices, rising
//! 2 Transactions  digest │ placed transactions
//! 3 GetWhole      digest
//! 4 Whole         block
//! ```
//! Counts are four bytes wide, indices two. One message has one encoding: indices rise, and each transaction is
//! in its canonical form. A message that reads is well-formed and nothing more.

use alloy_primitives::{B256, Bytes};
use bytes::BufMut;
use commonware_codec::{Buf, EncodeSize, Error, FixedSize, Read, ReadExt, Write};
use mempool::{ShortId, short_id};
use primitives::{
    Block, BlockLimits, Directive, Header, Transaction,
    crypto::BlockDigest,
    limits::{BLOCK_TRANSACTIONS_MAX, DIRECTIVES_MAX, TRANSACTION_BYTES_MAX},
    shard::ShardSection,
};

/// Begins transactions.
pub(super) const TRANSACTIONS: u8 = 2;
/// Begins a whole block.
pub(super) const WHOLE: u8 = 4;

/// Bytes of a short id.
const SHORT_BYTES: usize = ShortId::len_bytes();
/// Bytes of the hash that are compared beside the short id.
const MARK_BYTES: usize = 2;
/// Encoded width of a [`Name`].
pub(super) const NAME_BYTES: usize = SHORT_BYTES + MARK_BYTES;
/// More than tags, counts and digests take in any message.
pub(super) const FIXED_BYTES: usize = 64;

/// How a compact block names a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    short: ShortId,
    mark: [u8; MARK_BYTES],
}

impl Name {
    /// The name of the transaction with this hash in the block with this digest.
    #[must_use]
    pub fn new(hash: &B256, block: &BlockDigest) -> Self {
        let places = B256::len_bytes() - SHORT_BYTES - MARK_BYTES + 1;
        let seed = u64::from_be_bytes(prefix(block.as_ref()));
        let places = u64::try_from(places).expect("a hash is short");
        let place = usize::try_from(seed % places).expect("a hash is short");
        let (_, rest) = hash.split_at(SHORT_BYTES);
        Self {
            short: short_id(hash),
            mark: prefix(rest.get(place..).unwrap_or_default()),
        }
    }

    /// Whether this is the name of the transaction with this hash in the block with this digest.
    #[must_use]
    pub fn names(&self, hash: &B256, block: &BlockDigest) -> bool {
        *self == Self::new(hash, block)
    }

    /// By which pools find the transaction.
    #[must_use]
    pub const fn short(&self) -> ShortId {
        self.short
    }
}

/// The first bytes; zeros behind what is shorter.
fn prefix<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// A transaction and its index in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its index.
    pub index: u16,
    /// The transaction.
    pub transaction: Transaction,
}

/// A block that names its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compact {
    /// The block's header, which commits to the body.
    pub header: Header,
    /// The block's directives.
    pub directives: Vec<Directive>,
    /// What the block says about shards.
    pub section: ShardSection,
    /// The block's transactions, in order.
    pub names: Vec<Name>,
    /// Transactions that the receiver may not have, by rising index.
    pub placed: Vec<Placed>,
}

impl Compact {
    /// Names every transaction of a block, and holds none.
    #[must_use]
    pub fn new(block: &Block) -> Self {
        Self {
            header: block.header().clone(),
            directives: block.directives().to_vec(),
            section: block.section().clone(),
            names: names(block).collect(),
            placed: Vec::new(),
        }
    }

    /// Whether it says of this block, whose header it has, what is so.
    #[must_use]
    pub fn describes(&self, block: &Block) -> bool {
        self.directives == block.directives()
            && self.section == *block.section()
            && self.names.iter().copied().eq(names(block))
    }
}

fn names(block: &Block) -> impl Iterator<Item = Name> {
    let digest = block.digest();
    let name = move |transaction: &Transaction| Name::new(&transaction.hash(), &digest);
    block.transactions().iter().map(name)
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A block to be rebuilt.
    Compact(Box<Compact>),
    /// Asks whoever sent a compact block for some of its transactions.
    Missing {
        /// The block.
        digest: BlockDigest,
        /// Their indices, rising.
        indices: Vec<u16>,
    },
    /// Transactions that were asked for.
    Transactions {
        /// The block.
        digest: BlockDigest,
        /// The transactions, by rising index.
        placed: Vec<Placed>,
    },
    /// Asks whoever sent a compact block for all of it.
    GetWhole {
        /// The block.
        digest: BlockDigest,
    },
    /// A block as it is.
    Whole(Block),
}

fn write_count(count: usize, buf: &mut impl BufMut) {
    u32::try_from(count)
        .expect("a message holds what a block holds, which is bounded far below")
        .write(buf);
}

/// Reads a count; each of what it counts takes at least `width` bytes, so that nothing is reserved for what is
/// not there.
fn read_count(buf: &mut impl Buf, max: usize, width: usize) -> Result<usize, Error> {
    let count = usize::try_from(u32::read(buf)?).map_err(|_| Error::InvalidUsize)?;
    if count > max {
        return Err(Error::InvalidLength(count));
    }
    if buf.remaining() < count.saturating_mul(width) {
        return Err(Error::EndOfBuffer);
    }
    Ok(count)
}

fn require_rising(indices: impl Iterator<Item = u16>) -> Result<(), Error> {
    if indices.is_sorted_by(|earlier, later| earlier < later) {
        Ok(())
    } else {
        Err(Error::Invalid("Message", "indices do not rise"))
    }
}

impl Write for Name {
    fn write(&self, buf: &mut impl BufMut) {
        self.short.0.write(buf);
        self.mark.write(buf);
    }
}

impl FixedSize for Name {
    const SIZE: usize = NAME_BYTES;
}

impl Read for Name {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            short: ShortId::from(<[u8; SHORT_BYTES]>::read(buf)?),
            mark: <[u8; MARK_BYTES]>::read(buf)?,
        })
    }
}

impl Write for Placed {
    fn write(&self, buf: &mut impl BufMut) {
        self.index.write(buf);
        write_count(self.transaction.raw().len(), buf);
        buf.put_slice(self.transaction.raw());
    }
}

impl EncodeSize for Placed {
    fn encode_size(&self) -> usize {
        u16::SIZE + u32::SIZE + self.transaction.raw().len()
    }
}

impl Read for Placed {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let index = u16::read(buf)?;
        let length = read_count(buf, TRANSACTION_BYTES_MAX, u8::SIZE)?;
        let raw = Bytes::from(buf.copy_to_bytes(length));
        let transaction = Transaction::decode(raw)
            .map_err(|_| Error::Invalid("Transaction", "not a transaction of this chain"))?;
        Ok(Self { index, transaction })
    }
}

fn write_placed(placed: &[Placed], buf: &mut impl BufMut) {
    write_count(placed.len(), buf);
    for placed in placed {
        placed.write(buf);
    }
}

fn placed_size(placed: &[Placed]) -> usize {
    u32::SIZE + placed.iter().map(EncodeSize::encode_size).sum::<usize>()
}

fn read_placed(buf: &mut impl Buf) -> Result<Vec<Placed>, Error> {
    let count = read_count(buf, BLOCK_TRANSACTIONS_MAX, u16::SIZE + u32::SIZE)?;
    let placed = read_many(buf, count, |buf| Placed::read(buf))?;
    require_rising(placed.iter().map(|placed: &Placed| placed.index))?;
    Ok(placed)
}

fn read_many<T, B: Buf>(
    buf: &mut B,
    count: usize,
    read: impl Fn(&mut B) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    (0..count).map(|_| read(buf)).collect()
}

impl Write for Compact {
    fn write(&self, buf: &mut impl BufMut) {
        self.header.write(buf);
        write_count(self.directives.len(), buf);
        for directive in &self.directives {
            directive.write(buf);
        }
        if self.header.has_section() {
            self.section.write(buf);
        }
        write_count(self.names.len(), buf);
        for name in &self.names {
            name.write(buf);
        }
        write_placed(&self.placed, buf);
    }
}

impl EncodeSize for Compact {
    fn encode_size(&self) -> usize {
        let directives: usize = self.directives.iter().map(EncodeSize::encode_size).sum();
        let names = self.names.len() * NAME_BYTES;
        let section = match self.header.has_section() {
            true => self.section.encode_size(),
            false => 0,
        };
        self.header.encode_size()
            + 2 * u32::SIZE
            + directives
            + section
            + names
            + placed_size(&self.placed)
    }
}

impl Read for Compact {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, limits: &BlockLimits) -> Result<Self, Error> {
        let header = Header::read_cfg(buf, limits)?;
        let count = read_count(buf, DIRECTIVES_MAX, u8::SIZE)?;
        let directives = read_many(buf, count, |buf| Directive::read(buf))?;
        let section = if header.has_section() {
            ShardSection::read_cfg(buf, &limits.section)?
        } else {
            ShardSection::default()
        };
        let count = read_count(buf, BLOCK_TRANSACTIONS_MAX, NAME_BYTES)?;
        let names = read_many(buf, count, |buf| Name::read(buf))?;
        let placed = read_placed(buf)?;
        Ok(Self {
            header,
            directives,
            section,
            names,
            placed,
        })
    }
}

impl Write for Message {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::Compact(compact) => {
                0_u8.write(buf);
                compact.write(buf);
            }
            Self::Missing { digest, indices } => {
                1_u8.write(buf);
                digest.write(buf);
                write_count(indices.len(), buf);
                for index in indices {
                    index.write(buf);
                }
            }
            Self::Transactions { digest, placed } => {
                TRANSACTIONS.write(buf);
                digest.write(buf);
                write_placed(placed, buf);
            }
            Self::GetWhole { digest } => {
                3_u8.write(buf);
                digest.write(buf);
            }
            Self::Whole(block) => {
                WHOLE.write(buf);
                block.write(buf);
            }
        }
    }
}

impl EncodeSize for Message {
    fn encode_size(&self) -> usize {
        let fields = match self {
            Self::Compact(compact) => compact.encode_size(),
            Self::Missing { indices, .. } => {
                BlockDigest::SIZE + u32::SIZE + indices.len() * u16::SIZE
            }
            Self::Transactions { placed, .. } => BlockDigest::SIZE + placed_size(placed),
            Self::GetWhole { .. } => BlockDigest::SIZE,
            Self::Whole(block) => block.encode_size(),
        };
        u8::SIZE + fields
    }
}

impl Read for Message {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, limits: &BlockLimits) -> Result<Self, Error> {
        match u8::read(buf)? {
            0 => Ok(Self::Compact(Box::new(Compact::read_cfg(buf, limits)?))),
            1 => {
                let digest = BlockDigest::read(buf)?;
                let count = read_count(buf, BLOCK_TRANSACTIONS_MAX, u16::SIZE)?;
                let indices = read_many(buf, count, |buf| u16::read(buf))?;
                require_rising(indices.iter().copied())?;
                Ok(Self::Missing { digest, indices })
            }
            TRANSACTIONS => Ok(Self::Transactions {
                digest: BlockDigest::read(buf)?,
                placed: read_placed(buf)?,
            }),
            3 => Ok(Self::GetWhole {
                digest: BlockDigest::read(buf)?,
            }),
            WHOLE => Ok(Self::Whole(Block::read_cfg(buf, limits)?)),
            other => Err(Error::InvalidEnum(other)),
        }
    }
}

#[cfg(test)]
mod tests;
