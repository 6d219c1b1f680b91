//! From raw bytes to a transaction whose sender is known.
//!
//! ```text
//! raw bytes ─decode─▶ Transaction ─recover─▶ RecoveredTransaction
//! ```
//! Decoding accepts envelope types 0, 1, 2 and 4 in their one canonical EIP-2718 encoding; a
//! blob transaction (type 3) is refused, because there is no blob market here. Recovery is the
//! expensive step (one `ecrecover`) and happens once per node.
//!
//! On a development chain a signature with `s = 0` — which no ECDSA signature has — stands for an
//! impersonated sender, carried in `r`. Everywhere else it is refused as any bad signature is.

use crate::{limits, signature::Request};
use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844, crypto::SECP256K1N_HALF};
use alloy_eips::{Decodable2718, Encodable2718, Typed2718};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

/// Bits of an address.
const ADDRESS_BITS: usize = 160;

/// The decoded forms a transaction has.
pub type Envelope = EthereumTxEnvelope<TxEip4844>;

/// Why bytes are not a transaction of this chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Longer than [`limits::TRANSACTION_BYTES_MAX`].
    #[error("transaction is too large: bytes={bytes} max={max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Not a canonical EIP-2718 envelope.
    #[error("transaction is malformed: {0}")]
    Malformed(String),
    /// A type this chain does not take.
    #[error("transaction type not supported: type={0}")]
    UnsupportedType(u8),
    /// No sender can be recovered, or `s` is in the upper half (EIP-2).
    #[error("invalid signature")]
    InvalidSignature,
    /// More authorizations than a transaction may carry.
    #[error("too many authorizations: count={count} max={max}")]
    TooManyAuthorizations {
        /// How many it carries.
        count: usize,
        /// The limit.
        max: usize,
    },
}

#[derive(Debug)]
struct Decoded {
    envelope: Envelope,
    raw: Bytes,
    hash: B256,
    /// Who signed its authorizations, once somebody has asked: the pool, a block rebuilt from it, and execution
    /// share what was recovered once.
    authorities: OnceLock<Box<[Option<Address>]>>,
}

impl Decoded {
    const fn new(envelope: Envelope, raw: Bytes, hash: B256) -> Self {
        Self {
            envelope,
            raw,
            hash,
            authorities: OnceLock::new(),
        }
    }
}

impl PartialEq for Decoded {
    /// One encoding is one transaction; what was recovered follows from it.
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for Decoded {}

/// A well-formed transaction; its signature has not been looked at. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    decoded: Arc<Decoded>,
}

impl Transaction {
    /// Decodes one EIP-2718 envelope; all bytes must belong to it.
    ///
    /// # Errors
    /// [`TransactionError`], except `InvalidSignature`.
    pub fn decode(raw: impl Into<Bytes>) -> Result<Self, TransactionError> {
        let raw = raw.into();
        let max = limits::TRANSACTION_BYTES_MAX;
        if raw.len() > max {
            return Err(TransactionError::TooLarge {
                bytes: raw.len(),
                max,
            });
        }
        if raw.first() == Some(&3) {
            return Err(TransactionError::UnsupportedType(3));
        }
        let envelope = Envelope::decode_2718_exact(&raw)
            .map_err(|error| TransactionError::Malformed(error.to_string()))?;
        // An encoding other than the canonical one would give one transaction two hashes.
        if envelope.encoded_2718() != raw.as_ref() {
            return Err(TransactionError::Malformed(
                "encoding is not canonical".to_owned(),
            ));
        }
        let count = envelope.authorization_list().map_or(0, <[_]>::len);
        if count > limits::AUTHORIZATIONS_MAX {
            let max = limits::AUTHORIZATIONS_MAX;
            return Err(TransactionError::TooManyAuthorizations { count, max });
        }
        let hash = keccak256(&raw);
        Ok(Self {
            decoded: Arc::new(Decoded::new(envelope, raw, hash)),
        })
    }

    /// Hash that identifies it: keccak of its encoding.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.decoded.hash
    }

    /// Its canonical encoding.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.decoded.raw
    }

    /// Its decoded form.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.decoded.envelope
    }

    /// The impersonated sender it claims, when its signature can only mean impersonation.
    #[must_use]
    pub fn impersonated_sender(&self) -> Option<Address> {
        let signature = self.envelope().signature();
        (signature.s().is_zero() && signature.r().bit_len() <= ADDRESS_BITS)
            .then(|| Address::from_word(B256::from(signature.r())))
    }

    /// For each EIP-7702 authorization, who signed it; recovered once for all copies of this value.
    fn authorities(&self) -> &[Option<Address>] {
        let Some(authorizations) = self.envelope().authorization_list() else {
            return &[];
        };
        let recover = || {
            let authorizations = authorizations.iter();
            let authorities = authorizations.map(|signed| signed.recover_authority().ok());
            authorities.collect()
        };
        self.decoded.authorities.get_or_init(recover)
    }

    /// Recovers the sender and, for type 4, the authorities.
    ///
    /// # Errors
    /// [`TransactionError::InvalidSignature`].
    pub fn recover(
        self,
        impersonation: Impersonation,
    ) -> Result<RecoveredTransaction, TransactionError> {
        let sender = match self.impersonated_by(impersonation) {
            Some(sender) => sender,
            None => self
                .recovery()
                .and_then(|request| request.recover().ok())
                .ok_or(TransactionError::InvalidSignature)?,
        };
        Ok(RecoveredTransaction::trusted(self, sender))
    }

    /// The impersonated sender, where those are allowed.
    pub(crate) fn impersonated_by(&self, impersonation: Impersonation) -> Option<Address> {
        match impersonation {
            Impersonation::Allowed => self.impersonated_sender(),
            Impersonation::Refused => None,
        }
    }

    /// What its sender is recovered from; none if `s` is in the upper half (EIP-2).
    pub(crate) fn recovery(&self) -> Option<Request> {
        let signature = self.envelope().signature();
        (signature.s() <= SECP256K1N_HALF).then(|| Request {
            hash: self.envelope().signature_hash(),
            r: signature.r(),
            s: signature.s(),
            is_odd: signature.v(),
        })
    }
}

impl Deref for Transaction {
    type Target = Envelope;
    fn deref(&self) -> &Envelope {
        self.envelope()
    }
}

/// Whether a chain takes transactions of impersonated senders (only development chains do).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impersonation {
    /// Signature with `s = 0` names its sender.
    Allowed,
    /// Only real signatures.
    Refused,
}

impl From<bool> for Impersonation {
    fn from(dev: bool) -> Self {
        if dev { Self::Allowed } else { Self::Refused }
    }
}

/// A transaction whose sender is known. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredTransaction {
    transaction: Transaction,
    sender: Address,
}

impl RecoveredTransaction {
    /// Pairs a transaction with a sender that was recovered before: read back from this node's
    /// own store, found in its cache, or given by a conformance fixture.
    #[must_use]
    pub fn trusted(transaction: Transaction, sender: Address) -> Self {
        // Here, where signatures are recovered by several threads, and not where one executes.
        transaction.authorities();
        Self {
            transaction,
            sender,
        }
    }

    /// Pairs an envelope of any type, blobs included, with its sender: for conformance fixtures.
    #[must_use]
    pub fn from_fixture(envelope: Envelope, sender: Address) -> Self {
        let raw = Bytes::from(envelope.encoded_2718());
        let hash = keccak256(&raw);
        Self::trusted(
            Transaction {
                decoded: Arc::new(Decoded::new(envelope, raw, hash)),
            },
            sender,
        )
    }

    /// Who pays and whose nonce counts.
    #[must_use]
    pub const fn sender(&self) -> Address {
        self.sender
    }

    /// The transaction.
    #[must_use]
    pub const fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// For each EIP-7702 authorization in order, who signed it; none for a bad signature.
    #[must_use]
    pub fn authorities(&self) -> &[Option<Address>] {
        self.transaction.authorities()
    }

    /// Envelope type, 0 to 4.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.transaction.envelope().ty()
    }
}

impl Deref for RecoveredTransaction {
    type Target = Transaction;
    fn deref(&self) -> &Transaction {
        &self.transaction
    }
}
