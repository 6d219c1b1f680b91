//! Receipts, and how the store keeps them.
//!
//! The consensus part is Ethereum's envelope; beside it stands what `eth_getTransactionReceipt`
//! shows and the envelope does not say, so that serving a receipt needs no second execution.
//!
//! Stored form: an RLP list of `[type, status, cumulative gas, logs, gas used, price, contract, output]`,
//! where no contract is the empty string. The bloom, which would be most of it, is made again from the logs.

use crate::bloom::BloomHasher;
use alloy_consensus::{
    Eip658Value, Receipt as LogReceipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _,
    TxReceipt as _, TxType,
};
use alloy_primitives::{Address, Bloom, Bytes, Log};
use alloy_rlp::{Decodable, Encodable, Header};
use primitives::RecoveredTransaction;
use revm::context_interface::result::ExecutionResult;

/// Longest output kept of a transaction that reverted, in bytes.
pub(crate) const OUTPUT_BYTES_MAX: usize = 1_024;

/// What happened to one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Status, cumulative gas, bloom and logs, under the transaction's type.
    pub envelope: ReceiptEnvelope,
    /// Gas charged to this transaction.
    pub gas_used: u64,
    /// Wei paid per unit of gas.
    pub effective_gas_price: u128,
    /// Address of the created contract, if it is a creation, whether or not it succeeded.
    pub contract_address: Option<Address>,
    /// The first bytes of what it reverted with; empty if it did not revert.
    pub output: Bytes,
}

/// Stored bytes are not receipts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptDecodeError {
    /// A field has the wrong form.
    #[error("stored receipts are malformed: {0}")]
    Malformed(alloy_rlp::Error),
    /// There are no transactions of its type.
    #[error("stored receipt is of an unknown type: {0}")]
    Type(u8),
}

impl From<alloy_rlp::Error> for ReceiptDecodeError {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Malformed(error)
    }
}

impl Receipt {
    /// Whether the transaction did what it was meant to.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.envelope.is_success()
    }

    /// Writes the receipts of a block.
    #[must_use]
    pub fn encode_all(receipts: &[Self]) -> Vec<u8> {
        let lengths = receipts
            .iter()
            .map(|receipt| receipt.header().length_with_payload());
        let header = list(lengths.sum());
        let mut bytes = Vec::with_capacity(header.length_with_payload());
        header.encode(&mut bytes);
        for receipt in receipts {
            receipt.encode(&mut bytes);
        }
        bytes
    }

    /// Reads the receipts of a block.
    ///
    /// # Errors
    /// When the bytes are not what [`Self::encode_all`] wrote.
    pub fn decode_all(mut bytes: &[u8]) -> Result<Vec<Self>, ReceiptDecodeError> {
        let mut payload = Header::decode_bytes(&mut bytes, true)?;
        let mut receipts = Vec::new();
        let mut hasher = BloomHasher::default();
        while !payload.is_empty() {
            let mut fields = Header::decode_bytes(&mut payload, true)?;
            receipts.push(Self::decode(&mut fields, &mut hasher)?);
            if !fields.is_empty() {
                return Err(alloy_rlp::Error::UnexpectedLength.into());
            }
        }
        match bytes.is_empty() {
            true => Ok(receipts),
            false => Err(alloy_rlp::Error::UnexpectedLength.into()),
        }
    }

    /// Reads the logs of each transaction of a block alone, which is much of the receipts and a small part of the
    /// work: no blooms.
    ///
    /// # Errors
    /// When the bytes are not what [`Self::encode_all`] wrote.
    pub fn decode_logs(mut bytes: &[u8]) -> Result<Vec<Vec<Log>>, ReceiptDecodeError> {
        let mut payload = Header::decode_bytes(&mut bytes, true)?;
        let mut logs = Vec::new();
        while !payload.is_empty() {
            let mut fields = Header::decode_bytes(&mut payload, true)?;
            u8::decode(&mut fields)?;
            Eip658Value::decode(&mut fields)?;
            u64::decode(&mut fields)?;
            logs.push(Vec::<Log>::decode(&mut fields)?);
        }
        Ok(logs)
    }

    fn kind(&self) -> u8 {
        self.envelope.tx_type().into()
    }

    fn contract(&self) -> &[u8] {
        self.contract_address.as_ref().map_or(&[], |a| a.as_slice())
    }

    /// Of its encoding.
    fn header(&self) -> Header {
        let envelope = [
            self.kind().length(),
            self.envelope.status_or_post_state().length(),
            self.envelope.cumulative_gas_used().length(),
            alloy_rlp::list_length(self.envelope.logs()),
        ];
        let beside = [
            self.gas_used.length(),
            self.effective_gas_price.length(),
            self.contract().length(),
            self.output.length(),
        ];
        list(envelope.iter().chain(&beside).sum())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.header().encode(out);
        self.kind().encode(out);
        self.envelope.status_or_post_state().encode(out);
        self.envelope.cumulative_gas_used().encode(out);
        alloy_rlp::encode_list(self.envelope.logs(), out);
        self.gas_used.encode(out);
        self.effective_gas_price.encode(out);
        self.contract().encode(out);
        self.output.encode(out);
    }

    fn decode(fields: &mut &[u8], hasher: &mut BloomHasher) -> Result<Self, ReceiptDecodeError> {
        let kind = u8::decode(fields)?;
        let kind = TxType::try_from(kind).map_err(|_| ReceiptDecodeError::Type(kind))?;
        let receipt = LogReceipt {
            status: Eip658Value::decode(fields)?,
            cumulative_gas_used: u64::decode(fields)?,
            logs: Vec::<Log>::decode(fields)?,
        };
        let receipt = ReceiptWithBloom {
            logs_bloom: hasher.bloom(&receipt.logs),
            receipt,
        };
        Ok(Self {
            envelope: ReceiptEnvelope::from_typed(kind, receipt),
            gas_used: u64::decode(fields)?,
            effective_gas_price: u128::decode(fields)?,
            contract_address: match Header::decode_bytes(fields, false)? {
                [] => None,
                bytes => {
                    Some(Address::try_from(bytes).map_err(|_| alloy_rlp::Error::UnexpectedLength)?)
                }
            },
            output: Bytes::decode(fields)?,
        })
    }
}

const fn list(payload_length: usize) -> Header {
    Header {
        list: true,
        payload_length,
    }
}

/// What running a transaction says about its receipt.
#[derive(Debug, Default)]
pub(crate) struct ReceiptDraft {
    success: bool,
    pub(crate) gas_used: u64,
    logs: Vec<Log>,
    /// Of the logs, once somebody has made it.
    bloom: Option<Box<Bloom>>,
    output: Bytes,
}

impl ReceiptDraft {
    /// The receipt of a transaction that was not run.
    pub(crate) const fn failed(gas_used: u64) -> Self {
        Self {
            success: false,
            gas_used,
            logs: Vec::new(),
            bloom: None,
            output: Bytes::new(),
        }
    }

    /// The receipt of a transaction that did what it was meant to, without logs.
    pub(crate) const fn succeeded(gas_used: u64) -> Self {
        Self {
            success: true,
            gas_used,
            logs: Vec::new(),
            bloom: None,
            output: Bytes::new(),
        }
    }

    /// Makes the bloom of the logs, while there is time.
    pub(crate) fn make_bloom(&mut self, hasher: &mut BloomHasher) {
        self.bloom = (!self.logs.is_empty()).then(|| Box::new(hasher.bloom(&self.logs)));
    }

    /// The receipt of a transaction, given the gas of the block up to and including it.
    pub(crate) fn finish(
        self,
        transaction: &RecoveredTransaction,
        base_fee: u64,
        cumulative_gas_used: u64,
        hasher: &mut BloomHasher,
    ) -> Receipt {
        let logs_bloom = match self.bloom {
            Some(bloom) => *bloom,
            None => hasher.bloom(&self.logs),
        };
        let receipt = LogReceipt {
            status: Eip658Value::Eip658(self.success),
            cumulative_gas_used,
            logs: self.logs,
        };
        let receipt = ReceiptWithBloom {
            receipt,
            logs_bloom,
        };
        let creation = transaction.is_create();
        Receipt {
            envelope: ReceiptEnvelope::from_typed(
                TxType::try_from(transaction.kind()).unwrap_or(TxType::Legacy),
                receipt,
            ),
            gas_used: self.gas_used,
            effective_gas_price: transaction.effective_gas_price(Some(base_fee)),
            contract_address: creation.then(|| transaction.sender().create(transaction.nonce())),
            output: self.output,
        }
    }
}

impl From<ExecutionResult> for ReceiptDraft {
    fn from(result: ExecutionResult) -> Self {
        let gas_used = result.tx_gas_used();
        match result {
            ExecutionResult::Success { logs, .. } => Self {
                success: true,
                logs,
                ..Self::failed(gas_used)
            },
            ExecutionResult::Revert { output, .. } => Self {
                output: output.slice(..output.len().min(OUTPUT_BYTES_MAX)),
                ..Self::failed(gas_used)
            },
            ExecutionResult::Halt { .. } => Self::failed(gas_used),
        }
    }
}
