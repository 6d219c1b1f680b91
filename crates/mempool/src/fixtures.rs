//! Transactions, accounts and configurations of the tests. Signatures are not real: the pool takes
//! recovered transactions.

use crate::{
    admission::{AdmissionError, Admitted, CheckedTransaction},
    config::Config,
    event::{DropReason, Event},
    mailbox::{Mempool, follow::Executed},
    selection::TransactionSource,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use primitives::{
    ChainConfig, RecoveredTransaction, Transaction,
    affordability::{AccountView, CodeKind},
    chain::Protocol,
};
use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};

pub(crate) const CHAIN_ID: u64 = 1;
pub(crate) const GAS: u64 = 21_000;
pub(crate) const BASE_FEE: u64 = 10;
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;

pub(crate) fn config() -> Config {
    Config::new(ChainConfig {
        chain_id: CHAIN_ID,
        gas_limit: 30_000_000,
        protocol: Protocol::default(),
    })
}

pub(crate) fn sender(index: u8) -> Address {
    Address::repeat_byte(index)
}

pub(crate) fn account(nonce: u64, balance: u128) -> AccountView {
    AccountView {
        nonce,
        balance: U256::from(balance),
        code: CodeKind::None,
    }
}

/// A transaction in the making.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) sender: Address,
    pub(crate) fields: TxEip1559,
}

/// A transfer to itself, so that no two senders share a hash, whose maximum fee leaves the whole tip above [`BASE_FEE`].
pub(crate) fn draft(index: u8, nonce: u64, effective_tip: u128) -> Draft {
    Draft {
        sender: sender(index),
        fields: TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: GAS,
            max_fee_per_gas: u128::from(BASE_FEE) + effective_tip,
            max_priority_fee_per_gas: effective_tip,
            to: TxKind::Call(sender(index)),
            ..TxEip1559::default()
        },
    }
}

impl Draft {
    pub(crate) fn fees(mut self, max_fee: u128, priority_fee: u128) -> Self {
        self.fields.max_fee_per_gas = max_fee;
        self.fields.max_priority_fee_per_gas = priority_fee;
        self
    }

    pub(crate) fn value(mut self, value: u128) -> Self {
        self.fields.value = U256::from(value);
        self
    }

    /// Zero bytes of call input and the gas for them.
    pub(crate) fn input(mut self, bytes: usize) -> Self {
        self.fields.input = Bytes::from(vec![0; bytes]);
        self.fields.gas_limit = 10_000_000;
        self
    }

    pub(crate) fn recovered(self) -> RecoveredTransaction {
        let signed = self.fields.into_signed(Signature::test_signature());
        let raw = TxEnvelope::from(signed).encoded_2718();
        let transaction = Transaction::decode(raw).expect("canonical");
        RecoveredTransaction::trusted(transaction, self.sender)
    }
}

pub(crate) fn legacy(index: u8, nonce: u64, gas_price: u128) -> RecoveredTransaction {
    let fields = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price,
        gas_limit: GAS,
        to: TxKind::Call(sender(index)),
        ..TxLegacy::default()
    };
    let signed = fields.into_signed(Signature::test_signature());
    let raw = TxEnvelope::from(signed).encoded_2718();
    let transaction = Transaction::decode(raw).expect("canonical");
    RecoveredTransaction::trusted(transaction, sender(index))
}

/// A pool with somebody who listens.
pub(crate) struct Rig {
    pub(crate) mempool: Mempool,
    pub(crate) config: Config,
    heard: Arc<Mutex<Vec<Event>>>,
}

impl Rig {
    pub(crate) fn new(config: Config) -> Self {
        let mempool = Mempool::new(config.clone(), BASE_FEE);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        mempool.listen(Box::new(move |events| {
            hearing.lock().unwrap().extend_from_slice(events);
        }));
        Self {
            mempool,
            config,
            heard,
        }
    }

    /// Admits at a time.
    pub(crate) fn admit_at(
        &self,
        transaction: impl Into<RecoveredTransaction>,
        account: AccountView,
        now_ms: u64,
    ) -> Result<Admitted, AdmissionError> {
        let checked = CheckedTransaction::check(transaction.into(), &self.config)?;
        let answers = self.mempool.admit_checked(vec![(checked, account)], now_ms);
        answers.into_iter().next().expect("one answer")
    }

    /// Admits at time zero.
    pub(crate) fn admit(
        &self,
        transaction: impl Into<RecoveredTransaction>,
        account: AccountView,
    ) -> Result<Admitted, AdmissionError> {
        self.admit_at(transaction, account, 0)
    }

    /// Follows a block that left these accounts.
    pub(crate) fn follow(
        &self,
        transactions: &[RecoveredTransaction],
        accounts: &[(Address, AccountView)],
        base_fee_next: u64,
    ) {
        let nonces = accounts.iter().map(|(sender, view)| (*sender, view.nonce));
        self.mempool.follow(&Executed {
            transactions,
            accounts,
            nonces: &nonces.collect(),
            base_fee_next,
        });
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    pub(crate) fn has(&self, hash: &B256) -> bool {
        self.mempool.get(hash).is_some()
    }

    pub(crate) fn dropped(&self) -> Vec<(B256, DropReason)> {
        let events = self.take_events().into_iter();
        events
            .filter_map(|event| match event {
                Event::Dropped { hash, reason } => Some((hash, reason)),
                Event::Pending(_) | Event::Queued(_) => None,
            })
            .collect()
    }

    /// Everything that is offered at the first base fee: first byte of the sender, and nonce.
    pub(crate) fn selected(&self) -> Vec<(u8, u64)> {
        use alloy_consensus::Transaction as _;
        let best = self.mempool.best(BASE_FEE, Arc::default());
        best.map(|transaction| (transaction.sender()[0], transaction.nonce()))
            .collect()
    }
}

impl Deref for Rig {
    type Target = Mempool;
    fn deref(&self) -> &Mempool {
        &self.mempool
    }
}

impl From<Draft> for RecoveredTransaction {
    fn from(draft: Draft) -> Self {
        draft.recovered()
    }
}
