//! Subscriptions.

use super::rig::{EMITTER, Rig, emit, run, word};
use alloy_primitives::{Address, Bytes};
use jsonrpsee::core::JsonRawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

struct Push {
    messages: Receiver<Box<JsonRawValue>>,
    id: Value,
}

impl Push {
    async fn start(rig: &Rig, method: &str, params: Value) -> Self {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (answer, messages) = rig
            .methods
            .raw_json_request(&request.to_string(), 64)
            .await
            .unwrap();
        let answer: Value = serde_json::from_str(answer.get()).unwrap();
        let id = answer["result"].clone();
        assert!(!id.is_null(), "{answer}");
        Self { messages, id }
    }

    async fn next(&mut self) -> Value {
        let message = self.messages.recv().await.unwrap();
        let mut message: Value = serde_json::from_str(message.get()).unwrap();
        assert_eq!(message["params"]["subscription"], self.id);
        message["params"]["result"].take()
    }

    fn is_silent(&mut self) -> bool {
        self.messages.try_recv().is_err()
    }
}

#[test]
fn heads_come_once_and_in_order() {
    run(|rig| async move {
        rig.mine().await;
        let mut heads = Push::start(&rig, "eth_subscribe", json!(["newHeads"])).await;
        for number in 2..6 {
            let record = rig.mine().await;
            let head = heads.next().await;
            assert_eq!(head["number"], format!("{number:#x}"));
            assert_eq!(head["hash"], record.hash.to_string());
            assert!(head.get("transactions").is_none());
        }
        assert!(heads.is_silent());
    });
}

#[test]
fn heads_executed_again_after_a_restart_are_no_news() {
    run(|rig| async move {
        rig.pipeline.sync_target(2);
        let mut heads = Push::start(&rig, "eth_subscribe", json!(["newHeads"])).await;
        let mut syncing = Push::start(&rig, "eth_subscribe", json!(["syncing"])).await;
        assert_eq!(syncing.next().await["highestBlock"], "0x2");
        for _ in 0..3 {
            rig.mine().await;
        }
        assert_eq!(heads.next().await["number"], "0x3");
        assert_eq!(syncing.next().await, false);
    });
}

#[test]
fn logs_are_only_those_asked_for() {
    run(|rig| async move {
        let filter = json!(["logs", { "address": EMITTER, "topics": [null, word(2)] }]);
        let mut logs = Push::start(&rig, "eth_subscribe", filter).await;
        rig.send(0, EMITTER, emit(1, 10)).await;
        let hash = rig.send(0, EMITTER, emit(2, 20)).await;
        rig.mine().await;
        let log = logs.next().await;
        assert_eq!(log["transactionHash"], hash);
        assert_eq!(log["logIndex"], "0x1");
        assert!(logs.is_silent());
    });
}

#[test]
fn pending_transactions_by_hash_or_full() {
    run(|rig| async move {
        let mut hashes =
            Push::start(&rig, "eth_subscribe", json!(["newPendingTransactions"])).await;
        let mut full = Push::start(
            &rig,
            "eth_subscribe",
            json!(["newPendingTransactions", true]),
        )
        .await;
        let hash = rig.send(0, Address::ZERO, Bytes::new()).await;
        assert_eq!(hashes.next().await, hash);
        assert_eq!(full.next().await["hash"], hash);
    });
}

#[test]
fn every_stage_is_told() {
    run(|rig| async move {
        let mut stages = Push::start(&rig, "headway_subscribe", json!([])).await;
        rig.mine().await;
        for stage in ["proposed", "finalized", "executed"] {
            let reached = stages.next().await;
            assert_eq!(reached["height"], "0x1");
            assert_eq!(reached["stage"], stage);
            assert!(reached["timestampMs"].is_u64());
        }
    });
}

#[test]
fn unknown_kinds_are_refused() {
    run(|rig| async move {
        let (code, message) = rig.error("eth_subscribe", json!(["newEverything"])).await;
        assert_eq!(code, -32602);
        assert!(message.contains("newEverything"), "{message}");
        assert_eq!(rig.error("eth_subscribe", json!([])).await.0, -32602);
    });
}
