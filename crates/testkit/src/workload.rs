//! Random but reproducible transactions, and what became of them.
//!
//! ```text
//! rich accounts     ─ many in flight: transfers, contract calls, creations, failures, of types 0, 1, 2
//! careful accounts  ─ one step at a time, each after the last one has executed:
//!                     spend nearly everything │ delegate (EIP-7702) │ be drained by others │ spend delegated
//! ```
//! Every transaction that a pool took in is remembered, because each has to execute exactly once.
//! Careful accounts are those whose next nonce and balance depend on what executes, so a wallet
//! would wait too.

mod owner;
mod transfers;

pub use owner::{Owner, owner};
pub use transfers::{Transfers, call_once};

use crate::cluster::{CHAIN_ID, Cluster};
use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy,
    transaction::RlpEcdsaEncodableTx,
};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, keccak256};
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use primitives::{RecoveredTransaction, Transaction};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use state::{Account, StateReader as _};
use std::{collections::BTreeMap, time::UNIX_EPOCH};

const RICH: u8 = 12;
const CAREFUL: u8 = 4;
/// A million coins.
const RICH_BALANCE: U256 = U256::from_limbs([0x1bce_cced_a100_0000, 0xd3c2, 0, 0]);
/// Fifty coins, five times the reserve.
const CAREFUL_BALANCE: u128 = 50 * COIN;
const COIN: u128 = GWEI * GWEI;
const GWEI: u128 = 1_000_000_000;
const MAX_FEE: u128 = 100 * GWEI;
const TRANSFER_GAS: u64 = 21_000;
const CALL_GAS: u64 = 120_000;
const AUTHORIZING_GAS: u64 = 200_000;

/// Counts its callers' calls and its own, and logs.
const COUNTER: Address = address!("c000000000000000000000000000000000000001");
const COUNTER_CODE: &[u8] = &[
    0x33, 0x54, 0x60, 0x01, 0x01, 0x33, 0x55, // sload(caller) + 1, sstore(caller)
    0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, // sload(0) + 1, sstore(0)
    0x5f, 0x5f, 0xa0, 0x00, // log0
];
/// Reverts.
const REVERTER: Address = address!("c000000000000000000000000000000000000002");
const REVERTER_CODE: &[u8] = &[0x5f, 0x5f, 0xfd];
/// Sends as many wei as its input says to an address without a key: what draining a delegated
/// account looks like.
const SPENDER: Address = address!("c000000000000000000000000000000000000003");
const SPENDER_CODE: &[u8] = &[
    0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x35, 0x61, 0x51, 0x51, 0x5a, 0xf1, 0x00,
];
/// Creates a contract and keeps its address.
const CREATOR: Address = address!("c000000000000000000000000000000000000004");
const CREATOR_CODE: &[u8] = &[0x5f, 0x5f, 0x5f, 0xf0, 0x5f, 0x55, 0x00];
/// Init code of a contract without code.
const INIT_CODE: &[u8] = &[0x5f, 0x5f, 0xf3];

/// Whom a steady load pays.
const NOBODY: Address = address!("00000000000000000000000000000000000b0d1e");

/// One account and the nonce of its next transaction.
#[derive(Debug)]
struct Sender {
    signer: PrivateKeySigner,
    nonce: u64,
}

/// A source of transactions, and a memory of them.
#[derive(Debug)]
pub struct Workload {
    rng: StdRng,
    rich: Vec<Sender>,
    careful: Vec<Sender>,
    submitted: BTreeMap<B256, RecoveredTransaction>,
}

/// What the chain of a workload starts with.
#[must_use]
pub fn accounts() -> BTreeMap<Address, GenesisAccount> {
    let funded = |index: u8, balance: U256| {
        let account = GenesisAccount::default().with_balance(balance);
        (signer(index).address(), account)
    };
    let contract = |address: Address, code: &'static [u8]| {
        let account = GenesisAccount::default()
            .with_nonce(Some(1))
            .with_balance(U256::from(GWEI))
            .with_code(Some(Bytes::from_static(code)));
        (address, account)
    };
    let rich = (0..RICH).map(|index| funded(index, RICH_BALANCE));
    let careful = (RICH..RICH + CAREFUL).map(|index| funded(index, U256::from(CAREFUL_BALANCE)));
    let contracts = [
        contract(COUNTER, COUNTER_CODE),
        contract(REVERTER, REVERTER_CODE),
        contract(SPENDER, SPENDER_CODE),
        contract(CREATOR, CREATOR_CODE),
    ];
    rich.chain(careful).chain(contracts).collect()
}

fn signer(index: u8) -> PrivateKeySigner {
    let key = keccak256([b"workload", [index].as_slice()].concat());
    PrivateKeySigner::from_bytes(&key).expect("a hash is a key but for one in 2^128")
}

impl Workload {
    /// The workload of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let sender = |index| Sender {
            signer: signer(index),
            nonce: 0,
        };
        Self {
            rng: StdRng::seed_from_u64(seed),
            rich: (0..RICH).map(sender).collect(),
            careful: (RICH..RICH + CAREFUL).map(sender).collect(),
            submitted: BTreeMap::new(),
        }
    }

    /// Every transaction that a pool took in.
    #[must_use]
    pub fn submitted(&self) -> Vec<B256> {
        self.submitted.keys().copied().collect()
    }

    /// Somebody's account that holds a lot.
    #[must_use]
    pub fn rich_address(&self) -> Address {
        self.rich[0].signer.address()
    }

    /// Sends `count` random transactions of rich accounts to one validator, and what careful
    /// accounts do next.
    pub fn submit(&mut self, cluster: &Cluster, validator: usize, count: usize) {
        let mut transactions: Vec<_> = (0..count).map(|_| self.random()).collect();
        for index in 0..self.careful.len() {
            if self.has_settled(cluster, validator, index) && self.rng.random_bool(0.5) {
                transactions.push(self.careful_step(cluster, validator, index));
            }
        }
        self.admit(cluster, validator, transactions);
    }

    /// Sends `count` plain transfers with the same gas limit to one validator: a steady load.
    pub fn submit_steady(&mut self, cluster: &Cluster, validator: usize, count: usize, gas: u64) {
        let senders = self.rich.len();
        let transactions = (0..count)
            .map(|number| self.transfer(number % senders, NOBODY, gas))
            .collect();
        self.admit(cluster, validator, transactions);
    }

    /// Sends what one validator has not executed yet again, as clients do after a timeout.
    ///
    /// # Panics
    /// If the validator's disk does not read.
    pub fn resubmit(&self, cluster: &Cluster, validator: usize) {
        let chain = cluster.chain(validator);
        let missing = self.submitted.values().filter(|transaction| {
            let location = chain.transaction(&transaction.hash());
            location.expect("a simulated disk reads").is_none()
        });
        // Those that it holds already are refused, which is as good.
        drop(offer(cluster, validator, missing.cloned().collect()));
    }

    fn admit(&mut self, cluster: &Cluster, validator: usize, offered: Vec<RecoveredTransaction>) {
        let admissions = offer(cluster, validator, offered.clone());
        for (transaction, admission) in offered.into_iter().zip(admissions) {
            if let Err(error) = admission {
                panic!("a pool refuses a transaction that is right: {error}; {transaction:?}");
            }
            self.submitted.insert(transaction.hash(), transaction);
        }
    }

    /// Whether all that a careful account has sent, or has signed for others to send, has executed.
    fn has_settled(&self, cluster: &Cluster, validator: usize, index: usize) -> bool {
        let sender = &self.careful[index];
        account(cluster, validator, sender.signer.address()).nonce == sender.nonce
    }

    fn random(&mut self) -> RecoveredTransaction {
        let sender = self.rng.random_range(0..self.rich.len());
        match self.rng.random_range(0..20) {
            0..=10 => {
                let to = self.random_recipient();
                self.transfer(sender, to, TRANSFER_GAS + 19_000)
            }
            11..=14 => self.call(sender, COUNTER, Bytes::new()),
            15 => self.call(sender, REVERTER, Bytes::new()),
            16 => self.call(sender, CREATOR, Bytes::new()),
            17 => self.create(sender),
            _ => {
                let victim = self.rng.random_range(0..self.careful.len());
                let victim = self.careful[victim].signer.address();
                let most = u64::try_from(20 * COIN).unwrap_or(u64::MAX);
                let wei = U256::from(self.rng.random_range(0..most));
                self.call(sender, victim, wei.to_be_bytes::<32>().into())
            }
        }
    }

    fn random_recipient(&mut self) -> Address {
        match self.rng.random_range(0..3) {
            0 => self.rich[self.rng.random_range(0..self.rich.len())]
                .signer
                .address(),
            1 => self.careful[self.rng.random_range(0..self.careful.len())]
                .signer
                .address(),
            _ => {
                Address::left_padding_from(&self.rng.random_range(0x1_0000..u64::MAX).to_be_bytes())
            }
        }
    }

    fn transfer(&mut self, sender: usize, to: Address, gas_limit: u64) -> RecoveredTransaction {
        let value = U256::from(self.rng.random_range(0..GWEI));
        let kind = self.rng.random_range(0..3);
        let sender = &mut self.rich[sender];
        let (nonce, to) = (sender.take_nonce(), TxKind::Call(to));
        match kind {
            0 => sender.sign(TxLegacy {
                chain_id: Some(CHAIN_ID),
                nonce,
                gas_price: MAX_FEE,
                gas_limit,
                to,
                value,
                input: Bytes::new(),
            }),
            1 => sender.sign(TxEip2930 {
                chain_id: CHAIN_ID,
                nonce,
                gas_price: MAX_FEE,
                gas_limit,
                to,
                value,
                ..TxEip2930::default()
            }),
            _ => sender.sign(TxEip1559 {
                gas_limit,
                to,
                value,
                ..draft(nonce)
            }),
        }
    }

    fn call(&mut self, sender: usize, to: Address, input: Bytes) -> RecoveredTransaction {
        let sender = &mut self.rich[sender];
        let nonce = sender.take_nonce();
        sender.sign(TxEip1559 {
            to: TxKind::Call(to),
            input,
            ..draft(nonce)
        })
    }

    fn create(&mut self, sender: usize) -> RecoveredTransaction {
        let sender = &mut self.rich[sender];
        let nonce = sender.take_nonce();
        sender.sign(TxEip1559 {
            to: TxKind::Create,
            input: Bytes::from_static(INIT_CODE),
            ..draft(nonce)
        })
    }

    fn careful_step(
        &mut self,
        cluster: &Cluster,
        validator: usize,
        index: usize,
    ) -> RecoveredTransaction {
        let target = [SPENDER, CREATOR, COUNTER, Address::ZERO][self.rng.random_range(0..4)];
        let account = account(cluster, validator, self.careful[index].signer.address());
        match self.rng.random_range(0..4) {
            _ if account.balance < U256::from(COIN) => self.help(index),
            0 => self.spend(index, &account),
            1 => {
                let sender = &mut self.careful[index];
                let nonce = sender.take_nonce();
                let authorization = sender.authorize(target);
                sender.sign(authorizing(nonce, sender.signer.address(), authorization))
            }
            _ => {
                let authority = &mut self.careful[index];
                let to = authority.signer.address();
                let authorization = authority.authorize(target);
                let sponsor = self.rng.random_range(0..self.rich.len());
                let sponsor = &mut self.rich[sponsor];
                let nonce = sponsor.take_nonce();
                sponsor.sign(authorizing(nonce, to, authorization))
            }
        }
    }

    /// Spends nearly all of an account, or of a delegated one what others can't take from it: a
    /// transaction that is sent again after a crash has to be affordable still.
    fn spend(&mut self, index: usize, account: &Account) -> RecoveredTransaction {
        let to = self.rich_address();
        let gas_cost = U256::from(MAX_FEE) * U256::from(CALL_GAS);
        let value = match account.has_code() {
            true => U256::from(COIN / 2),
            false => account.balance.saturating_sub(gas_cost),
        };
        let sender = &mut self.careful[index];
        let nonce = sender.take_nonce();
        sender.sign(TxEip1559 {
            to: TxKind::Call(to),
            value,
            ..draft(nonce)
        })
    }

    /// A rich account gives a careful one money again.
    fn help(&mut self, index: usize) -> RecoveredTransaction {
        let to = self.careful[index].signer.address();
        let sponsor = self.rng.random_range(0..self.rich.len());
        let sponsor = &mut self.rich[sponsor];
        let nonce = sponsor.take_nonce();
        sponsor.sign(TxEip1559 {
            to: TxKind::Call(to),
            value: U256::from(CAREFUL_BALANCE),
            ..draft(nonce)
        })
    }
}

fn draft(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: CALL_GAS,
        max_fee_per_gas: MAX_FEE,
        max_priority_fee_per_gas: GWEI,
        ..TxEip1559::default()
    }
}

fn authorizing(nonce: u64, to: Address, authorization: SignedAuthorization) -> TxEip7702 {
    TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: AUTHORIZING_GAS,
        max_fee_per_gas: MAX_FEE,
        max_priority_fee_per_gas: GWEI,
        to,
        authorization_list: vec![authorization],
        ..TxEip7702::default()
    }
}

impl Sender {
    const fn take_nonce(&mut self) -> u64 {
        let nonce = self.nonce;
        self.nonce += 1;
        nonce
    }

    /// Signs away the account's code; takes a nonce, as the authorization will when it executes.
    fn authorize(&mut self, target: Address) -> SignedAuthorization {
        let authorization = Authorization {
            chain_id: U256::from(CHAIN_ID),
            address: target,
            nonce: self.take_nonce(),
        };
        let signature = self.sign_hash(&authorization.signature_hash());
        authorization.into_signed(signature)
    }

    fn sign<T>(&self, unsigned: T) -> RecoveredTransaction
    where
        T: SignableTransaction<Signature> + RlpEcdsaEncodableTx,
    {
        let signature = self.sign_hash(&unsigned.signature_hash());
        let mut raw = Vec::new();
        unsigned.into_signed(signature).eip2718_encode(&mut raw);
        let transaction = Transaction::decode(raw).expect("the encoding of alloy is canonical");
        RecoveredTransaction::trusted(transaction, self.signer.address())
    }

    fn sign_hash(&self, hash: &B256) -> Signature {
        let signature = self.signer.sign_hash_sync(hash);
        signature.expect("a key in memory signs")
    }
}

fn account(cluster: &Cluster, validator: usize, address: Address) -> Account {
    let chain = cluster.chain(validator);
    let snapshot = chain.snapshot(chain.heads().executed_height);
    let snapshot = snapshot.expect("the newest state is kept");
    let account = snapshot.account(&address).expect("a simulated disk reads");
    account.unwrap_or_default()
}

fn offer(
    cluster: &Cluster,
    validator: usize,
    transactions: Vec<RecoveredTransaction>,
) -> mempool::mailbox::Admissions {
    let chain = cluster.chain(validator);
    let snapshot = chain.snapshot(chain.heads().executed_height);
    let snapshot = snapshot.expect("the newest state is kept");
    let now = cluster.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let admissions = cluster
        .mempool(validator)
        .admit_many(transactions, &snapshot, now_ms);
    admissions.expect("a simulated disk reads")
}
