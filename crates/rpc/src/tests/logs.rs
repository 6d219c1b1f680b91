//! Log queries and polling filters.

use super::rig::{EMITTER, Options, Rig, account, emit, run, run_with, word};
use crate::{RpcConfig, eth::log};
use alloy_primitives::{Address, Bytes};
use alloy_rpc_types_eth::Filter;
use pipeline::{ChainError, PipelineConfig};
use serde_json::{Value, json};
use state::{Location, MemoryDisk, PostingKey, PostingsError};
use std::{sync::atomic::Ordering, time::Duration};

const NONE: [u64; 0] = [];

/// Payloads of the logs that a filter finds.
async fn found(rig: &Rig, filter: Value) -> Vec<u64> {
    payloads(&rig.call("eth_getLogs", json!([filter])).await)
}

fn payloads(logs: &Value) -> Vec<u64> {
    let logs = logs.as_array().unwrap().iter();
    let payload = |log: &Value| {
        let digits = log["data"].as_str().unwrap();
        u64::from_str_radix(&digits[digits.len() - 16..], 16).unwrap()
    };
    logs.map(payload).collect()
}

/// Three blocks: topics 1 and 2, none, topics 1 and 3; payloads 10, 20, 30, 40.
async fn three_blocks(rig: &Rig) {
    rig.send(0, EMITTER, emit(1, 10)).await;
    rig.send(0, EMITTER, emit(2, 20)).await;
    rig.mine().await;
    rig.send(0, Address::ZERO, Bytes::new()).await;
    rig.mine().await;
    rig.send(0, EMITTER, emit(1, 30)).await;
    rig.send(0, EMITTER, emit(3, 40)).await;
    rig.mine().await;
}

#[test]
fn topics_and_addresses_select() {
    run(|rig| async move {
        three_blocks(&rig).await;
        let all = json!({ "fromBlock": "earliest" });
        let find = async |mut filter: Value| {
            filter["fromBlock"] = "0x0".into();
            found(&rig, filter).await
        };
        assert_eq!(found(&rig, all).await, [10, 20, 30, 40]);
        assert_eq!(find(json!({ "address": EMITTER })).await, [10, 20, 30, 40]);
        assert_eq!(
            find(json!({ "address": [account(0).address(), EMITTER] })).await,
            [10, 20, 30, 40]
        );
        assert_eq!(find(json!({ "address": account(0).address() })).await, NONE);
        assert_eq!(
            find(json!({ "topics": [word(0xaa)] })).await,
            [10, 20, 30, 40]
        );
        assert_eq!(find(json!({ "topics": [null, word(1)] })).await, [10, 30]);
        assert_eq!(
            find(json!({ "topics": [null, [word(2), word(3)]] })).await,
            [20, 40]
        );
        assert_eq!(find(json!({ "topics": [word(0xaa), word(3)] })).await, [40]);
        assert_eq!(
            find(json!({ "topics": [word(1)] })).await,
            NONE,
            "position matters"
        );
        assert_eq!(
            find(json!({ "topics": [[], word(1)] })).await,
            [10, 30],
            "an empty list is any"
        );
        assert_eq!(
            find(json!({ "topics": [null, null, word(1)] })).await,
            NONE,
            "no third topic"
        );
    });
}

#[test]
fn ranges_and_hashes_select() {
    run(|rig| async move {
        three_blocks(&rig).await;
        assert_eq!(found(&rig, json!({})).await, [30, 40], "latest by default");
        assert_eq!(
            found(&rig, json!({ "fromBlock": "0x1", "toBlock": "0x2" })).await,
            [10, 20]
        );
        assert_eq!(
            found(&rig, json!({ "fromBlock": "0x2", "toBlock": "0xff" })).await,
            [30, 40]
        );
        assert_eq!(
            found(&rig, json!({ "fromBlock": "0x4" })).await,
            NONE,
            "not there yet"
        );
        let record = rig.backend.chain.record(1).unwrap().unwrap();
        assert_eq!(
            found(&rig, json!({ "blockHash": record.hash })).await,
            [10, 20]
        );
        let answer = rig
            .error("eth_getLogs", json!([{ "blockHash": word(1) }]))
            .await;
        assert_eq!(answer, (-32000, "unknown block".to_owned()));
        let backwards = json!([{ "fromBlock": "0x2", "toBlock": "0x1" }]);
        assert_eq!(rig.error("eth_getLogs", backwards).await.0, -32602);
        let both = json!([{ "blockHash": record.hash, "fromBlock": "0x1" }]);
        assert_eq!(rig.error("eth_getLogs", both).await.0, -32602);
    });
}

#[test]
fn too_many_blocks_or_logs_are_refused() {
    let config = RpcConfig {
        logs_blocks_max: 3,
        logs_max: 3,
        ..RpcConfig::dev()
    };
    let options = Options {
        config,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        three_blocks(&rig).await;
        let (code, message) = rig
            .error("eth_getLogs", json!([{ "fromBlock": "0x0" }]))
            .await;
        assert_eq!(code, -32005, "{message}");
        assert!(message.contains("more than 3 blocks"), "{message}");
        let (code, message) = rig
            .error("eth_getLogs", json!([{ "fromBlock": "0x1" }]))
            .await;
        assert_eq!(code, -32005);
        assert!(
            message.starts_with("query returned more than 3 results"),
            "{message}"
        );
    });
}

#[test]
fn a_log_filter_tells_each_log_once() {
    run(|rig| async move {
        three_blocks(&rig).await;
        let filter = json!([{ "fromBlock": "0x0", "topics": [null, word(1)] }]);
        let id = rig.call("eth_newFilter", filter).await;
        let changes = async || payloads(&rig.call("eth_getFilterChanges", json!([id])).await);
        assert_eq!(changes().await, NONE, "only what comes from now on");
        three_blocks(&rig).await;
        assert_eq!(changes().await, [10, 30]);
        assert_eq!(changes().await, NONE);
        let all = rig.call("eth_getFilterLogs", json!([id])).await;
        assert_eq!(payloads(&all), [10, 30, 10, 30]);
        assert_eq!(rig.call("eth_uninstallFilter", json!([id])).await, true);
        assert_eq!(rig.call("eth_uninstallFilter", json!([id])).await, false);
        let gone = (-32000, "filter not found".to_owned());
        assert_eq!(rig.error("eth_getFilterChanges", json!([id])).await, gone);
    });
}

#[test]
fn block_and_pending_filters_tell_hashes() {
    run(|rig| async move {
        let blocks = rig.call("eth_newBlockFilter", json!([])).await;
        let pending = rig.call("eth_newPendingTransactionFilter", json!([])).await;
        assert_ne!(blocks, pending);
        let hash = rig.send(0, Address::ZERO, Bytes::new()).await;
        assert_eq!(
            rig.call("eth_getFilterChanges", json!([pending])).await,
            json!([hash])
        );
        assert_eq!(
            rig.call("eth_getFilterChanges", json!([pending])).await,
            json!([])
        );
        let first = rig.mine().await.hash;
        let second = rig.mine().await.hash;
        assert_eq!(
            rig.call("eth_getFilterChanges", json!([blocks])).await,
            json!([first, second])
        );
        assert_eq!(
            rig.call("eth_getFilterChanges", json!([blocks])).await,
            json!([])
        );
        let gone = (-32000, "filter not found".to_owned());
        assert_eq!(rig.error("eth_getFilterLogs", json!([blocks])).await, gone);
    });
}

#[test]
fn filters_are_limited_and_expire() {
    let config = RpcConfig {
        filters_max: 2,
        ..RpcConfig::dev()
    };
    let idle_ms = config.filter_idle_ms;
    let options = Options {
        config,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let polled = rig.call("eth_newBlockFilter", json!([])).await;
        rig.call("eth_newBlockFilter", json!([])).await;
        assert_eq!(rig.error("eth_newBlockFilter", json!([])).await.0, -32005);
        rig.now_ms.fetch_add(idle_ms / 2, Ordering::Relaxed);
        rig.call("eth_getFilterChanges", json!([polled])).await;
        rig.now_ms.fetch_add(idle_ms / 2, Ordering::Relaxed);
        rig.call("eth_newBlockFilter", json!([])).await;
        rig.call("eth_getFilterChanges", json!([polled])).await;
    });
}

/// Until every height up to one is in the index.
pub(super) async fn indexed(rig: &Rig, height: u64) {
    for _ in 0..400 {
        if rig.backend.chain.postings().unwrap().next_height() > height {
            return;
        }
        (rig.backend.clock.sleep)(Duration::from_millis(25)).await;
    }
    panic!("height {height} is not in the index");
}

#[test]
fn the_index_finds_what_reading_every_block_finds() {
    let options = Options {
        pipeline: PipelineConfig {
            postings: Some(Location::Memory(MemoryDisk::new())),
            flush_blocks: 1,
            // So that older blocks are read from the store.
            recent_records_max: 3,
            ..PipelineConfig::default()
        },
        ..Options::default()
    };
    run_with(options, |rig| async move {
        for block in 0..6 {
            rig.send(0, EMITTER, emit(block % 3, block)).await;
            rig.send(1, Address::with_last_byte(9), Bytes::new()).await;
            rig.mine().await;
        }
        rig.verify().await;
        indexed(&rig, 6).await;
        // And two that the index does not have: their results are not verified.
        for topic in [1, 2] {
            rig.send(0, EMITTER, emit(topic, 10 + topic)).await;
            rig.mine().await;
        }
        let chain = &rig.backend.chain;
        let latest = chain.heads().executed_height;
        for filter in [
            json!({ "address": EMITTER }),
            json!({ "address": [EMITTER, account(1).address()], "topics": [word(0xaa), word(1)] }),
            json!({ "topics": [null, [word(0), word(2)]] }),
            json!({ "topics": [null, word(7)] }),
            json!({ "topics": [null, null, word(1)] }),
            json!({ "address": account(0).address() }),
            json!({ "toBlock": "0x4", "topics": [null, word(1)] }),
            json!({ "fromBlock": "0x3", "topics": [null, word(1)] }),
            json!({}),
        ] {
            let mut filter = filter;
            if filter.get("fromBlock").is_none() {
                filter["fromBlock"] = "0x0".into();
            }
            let parsed: Filter = serde_json::from_value(filter.clone()).unwrap();
            let (from, to) = parsed.block_option.as_range();
            let number = |tag: Option<&alloy_eips::BlockNumberOrTag>| tag?.as_number();
            let heights = number(from).unwrap_or(0)..=number(to).unwrap_or(latest);
            let records = heights.map(|height| chain.record(height).unwrap().unwrap());
            let read: Vec<_> = records
                .flat_map(|record| log::matching(&record, &parsed))
                .collect();
            let answer = rig.call("eth_getLogs", json!([filter])).await;
            assert_eq!(answer, serde_json::to_value(&read).unwrap(), "{filter}");
        }
        let rare = [vec![PostingKey::Topic(1, word(1))]];
        let heights = chain.heights_with(&rare, 0..=latest, 100).unwrap();
        assert_eq!(
            heights,
            [2, 5, 7, 8, 9],
            "two of the index, and those above it"
        );
        let nowhere = [vec![PostingKey::Topic(1, word(7)); 60_000]];
        let refused = chain.heights_with(&nowhere, 0..=latest, 100);
        let too_many = ChainError::Postings(PostingsError::TooMany);
        assert_eq!(refused.unwrap_err().to_string(), too_many.to_string());
        let sender = account(1).address();
        let key = PostingKey::Account(sender);
        let newest = chain.newest_with(&key, (5, u32::MAX), 2).unwrap();
        let heights: Vec<u64> = newest.iter().map(|place| place.0).collect();
        assert_eq!(heights, [5, 4]);
        for (height, index) in newest {
            let record = chain.record(height).unwrap().unwrap();
            assert_eq!(record.transactions[index as usize].sender(), sender);
        }
    });
}
