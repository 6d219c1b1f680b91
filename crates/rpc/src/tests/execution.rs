//! What a block read and wrote, and how it was executed.

use super::rig::{EMITTER, Options, Rig, account, emit, run, run_with, simulate, word};
use alloy_primitives::{Address, B256, Bytes};
use pipeline::PipelineConfig;
use serde_json::{Value, json};
use std::{num::NonZeroUsize, sync::mpsc};

const TO: Address = Address::repeat_byte(0x77);

/// What a list says of an account.
fn account_in(list: &Value, address: Address) -> &Value {
    let accounts = list["accounts"].as_array().unwrap();
    let own = |one: &&Value| one["address"].as_str().unwrap().parse() == Ok(address);
    accounts.iter().find(own).unwrap()
}

async fn access_list(rig: &Rig, block: Value) -> Value {
    rig.call("headway_getBlockAccessList", json!([block])).await
}

#[test]
fn an_access_list_says_what_a_block_did() {
    run(|rig| async move {
        rig.send(0, TO, Bytes::new()).await;
        rig.send(1, EMITTER, emit(9, 1)).await;
        let record = rig.mine().await;
        let list = access_list(&rig, json!("latest")).await;
        let emitter = record.transactions[0].sender() != account(0).address();
        let (transfer, call) = if emitter {
            ("0x2", "0x1")
        } else {
            ("0x1", "0x2")
        };
        let received = account_in(&list, TO);
        assert_eq!(
            received["balanceChanges"],
            json!([{ "index": transfer, "value": "0x1" }])
        );
        assert_eq!(received["nonceChanges"], json!([]));
        let sender = account_in(&list, account(0).address());
        assert_eq!(
            sender["nonceChanges"],
            json!([{ "index": transfer, "value": "0x1" }])
        );
        let contract = account_in(&list, EMITTER);
        let change = json!({ "index": call, "value": word(9) });
        let changes = json!([{ "key": word(0), "changes": [change] }]);
        assert_eq!(contract["storageChanges"], changes);
        for empty in ["storageReads", "balanceChanges", "codeChanges", "wipes"] {
            assert_eq!(contract[empty], json!([]), "{empty}");
        }
        let gas = record
            .receipts
            .iter()
            .map(|one| format!("{:#x}", one.gas_used));
        assert_eq!(list["gasUsed"], json!(gas.collect::<Vec<_>>()));
        for same in [
            json!("0x1"),
            json!(record.hash),
            json!({ "blockHash": record.hash }),
        ] {
            assert_eq!(access_list(&rig, same).await, list);
        }
        let stored = rig.backend.chain.access_list(1).unwrap().unwrap();
        let hash: B256 = list["hash"].as_str().unwrap().parse().unwrap();
        assert_eq!(executor::AccessList::decode(&stored).unwrap().hash(), hash);
    });
}

#[test]
fn genesis_lists_nothing() {
    run(|rig| async move {
        let list = access_list(&rig, json!("earliest")).await;
        assert_eq!(list["accounts"], json!([]));
        assert_eq!(list["gasUsed"], json!([]));
    });
}

#[test]
fn an_execution_is_told_while_it_is_known() {
    run(|rig| async move {
        rig.send(0, EMITTER, emit(1, 2)).await;
        let record = rig.mine().await;
        let execution = rig
            .call("headway_getBlockExecution", json!([record.hash]))
            .await;
        assert_eq!(execution["height"], "0x1");
        assert_eq!(execution["way"], "inOrder");
        assert_eq!(execution["workers"], 1);
        assert_eq!(execution["conflicts"], json!([]));
        for stage in ["executeUs", "commitUs", "rootsUs", "accessListUs"] {
            assert!(execution[stage].is_u64(), "{stage}");
        }
        assert!(execution.get("spans").is_none());
    });
}

/// Hash, access list and execution of a block in which all write one slot.
fn contended_block(workers: usize) -> (B256, Value, Value) {
    let options = Options {
        pipeline: PipelineConfig {
            workers: NonZeroUsize::new(workers).unwrap(),
            spans: true,
            ..PipelineConfig::default()
        },
        ..Options::default()
    };
    let (told, asked) = mpsc::channel();
    run_with(options, |rig| async move {
        for call in 0..48 {
            rig.send(call % 4, EMITTER, emit(u64::from(call) + 1, 0))
                .await;
        }
        let hash = rig.mine().await.hash;
        let execution = rig.call("headway_getBlockExecution", json!([hash])).await;
        let list = access_list(&rig, json!(hash)).await;
        told.send((hash, list, execution)).unwrap();
    });
    asked.recv().unwrap()
}

#[test]
fn a_profile_names_the_slot_that_all_wait_for() {
    run(|rig| async move {
        for call in 0..40 {
            // The EMITTER keeps its first word in slot 0: everybody writes to one place.
            rig.send(call % 4, EMITTER, emit(u64::from(call) + 1, 0))
                .await;
        }
        rig.send(0, TO, Bytes::new()).await;
        let record = rig.mine().await;
        let profile = rig
            .call("headway_getBlockProfile", json!([record.hash]))
            .await;
        assert_eq!(profile["height"], "0x1");
        assert_eq!(profile["hash"], json!(record.hash));
        assert_eq!(profile["transactionCount"], 41);
        assert_eq!(profile["gasUsed"], record.header.gas_used);
        assert_eq!(profile["waitingCount"], 39);
        assert_eq!(profile["placeCount"], 1);
        let path = &profile["criticalPath"];
        assert_eq!(path["transactionCount"], 40);
        assert_eq!(path["transactionCountMax"], 40);
        assert!(path["gasPermille"].as_u64().unwrap() > 950, "{path}");
        let place = &profile["hotPlaces"][0];
        assert_eq!(place["address"], json!(EMITTER));
        assert_eq!(place["slot"], json!(word(0)));
        assert_eq!(place["waitingCount"], 39);
        assert!(place["criticalPermille"].as_u64().unwrap() > 900, "{place}");
        assert_eq!(place["reexecutionCount"], 0);
        assert_eq!(place["functions"][0]["to"], json!(EMITTER));
        assert_eq!(place["functions"][0]["selector"], "0x00000000");
        assert_eq!(place["functions"][0]["transactionCount"], 40);
        let advice = profile["advice"].as_array().unwrap();
        let named = format!("39 of 41 transactions wait for slot 0x0 of {EMITTER}");
        assert!(
            advice[1].as_str().unwrap().starts_with(&named),
            "{advice:?}"
        );
        assert_eq!(profile["execution"]["way"], "inOrder");
        assert_eq!(profile["execution"]["busyPermille"], Value::Null);
        assert!(profile.get("schedule").is_none());
        let bound = &profile["speedups"][0];
        assert!(bound["boundPermille"].as_u64().unwrap() < 1_050, "{bound}");
        let scheduled = rig
            .call("headway_getBlockProfile", json!(["latest", 2]))
            .await;
        let schedule = &scheduled["schedule"];
        assert_eq!(schedule["workers"], 2);
        assert!(schedule["gas"].as_u64() >= path["gas"].as_u64());
        assert!(!schedule["spans"].as_array().unwrap().is_empty());
    });
}

#[test]
fn a_profile_of_nothing_is_empty_and_of_an_unknown_block_null() {
    run(|rig| async move {
        let profile = rig
            .call("headway_getBlockProfile", json!(["earliest"]))
            .await;
        assert_eq!(profile["transactionCount"], 0);
        assert_eq!(profile["advice"], json!(["The block is empty."]));
        for unknown in [json!("0x63"), json!("pending")] {
            let answer = rig.call("headway_getBlockProfile", json!([unknown])).await;
            assert_eq!(answer, Value::Null);
        }
        for workers in [0, 65] {
            let refused = rig
                .error("headway_getBlockProfile", json!(["latest", workers]))
                .await;
            assert_eq!(refused.0, -32602, "{refused:?}");
        }
    });
}

#[test]
fn workers_change_how_a_block_is_executed_and_nothing_else() {
    let (hash, list, execution) = contended_block(1);
    assert_eq!(execution["way"], "inOrder");
    let slot = &account_in(&list, EMITTER)["storageChanges"][0]["changes"];
    assert_eq!(slot.as_array().unwrap().len(), 48);
    let (same_hash, same_list, execution) = contended_block(3);
    assert_eq!((same_hash, &same_list), (hash, &list));
    assert_eq!(execution["way"], "first");
    assert_eq!(execution["workers"], 3);
    let spans = execution["spans"].as_array().unwrap();
    assert!(spans.len() >= 48, "spans={}", spans.len());
    for conflict in execution["conflicts"].as_array().unwrap() {
        let named = conflict["transactions"].as_array().unwrap().len();
        assert_eq!(conflict["transactionCount"], named);
    }
}

#[test]
fn the_simulator_tells_the_same_for_the_same_seed() {
    let scenario = |rig: Rig| async move {
        rig.send(0, EMITTER, emit(1, 2)).await;
        rig.mine().await;
        let execution = rig.call("headway_getBlockExecution", json!(["latest"]));
        (access_list(&rig, json!("latest")).await, execution.await)
    };
    let told = simulate(3, scenario);
    assert_eq!(told.1["executeUs"], 0, "no time passes in there");
    assert_eq!(told, simulate(3, scenario));
}
