//! The registry of shards, run as a genesis installs it: what its owners may do, and that the ledger reads what its
//! events say.

use crate::blocks::{Draft, GeneratedBlock, benchmark};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use commonware_cryptography::Signer as _;
use node::registry::{DEPOSIT_MIN_WEI, Wish, account, allow};
use primitives::{
    ChainConfig, RecoveredTransaction,
    chain::Protocol,
    crypto::PrivateKey,
    limits::{CHARTER_BYTES_MAX, COLLATORS_MAX},
    shard::{
        CHARTER_VERSION, Charter, ShardId, charter,
        registry::{REGISTRY, orders_of},
    },
};
use shards::ledger::{ShardOrder, ShardTerms, rules::CORES_UNLIMITED};
use state::{Account, StateReader as _};
use std::collections::BTreeMap;

const OWNER: Address = Address::repeat_byte(0x0a);
const STRANGER: Address = Address::repeat_byte(0x0b);
const GOVERNOR: Address = Address::repeat_byte(0x0c);
const OF_GENESIS: [ShardId; 2] = [ShardId(1), ShardId(2)];
const NEXT: ShardId = ShardId(3);
/// What the registry wants of who creates a shard on two cores.
const DEPOSIT: U256 = U256::from_limbs([0xd78e_bc5a_c620_0000, 0xa, 0, 0]);
/// As much as anybody has.
const RICH: U256 = U256::from_limbs([0, 0, 1, 0]);

/// What came of calls.
#[derive(Default)]
struct Outcome {
    /// Whether each succeeded.
    succeeded: Vec<bool>,
    orders: Vec<ShardOrder>,
    /// What the registry holds in the end.
    held: U256,
}

type Call = (Address, Bytes, U256);

/// Calls of one block.
fn run(calls: &[Call]) -> Outcome {
    run_blocks(&[calls])
}

/// Calls of one block after the other.
fn run_blocks(blocks: &[&[Call]]) -> Outcome {
    let mut block = benchmark::transfers(1);
    for address in [OWNER, STRANGER, GOVERNOR] {
        let rich = Account {
            balance: RICH,
            ..Account::default()
        };
        block.state.set_account(address, rich);
    }
    install(&mut block);
    let mut nonces = BTreeMap::new();
    let mut outcome = Outcome::default();
    for calls in blocks {
        block.transactions = sign(&block, calls, &mut nonces);
        let executed = block.execute();
        block.state.apply(&executed.diff);
        block.environment.height += 1;
        let receipts = executed.receipts.iter();
        let orders = orders_of(receipts.clone().flat_map(|one| one.envelope.logs()));
        let orders = orders.iter().map(|order| ShardOrder::read(order));
        outcome.orders.extend(orders);
        let succeeded = receipts.map(|receipt| receipt.envelope.status());
        outcome.succeeded.extend(succeeded);
    }
    let registry = block.state.account(&REGISTRY).unwrap();
    outcome.held = registry.unwrap_or_default().balance;
    outcome
}

fn sign(
    block: &GeneratedBlock,
    calls: &[Call],
    nonces: &mut BTreeMap<Address, u64>,
) -> Vec<RecoveredTransaction> {
    let fee = u128::from(block.environment.base_fee);
    let transactions = calls.iter().map(|(sender, input, value)| {
        let nonce = nonces.entry(*sender).or_default();
        *nonce += 1;
        let draft = Draft {
            kind: 2,
            chain_id: block.chain.chain_id,
            sender: *sender,
            nonce: *nonce - 1,
            gas_limit: 1_000_000,
            max_fee: fee,
            to: TxKind::Call(REGISTRY),
            value: *value,
            input: input.clone(),
            ..Draft::default()
        };
        draft.finish()
    });
    transactions.collect()
}

fn install(block: &mut GeneratedBlock) {
    let registry = account(Some(GOVERNOR), &OF_GENESIS);
    block.state.set_code(REGISTRY, registry.code.unwrap());
    for (slot, value) in registry.storage.unwrap() {
        block.state.set_storage(REGISTRY, slot.into(), value.into());
    }
}

fn charter_of(gas_limit: u64) -> Charter {
    Charter {
        chain: ChainConfig {
            chain_id: 77,
            gas_limit,
            protocol: Protocol::default(),
        },
        genesis_rules: U256::from(9).into(),
    }
}

fn terms(charter: Bytes) -> ShardTerms {
    ShardTerms {
        genesis_hash: U256::from(1).into(),
        genesis_root: U256::from(2).into(),
        genesis_ms: 3_000,
        rules: charter::digest(&charter),
        gas_limit: 30_000_000,
        collators: (1..4)
            .map(|seed| PrivateKey::from_seed(seed).public_key())
            .collect(),
        charter,
        cores_max: CORES_UNLIMITED,
    }
}

fn create(charter: Bytes) -> Wish {
    Wish::Create {
        terms: Box::new(terms(charter)),
        cores: 2,
    }
}

fn created() -> (Address, Bytes, U256) {
    let wish = create(charter_of(30_000_000).to_bytes());
    (OWNER, wish.input(), DEPOSIT)
}

fn says(sender: Address, wish: &Wish) -> (Address, Bytes, U256) {
    (sender, wish.input(), U256::ZERO)
}

#[test]
fn a_life() {
    let charter = charter_of(60_000_000);
    let upgrade = Wish::Upgrade {
        shard: NEXT,
        charter: charter.clone(),
        height: 5_000,
    };
    let collators = vec![PrivateKey::from_seed(9).public_key()];
    let others = Wish::Collators {
        shard: NEXT,
        collators: collators.clone(),
    };
    let outcome = run_blocks(&[
        &[created()],
        &[says(OWNER, &Wish::Pause(NEXT))],
        &[says(OWNER, &Wish::Resume(NEXT))],
        &[says(OWNER, &upgrade)],
        &[says(OWNER, &others)],
        &[says(OWNER, &Wish::Retire(NEXT))],
        // It is over: nothing more is ordered, and nothing paid twice.
        &[
            says(OWNER, &Wish::Retire(NEXT)),
            says(OWNER, &Wish::Resume(NEXT)),
        ],
    ]);
    let done = [true, true, true, true, true, true, false, false];
    assert_eq!(outcome.succeeded, done);
    let orders = [
        ShardOrder::Create {
            shard: NEXT,
            terms: terms(charter_of(30_000_000).to_bytes()),
            cores: 2,
        },
        ShardOrder::Pause(NEXT),
        ShardOrder::Resume(NEXT),
        ShardOrder::Upgrade {
            shard: NEXT,
            gas_limit: 60_000_000,
            charter: charter.to_bytes(),
            height: 5_000,
        },
        ShardOrder::Collators {
            shard: NEXT,
            collators,
        },
        ShardOrder::Retire(NEXT),
    ];
    assert_eq!(outcome.orders, orders);
    assert_eq!(outcome.held, U256::ZERO, "the deposit is back");
}

#[test]
fn only_its_owner() {
    let wishes = [
        Wish::Pause(NEXT),
        Wish::Resume(NEXT),
        Wish::Retire(NEXT),
        Wish::Upgrade {
            shard: NEXT,
            charter: charter_of(1_000_000),
            height: 5_000,
        },
        Wish::Collators {
            shard: NEXT,
            collators: Vec::new(),
        },
    ];
    let mut calls = vec![created()];
    calls.extend(wishes.iter().map(|wish| says(STRANGER, wish)));
    // Shards of the genesis are the governor's, and those that do not exist nobody's.
    calls.push(says(STRANGER, &Wish::Retire(OF_GENESIS[0])));
    calls.push(says(GOVERNOR, &Wish::Retire(ShardId(4))));
    let outcome = run(&calls);
    assert!(outcome.succeeded[0]);
    assert!(outcome.succeeded[1..].iter().all(|succeeded| !succeeded));
    assert_eq!(outcome.orders.len(), 1);
    assert_eq!(outcome.held, DEPOSIT);
}

#[test]
fn shards_of_the_genesis_are_the_governors() {
    let outcome = run_blocks(&[
        &OF_GENESIS.map(|shard| says(GOVERNOR, &Wish::Pause(shard))),
        &[says(GOVERNOR, &Wish::Retire(OF_GENESIS[1]))],
    ]);
    let orders = [
        ShardOrder::Pause(OF_GENESIS[0]),
        ShardOrder::Pause(OF_GENESIS[1]),
        ShardOrder::Retire(OF_GENESIS[1]),
    ];
    assert_eq!(outcome.orders, orders);
    assert_eq!(outcome.held, U256::ZERO);
}

#[test]
fn a_deposit_and_a_charter_of_a_known_version() {
    let (_, input, _) = created();
    let mut newer = charter_of(30_000_000).to_bytes().to_vec();
    newer[3] = u8::try_from(CHARTER_VERSION + 1).unwrap();
    let newer = create(newer.into()).input();
    let long = [charter_of(1).to_bytes().as_ref(), &[0; CHARTER_BYTES_MAX]].concat();
    let mut crowd = terms(charter_of(30_000_000).to_bytes());
    crowd.collators = vec![PrivateKey::from_seed(1).public_key(); COLLATORS_MAX + 1];
    let crowd = Wish::Create {
        terms: Box::new(crowd),
        cores: 1,
    };
    let little = DEPOSIT - U256::ONE;
    let outcome = run(&[
        (OWNER, input, little),
        (OWNER, newer.clone(), DEPOSIT),
        (OWNER, create(long.into()).input(), DEPOSIT),
        (OWNER, create(Bytes::new()).input(), DEPOSIT),
        (OWNER, crowd.input(), DEPOSIT),
        (OWNER, allow(CHARTER_VERSION + 1), U256::ZERO),
        (GOVERNOR, allow(CHARTER_VERSION + 1), U256::ZERO),
        (OWNER, newer, DEPOSIT),
    ]);
    let done = [false, false, false, false, false, false, true, true];
    assert_eq!(outcome.succeeded, done);
    assert_eq!(outcome.orders.len(), 1);
}

#[test]
fn so_many_orders_in_a_block() {
    let calls: Vec<_> = (0..9).map(|_| created()).collect();
    let outcome = run(&calls);
    assert_eq!(outcome.orders.len(), 8);
    assert_eq!(outcome.succeeded.last(), Some(&false));
}

/// Nobody keeps others out with a shard alone.
#[test]
fn a_shard_has_one_order_in_a_block() {
    let (pause, resume) = (Wish::Pause(NEXT), Wish::Resume(NEXT));
    let two = [says(OWNER, &pause), says(OWNER, &resume)];
    let outcome = run_blocks(&[&[created(), says(OWNER, &pause)], &two, &[created()]]);
    assert_eq!(outcome.succeeded, [true, false, true, false, true]);
    assert_eq!(outcome.held, DEPOSIT + DEPOSIT);
}

/// Whoever wants all cores leaves as much as for as many shards.
#[test]
fn a_deposit_for_each_core() {
    let deposits = |cores: u16, deposit: u64| {
        let wish = Wish::Create {
            terms: Box::new(terms(charter_of(30_000_000).to_bytes())),
            cores,
        };
        let deposit = DEPOSIT_MIN_WEI * U256::from(deposit);
        run(&[(OWNER, wish.input(), deposit)]).succeeded[0]
    };
    assert!(deposits(64, 64) && deposits(1, 1) && deposits(0, 1));
    assert!(!deposits(64, 63) && !deposits(2, 1) && !deposits(0, 0));
}
