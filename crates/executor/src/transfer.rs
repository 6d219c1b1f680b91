//! A plain transfer of value, without the virtual machine.
//!
//! Most transactions of most chains send value from one account without code to another. All that
//! the machine would do for one is known in advance; whatever is out of the ordinary is left to it.

use crate::{conformance::Fork, input::ExecutionInput, receipt::ReceiptDraft};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, TxKind, U256};
use primitives::RecoveredTransaction;
use revm::{
    context::Cfg as _,
    precompile::{PrecompileSpecId, Precompiles},
};
use state::Account;

/// Gas of a call without data (EIP-2).
const GAS: u64 = 21_000;

/// What the transfers of a block have in common.
#[derive(Debug)]
pub(crate) struct Transfers<'a> {
    input: &'a ExecutionInput<'a>,
    precompiles: &'static Precompiles,
    gas_limit_max: u64,
    fork: Fork,
}

/// A transaction that is a plain transfer unless one of its accounts has code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) sender: Address,
    pub(crate) recipient: Address,
    value: U256,
    nonce: u64,
    /// What the sender has to have beside the value, in wei.
    fee_max: U256,
    /// What it pays, in wei.
    fee: U256,
    pub(crate) tip: U256,
    gas_used: u64,
}

impl<'a> Transfers<'a> {
    pub(crate) fn new(input: &'a ExecutionInput<'a>) -> Self {
        let fork = input.ethereum.unwrap_or_default().fork;
        let cfg = crate::machine::configure(input.chain, fork);
        Self {
            input,
            precompiles: Precompiles::new(PrecompileSpecId::from_spec_id(fork.spec())),
            gas_limit_max: input.environment.gas_limit.min(cfg.tx_gas_limit_cap()),
            fork,
        }
    }

    /// The transaction as a transfer, if it can be one.
    pub(crate) fn recognise(&self, transaction: &RecoveredTransaction) -> Option<Transfer> {
        let TxKind::Call(recipient) = alloy_consensus::Transaction::kind(transaction.envelope())
        else {
            return None;
        };
        let sender = transaction.sender();
        let base_fee = self.input.environment.base_fee;
        let gas_limit = transaction.gas_limit();
        let max_fee = transaction.max_fee_per_gas();
        let is_known = match transaction.kind() {
            // Before EIP-161, an empty account was not the same as none.
            0 => self.fork >= Fork::SpuriousDragon,
            1 => self.fork >= Fork::Berlin,
            2 => self.fork >= Fork::London,
            _ => false,
        };
        let is_plain = is_known
            && transaction.input().is_empty()
            && transaction.access_list().is_none_or(|list| list.is_empty())
            && transaction.impersonated_sender().is_none()
            && sender != recipient;
        let chain_id = self.input.chain.chain_id;
        let is_valid = (GAS..=self.gas_limit_max).contains(&gas_limit)
            && transaction.chain_id().is_none_or(|id| id == chain_id)
            && transaction.nonce() < u64::MAX
            && max_fee >= u128::from(base_fee)
            && transaction
                .max_priority_fee_per_gas()
                .is_none_or(|priority| priority <= max_fee);
        if !is_plain || !is_valid || self.precompiles.contains(&recipient) {
            return None;
        }
        let gas_used = match self.input.ethereum {
            None => self.input.chain.charged_gas(GAS, gas_limit).max(GAS),
            Some(_) => GAS,
        };
        let price = transaction.effective_gas_price(Some(base_fee));
        let tip = match self.input.ethereum {
            Some(rules) if rules.fork < Fork::London => price,
            _ => price.saturating_sub(u128::from(base_fee)),
        };
        Some(Transfer {
            sender,
            recipient,
            value: transaction.value(),
            nonce: transaction.nonce(),
            // The machine multiplies these as 128-bit words, and refuses what does not fit.
            fee_max: U256::from(u128::from(gas_limit).checked_mul(max_fee)?),
            fee: U256::from(gas_used).checked_mul(U256::from(price))?,
            tip: U256::from(gas_used).checked_mul(U256::from(tip))?,
            gas_used,
        })
    }
}

impl Transfer {
    /// The sender after the transfer, if it is a plain account that can pay.
    pub(crate) fn debit(&self, sender: Option<Account>) -> Option<Account> {
        let mut sender = sender?;
        let needed = self.fee_max.checked_add(self.value)?;
        if sender.has_code() || sender.nonce != self.nonce || sender.balance < needed {
            return None;
        }
        let spent = self.fee.checked_add(self.value)?;
        sender.balance = sender.balance.checked_sub(spent)?;
        sender.nonce = sender.nonce.checked_add(1)?;
        Some(sender)
    }

    /// The recipient after the transfer, if it is a plain account.
    pub(crate) fn credit(&self, recipient: Option<Account>) -> Option<Account> {
        let mut recipient = recipient.unwrap_or_default();
        recipient.balance = recipient.balance.checked_add(self.value)?;
        (!recipient.has_code()).then_some(recipient)
    }

    /// What the receipt says.
    pub(crate) const fn draft(&self) -> ReceiptDraft {
        ReceiptDraft::succeeded(self.gas_used)
    }
}
