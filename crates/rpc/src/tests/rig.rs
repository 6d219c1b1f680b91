//! A chain of one process without consensus: blocks are finalized as soon as they are asked for.
//!
//! Account `n` is the n-th of the test mnemonic; [`EMITTER`] is a contract that logs, stores and
//! reverts on request.

use crate::{Backend, BackendParts, Clock, Dev, RpcConfig, ShardPlace, Switch, module};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use commonware_runtime::{Runner, Spawner, Supervisor as _, deterministic, tokio};
use commonware_utils::{Acknowledgement, acknowledgement::Exact};
use jsonrpsee::RpcModule;
use mempool::Mempool;
use pipeline::{
    Actor, ChainError, DevControl, ExecutedRecord, Foundation, Pipeline, PipelineConfig,
};
use primitives::{
    Block, BlockLimits, ExecutedRef, FinalizedBlock, Genesis, Header, RecoveredTransaction,
    recovery::SenderCache, transaction::Impersonation,
};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use shards::feed::LedgerFeed;
use state::{Location, MemoryDisk, Store, StoreConfig};
use std::{
    future::Future,
    num::NonZeroUsize,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

pub(super) const CHAIN_ID: u64 = 31_337;
pub(super) const GENESIS_TIME: u64 = 1_700_000_000;
/// Without input it reverts with `Error("no!")`; else it logs the second word under topics `0xaa` and
/// the first word, stores the first word in slot 0 and returns the second.
pub(super) const EMITTER: Address = address!("00000000000000000000000000000000000e1177");
const EMITTER_CODE: [u8; 69] = hex!(
    "36602857" "6308c379a060e01b600052" "6020600452" "6003602452" "626e6f2160e81b604452" "60646000fd"
    "5b" "6020602060003760003560aa60206000a2" "600035600055" "60206000f3"
);

/// How many accounts are funded.
const ACCOUNTS: u32 = 4;
/// A history short enough to reach its end in a test.
pub(super) const STORE: StoreConfig = StoreConfig {
    memory_blocks: 8,
    history_blocks: Some(32),
    served_blocks: 0,
    commit_workers: NonZeroUsize::MIN,
    trie_bytes_max: None,
};

/// The n-th funded account.
pub(super) fn account(index: u32) -> PrivateKeySigner {
    // Deriving one takes thousands of hashes.
    static SIGNERS: LazyLock<Vec<PrivateKeySigner>> =
        LazyLock::new(|| (0..ACCOUNTS).map(derive).collect());
    SIGNERS[index as usize].clone()
}

fn derive(index: u32) -> PrivateKeySigner {
    MnemonicBuilder::<English>::default()
        .phrase("test test test test test test test test test test test junk")
        .index(index)
        .unwrap()
        .build()
        .unwrap()
}

/// A word with this number.
pub(super) fn word(number: u64) -> B256 {
    B256::from(U256::from(number))
}

/// Input for [`EMITTER`].
pub(super) fn emit(topic: u64, payload: u64) -> Bytes {
    [word(topic).0, word(payload).0].concat().into()
}

pub(super) struct Rig {
    pub(super) backend: Arc<Backend>,
    pub(super) methods: RpcModule<Switch>,
    pub(super) control: DevControl,
    pub(super) pipeline: Pipeline,
    pub(super) now_ms: Arc<AtomicU64>,
    parent: Mutex<Block>,
}

/// Which chain to make.
pub(super) struct Options {
    pub(super) dev: bool,
    pub(super) validators: usize,
    pub(super) config: RpcConfig,
    pub(super) pipeline: PipelineConfig,
    /// The lowest height that was executed here, genesis aside.
    pub(super) first_height: u64,
    /// Which shard it is the chain of.
    pub(super) shard: Option<ShardPlace>,
    /// What it says of its shards.
    pub(super) shards: Option<LedgerFeed>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dev: true,
            validators: 1,
            config: RpcConfig::dev(),
            pipeline: PipelineConfig::default(),
            first_height: 1,
            shard: None,
            shards: None,
        }
    }
}

/// Hash of the genesis block of a development chain.
pub(super) fn genesis_hash() -> B256 {
    let (state, block) = pipeline::genesis(&genesis(true));
    pipeline::genesis_record(&state, &block).hash
}

/// Runs a test over a relay chain and over a shard's, whose chain it is told to be by its place.
pub(super) fn run_shard<F: Future<Output = ()>>(
    place: ShardPlace,
    feed: LedgerFeed,
    test: impl FnOnce(Rig, Rig) -> F,
) {
    tokio::Runner::default().start(|runtime| async move {
        let options = Options {
            shard: Some(place),
            ..Options::default()
        };
        let shard = Rig::new(runtime.child("shard"), options);
        let options = Options {
            shards: Some(feed),
            ..Options::default()
        };
        test(Rig::new(runtime, options), shard).await;
    });
}

/// Runs a test over a development chain.
pub(super) fn run<F: Future<Output = ()>>(test: impl FnOnce(Rig) -> F) {
    run_with(Options::default(), test);
}

pub(super) fn run_with<F: Future<Output = ()>>(options: Options, test: impl FnOnce(Rig) -> F) {
    tokio::Runner::default().start(|runtime| async move {
        test(Rig::new(runtime, options)).await;
    });
}

/// Runs a test in the simulator: no tokio, no wall clock; the answer depends on the seed alone.
pub(super) fn simulate<T, F: Future<Output = T>>(seed: u64, test: impl FnOnce(Rig) -> F) -> T {
    deterministic::Runner::seeded(seed)
        .start(|runtime| async move { test(Rig::new(runtime, Options::default())).await })
}

fn genesis(dev: bool) -> Genesis {
    let mut alloc = serde_json::Map::new();
    for index in 0..ACCOUNTS {
        let address = account(index).address().to_string();
        alloc.insert(address, json!({ "balance": "0x21e19e0c9bab2400000" }));
    }
    alloc.insert(
        EMITTER.to_string(),
        json!({ "balance": "0x0", "code": Bytes::from(EMITTER_CODE) }),
    );
    let file = json!({
        "config": { "chainId": CHAIN_ID },
        "nonce": "0x0",
        "timestamp": format!("{GENESIS_TIME:#x}"),
        "extraData": "0x",
        "gasLimit": "0x1c9c380",
        "difficulty": "0x0",
        "mixHash": B256::ZERO,
        "coinbase": Address::ZERO,
        "baseFeePerGas": "0x3b9aca00",
        "alloc": alloc,
        "headway": {
            "validators": ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"],
            "protocol": { "dev": dev, "gasChargeFloorPermille": 0 },
        },
    });
    Genesis::from_json(&file.to_string()).unwrap()
}

impl Rig {
    fn new<E>(runtime: E, options: Options) -> Self
    where
        E: commonware_runtime::Clock + commonware_runtime::Metrics + Spawner,
    {
        let genesis = genesis(options.dev);
        let (state, block) = pipeline::genesis(&genesis);
        let disk = Location::Memory(MemoryDisk::new());
        let store = Store::open(disk, &state, STORE).unwrap();
        let foundation = Foundation {
            validators: genesis.validators.iter().cloned().collect(),
            ethereum: None,
            chain: genesis.chain,
            limits: BlockLimits {
                body_bytes_max: 1 << 21,
                validators: 1,
                section: primitives::shard::SectionLimits::NONE,
            },
            genesis: pipeline::genesis_record(&state, &block),
            store,
            first_height: options.first_height,
        };
        let timer = Arc::new(runtime.child("timer"));
        let (actor, pipeline) =
            Actor::new(runtime, foundation, options.pipeline, Vec::new()).unwrap();
        drop(actor.start());
        let now_ms = Arc::new(AtomicU64::new(GENESIS_TIME * 1_000));
        let clock = Arc::clone(&now_ms);
        let control = DevControl::new(options.validators);
        let signers = (0..ACCOUNTS).map(account).collect();
        let chain = pipeline.chain().clone();
        let config = mempool::Config::new(chain.config().clone());
        let backend = Backend::new(BackendParts {
            random: StdRng::seed_from_u64(0),
            mempool: Mempool::new(config, chain.next_base_fee().unwrap()),
            chain,
            senders: SenderCache::default(),
            dev: options.dev.then(|| Dev::new(signers, control.clone())),
            clock: Clock {
                now_ms: Arc::new(move || clock.load(Ordering::Relaxed)),
                sleep: Arc::new(move |duration| {
                    let timer = Arc::clone(&timer);
                    Box::pin(async move { timer.sleep(duration).await })
                }),
            },
            metrics: Arc::new(|| "executed_height 0\n".to_owned()),
            peers: Arc::new(|| 3),
            config: options.config,
            shards: options.shards,
            shard: options.shard,
        });
        Self {
            methods: module(Arc::clone(&backend)),
            backend,
            control,
            pipeline,
            now_ms,
            parent: Mutex::new(block),
        }
    }

    /// The result of a call, or its error as `{code, message, data}`.
    pub(super) async fn try_call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = request.to_string();
        let (answer, _) = self.methods.raw_json_request(&request, 1).await.unwrap();
        let mut answer: Value = serde_json::from_str(answer.get()).unwrap();
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        }
    }

    pub(super) async fn call(&self, method: &str, params: Value) -> Value {
        match self.try_call(method, params).await {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// Code and message of the error a call ends with.
    pub(super) async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let error = self.try_call(method, params).await.unwrap_err();
        let message = error["message"].as_str().unwrap().to_owned();
        (error["code"].as_i64().unwrap(), message)
    }

    /// A block of what waits, ordered and not executed before this returns.
    pub(super) fn order(&self) -> Block {
        let executed = self.parent.lock().unwrap().header().executed.clone();
        self.order_with(executed)
    }

    /// Tells the pipeline of a block that carries this result.
    fn order_with(&self, executed: ExecutedRef) -> Block {
        let mut parent = self.parent.lock().unwrap();
        let chain = &self.backend.chain;
        let now_ms = self.now_ms.fetch_add(1_000, Ordering::Relaxed) + 1_000;
        let draft = self.control.begin(now_ms, parent.header().timestamp_ms);
        let draft = draft.expect("nobody holds it");
        let header = Header {
            height: parent.header().height + 1,
            timestamp_ms: draft.timestamp_ms,
            base_fee: primitives::base_fee::next_base_fee(parent.header(), chain.config()),
            executed,
            ..parent.header().clone()
        };
        let waiting = self.backend.mempool.content();
        let waiting = waiting.into_iter().filter(|_| draft.transactions);
        let waiting = waiting.flat_map(|sender| sender.pending);
        let transactions = waiting.map(|tx| tx.transaction().clone()).collect();
        let block = Block::new(header, transactions, draft.directives);
        self.control.built(block.header().height);
        let recovered = block
            .recover(&self.backend.senders, Impersonation::Allowed)
            .unwrap();
        let (acknowledgement, _) = Exact::handle();
        self.pipeline
            .proposed(block.digest(), block.header().height, now_ms);
        self.pipeline.finalized(
            FinalizedBlock::delivered(recovered),
            acknowledgement,
            now_ms,
        );
        *parent = block.clone();
        block
    }

    /// A block of what waits, executed.
    pub(super) async fn mine(&self) -> Arc<ExecutedRecord> {
        let block = self.order();
        self.executed(block.header().height).await
    }

    /// An empty block that carries the result of `latest`, which is verified by that.
    pub(super) async fn verify(&self) {
        let latest = self.backend.chain.latest().unwrap();
        let executed = ExecutedRef {
            height: latest.height(),
            block_hash: latest.hash,
            certificate: None,
        };
        let block = self.order_with(executed);
        self.executed(block.header().height).await;
    }

    async fn executed(&self, height: u64) -> Arc<ExecutedRecord> {
        let chain = &self.backend.chain;
        let mut progress = chain.progress();
        let reached = progress.wait_for(|progress| progress.heads.executed_height >= height);
        reached.await;
        let record = match chain.record(height) {
            Err(ChainError::Pruned { .. }) => chain.latest().unwrap(),
            found => found.unwrap().unwrap(),
        };
        let state = chain.snapshot(height).unwrap();
        let base_fee = chain.next_base_fee().unwrap();
        let pool = &self.backend.mempool;
        pool.on_executed(&record.transactions, &[], base_fee, &state)
            .unwrap();
        record
    }

    /// Sends a transaction and returns its hash.
    pub(super) async fn send(&self, from: u32, to: Address, input: Bytes) -> String {
        let raw = self.raw(from, to, input);
        let hash = self.call("eth_sendRawTransaction", json!([raw])).await;
        hash.as_str().unwrap().to_owned()
    }

    /// A signed transaction with the sender's next nonce.
    pub(super) fn raw(&self, from: u32, to: Address, input: Bytes) -> Bytes {
        let address = account(from).address();
        let nonce = self.backend.pending_nonce(&address).unwrap();
        signed(&account(from), nonce, TxKind::Call(to), input)
    }
}

/// A signed transaction of one wei.
pub(super) fn signed(signer: &PrivateKeySigner, nonce: u64, to: TxKind, input: Bytes) -> Bytes {
    let value = if to == TxKind::Call(EMITTER) || to.is_create() {
        0
    } else {
        1
    };
    sign(
        signer,
        TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 200_000,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to,
            value: U256::from(value),
            access_list: Default::default(),
            input,
        },
    )
}

pub(super) fn sign(signer: &PrivateKeySigner, transaction: TxEip1559) -> Bytes {
    let signature = signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    transaction.into_signed(signature).encoded_2718().into()
}

/// The sender of a raw transaction, as the pool sees it.
pub(super) fn recovered(raw: Bytes) -> RecoveredTransaction {
    let transaction = primitives::Transaction::decode(raw).unwrap();
    transaction.recover(Impersonation::Refused).unwrap()
}
