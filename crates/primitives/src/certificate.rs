//! Agreement on results: what a validator signs after it executed a block.
//!
//! ```text
//! ExecutionResult ─sign─▶ SignedResult ─gossip, 2f+1 equal─▶ ExecutionCertificate ─▶ a later header
//! ```
//! `block_hash` is the hash of the Ethereum header at that height, so one signature covers state,
//! receipts and the whole executed history. A certificate is attributable: two different signed
//! results for one height are evidence against their signer.

use crate::{codec, crypto::PrivateKey, crypto::PublicKey};
use alloy_primitives::{B256, hex};
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, Encode, EncodeSize, Error, FixedSize, Read, ReadExt, Write};
use commonware_cryptography::certificate::{self, Attestation};
use commonware_utils::ordered::Set;

const RESULT_NAMESPACE: &[u8] = b"_HEADWAY_RESULT";
const CONSENSUS_NAMESPACE: &[u8] = b"_HEADWAY_CONSENSUS";

/// What executing the chain up to a height gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionResult {
    /// The executed height.
    pub height: u64,
    /// Hash of the Ethereum header at that height.
    pub block_hash: B256,
}

impl Write for ExecutionResult {
    fn write(&self, buf: &mut impl BufMut) {
        self.height.write(buf);
        codec::write_b256(&self.block_hash, buf);
    }
}

impl FixedSize for ExecutionResult {
    const SIZE: usize = u64::SIZE + codec::WORD_SIZE;
}

impl Read for ExecutionResult {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            height: u64::read(buf)?,
            block_hash: codec::read_b256(buf)?,
        })
    }
}

impl certificate::Subject for &ExecutionResult {
    type Namespace = Vec<u8>;
    fn namespace<'a>(&self, derived: &'a Vec<u8>) -> &'a [u8] {
        derived
    }
    fn message(&self) -> Bytes {
        self.encode()
    }
}

/// The scheme of signed results: ed25519, quorum 2f+1 of 3f+1.
pub mod scheme {
    use super::ExecutionResult;
    use commonware_cryptography::impl_certificate_ed25519;
    use commonware_utils::N3f1;

    impl_certificate_ed25519!(&'a ExecutionResult, Vec<u8>, N3f1);
}

/// Verifies, and for a validator signs, results.
pub type ResultScheme = scheme::Scheme;
/// 2f+1 signatures and who gave them.
pub type ResultSignatures = <ResultScheme as certificate::Verifier>::Certificate;

/// Separates the signatures of this chain from every other chain's.
#[must_use]
pub fn consensus_namespace(genesis_digest: &B256) -> Vec<u8> {
    [CONSENSUS_NAMESPACE, genesis_digest.as_slice()].concat()
}

/// The scheme for results of the chain with this genesis; with a private key of a validator it
/// also signs.
#[must_use]
pub fn result_scheme(
    genesis_digest: &B256,
    validators: Set<PublicKey>,
    key: Option<PrivateKey>,
) -> ResultScheme {
    let namespace = [RESULT_NAMESPACE, genesis_digest.as_slice()].concat();
    key.and_then(|key| ResultScheme::signer(&namespace, validators.clone(), key))
        .unwrap_or_else(|| ResultScheme::verifier(&namespace, validators))
}

/// One validator's signed result, as gossiped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedResult {
    /// What it signed.
    pub result: ExecutionResult,
    /// Its index and signature; checked by the scheme, not by decoding.
    pub attestation: Attestation<ResultScheme>,
}

impl Write for SignedResult {
    fn write(&self, buf: &mut impl BufMut) {
        self.result.write(buf);
        self.attestation.write(buf);
    }
}

impl EncodeSize for SignedResult {
    fn encode_size(&self) -> usize {
        ExecutionResult::SIZE.saturating_add(self.attestation.encode_size())
    }
}

impl Read for SignedResult {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            result: ExecutionResult::read(buf)?,
            attestation: Attestation::read(buf)?,
        })
    }
}

/// 2f+1 validators signed the same result.
///
/// Decoding one proves nothing; whoever takes it from outside checks it with the [`ResultScheme`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionCertificate {
    /// What they signed.
    pub result: ExecutionResult,
    /// Their signatures.
    pub signatures: ResultSignatures,
}

impl Write for ExecutionCertificate {
    fn write(&self, buf: &mut impl BufMut) {
        self.result.write(buf);
        self.signatures.write(buf);
    }
}

impl EncodeSize for ExecutionCertificate {
    fn encode_size(&self) -> usize {
        ExecutionResult::SIZE.saturating_add(self.signatures.encode_size())
    }
}

impl Read for ExecutionCertificate {
    type Cfg = <ResultSignatures as Read>::Cfg;
    fn read_cfg(buf: &mut impl Buf, cfg: &Self::Cfg) -> Result<Self, Error> {
        Ok(Self {
            result: ExecutionResult::read(buf)?,
            signatures: ResultSignatures::read_cfg(buf, cfg)?,
        })
    }
}

impl std::fmt::Display for ExecutionResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "height={} block_hash={}",
            self.height,
            hex::encode_prefixed(self.block_hash)
        )
    }
}
