//! Shards that are created on a running network: their whole life, and rules that nobody knows.

use super::{SEEDS, SETTLE_MAX, network};
use alloy_primitives::U256;
use commonware_cryptography::Signer as _;
use node::{
    registry::{DEPOSIT_MIN_WEI, Wish},
    sharding::{Collated, terms},
};
use primitives::{
    Genesis,
    crypto::PrivateKey,
    shard::{CHARTER_VERSION, Charter, ShardId, registry::REGISTRY},
};
use shards::ledger::Status;
use state::{Location, MemoryDisk, StateReader as _};
use std::time::Duration;
use testkit::{
    cluster::{CHAIN_ID, Cluster, simulate},
    oracle,
    workload::{self, Owner, Transfers},
};

/// The shard that is created.
const C: ShardId = ShardId(3);
/// The node that collates it.
const COLLATOR: usize = 0;
/// Room for two transfers.
const GAS_LIMIT: u64 = 100_000;
const GAS_LIMIT_LATER: u64 = 60_000_000;
/// Transfers that are more than a block could have before the upgrade.
const MANY: usize = 20;
/// Relay blocks from an upgrade's order to its height, beyond what the ledger asks for.
const MARGIN: u64 = 20;

fn genesis() -> Genesis {
    let chain_id = CHAIN_ID + u64::from(C.0);
    let text = format!(
        r#"{{"config": {{"chainId": {chain_id}}}, "gasLimit": "{GAS_LIMIT:#x}", "difficulty": "0x0",
            "timestamp": "0x6553f100", "alloc": {{}}}}"#
    );
    let mut genesis = Genesis::from_json(&text).unwrap();
    genesis.alloc.extend(workload::accounts());
    genesis
}

fn create() -> Wish {
    let collator = PrivateKey::from_seed(COLLATOR as u64).public_key();
    Wish::Create {
        terms: Box::new(terms(&genesis(), vec![collator])),
        cores: 1,
    }
}

/// Lets a wish be carried out everywhere.
async fn order(cluster: &Cluster, owner: &mut Owner, wish: &Wish, deposit: U256) {
    owner.order(cluster, 1, wish, deposit);
    let what = format!("{wish:?} is carried out");
    cluster
        .until(&what, SETTLE_MAX, |cluster| {
            let mut running = cluster.chains().map(|(index, _)| index);
            running.all(|index| is_done(cluster, index, wish))
        })
        .await;
}

fn is_done(cluster: &Cluster, index: usize, wish: &Wish) -> bool {
    let ledger = cluster.shard_ledger(index);
    let status = ledger.shard(C).map(|segment| segment.status());
    match wish {
        Wish::Create { .. } | Wish::Resume(_) => status == Some(Status::Active),
        Wish::Pause(_) => status == Some(Status::Paused),
        Wish::Retire(_) => status == Some(Status::Retired),
        Wish::Upgrade { height, .. } => {
            let segment = ledger.shard(C);
            let upgrade = segment.and_then(|segment| segment.upgrade());
            upgrade.is_some_and(|upgrade| upgrade.height == *height)
        }
        Wish::Collators { .. } => false,
    }
}

/// Starts the collator of the shard again, with the shard's genesis.
async fn collate(cluster: &mut Cluster) {
    cluster.crash(COLLATOR).await;
    let collated = Collated {
        shard: C,
        location: Location::Memory(MemoryDisk::new()),
        postings: None,
        genesis: Some(genesis()),
    };
    let started = cluster.try_start(COLLATOR, |parts| parts.collated.push(collated));
    started.await.unwrap();
}

/// Lets the shard make so many blocks more final.
async fn goes_on(cluster: &Cluster, transfers: &mut Transfers, blocks: u64) {
    let target = cluster.final_number(1, C) + blocks;
    let deadline = cluster.now() + SETTLE_MAX;
    while cluster.final_number(1, C) < target {
        assert!(
            cluster.now() < deadline,
            "the shard does not go on: {cluster:?}"
        );
        transfers.submit_to(cluster, COLLATOR, 1);
        cluster.run_for(super::ROUND).await;
    }
}

fn gas_limit(cluster: &Cluster) -> u64 {
    let chain = cluster.shard_chain(COLLATOR, C);
    let verified = chain.record(chain.heads().verified_height);
    verified.unwrap().unwrap().header.gas_limit
}

/// The gas of the fullest final block.
fn fullest(cluster: &Cluster) -> u64 {
    let chain = cluster.shard_chain(COLLATOR, C);
    let numbers = 1..=chain.heads().verified_height;
    let records = numbers.filter_map(|number| chain.record(number).unwrap());
    records.map(|record| record.header.gas_used).max().unwrap()
}

fn held(cluster: &Cluster) -> U256 {
    let chain = cluster.chain(1);
    let state = chain.snapshot(chain.heads().executed_height).unwrap();
    let registry = state.account(&REGISTRY).unwrap();
    registry.unwrap_or_default().balance
}

async fn upgrade(cluster: &Cluster, owner: &mut Owner) {
    let mut chain = genesis().chain;
    chain.gas_limit = GAS_LIMIT_LATER;
    let ledger = cluster.shard_ledger(1);
    let height = ledger.height() + ledger.rules().anchor_window + MARGIN;
    let wish = Wish::Upgrade {
        shard: C,
        charter: Charter {
            chain,
            genesis_rules: genesis().rules_digest(),
        },
        height,
    };
    order(cluster, owner, &wish, U256::ZERO).await;
    assert_eq!(gas_limit(cluster), GAS_LIMIT);
    cluster
        .until("the height of the rules", 4 * SETTLE_MAX, |cluster| {
            cluster.shard_ledger(1).height() > height + 2
        })
        .await;
}

fn a_life(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut owner = Owner::default();
        let mut transfers = Transfers::new(C);
        order(&cluster, &mut owner, &create(), DEPOSIT_MIN_WEI).await;
        assert_eq!(held(&cluster), DEPOSIT_MIN_WEI);
        collate(&mut cluster).await;
        goes_on(&cluster, &mut transfers, 3).await;
        order(&cluster, &mut owner, &Wish::Pause(C), U256::ZERO).await;
        // What was pending is finished.
        cluster.run_for(Duration::from_secs(5)).await;
        let resting = cluster.final_number(1, C);
        transfers.submit_to(&cluster, COLLATOR, 1);
        cluster.run_for(Duration::from_secs(5)).await;
        assert_eq!(cluster.final_number(1, C), resting);
        order(&cluster, &mut owner, &Wish::Resume(C), U256::ZERO).await;
        goes_on(&cluster, &mut transfers, 3).await;
        upgrade(&cluster, &mut owner).await;
        goes_on(&cluster, &mut transfers, 8).await;
        assert_eq!(gas_limit(&cluster), GAS_LIMIT_LATER);
        assert!(fullest(&cluster) <= GAS_LIMIT);
        transfers.submit_to(&cluster, COLLATOR, MANY);
        goes_on(&cluster, &mut transfers, 5).await;
        assert!(fullest(&cluster) > GAS_LIMIT);
        order(&cluster, &mut owner, &Wish::Retire(C), U256::ZERO).await;
        assert_eq!(held(&cluster), U256::ZERO);
        let ended = cluster.final_number(1, C);
        cluster.run_for(Duration::from_secs(5)).await;
        assert_eq!(cluster.final_number(1, C), ended);
        oracle::ledgers_named(&cluster);
        oracle::same_order(&cluster);
        oracle::same_results(&cluster);
        assert_eq!(cluster.violations(), [""; 0]);
    })
}

/// A version that the governor allows, and that no node here knows.
fn unknown_version(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut owner = Owner::default();
        order(&cluster, &mut owner, &create(), DEPOSIT_MIN_WEI).await;
        owner.allow(&cluster, 1, CHARTER_VERSION + 1);
        cluster.run_for(Duration::from_secs(5)).await;
        a_new_shard_stops_nobody(&cluster, &mut owner).await;
        let ledger = cluster.shard_ledger(1);
        let height = ledger.height() + ledger.rules().anchor_window + MARGIN;
        owner.upgrade_to(&cluster, 1, C, (height, newer()));
        cluster
            .until("nodes have stopped", 4 * SETTLE_MAX, |cluster| {
                cluster.violations().len() > 1
            })
            .await;
        // Without a quorum those that were a block behind stay where they are.
        cluster.run_for(Duration::from_secs(5)).await;
        for violation in cluster.violations() {
            let said = format!("shard 3 has rules of version 2 from relay height {height} on");
            assert!(violation.contains(&said), "{violation}");
        }
        for (_, chain) in cluster.chains() {
            let finalized_height = chain.heads().finalized_height;
            assert!(finalized_height < height, "{finalized_height} {height}");
            assert!(
                finalized_height + 20 > height,
                "{finalized_height} {height}"
            );
        }
    })
}

/// From now on anybody may create a shard that no node here can check.
async fn a_new_shard_stops_nobody(cluster: &Cluster, owner: &mut Owner) {
    let collator = PrivateKey::from_seed(COLLATOR as u64).public_key();
    let mut terms = terms(&genesis(), vec![collator]);
    terms.charter = newer().into();
    let wish = Wish::Create {
        terms: Box::new(terms),
        cores: 1,
    };
    owner.order(cluster, 1, &wish, DEPOSIT_MIN_WEI);
    cluster
        .until("it is there", SETTLE_MAX, |cluster| {
            cluster.shard_ledger(1).shard(ShardId(C.0 + 1)).is_some()
        })
        .await;
    cluster.run_for(Duration::from_secs(5)).await;
    assert_eq!(cluster.violations(), [""; 0]);
}

/// A charter of the next version, of which only that can be said.
fn newer() -> Vec<u8> {
    let mut bytes = Charter::of(&genesis()).to_bytes().to_vec();
    bytes[3] += 1;
    bytes
}

#[test]
fn a_shard_lives_on_a_running_network() {
    a_life(1);
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn shards_live_under_many_seeds_slow() {
    for seed in SEEDS {
        a_life(seed);
    }
}

#[test]
fn nodes_stop_before_rules_that_they_do_not_know() {
    unknown_version(1);
}
