//! The ordering block: what consensus agrees on, before anybody has executed it.
//!
//! ```text
//! Header ─┬─ ProposalContext (round, leader, parent)      who may propose what, when
//!         ├─ height, timestamp, fee recipient, base fee, gas budget
//!         ├─ body_digest ──▶ transactions, directives     checked whenever a block is decoded
//!         ├─ shard_section_digest ──▶ section             what the block says about shards; zero if nothing
//!         ├─ ledger_digest                                the shard ledger after this block
//!         └─ ExecutedRef ──▶ ExecutionCertificate         the newest result 2f+1 validators signed
//! ```
//! The block's digest is the hash of its header; the header commits to the body through
//! `body_digest`, so equal digests mean equal blocks. It says nothing about this block's own
//! result: that comes back in the [`ExecutedRef`] of a later header.

mod encoding;
#[cfg(test)]
mod tests;

use crate::{
    ExecutionCertificate, RecoveredTransaction, Transaction, TransactionError,
    certificate::ResultSignatures, crypto::BlockDigest, crypto::BlockHasher,
    crypto::ProposalContext, recovery::SenderCache, shard::SectionLimits, shard::ShardSection,
    transaction::Impersonation,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use commonware_codec::{Encode, EncodeSize};
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
    /// Digest of the shard section; zero if it says nothing.
    pub shard_section_digest: B256,
    /// Digest of the shard ledger after this block. On a chain without shards, of its rules.
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

impl Header {
    /// The hash that identifies the block under this header.
    #[must_use]
    pub fn digest(&self) -> BlockDigest {
        BlockHasher::hash(&[&self.encode()])
    }
}

/// Why transactions and directives are not the body under a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than a block may hold.
    #[error("body is too large: bytes={bytes} max={max}")]
    TooLarge {
        /// Its encoded length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// More entries than a block may hold.
    #[error("too many entries: transactions={transactions} directives={directives}")]
    TooMany {
        /// How many transactions.
        transactions: usize,
        /// How many directives.
        directives: usize,
    },
    /// Another body than the header commits to.
    #[error("header does not commit to this body")]
    Mismatch,
}

/// Bounds under which a block is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Largest body, in bytes.
    pub body_bytes_max: u32,
    /// Validators of the chain; bounds the certificate.
    pub validators: u32,
    /// Bounds of the shard section, which is not counted as a part of the body.
    pub section: SectionLimits,
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
    section: Arc<ShardSection>,
    digest: BlockDigest,
}

impl Block {
    /// Seals a body that says nothing about shards under a header; see [`Self::with_section`].
    #[must_use]
    pub fn new(header: Header, transactions: Vec<Transaction>, directives: Vec<Directive>) -> Self {
        Self::with_section(header, transactions, directives, ShardSection::default())
    }

    /// Seals a body under a header; fills in the digests of its parts and `gas_limits_sum`.
    #[must_use]
    pub fn with_section(
        mut header: Header,
        transactions: Vec<Transaction>,
        directives: Vec<Directive>,
        section: ShardSection,
    ) -> Self {
        let body = Body {
            transactions,
            directives,
        };
        header.body_digest = body.digest();
        header.gas_limits_sum = body.gas_limits_sum();
        header.shard_section_digest = section.digest();
        Self::seal(header, body, section)
    }

    /// Puts a header and the body it commits to together: what decoding their encoding gives.
    ///
    /// # Errors
    /// When no block within these limits has this header and this body.
    pub fn join(
        header: Header,
        transactions: Vec<Transaction>,
        directives: Vec<Directive>,
        section: ShardSection,
        limits: &BlockLimits,
    ) -> Result<Self, BodyError> {
        let body = Body {
            transactions,
            directives,
        };
        body.check_size(limits)?;
        Self::check(header, body, section)
    }

    /// `body` is within the limits.
    fn check(header: Header, body: Body, section: ShardSection) -> Result<Self, BodyError> {
        // The sum first: it costs less than the digest.
        if header.gas_limits_sum != body.gas_limits_sum()
            || header.shard_section_digest != section.digest()
            || header.body_digest != body.digest()
        {
            return Err(BodyError::Mismatch);
        }
        Ok(Self::seal(header, body, section))
    }

    fn seal(header: Header, body: Body, section: ShardSection) -> Self {
        Self {
            digest: header.digest(),
            header: Arc::new(header),
            body: Arc::new(body),
            section: Arc::new(section),
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
            shard_section_digest: crate::shard::NO_SHARDS,
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

    /// What it says about shards.
    #[must_use]
    pub fn section(&self) -> &ShardSection {
        &self.section
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

    /// Whether it changes nothing of the state: neither transactions nor directives.
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
        let transactions = cache
            .recover_ordered(self.transactions().to_vec(), impersonation)
            .into_iter()
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

    /// The same, to keep.
    #[must_use]
    pub fn shared_transactions(&self) -> Arc<[RecoveredTransaction]> {
        Arc::clone(&self.transactions)
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
            .saturating_add(cfg.body_bytes())
            .saturating_add(cfg.section.bytes_max())
    }
}
