//! A shard's chain in a store, and blocks on top of it, made as a collator makes them.
//!
//! ```text
//!   block(transactions) ─▶ Block ─ execute ─▶ Step { block, executed, oldest hash }
//!                                                └ advance ─▶ commit, seal: the next parent
//! ```
//! Knows nothing of collations, so that the bench can use it as well.

use alloy_consensus::{Header as EthereumHeader, SignableTransaction, TxEip1559, TxEip7702};
use alloy_eips::{
    Encodable2718 as _,
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy_rlp::{Decodable as _, Encodable as _};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::Signer as _;
use executor::{BlockEnvironment, Engine, ExecutedBlock, ExecutionInput};
use primitives::{
    Block, ChainConfig, ExecutedRef, Genesis, Header, RecoveredBlock, Transaction,
    base_fee::next_base_fee,
    crypto::{PrivateKey, ProposalContext, genesis_context},
    genesis::account_storage,
    recovery::SenderCache,
    transaction::{Envelope, Impersonation},
};
use state::{
    BlockRecord, GenesisAccount, GenesisAlloc, GenesisState, Location, MemoryDisk, StateReader,
    Store, StoreConfig, genesis_root,
};
use std::num::NonZeroUsize;

pub(crate) const CHAIN_ID: u64 = 7;
/// Accounts with a key and money.
pub(crate) const ACCOUNTS: u8 = 8;
/// Says in its slot 0 what hash the block so many below has, as many as its input says.
pub(crate) const ORACLE: Address = address!("0a00000000000000000000000000000000000001");
/// Gives what it has to [`SINK`] and destroys itself, if it was created in this transaction.
pub(crate) const DYING: Address = address!("0a00000000000000000000000000000000000002");
pub(crate) const SINK: Address = address!("5100000000000000000000000000000000000005");

const TOKEN: &str = include_str!("../../../../contracts/artifacts/Token.json");
const ETHER: u128 = 1_000_000_000_000_000_000;
const FEE: u128 = 100_000_000_000;

/// A shard with its newest block.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) chain: ChainConfig,
    pub(crate) rules_digest: B256,
    pub(crate) store: Store,
    /// Both headers of the newest block.
    pub(crate) parent: (EthereumHeader, Header),
    pub(crate) collator: PrivateKey,
    pub(crate) engine: Engine,
}

/// A block that was executed on top of the newest, and not committed.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) block: RecoveredBlock,
    pub(crate) environment: BlockEnvironment,
    pub(crate) executed: ExecutedBlock,
}

impl World {
    /// A chain with its accounts and contracts, whose collator executes with so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self::populated(workers, "{}", 0)
    }

    /// The same with other parameters, and so many accounts more.
    pub(crate) fn populated(workers: usize, protocol: &str, strangers: u64) -> Self {
        let genesis = Genesis::from_json(&genesis_json(protocol)).unwrap();
        let mut alloc = alloc(&genesis);
        let rich = GenesisAccount {
            balance: U256::from(1),
            ..GenesisAccount::default()
        };
        alloc.extend((0..strangers).map(|index| (stranger(index), rich.clone())));
        let header = genesis.header(*genesis_root(&alloc));
        let hash = header.hash_slow();
        let block = Block::genesis(&genesis, genesis_context(), hash);
        let state = GenesisState {
            hash,
            alloc,
            header: rlp(&header),
            body: Bytes::new(),
        };
        let location = Location::Memory(MemoryDisk::new());
        Self {
            rules_digest: genesis.rules_digest(),
            chain: genesis.chain,
            store: Store::open(location, &state, StoreConfig::default()).unwrap(),
            parent: (header, block.header().clone()),
            collator: PrivateKey::from_seed(9),
            engine: Engine::new(NonZeroUsize::new(workers).unwrap()).unwrap(),
        }
    }

    /// The next block's header, before its body is known.
    pub(crate) fn header(&self) -> Header {
        let (ethereum, parent) = &self.parent;
        let height = parent.height + 1;
        let context = ProposalContext {
            round: Round::new(Epoch::zero(), View::new(height)),
            leader: self.collator.public_key(),
            parent: (View::new(parent.height), parent.digest()),
        };
        Header {
            context,
            height,
            timestamp_ms: parent.timestamp_ms + 700,
            proposer: Address::repeat_byte(0xfe),
            base_fee: next_base_fee(parent, &self.chain),
            gas_budget: self.chain.gas_limit,
            gas_limits_sum: 0,
            body_digest: B256::ZERO,
            shard_section_digest: parent.shard_section_digest,
            ledger_digest: parent.ledger_digest,
            executed: ExecutedRef {
                height: parent.height,
                block_hash: ethereum.hash_slow(),
                certificate: None,
            },
        }
    }

    /// The next block.
    pub(crate) fn block(&self, transactions: Vec<Transaction>) -> Block {
        Block::new(self.header(), transactions, Vec::new())
    }

    /// Executes a block over a state, which must be that of the newest block.
    pub(crate) fn execute(&self, block: &Block, state: &(impl StateReader + Sync)) -> Step {
        let impersonation = Impersonation::from(self.chain.protocol.dev);
        let block = block
            .recover(&SenderCache::default(), impersonation)
            .unwrap();
        let environment =
            BlockEnvironment::of(block.header(), self.parent.0.hash_slow(), &self.chain);
        let input = ExecutionInput::new(
            &self.chain,
            environment.clone(),
            block.transactions(),
            block.block().directives(),
        );
        let executed = self.engine.execute(&input, state).unwrap();
        Step {
            block,
            environment,
            executed,
        }
    }

    /// Makes a block the newest, given its Ethereum header over the root that committing it gives.
    pub(crate) fn advance(&mut self, step: &Step, seal: impl FnOnce(B256) -> EthereumHeader) {
        let height = step.block.header().height;
        let root = self
            .store
            .commit(height, step.executed.diff.clone())
            .unwrap();
        let header = seal(*root);
        let record = BlockRecord {
            height,
            hash: header.hash_slow(),
            header: rlp(&header),
            body: Bytes::new(),
            receipts: Bytes::new(),
            access_list: Bytes::new(),
            transaction_hashes: Vec::new(),
        };
        self.store.seal(record).unwrap();
        self.parent = (header, step.block.header().clone());
    }

    /// The Ethereum header at a height.
    pub(crate) fn ancestor(&self, height: u64) -> EthereumHeader {
        let header = self.store.header(height).unwrap().unwrap();
        EthereumHeader::decode(&mut header.as_ref()).unwrap()
    }
}

/// An account without a known key.
pub(crate) fn stranger(index: u64) -> Address {
    Address::from_word(keccak256(index.to_be_bytes()))
}

pub(crate) fn signer(index: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&[index + 1; 32]).unwrap()
}

/// What a transaction does, before anybody signs it.
pub(crate) fn call(nonce: u64, to: Address, value: u64, input: Bytes) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: FEE,
        max_priority_fee_per_gas: 1_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        input,
        ..TxEip1559::default()
    }
}

pub(crate) fn transfer(nonce: u64, to: Address, value: u64) -> TxEip1559 {
    TxEip1559 {
        gas_limit: 21_000,
        ..call(nonce, to, value, Bytes::new())
    }
}

pub(crate) fn creation(nonce: u64, code: Bytes) -> TxEip1559 {
    TxEip1559 {
        gas_limit: 3_000_000,
        to: TxKind::Create,
        ..call(nonce, Address::ZERO, 0, code)
    }
}

pub(crate) fn sign(account: u8, transaction: TxEip1559) -> Transaction {
    let signature = signer(account).sign_hash_sync(&transaction.signature_hash());
    encode(Envelope::Eip1559(
        transaction.into_signed(signature.unwrap()),
    ))
}

/// Delegates an account of ours to a contract, and calls it.
pub(crate) fn delegate(account: u8, nonce: u64, authority: u8, target: Address) -> Transaction {
    let authorization = Authorization {
        chain_id: U256::from(CHAIN_ID),
        address: target,
        nonce: 0,
    };
    let signed = signer(authority).sign_hash_sync(&authorization.signature_hash());
    let transaction = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 300_000,
        max_fee_per_gas: FEE,
        max_priority_fee_per_gas: 1_000,
        to: signer(authority).address(),
        input: U256::from(1).to_be_bytes_vec().into(),
        authorization_list: vec![authorization.into_signed(signed.unwrap())],
        ..TxEip7702::default()
    };
    let signature = signer(account).sign_hash_sync(&transaction.signature_hash());
    encode(Envelope::Eip7702(
        transaction.into_signed(signature.unwrap()),
    ))
}

pub(crate) fn encode(envelope: Envelope) -> Transaction {
    Transaction::decode(envelope.encoded_2718()).unwrap()
}

/// Init code of the token.
pub(crate) fn token_creation() -> Bytes {
    let artifact: serde_json::Value = serde_json::from_str(TOKEN).unwrap();
    artifact["creation"].as_str().unwrap().parse().unwrap()
}

/// A call of a method whose arguments are an account and an amount.
pub(crate) fn method(signature: &str, account: Address, amount: u64) -> Bytes {
    let selector = keccak256(signature);
    let amount = U256::from(amount).to_be_bytes::<32>();
    [&selector[..4], account.into_word().as_slice(), &amount]
        .concat()
        .into()
}

/// Init code that gives what was sent along to [`SINK`] and leaves nothing.
pub(crate) fn stillborn() -> Bytes {
    [&[0x73], SINK.as_slice(), &[0xff]].concat().into()
}

fn rlp(header: &EthereumHeader) -> Bytes {
    let mut encoded = Vec::new();
    header.encode(&mut encoded);
    encoded.into()
}

fn genesis_json(protocol: &str) -> String {
    let balance = format!("{:#x}", U256::from(1_000 * ETHER));
    let mut alloc = serde_json::Map::new();
    for account in 0..ACCOUNTS {
        let address = signer(account).address().to_string();
        alloc.insert(address, serde_json::json!({ "balance": balance }));
    }
    let oracle = "0x5f354303405f5500";
    let codes = [
        (ORACLE, oracle.to_owned()),
        (DYING, stillborn().to_string()),
        (HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.to_string()),
    ];
    for (address, code) in codes {
        alloc.insert(
            address.to_string(),
            serde_json::json!({ "balance": "0x1", "code": code }),
        );
    }
    let protocol: serde_json::Value = serde_json::from_str(protocol).unwrap();
    serde_json::json!({
        "config": { "chainId": CHAIN_ID },
        "gasLimit": "0x5f5e100",
        "timestamp": "0x64",
        "extraData": "0x68656164776179",
        "headway": { "validators": [], "protocol": protocol },
        "alloc": alloc,
    })
    .to_string()
}

fn alloc(genesis: &Genesis) -> GenesisAlloc {
    let accounts = genesis.alloc.iter().map(|(address, account)| {
        let (code, storage) = account_storage(account);
        let account = GenesisAccount {
            nonce: account.nonce.unwrap_or_default(),
            balance: account.balance,
            code: code.unwrap_or_default(),
            storage,
        };
        (*address, account)
    });
    accounts.collect()
}
