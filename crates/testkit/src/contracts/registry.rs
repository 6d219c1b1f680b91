//! The registry of shards, run as a genesis installs it: what its owners may do, and that the ledger reads what its
//! events say.

use crate::blocks::{Draft, GeneratedBlock, benchmark};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use commonware_cryptography::Signer as _;
use node::registry::{DEPOSIT_MIN_WEI, Wish, account, allow};
use primitives::{
    ChainConfig,
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

const OWNER: Address = Address::repeat_byte(0x0a);
const STRANGER: Address = Address::repeat_byte(0x0b);
const GOVERNOR: Address = Address::repeat_byte(0x0c);
const NEXT: ShardId = ShardId(3);
/// As much as anybody has.
const RICH: U256 = U256::from_limbs([0, 0, 1, 0]);

/// Calls of one block, and what came of them.
struct Outcome {
    /// Whether each succeeded.
    succeeded: Vec<bool>,
    orders: Vec<ShardOrder>,
    /// What the registry holds in the end.
    held: U256,
}

fn run(calls: &[(Address, Bytes, U256)]) -> Outcome {
    let mut block = benchmark::transfers(1);
    let fee = u128::from(block.environment.base_fee);
    for address in [OWNER, STRANGER, GOVERNOR] {
        let rich = Account {
            balance: RICH,
            ..Account::default()
        };
        block.state.set_account(address, rich);
    }
    install(&mut block);
    let mut nonces = std::collections::BTreeMap::<Address, u64>::new();
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
    block.transactions = transactions.collect();
    let executed = block.execute();
    block.state.apply(&executed.diff);
    let receipts = executed.receipts.iter();
    let orders = orders_of(receipts.clone().flat_map(|one| one.envelope.logs()));
    let registry = block.state.account(&REGISTRY).unwrap();
    Outcome {
        succeeded: receipts.map(|receipt| receipt.envelope.status()).collect(),
        orders: orders.iter().map(|order| ShardOrder::read(order)).collect(),
        held: registry.unwrap_or_default().balance,
    }
}

fn install(block: &mut GeneratedBlock) {
    let registry = account(Some(GOVERNOR), NEXT.0);
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
    (OWNER, wish.input(), DEPOSIT_MIN_WEI)
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
    let outcome = run(&[
        created(),
        says(OWNER, &Wish::Pause(NEXT)),
        says(OWNER, &Wish::Resume(NEXT)),
        says(OWNER, &upgrade),
        says(OWNER, &others),
        says(OWNER, &Wish::Retire(NEXT)),
        // It is over: nothing more is ordered, and nothing paid twice.
        says(OWNER, &Wish::Retire(NEXT)),
        says(OWNER, &Wish::Resume(NEXT)),
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
    // Shards of the genesis, and those that do not exist, are nobody's.
    calls.push(says(STRANGER, &Wish::Retire(ShardId(1))));
    let outcome = run(&calls);
    assert!(outcome.succeeded[0]);
    assert!(outcome.succeeded[1..].iter().all(|succeeded| !succeeded));
    assert_eq!(outcome.orders.len(), 1);
    assert_eq!(outcome.held, DEPOSIT_MIN_WEI);
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
    let little = DEPOSIT_MIN_WEI - U256::ONE;
    let outcome = run(&[
        (OWNER, input, little),
        (OWNER, newer.clone(), DEPOSIT_MIN_WEI),
        (OWNER, create(long.into()).input(), DEPOSIT_MIN_WEI),
        (OWNER, create(Bytes::new()).input(), DEPOSIT_MIN_WEI),
        (OWNER, crowd.input(), DEPOSIT_MIN_WEI),
        (OWNER, allow(CHARTER_VERSION + 1), U256::ZERO),
        (GOVERNOR, allow(CHARTER_VERSION + 1), U256::ZERO),
        (OWNER, newer, DEPOSIT_MIN_WEI),
    ]);
    let done = [false, false, false, false, false, false, true, true];
    assert_eq!(outcome.succeeded, done);
    assert_eq!(outcome.orders.len(), 1);
}

#[test]
fn so_many_orders_in_a_block() {
    let mut calls = vec![created()];
    calls.extend((0..8).map(|_| says(OWNER, &Wish::Pause(NEXT))));
    let outcome = run(&calls);
    assert_eq!(outcome.orders.len(), 8);
    assert_eq!(outcome.succeeded.last(), Some(&false));
}
