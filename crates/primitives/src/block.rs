//! The ordering block: what consensus agrees on, before anybody has executed it.
//!
//! ```text
//! Header ─┬─ ProposalContext (round, leader, parent)      who may propose what, when
//!         ├─ height, timestamp, fee recipient, base fee, gas budget
//!         ├─ body_digest ──▶ transactions, directives     checked whenever a block is decoded
//!         ├─ shard_section_digest, ledger_digest          zero until the chain has shards
//!         └─ ExecutedRef ──▶ ExecutionCertificate         the newest result 2f+1 validators signed
//! ```
//! The block's digest is the hash of its header; the header commits to the body through
//! `body_digest`, so equal digests mean equal blocks. It says nothing about this block's own
//! result: that comes back in the [`ExecutedRef`] of a later header.

use crate::{
    ExecutionCertificate, RecoveredTransaction, Transaction, TransactionError,
    certificate::ResultSignatures, codec, crypto::BlockDigest, crypto::BlockHasher,
    crypto::ProposalContext, limits, recovery::SenderCache, shard, transaction::Impersonation,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256};
use bytes::BufMut;
use commonware_codec::{
    Buf, Encode, EncodeSize, Error, FixedSize, MaxEncodeSize, Read, ReadExt, Write,
};
use commonware_consensus::{BoundedBlock, CertifiableBlock, Heightable, types::Height};
use commonware_cryptography::{Digestible, Hasher};
use std::sync::Arc;

/// The newest certified result its leader knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedRef {
    /// Height that the certificate covers; 0 = genesis.
    pub height: u64,
    /// Hash of the Ethereum header at that height.
    pub block_hash: B256,
    /// The proof; absent only for height 0, which needs none.
    pub certificate: Option<ResultSignatures>,
}

impl ExecutedRef {
    /// The reference every chain starts with.
    #[must_use]
    pub const fn genesis(block_hash: B256) -> Self {
        Self {
            height: 0,
            block_hash,
            certificate: None,
        }
    }
}

impl From<ExecutionCertificate> for ExecutedRef {
    fn from(certificate: ExecutionCertificate) -> Self {
        Self {
            height: certificate.result.height,
            block_hash: certificate.result.block_hash,
            certificate: Some(certificate.signatures),
        }
    }
}

/// What a leader proposes and validators vote on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Round, leader and parent, as consensus gave them.
    pub context: ProposalContext,
    /// Position in the chain; the Ethereum block number.
    pub height: u64,
    /// Milliseconds since the Unix epoch; strictly above the parent's.
    pub timestamp_ms: u64,
    /// Who receives the fees.
    pub proposer: Address,
    /// EIP-1559 base fee, in wei.
    pub base_fee: u64,
    /// Most gas the limits of this block's transactions may add up to.
    pub gas_budget: u64,
    /// What they do add up to.
    pub gas_limits_sum: u64,
    /// Digest of the encoded body.
    pub body_digest: B256,
    /// Digest of the shard section; zero without shards.
    pub shard_section_digest: B256,
    /// Digest of the shard ledger after this block; zero without shards.
    pub ledger_digest: B256,
    /// The newest certified result.
    pub executed: ExecutedRef,
}

/// A change of state that only a development chain orders, applied before the transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Sets an account's balance, in wei.
    SetBalance(Address, U256),
    /// Sets an account's nonce.
    SetNonce(Address, u64),
    /// Sets an account's code.
    SetCode(Address, Bytes),
    /// Sets one storage slot: account, slot, value.
    SetStorage(Address, U256, U256),
}

impl Directive {
    /// The account it changes.
    #[must_use]
    pub const fn address(&self) -> Address {
        match self {
            Self::SetBalance(address, _)
            | Self::SetNonce(address, _)
            | Self::SetCode(address, _)
            | Self::SetStorage(address, _, _) => *address,
        }
    }
}

/// Bounds under which a block is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Largest body, in bytes.
    pub body_bytes_max: u32,
    /// Validators of the chain; bounds the certificate.
    pub validators: u32,
}

#[derive(Debug, PartialEq, Eq)]
struct Body {
    transactions: Vec<Transaction>,
    directives: Vec<Directive>,
}

/// A proposed block. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    header: Arc<Header>,
    body: Arc<Body>,
    digest: BlockDigest,
}

impl Block {
    /// Seals a body under a header; fills in `body_digest` and `gas_limits_sum`.
    #[must_use]
    pub fn new(
        mut header: Header,
        transactions: Vec<Transaction>,
        directives: Vec<Directive>,
    ) -> Self {
        let body = Body {
            transactions,
            directives,
        };
        header.body_digest = body.digest();
        header.gas_limits_sum = body.gas_limits_sum();
        Self::seal(header, body)
    }

    fn seal(header: Header, body: Body) -> Self {
        let digest = BlockHasher::hash(&[&header.encode()]);
        Self {
            digest,
            header: Arc::new(header),
            body: Arc::new(body),
        }
    }

    /// The block at height 0 of a chain whose Ethereum genesis header has this hash.
    #[must_use]
    pub fn genesis(genesis: &crate::Genesis, context: ProposalContext, block_hash: B256) -> Self {
        let header = Header {
            context,
            height: 0,
            timestamp_ms: genesis.timestamp().saturating_mul(1_000),
            proposer: Address::ZERO,
            base_fee: genesis.base_fee(),
            gas_budget: genesis.chain.gas_limit,
            gas_limits_sum: 0,
            body_digest: B256::ZERO,
            shard_section_digest: shard::NO_SHARDS,
            // The rules stand in here, so that chains with different rules never share a block.
            ledger_digest: genesis.rules_digest(),
            executed: ExecutedRef::genesis(block_hash),
        };
        Self::new(header, Vec::new(), Vec::new())
    }

    /// What consensus votes on.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its transactions, in order.
    #[must_use]
    pub fn transactions(&self) -> &[Transaction] {
        &self.body.transactions
    }

    /// Changes of state ordered by a development chain, in order.
    #[must_use]
    pub fn directives(&self) -> &[Directive] {
        &self.body.directives
    }

    /// The hash that identifies it in consensus.
    #[must_use]
    pub const fn digest(&self) -> BlockDigest {
        self.digest
    }

    /// Encoded length of the body, in bytes.
    #[must_use]
    pub fn body_size(&self) -> usize {
        self.body.encode_size()
    }

    /// Whether it changes nothing: neither transactions nor directives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.transactions.is_empty() && self.body.directives.is_empty()
    }

    /// Recovers every sender, looking known ones up.
    ///
    /// # Errors
    /// The first transaction without a valid signature.
    pub fn recover(
        &self,
        cache: &SenderCache,
        impersonation: Impersonation,
    ) -> Result<RecoveredBlock, TransactionError> {
        let transactions = self
            .transactions()
            .iter()
            .map(|transaction| cache.recover(transaction.clone(), impersonation))
            .collect::<Result<_, _>>()?;
        Ok(RecoveredBlock {
            block: self.clone(),
            transactions,
        })
    }
}

/// A block whose senders are all known. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredBlock {
    block: Block,
    transactions: Arc<[RecoveredTransaction]>,
}

impl RecoveredBlock {
    /// The block.
    #[must_use]
    pub const fn block(&self) -> &Block {
        &self.block
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.block.header()
    }

    /// Its transactions with their senders, in order.
    #[must_use]
    pub fn transactions(&self) -> &[RecoveredTransaction] {
        &self.transactions
    }
}

/// A block that is ordered for ever. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalizedBlock {
    recovered: RecoveredBlock,
}

impl FinalizedBlock {
    /// Marks a block as finalized.
    ///
    /// Only the holder of a finalization may call this: consensus, on the in-order delivery of its
    /// marshal, which has checked a finalization of this block or of a descendant.
    #[must_use]
    pub const fn delivered(recovered: RecoveredBlock) -> Self {
        Self { recovered }
    }

    /// The block.
    #[must_use]
    pub const fn block(&self) -> &Block {
        self.recovered.block()
    }

    /// Its header.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.recovered.header()
    }

    /// Its transactions with their senders, in order.
    #[must_use]
    pub fn transactions(&self) -> &[RecoveredTransaction] {
        self.recovered.transactions()
    }

    /// The recovered block inside.
    #[must_use]
    pub const fn recovered(&self) -> &RecoveredBlock {
        &self.recovered
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.header.height)
    }
}

impl Digestible for Block {
    type Digest = BlockDigest;
    fn digest(&self) -> BlockDigest {
        self.digest
    }
}

impl commonware_consensus::Block for Block {
    fn parent(&self) -> BlockDigest {
        self.header.context.parent.1
    }
}

impl CertifiableBlock for Block {
    type Context = ProposalContext;
    fn context(&self) -> ProposalContext {
        self.header.context.clone()
    }
}

impl BoundedBlock for Block {
    fn max_encode_size(cfg: &BlockLimits) -> usize {
        Header::size_max(cfg.validators)
            .saturating_add(usize::try_from(cfg.body_bytes_max).unwrap_or(usize::MAX))
    }
}

/// Encoded width of the fields of a header that have a fixed one.
const HEADER_FIXED_SIZE: usize = 5 * u64::SIZE + 3 * codec::WORD_SIZE + codec::ADDRESS_SIZE;
/// Encoded width of an [`ExecutedRef`] without its signatures: height, hash, presence byte.
const EXECUTED_FIXED_SIZE: usize = u64::SIZE + codec::WORD_SIZE + 1;

impl Header {
    fn size_max(validators: u32) -> usize {
        use commonware_cryptography::certificate::Verifier as _;
        ProposalContext::MAX_ENCODE_SIZE
            .saturating_add(HEADER_FIXED_SIZE)
            .saturating_add(EXECUTED_FIXED_SIZE)
            .saturating_add(crate::certificate::ResultScheme::max_certificate_size(
                validators,
            ))
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
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        self.header
            .encode_size()
            .saturating_add(self.body.encode_size())
    }
}

impl Read for Block {
    type Cfg = BlockLimits;
    fn read_cfg(buf: &mut impl Buf, cfg: &BlockLimits) -> Result<Self, Error> {
        let header = Header::read_cfg(buf, cfg)?;
        let body = Body::read_cfg(buf, cfg)?;
        if header.body_digest != body.digest() || header.gas_limits_sum != body.gas_limits_sum() {
            return Err(Error::Invalid(
                "Block",
                "header does not commit to this body",
            ));
        }
        Ok(Self::seal(header, body))
    }
}

impl Body {
    fn digest(&self) -> B256 {
        if self.transactions.is_empty() && self.directives.is_empty() {
            return B256::ZERO;
        }
        B256::from_slice(BlockHasher::hash(&[&self.encode()]).as_ref())
    }

    fn gas_limits_sum(&self) -> u64 {
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
        let bytes_max = usize::try_from(cfg.body_bytes_max).unwrap_or(usize::MAX);
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
