//! `headway sim costs`: what the charged work takes on this machine, by doing it once for real.
//!
//! ```text
//! a chain with a token ─▶ block of transfers ─▶ recover, execute, commit, collation    build
//!                                            ─▶ check                                  check
//!                                            ─▶ cut, restore, hash, signatures         the others
//! ```
//! One thread works. Each figure is the median of [`ROUNDS`].

use super::{
    costs::{Costs, RECORDED},
    shard::hash_of,
};
use crate::{
    bench::state::{OnProgress, Progress},
    contracts::{self, Contract},
    error::NodeError,
    replay::Clock,
};
use alloy_consensus::{Header as EthereumHeader, SignableTransaction as _, TxEip1559};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy_rlp::Encodable as _;
use alloy_signer::SignerSync as _;
use alloy_signer_local::PrivateKeySigner;
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::Signer as _;
use executor::{BlockEnvironment, ExecutedBlock, ExecutionInput, execute_sequential};
use primitives::{
    Block, ChainConfig, ExecutedRef, Genesis, Header, RecoveredBlock, Transaction,
    base_fee::next_base_fee,
    crypto::{PrivateKey, ProposalContext, genesis_context},
    genesis::account_storage,
    recovery::SenderCache,
    shard::{RelayAnchor, ShardId, ShardNamespace, ShardVote, Signed, Votes},
    transaction::{Envelope, Impersonation},
};
use rand::{SeedableRng as _, rngs::StdRng};
use shards::{Collation, Parent, Placement, ShardRules, check, cut, restore, seal};
use state::{
    AskedHashes, BlockRecord, GenesisAccount, GenesisAlloc, GenesisState, Location, MemoryDisk,
    StateReader, Store, StoreConfig, genesis_root,
};
use std::{hint::black_box, sync::atomic::AtomicBool, time::Duration};

/// Of which the median counts.
const ROUNDS: usize = 5;
/// Accounts that hold tokens, and those that send them.
const HOLDERS: u64 = 100_000;
const SENDERS: u8 = 8;
/// Transfers of the measured block.
const TRANSFERS: u64 = 1_000;
const TOKEN: Address = address!("7000000000000000000000000000000000000007");
const CHAIN_ID: u64 = 7;
const FEE: u128 = 100_000_000_000;
/// Bytes of the collation that is cut.
const CUT_BYTES: usize = 1 << 20;
/// Validators that it is cut for.
const CUT_FOR: u16 = 16;
/// Signatures that are checked at once.
const SIGNATURES: u16 = 100;
const STEPS: u64 = 5;

/// What work takes on this machine. What is not measured is as recorded.
///
/// # Errors
/// When a step fails.
pub fn measure(clock: &Clock, progress: OnProgress<'_>) -> Result<Costs, NodeError> {
    let tell = |done| {
        progress(Progress {
            step: "costs",
            done,
            total: STEPS,
        });
    };
    tell(0);
    let mut chain = Chain::new()?;
    let mints = (0..u64::from(SENDERS)).map(|index| {
        let to = signer(index)?.address();
        sign(0, index, contracts::mint_token(to, U256::from(u64::MAX)))
    });
    let mints = chain.block(mints.collect::<Result<_, _>>()?);
    chain.step(&mints)?;
    tell(1);
    let transfers = (0..TRANSFERS).map(|index| {
        let (from, round) = (index % u64::from(SENDERS), index / u64::from(SENDERS));
        let nonce = if from == 0 {
            round + u64::from(SENDERS)
        } else {
            round
        };
        let input = contracts::transfer(holder(index * 7 % HOLDERS), U256::ONE);
        sign(from, nonce, input)
    });
    let block = chain.block(transfers.collect::<Result<_, _>>()?);
    let costs = chain.measure(&block, clock, &tell)?;
    tell(3);
    let costs = of_bytes(costs, clock)?;
    tell(4);
    Ok(of_signatures(costs, clock))
}

fn fault(error: impl std::fmt::Display) -> NodeError {
    NodeError::Bench(error.to_string())
}

fn median_ns<T>(clock: &Clock, mut work: impl FnMut() -> T) -> u64 {
    let times = (0..ROUNDS).map(|_| {
        let start = clock();
        black_box(work());
        clock().saturating_sub(start)
    });
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    u64::try_from(median.as_nanos()).unwrap_or(u64::MAX)
}

/// A chain of one shard.
struct Chain {
    config: ChainConfig,
    rules: B256,
    store: Store,
    parent: (EthereumHeader, Header),
    collator: PrivateKey,
}

/// A block that was executed on the newest, and not made part of the state.
struct Step {
    block: RecoveredBlock,
    environment: BlockEnvironment,
    executed: ExecutedBlock,
}

impl Chain {
    fn new() -> Result<Self, NodeError> {
        let genesis = Genesis::from_json(&genesis_json()?).map_err(fault)?;
        let mut alloc = GenesisAlloc::default();
        for (address, account) in &genesis.alloc {
            let (code, storage) = account_storage(account);
            alloc.insert(
                *address,
                GenesisAccount {
                    nonce: account.nonce.unwrap_or_default(),
                    balance: account.balance,
                    code: code.unwrap_or_default(),
                    storage,
                },
            );
        }
        let rich = GenesisAccount {
            balance: U256::ONE,
            ..GenesisAccount::default()
        };
        alloc.extend((0..HOLDERS).map(|index| (holder(index), rich.clone())));
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
        let store = Store::open(location, &state, StoreConfig::default()).map_err(fault)?;
        Ok(Self {
            rules: genesis.rules_digest(),
            config: genesis.chain,
            store,
            parent: (header, block.header().clone()),
            collator: PrivateKey::from_seed(9),
        })
    }

    fn block(&self, transactions: Vec<Transaction>) -> Block {
        let (ethereum, parent) = &self.parent;
        let height = parent.height.saturating_add(1);
        let context = ProposalContext {
            round: Round::new(Epoch::zero(), View::new(height)),
            leader: self.collator.public_key(),
            parent: (View::new(parent.height), parent.digest()),
        };
        let header = Header {
            context,
            height,
            timestamp_ms: parent.timestamp_ms.saturating_add(700),
            proposer: Address::repeat_byte(0xfe),
            base_fee: next_base_fee(parent, &self.config),
            gas_budget: self.config.gas_limit,
            gas_limits_sum: 0,
            body_digest: B256::ZERO,
            shard_section_digest: parent.shard_section_digest,
            ledger_digest: parent.ledger_digest,
            executed: ExecutedRef {
                height: parent.height,
                block_hash: ethereum.hash_slow(),
                certificate: None,
            },
        };
        Block::new(header, transactions, Vec::new())
    }

    fn execute(&self, block: &Block, state: &impl StateReader) -> Result<Step, NodeError> {
        let impersonation = Impersonation::from(self.config.protocol.dev);
        let block = block.recover(&SenderCache::default(), impersonation);
        let block = block.map_err(fault)?;
        let parent = self.parent.0.hash_slow();
        let environment = BlockEnvironment::of(block.header(), parent, &self.config);
        let transactions = block.transactions();
        let input = ExecutionInput::new(&self.config, environment.clone(), transactions, &[]);
        let executed = execute_sequential(&input, state).map_err(fault)?;
        Ok(Step {
            block,
            environment,
            executed,
        })
    }

    /// Executes a block and makes it the newest; its header.
    fn step(&mut self, block: &Block) -> Result<EthereumHeader, NodeError> {
        let snapshot = self.store.snapshot(self.parent.0.number).map_err(fault)?;
        let step = self.execute(block, &snapshot)?;
        if step.executed.receipts.iter().any(|one| !one.is_success()) {
            return Err(fault("a transaction of the measured chain failed"));
        }
        let height = block.header().height;
        let root = self.store.commit(height, step.executed.diff.clone());
        let root = *root.map_err(fault)?;
        let header = seal(&step.environment, &step.executed, root, &step.block);
        let record = BlockRecord {
            height,
            hash: header.hash_slow(),
            header: rlp(&header),
            body: Bytes::new(),
            receipts: Bytes::new(),
            access_list: Bytes::new(),
            transaction_hashes: Vec::new(),
        };
        self.store.seal(record).map_err(fault)?;
        self.parent = (header.clone(), step.block.header().clone());
        Ok(header)
    }

    /// What building and checking this block takes, and its gas and bytes.
    fn measure(
        &mut self,
        block: &Block,
        clock: &Clock,
        tell: &dyn Fn(u64),
    ) -> Result<Costs, NodeError> {
        let (header, ordering) = self.parent.clone();
        let snapshot = self.store.snapshot(header.number).map_err(fault)?;
        let asked = AskedHashes::new(snapshot);
        let taken = self.execute(block, &asked)?;
        let collate = || {
            let parent = Parent {
                header: header.clone(),
                ordering: ordering.clone(),
            };
            Collation::build(parent, block.clone(), &taken.executed, None, &self.store)
        };
        let built = median_ns(clock, collate).saturating_add(median_ns(clock, || {
            self.execute(block, &asked).map(|step| step.block)
        }));
        let collation = collate().map_err(fault)?;
        let start = clock();
        let head = self.step(block)?;
        let stepped = u64::try_from(clock().saturating_sub(start).as_nanos()).unwrap_or(u64::MAX);
        tell(2);
        let placement = Placement {
            shard: ShardId(1),
            anchor: RelayAnchor {
                height: 1,
                digest: B256::ZERO,
            },
            rules: self.rules,
        };
        let (descriptor, encoded) = collation.describe(&head, &placement).map_err(fault)?;
        let rules = ShardRules {
            shard: placement.shard,
            chain: &self.config,
            digest: placement.rules,
            genesis: placement.rules,
        };
        let never = AtomicBool::new(false);
        check(&descriptor, &encoded, &rules, &never).map_err(fault)?;
        let checked = median_ns(clock, || {
            check(&descriptor, &encoded, &rules, &never).is_ok()
        });
        let bytes = u64::try_from(encoded.len()).unwrap_or(u64::MAX);
        // A step executes and commits; what execution takes of it has been counted.
        let committed = stepped.saturating_sub(built);
        Ok(Costs {
            build_ns: built.saturating_add(committed) / TRANSFERS,
            check_ns: checked / TRANSFERS,
            gas: head.gas_used / TRANSFERS,
            collation_bytes: bytes / TRANSFERS,
            ..RECORDED
        })
    }
}

fn of_bytes(costs: Costs, clock: &Clock) -> Result<Costs, NodeError> {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(CUT_BYTES).collect();
    let (coding, chunks) = cut(&bytes, CUT_FOR, 0).map_err(fault)?;
    // The chunks that hold none of the collation itself: the dearest to restore from.
    let last = usize::from(CUT_FOR.saturating_sub(coding.minimum));
    let restored = || {
        let some = (0..CUT_FOR).zip(&chunks).skip(last);
        let checked = some.map(|(index, chunk)| chunk.check(&coding, index));
        let checked: Vec<_> = checked.flatten().collect();
        restore(&coding, &checked)
    };
    restored().map_err(fault)?;
    let kib = u64::try_from(CUT_BYTES / 1_024).unwrap_or(1);
    Ok(Costs {
        cut_kib_ns: median_ns(clock, || cut(&bytes, CUT_FOR, 0).is_ok()) / kib,
        restore_kib_ns: median_ns(clock, restored) / kib,
        hash_kib_ns: median_ns(clock, || hash_of(&bytes)) / kib,
        ..costs
    })
}

fn of_signatures(costs: Costs, clock: &Clock) -> Costs {
    let namespace = ShardNamespace::new(&B256::ZERO);
    let votes = Votes {
        height: 1,
        ..Votes::default()
    };
    let keys = (0..SIGNATURES).map(|one| PrivateKey::from_seed(one.into()));
    let votes = (0..).zip(keys).map(|(index, key)| {
        let vote = votes.sign(index, &B256::ZERO, &namespace, &key);
        (vote, key.public_key())
    });
    let votes: Vec<(ShardVote, _)> = votes.collect();
    let signed = votes
        .iter()
        .map(|(vote, key)| vote.signed(&B256::ZERO, &namespace, key));
    let signed: Vec<Signed<'_>> = signed.collect();
    let one_by_one = median_ns(clock, || signed.iter().all(Signed::is_right));
    let at_once = median_ns(clock, || {
        Signed::first_wrong(&signed, &mut StdRng::seed_from_u64(1))
    });
    Costs {
        signature_ns: one_by_one / u64::from(SIGNATURES),
        batch_signature_ns: at_once / u64::from(SIGNATURES),
        ..costs
    }
}

fn holder(index: u64) -> Address {
    Address::from_word(keccak256(index.to_be_bytes()))
}

fn signer(index: u64) -> Result<PrivateKeySigner, NodeError> {
    let word = B256::from(U256::from(index.saturating_add(1)));
    PrivateKeySigner::from_bytes(&word).map_err(fault)
}

fn sign(from: u64, nonce: u64, input: Bytes) -> Result<Transaction, NodeError> {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 90_000,
        max_fee_per_gas: FEE,
        max_priority_fee_per_gas: 1_000,
        to: TxKind::Call(TOKEN),
        input,
        ..TxEip1559::default()
    };
    let hash = transaction.signature_hash();
    let signature = signer(from)?.sign_hash_sync(&hash).map_err(fault)?;
    let envelope = Envelope::Eip1559(transaction.into_signed(signature));
    Transaction::decode(envelope.encoded_2718()).map_err(fault)
}

fn rlp(header: &EthereumHeader) -> Bytes {
    let mut encoded = Vec::new();
    header.encode(&mut encoded);
    encoded.into()
}

fn genesis_json() -> Result<String, NodeError> {
    let mut alloc = serde_json::Map::new();
    for index in 0..u64::from(SENDERS) {
        let address = signer(index)?.address().to_string();
        alloc.insert(
            address,
            serde_json::json!({ "balance": "0xffffffffffffffffffffff" }),
        );
    }
    let code = Contract::Token.runtime().to_string();
    alloc.insert(
        TOKEN.to_string(),
        serde_json::json!({ "balance": "0x1", "code": code }),
    );
    let genesis = serde_json::json!({
        "config": { "chainId": CHAIN_ID },
        "gasLimit": "0x5f5e100",
        "timestamp": "0x64",
        "headway": { "validators": [], "protocol": {} },
        "alloc": alloc,
    });
    Ok(genesis.to_string())
}
