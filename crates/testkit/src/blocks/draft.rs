//! A transaction of any type before it is wrapped up.

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use primitives::{RecoveredTransaction, transaction::Envelope};

/// All that a transaction of some type may say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// Envelope type: 0, 1, 2 or 4.
    pub(crate) kind: u8,
    pub(crate) chain_id: u64,
    pub(crate) sender: Address,
    pub(crate) nonce: u64,
    pub(crate) gas_limit: u64,
    /// The gas price of types 0 and 1.
    pub(crate) max_fee: u128,
    pub(crate) priority_fee: u128,
    pub(crate) to: TxKind,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    pub(crate) access_list: AccessList,
    pub(crate) authorizations: Vec<SignedAuthorization>,
    pub(crate) is_impersonated: bool,
}

impl Draft {
    /// The most that it can cost besides its value.
    pub(crate) fn max_gas_cost(&self) -> U256 {
        U256::from(self.gas_limit).saturating_mul(U256::from(self.max_fee))
    }

    /// The transaction, with a signature that nobody made.
    pub(crate) fn finish(self) -> RecoveredTransaction {
        let sender = self.sender;
        let signature = match self.is_impersonated {
            true => {
                let named = U256::from_be_bytes(sender.into_word().0);
                Signature::new(named, U256::ZERO, false)
            }
            false => Signature::test_signature(),
        };
        let envelope = match self.kind {
            0 => Envelope::Legacy(self.legacy().into_signed(signature)),
            1 => Envelope::Eip2930(self.listed().into_signed(signature)),
            2 => Envelope::Eip1559(self.dynamic().into_signed(signature)),
            4 => Envelope::Eip7702(self.authorizing().into_signed(signature)),
            kind => unreachable!("there is no draft of type {kind}"),
        };
        RecoveredTransaction::from_fixture(envelope, sender)
    }

    fn legacy(self) -> TxLegacy {
        TxLegacy {
            chain_id: Some(self.chain_id),
            nonce: self.nonce,
            gas_price: self.max_fee,
            gas_limit: self.gas_limit,
            to: self.to,
            value: self.value,
            input: self.input,
        }
    }

    fn listed(self) -> TxEip2930 {
        TxEip2930 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_price: self.max_fee,
            gas_limit: self.gas_limit,
            to: self.to,
            value: self.value,
            access_list: self.access_list,
            input: self.input,
        }
    }

    fn dynamic(self) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: self.priority_fee,
            to: self.to,
            value: self.value,
            access_list: self.access_list,
            input: self.input,
        }
    }

    fn authorizing(self) -> TxEip7702 {
        TxEip7702 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: self.priority_fee,
            to: self.to.to().copied().unwrap_or_default(),
            value: self.value,
            access_list: self.access_list,
            authorization_list: self.authorizations,
            input: self.input,
        }
    }
}
