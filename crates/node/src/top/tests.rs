//! Frames of a node that runs, restarts, catches up, diverges and goes away.

use super::{
    FRAME_SIZE,
    exposition::Exposition,
    frame,
    keys::Key,
    model::{HISTORY_MAX, Model, STAGES_MAX},
    sample::{self, Health, Identity, NewestBlock, Pool, Sample},
};
use alloy_primitives::{B256, U64};
use primitives::BlockStages;
use rpc::RpcProfile;
use serde_json::json;
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn profile() -> RpcProfile {
    serde_json::from_value(json!({
        "height": "0x64", "hash": B256::repeat_byte(1), "transactionCount": 50, "gasUsed": 5_000_000,
        "waitingCount": 40, "waitingGas": 4_000_000, "placeCount": 1,
        "criticalPath": { "gas": 4_000_000, "gasPermille": 800, "transactionCount": 41,
                          "transactionCountMax": 41, "transactions": [] },
        "speedups": [{ "workers": 8, "boundPermille": 1_250 }],
        "hotPlaces": [{ "kind": "counter", "address": "0x5fbdb2315678afecb367f032d93f642f64180aa3",
            "slot": B256::ZERO, "holder": null, "waitingCount": 40, "waitingGas": 4_000_000,
            "waitingPermille": 800, "criticalCount": 40, "criticalPermille": 990, "writes": "step",
            "step": "0x1", "reexecutionCount": 3, "transactions": [], "spread": [],
            "functions": [{ "to": null, "selector": "0x1249c58b", "name": "0x1249c58b (mint)",
                            "transactionCount": 41 }] }],
        "nonceChains": [], "advice": ["40 of 50 transactions wait for an earlier one.", "Count off chain."],
        "execution": { "way": "first", "workers": 8, "executions": 53, "reexecutions": 3,
                       "executeUs": 900, "busyPermille": 640 },
    }))
    .unwrap()
}

/// A node that has executed so many transactions.
fn sample(transactions: u64) -> Sample {
    let metrics = format!(
        "{}{{index=\"0\"}} {transactions}\n{}{{index=\"0\"}} {}\n{}{{index=\"0\"}} {}\n{} {}\n{} 98\n{} 2500000\n",
        sample::TRANSACTIONS,
        sample::GAS,
        transactions * 100_000,
        sample::EXECUTION_SECONDS,
        transactions as f64 / 10_000.0,
        sample::BLOCKS,
        transactions / 50,
        sample::DURABLE_HEIGHT,
        sample::DISK_BYTES,
    );
    let wanted = [
        sample::TRANSACTIONS,
        sample::GAS,
        sample::EXECUTION_SECONDS,
        sample::BLOCKS,
        sample::DURABLE_HEIGHT,
        sample::DISK_BYTES,
    ];
    let health: Health = serde_json::from_value(json!({
        "heads": { "verified": "0x63", "executed": "0x64", "finalized": "0x66" },
        "syncing": null, "diverged": null, "stopped": null,
    }))
    .unwrap();
    Sample {
        identity: Some(Identity {
            client: "Headway/0".to_owned(),
            chain_id: 31_337,
        }),
        health,
        pool: Some(Pool {
            pending: U64::from(1_234),
            queued: U64::from(5),
        }),
        peers: Some(3),
        block: Some(NewestBlock {
            hash: B256::repeat_byte(1),
            gas_used: U64::from(5_000_000),
            gas_limit: U64::from(10_000_000),
            base_fee_per_gas: Some(U64::from(1_000_000_000)),
            transactions: vec![B256::ZERO; 50],
        }),
        stages: vec![BlockStages {
            proposed_ms: Some(1_000),
            notarized_ms: Some(1_004),
            finalized_ms: Some(1_009),
            executed_ms: Some(1_021),
            verified_ms: Some(1_060),
            durable_ms: None,
        }],
        staged_height: 99,
        profile: Some(profile()),
        metrics: Exposition::read(&metrics, &wanted),
    }
}

#[test]
fn shards_are_in_the_line_of_the_node() {
    let mut model = model();
    let mut one = sample(1_000);
    one.health.shards = serde_json::from_value(json!([
        { "id": 1, "latest": "0x4d2", "behind": false, "stalled": false },
        { "id": 2, "latest": "0x7", "behind": true, "stalled": true },
        { "id": 3, "latest": "0x8", "behind": false, "stalled": true },
    ]))
    .unwrap();
    model.see(seconds(1), Ok(one));
    let wide = (160, FRAME_SIZE.1);
    let text = frame(&model, wide);
    assert!(
        text.contains("shard 1 at 1,234   shard 2 at 7 BEHIND   shard 3 at 8 STALLED"),
        "{text}"
    );
}

fn model() -> Model {
    Model::new("http://127.0.0.1:8545/", seconds(1))
}

fn live() -> Model {
    let mut model = model();
    model.see(seconds(1), Ok(sample(1_000)));
    model.see(seconds(2), Ok(sample(3_000)));
    model
}

#[track_caller]
fn assert_shows(model: &Model, wanted: &[&str]) -> String {
    let frame = frame(model, FRAME_SIZE);
    let lines: Vec<&str> = frame.lines().collect();
    assert_eq!(lines.len(), 24);
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{frame}"
    );
    for text in wanted {
        assert!(frame.contains(text), "{text:?} is not in\n{frame}");
    }
    frame
}

#[test]
fn the_overview_fits_80_by_24() {
    let frame = assert_shows(
        &live(),
        &[
            "http://127.0.0.1:8545/",
            "live",
            "in step with the chain   chain 31337   Headway/0",
            "transactions/s  2,000  (most 2,000)",
            "gas/s  200.0 M  (most 200.0 M)",
            "executing 20.0 % of the time",
            "workers   8, 64 % busy, 3 again",
            "50 txs, 50.0 % full",
            "1,234 pending, 5 queued",
            "40.0/s, fee 1.000 gwei",
            "state 2.5 MB",
            "hot places of block 100",
            "counter",
            "mint",
            "q quit",
        ],
    );
    let line = |stage: &str| frame.lines().find(|line| line.contains(stage)).unwrap();
    assert!(line("│executed").contains("100"), "{frame}");
    assert!(line("│executed").contains("12 ms"), "{frame}");
    assert!(line("│verified").contains("39 ms"), "{frame}");
    assert!(line("│durable").contains("98"), "{frame}");
}

#[test]
fn the_other_page_has_the_advice() {
    let mut model = live();
    model.press(Key::Tab);
    assert_shows(
        &model,
        &[
            "40 of 50 transactions wait",
            "8: 1.2x",
            "what to do",
            "Count off chain.",
        ],
    );
    model.press(Key::Help);
    assert_shows(&model, &[" help ", "stop looking"]);
}

#[test]
fn a_node_that_goes_away_is_said_to_be_away_and_its_last_values_stay() {
    let mut model = model();
    assert_shows(&model, &["connecting", "Asking the node"]);
    model.see(seconds(1), Err("connection refused".to_owned()));
    assert_shows(&model, &["NO ANSWER", "connection refused"]);
    let mut model = live();
    model.see(seconds(3), Err("connection refused".to_owned()));
    model.see(seconds(10), Err("connection refused".to_owned()));
    assert_shows(
        &model,
        &["NO ANSWER for 7 s", "connection refused", "1,234 pending"],
    );
    // It is back, with counters from nothing: that is no rate.
    model.see(seconds(11), Ok(sample(10)));
    model.see(seconds(12), Ok(sample(20)));
    assert_shows(
        &model,
        &[
            "live",
            "restarted 1 times",
            "transactions/s  10  (most 2,000)",
        ],
    );
}

#[test]
fn what_is_wrong_with_a_node_is_said_first() {
    let says = |field: &str, value: serde_json::Value, wanted: &str| {
        let mut health =
            json!({ "heads": { "verified": "0x1", "executed": "0x1", "finalized": "0x2" } });
        health[field] = value;
        let mut model = live();
        let mut sick = sample(4_000);
        sick.health = serde_json::from_value(health).unwrap();
        model.see(seconds(3), Ok(sick));
        assert_shows(&model, &[wanted]);
    };
    says("diverged", json!({ "height": 1 }), "DIVERGED");
    says(
        "stopped",
        json!("a write failed"),
        "STOPPED: a write failed",
    );
    says(
        "syncing",
        json!({ "current": "0x5", "target": "0x9" }),
        "SYNCING: executed 5 of 9",
    );
}

#[test]
fn a_pause_is_shown_and_small_terminals_do_not_matter() {
    let mut model = live();
    model.press(Key::Pause);
    assert!(model.is_paused());
    assert_shows(&model, &["PAUSED"]);
    model.press(Key::Pause);
    model.press(Key::Help);
    for size in [(1, 1), (20, 5), (79, 23), (200, 60), (80, 2)] {
        frame(&model, size);
        model.press(Key::Tab);
        frame(&model, size);
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut model = model();
    for look in 0..u64::try_from(HISTORY_MAX + 50).unwrap() {
        model.see(seconds(look), Ok(sample(look * 10)));
    }
    assert_eq!(model.transactions.values.len(), HISTORY_MAX);
    assert_eq!(model.stages.len(), STAGES_MAX);
    assert_eq!(model.known().staged_height, 99);
    assert_eq!(model.known().profiled, Some(B256::repeat_byte(1)));
}

#[test]
fn a_quiet_block_does_not_hide_a_busy_one() {
    let mut model = live();
    let mut quiet = sample(4_000);
    if let Some(profile) = &mut quiet.profile {
        profile.hash = B256::repeat_byte(2);
        profile.height = U64::from(101);
        profile.waiting_count = 0;
        profile.hot_places.clear();
    }
    model.see(seconds(3), Ok(quiet));
    assert_eq!(model.known().profiled, Some(B256::repeat_byte(2)));
    assert_shows(&model, &["hot places of block 100", "counter"]);
}
