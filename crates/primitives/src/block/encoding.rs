//! The consensus encoding of a block: fixed-width header fields, then length-prefixed transactions
//! and directives, then the shard section if the header says that there is one. One block has one encoding; reading checks that the header commits to the body.

use super::{Block, BlockLimits, Body, BodyError, Directive, ExecutedRef, Header};
use crate::{
    Transaction, certificate::ResultScheme, certificate::ResultSignatures, codec,
    crypto::BlockHasher, crypto::ProposalContext, limits, shard::NO_SHARDS, shard::ShardSection,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes};
use bytes::BufMut;
use commonware_codec::{
    Buf, Encode, EncodeSize, Error, FixedSize, MaxEncodeSize, Read, ReadExt, Write,
};
use commonware_cryptography::{Hasher, certificate::Verifier as _};

/// Encoded width of the fields of a header that have a fixed one.
const HEADER_FIXED_SIZE: usize = 5 * u64::SIZE + 3 * codec::WORD_SIZE + codec::ADDRESS_SIZE;
/// Encoded width of an [`ExecutedRef`] without its signatures: height, hash, presence byte.
const EXECUTED_FIXED_SIZE: usize = u64::SIZE + codec::WORD_SIZE + 1;

impl BlockLimits {
    pub(super) fn body_bytes(&self) -> usize {
        usize::try_from(self.body_bytes_max).unwrap_or(usize::MAX)
    }
}

impl Header {
    /// Whether the block says something about shards.
    #[must_use]
    pub fn has_section(&self) -> bool {
        self.shard_section_digest != NO_SHARDS
    }

    pub(super) fn size_max(validators: u32) -> usize {
        ProposalContext::MAX_ENCODE_SIZE
            .saturating_add(HEADER_FIXED_SIZE)
            .saturating_add(EXECUTED_FIXED_SIZE)
            .saturating_add(ResultScheme::max_certificate_size(validators))
    }
}

impl Write for ExecutedRef {
    fn write(&self, buf: &mut impl BufMut) {
        self.height.write(buf);
        codec::write_b256(&self.block_hash, buf);
        self.certificate.write(buf);
    }
}

impl EncodeSize for ExecutedRef {
    fn encode_size(&self) -> usize {
        (u64::SIZE + codec::WORD_SIZE).saturating_add(self.certificate.encode_size())
    }
}

impl Read for ExecutedRef {
    type Cfg = <ResultSignatures as Read>::Cfg;
    fn read_cfg(buf: &mut impl Buf, cfg: &Self::Cfg) -> Result<Self, Error> {
        Ok(Self {
            height: u64::read(buf)?,
            block_hash: codec::read_b256(buf)?,
            certificate: Option::<ResultSignatures>::read_cfg(buf, cfg)?,
        })
    }
}

impl Write for Header {
    fn write(&self, buf: &mut impl BufMut) {
        self.context.write(buf);
        self.height.write(buf);
        self.timestamp_ms.write(buf);
        codec::write_address(&self.proposer, buf);
        self.base_fee.write(buf);
        self.gas_budget.write(buf);
        self.gas_limits_sum.write(buf);
        codec::write_b256(&self.body_digest, buf);
        codec::write_b256(&self.shard_section_digest, buf);
        codec::write_b256(&self.ledger_digest, buf);
        self.executed.write(buf);
    }
}

impl EncodeSize for Header {
    fn encode_size(&self) -> usize {
        self.context
            .encode_size()
            .saturating_add(HEADER_FIXED_SIZE)
            .saturating_add(self.executed.encode_size())
    }
}

impl Read for Header {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, cfg: &BlockLimits) -> Result<Self, Error> {
        let participants = usize::try_from(cfg.validators).unwrap_or(usize::MAX);
        Ok(Self {
            context: ProposalContext::read(buf)?,
            height: u64::read(buf)?,
            timestamp_ms: u64::read(buf)?,
            proposer: codec::read_address(buf)?,
            base_fee: u64::read(buf)?,
            gas_budget: u64::read(buf)?,
            gas_limits_sum: u64::read(buf)?,
            body_digest: codec::read_b256(buf)?,
            shard_section_digest: codec::read_b256(buf)?,
            ledger_digest: codec::read_b256(buf)?,
            executed: ExecutedRef::read_cfg(buf, &participants)?,
        })
    }
}

impl Write for Block {
    fn write(&self, buf: &mut impl BufMut) {
        self.header.write(buf);
        self.body.write(buf);
        if self.header.has_section() {
            self.section.write(buf);
        }
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        self.header
            .encode_size()
            .saturating_add(self.body.encode_size())
            .saturating_add(match self.header.has_section() {
                true => self.section.encode_size(),
                false => 0,
            })
    }
}

impl Read for Block {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, cfg: &BlockLimits) -> Result<Self, Error> {
        let header = Header::read_cfg(buf, cfg)?;
        let body = Body::read_cfg(buf, cfg)?;
        let section = if header.has_section() {
            ShardSection::read_cfg(buf, &cfg.section)?
        } else {
            ShardSection::default()
        };
        Self::check(header, body, section)
            .map_err(|_| Error::Invalid("Block", "header does not commit to this body"))
    }
}

impl Body {
    pub(super) fn digest(&self) -> B256 {
        if self.transactions.is_empty() && self.directives.is_empty() {
            return B256::ZERO;
        }
        B256::from_slice(BlockHasher::hash(&[&self.encode()]).as_ref())
    }

    /// What decoding checks of a body as it reads it.
    pub(super) fn check_size(&self, limits: &BlockLimits) -> Result<(), BodyError> {
        let (transactions, directives) = (self.transactions.len(), self.directives.len());
        if transactions > limits::BLOCK_TRANSACTIONS_MAX || directives > limits::DIRECTIVES_MAX {
            return Err(BodyError::TooMany {
                transactions,
                directives,
            });
        }
        let (bytes, max) = (self.encode_size(), limits.body_bytes());
        if bytes > max {
            return Err(BodyError::TooLarge { bytes, max });
        }
        Ok(())
    }

    pub(super) fn gas_limits_sum(&self) -> u64 {
        self.transactions.iter().fold(0, |sum, transaction| {
            sum.saturating_add(transaction.gas_limit())
        })
    }
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("bodies are bounded far below 4 GiB when they are built and read")
}

fn write_bytes(bytes: &[u8], buf: &mut impl BufMut) {
    length_u32(bytes.len()).write(buf);
    buf.put_slice(bytes);
}

const fn bytes_size(bytes: &[u8]) -> usize {
    u32::SIZE.saturating_add(bytes.len())
}

fn read_bytes(buf: &mut impl Buf, max: usize) -> Result<Bytes, Error> {
    let length = read_length(buf, max)?;
    if buf.remaining() < length {
        return Err(Error::EndOfBuffer);
    }
    Ok(Bytes::from(buf.copy_to_bytes(length)))
}

fn read_length(buf: &mut impl Buf, max: usize) -> Result<usize, Error> {
    let length = usize::try_from(u32::read(buf)?).map_err(|_| Error::InvalidUsize)?;
    if length > max {
        return Err(Error::InvalidLength(length));
    }
    Ok(length)
}

impl Write for Body {
    fn write(&self, buf: &mut impl BufMut) {
        length_u32(self.transactions.len()).write(buf);
        for transaction in &self.transactions {
            write_bytes(transaction.raw(), buf);
        }
        length_u32(self.directives.len()).write(buf);
        for directive in &self.directives {
            directive.write(buf);
        }
    }
}

impl EncodeSize for Body {
    fn encode_size(&self) -> usize {
        let transactions = self
            .transactions
            .iter()
            .map(|transaction| bytes_size(transaction.raw()));
        let directives = self.directives.iter().map(EncodeSize::encode_size);
        transactions
            .chain(directives)
            .fold(2 * u32::SIZE, usize::saturating_add)
    }
}

impl Read for Body {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, cfg: &BlockLimits) -> Result<Self, Error> {
        let bytes_max = cfg.body_bytes();
        let mut left = bytes_max;
        let count = read_length(buf, limits::BLOCK_TRANSACTIONS_MAX)?;
        let mut transactions = Vec::with_capacity(count.min(1_024));
        for _ in 0..count {
            let raw = read_bytes(buf, left.min(limits::TRANSACTION_BYTES_MAX))?;
            left = left.saturating_sub(bytes_size(&raw));
            let transaction = Transaction::decode(raw)
                .map_err(|_| Error::Invalid("Transaction", "not a transaction of this chain"))?;
            transactions.push(transaction);
        }
        let count = read_length(buf, limits::DIRECTIVES_MAX)?;
        let mut directives = Vec::with_capacity(count);
        for _ in 0..count {
            directives.push(Directive::read(buf)?);
        }
        let body = Self {
            transactions,
            directives,
        };
        match body.encode_size() {
            size if size > bytes_max => Err(Error::InvalidLength(size)),
            _ => Ok(body),
        }
    }
}

impl Write for Directive {
    fn write(&self, buf: &mut impl BufMut) {
        let (tag, address) = match self {
            Self::SetBalance(address, _) => (0_u8, address),
            Self::SetNonce(address, _) => (1, address),
            Self::SetCode(address, _) => (2, address),
            Self::SetStorage(address, _, _) => (3, address),
        };
        tag.write(buf);
        codec::write_address(address, buf);
        match self {
            Self::SetBalance(_, balance) => codec::write_u256(balance, buf),
            Self::SetNonce(_, nonce) => nonce.write(buf),
            Self::SetCode(_, code) => write_bytes(code, buf),
            Self::SetStorage(_, slot, value) => {
                codec::write_u256(slot, buf);
                codec::write_u256(value, buf);
            }
        }
    }
}

impl EncodeSize for Directive {
    fn encode_size(&self) -> usize {
        let value = match self {
            Self::SetBalance(..) => codec::WORD_SIZE,
            Self::SetNonce(..) => u64::SIZE,
            Self::SetCode(_, code) => bytes_size(code),
            Self::SetStorage(..) => 2 * codec::WORD_SIZE,
        };
        value.saturating_add(u8::SIZE + codec::ADDRESS_SIZE)
    }
}

impl Read for Directive {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let tag = u8::read(buf)?;
        let address = codec::read_address(buf)?;
        match tag {
            0 => Ok(Self::SetBalance(address, codec::read_u256(buf)?)),
            1 => Ok(Self::SetNonce(address, u64::read(buf)?)),
            2 => Ok(Self::SetCode(
                address,
                read_bytes(buf, limits::TRANSACTION_BYTES_MAX)?,
            )),
            3 => Ok(Self::SetStorage(
                address,
                codec::read_u256(buf)?,
                codec::read_u256(buf)?,
            )),
            other => Err(Error::InvalidEnum(other)),
        }
    }
}
