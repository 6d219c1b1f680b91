//! `eth_simulateV1`, and what answers or refuses besides.

use super::{
    dev::call_and_mine,
    rig::{EMITTER, account, emit, run, word},
};
use alloy_primitives::{Address, hex, keccak256};
use serde_json::{Value, json};

const CALLS: &str = "eth_simulateV1";

#[test]
fn blocks_build_on_each_other() {
    run(|rig| async move {
        rig.mine().await;
        let from = account(0).address();
        let call = json!({ "from": from, "to": EMITTER, "input": emit(1, 2) });
        // NUMBER PUSH0 MSTORE PUSH1 32 PUSH0 RETURN.
        let code = json!({ (Address::repeat_byte(9).to_string()): { "code": "0x435f5260205ff3" } });
        let payload = json!({ "blockStateCalls": [
            { "calls": [call, { "from": from, "to": account(1).address(), "value": "0x7" }] },
            { "blockOverrides": { "number": "0x5", "time": "0x7fffffff" }, "stateOverrides": code,
              "calls": [{ "to": Address::repeat_byte(9) }] },
        ], "traceTransfers": true });
        let blocks = rig.call(CALLS, json!([payload, "latest"])).await;
        let numbers: Vec<_> = blocks
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["number"].as_str().unwrap())
            .collect();
        assert_eq!(numbers, ["0x2", "0x3", "0x4", "0x5"], "gaps are filled");
        for pair in blocks.as_array().unwrap().windows(2) {
            assert_eq!(pair[1]["parentHash"], pair[0]["hash"]);
        }
        let calls = &blocks[0]["calls"];
        assert_eq!(calls[0]["status"], "0x1");
        assert_eq!(calls[0]["returnData"], word(2).to_string());
        let log = &calls[1]["logs"][0];
        assert_eq!(log["address"], "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
        assert_eq!(log["data"], word(7).to_string());
        assert_eq!(log["logIndex"], "0x1", "the emitter's log is the first");
        assert_eq!(log["blockHash"], blocks[0]["hash"]);
        assert_eq!(blocks[3]["calls"][0]["returnData"], word(5).to_string());
        assert_eq!(blocks[3]["timestamp"], "0x7fffffff");
        let latest = rig.call("eth_blockNumber", json!([])).await;
        assert_eq!(latest, "0x1", "nothing happened");
    });
}

#[test]
fn a_failed_transfer_leaves_no_log() {
    run(|rig| async move {
        let call = json!({ "from": account(0).address(), "to": EMITTER, "value": "0x7" });
        let payload = json!({ "blockStateCalls": [{ "calls": [call] }], "traceTransfers": true });
        let blocks = rig.call(CALLS, json!([payload])).await;
        let call = &blocks[0]["calls"][0];
        assert_eq!(
            (&call["status"], &call["logs"]),
            (&json!("0x0"), &json!([]))
        );
        assert_eq!(call["error"]["code"], 3);
        assert_eq!(call["error"]["message"], "execution reverted: no!");
    });
}

#[test]
fn broken_rules_have_the_codes_of_the_api() {
    run(|rig| async move {
        let from = account(0).address();
        let refused = async |block: Value, validation: bool| {
            let payload = json!({ "blockStateCalls": [block], "validation": validation });
            rig.error(CALLS, json!([payload])).await.0
        };
        let to = account(1).address();
        let call = |more: Value| {
            let mut call = json!({ "from": from, "to": to });
            for (key, value) in more.as_object().unwrap() {
                call[key] = value.clone();
            }
            json!({ "calls": [call] })
        };
        assert_eq!(refused(call(json!({ "nonce": "0x5" })), true).await, -38011);
        let state = json!({ (from.to_string()): { "nonce": "0x9" } });
        let mut low = call(json!({ "nonce": "0x5" }));
        low["stateOverrides"] = state;
        assert_eq!(refused(low, true).await, -38010);
        let cheap = json!({ "maxFeePerGas": "0x1", "gas": "0x5208" });
        assert_eq!(refused(call(cheap), true).await, -38012);
        assert_eq!(
            refused(call(json!({ "gas": "0x5207" })), false).await,
            -38013
        );
        let much = json!({ "value": "0xffffffffffffffffffffffff" });
        assert_eq!(refused(call(much), false).await, -38014);
        let big = json!({ "gas": "0xffffffff" });
        assert_eq!(refused(call(big), false).await, -38015);
        let same = json!({ "blockOverrides": { "number": "0x0" } });
        assert_eq!(refused(same, false).await, -38020);
        let early = json!({ "blockOverrides": { "time": "0x1" } });
        assert_eq!(refused(early, false).await, -38021);
        let far = json!({ "blockOverrides": { "number": "0x101" } });
        assert_eq!(refused(far, false).await, -38026);
        assert_eq!(
            rig.error(CALLS, json!([{ "blockStateCalls": [] }])).await.0,
            -32602
        );
        let fine = call(json!({ "nonce": "0x5" }));
        let fine = json!([{ "blockStateCalls": [fine], "returnFullTransactions": true }]);
        let blocks = rig.call(CALLS, fine).await;
        assert_eq!(blocks[0]["transactions"][0]["nonce"], "0x5");
        let sender = format!("{from:#x}");
        assert_eq!(blocks[0]["transactions"][0]["from"], sender);
    });
}

#[test]
fn a_transaction_is_filled_in() {
    run(|rig| async move {
        let request = json!({ "from": account(0).address(), "to": EMITTER, "input": emit(1, 2) });
        let filled = rig.call("eth_fillTransaction", json!([request])).await;
        assert_eq!(filled["tx"]["type"], "0x2");
        assert_eq!(filled["tx"]["nonce"], "0x0");
        assert!(filled["tx"]["maxFeePerGas"].is_string());
        assert!(filled["raw"].as_str().unwrap().starts_with("0x02"));
    });
}

#[test]
fn the_small_ones_answer() {
    run(|rig| async move {
        let config = rig.call("eth_config", json!([])).await;
        assert_eq!(config["current"]["chainId"], "0x7a69");
        assert_eq!(config["next"], Value::Null);
        let precompiles = config["current"]["precompiles"].as_object().unwrap();
        assert_eq!(precompiles.len(), 18);
        assert_eq!(
            precompiles["P256VERIFY"],
            "0x0000000000000000000000000000000000000100"
        );
        let kept = rig.call("eth_capabilities", json!([])).await;
        assert_eq!(kept["state"]["oldestBlock"], "0x0");
        assert_eq!(kept["head"]["number"], "0x0");
        let values = json!([{ (EMITTER.to_string()): ["0x0", "0x1"] }]);
        let values = rig.call("eth_getStorageValues", values).await;
        let emitter = format!("{EMITTER:#x}");
        assert_eq!(values[&emitter], json!([word(0), word(0)]));
        assert_eq!(rig.call("eth_mining", json!([])).await, false);
        assert_eq!(rig.call("eth_hashrate", json!([])).await, "0x0");
        let node = rig.call("admin_nodeInfo", json!([])).await;
        assert_eq!(node["protocols"]["headway"]["network"], 31_337);
        let (code, message) = rig.error("engine_getPayloadV4", json!([])).await;
        assert_eq!(code, -32000);
        assert!(
            message.contains("consensus is part of this node"),
            "{message}"
        );
    });
}

#[test]
fn a_failure_is_told() {
    run(|rig| async move {
        let hash = rig.send(0, EMITTER, Default::default()).await;
        let record = rig.mine().await;
        let story = crate::console::story(&rig.backend, record).unwrap();
        assert_eq!(story, [format!("transaction {hash} failed: no!")]);
    });
}

#[test]
fn the_console_is_told_where_it_is_touched() {
    run(|rig| async move {
        // Passes its input on to the console.
        let code = [
            &hex!("36600060003760006000366000" "73")[..],
            executor::CONSOLE.as_slice(),
            &hex!("5afa00")[..],
        ]
        .concat();
        let speaker = Address::repeat_byte(0x42);
        let set = json!([speaker, alloy_primitives::Bytes::from(code)]);
        call_and_mine(&rig, "hardhat_setCode", set).await;
        let selector = &keccak256("log(string,uint256)")[..4];
        let words = [word(64).0, word(42).0, word(2).0];
        let text = [&b"n="[..], &[0; 30]].concat();
        let input = [selector, words.concat().as_slice(), text.as_slice()].concat();
        rig.send(0, speaker, input.into()).await;
        rig.send(1, EMITTER, emit(1, 2)).await;
        let record = rig.mine().await;
        assert!(record.receipts.iter().all(executor::Receipt::is_success));
        let story = crate::console::story(&rig.backend, record).unwrap();
        assert_eq!(story, ["n= 42"]);
    });
}

#[test]
fn what_only_a_development_chain_does_is_traced_too() {
    run(|rig| async move {
        let whale = Address::repeat_byte(0x77);
        call_and_mine(
            &rig,
            "hardhat_setBalance",
            json!([whale, "0xde0b6b3a7640000"]),
        )
        .await;
        rig.call("hardhat_impersonateAccount", json!([whale])).await;
        let request =
            json!({ "from": whale, "to": EMITTER, "input": emit(6, 1), "gas": "0x30d40" });
        let hash = rig.call("eth_sendTransaction", json!([request])).await;
        // What is set is in a block of its own, before that of the transaction.
        let set = json!([EMITTER, "0x0", word(5)]);
        call_and_mine(&rig, "hardhat_setStorageAt", set).await;
        rig.mine().await;
        let options = json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } });
        let diff = rig
            .call("debug_traceTransaction", json!([hash, options]))
            .await;
        let emitter = format!("{EMITTER:#x}");
        let slot = word(0).to_string();
        assert_eq!(
            diff["pre"][&emitter]["storage"][&slot],
            word(5).to_string(),
            "the directive came first"
        );
        assert_eq!(
            diff["post"][&emitter]["storage"][&slot],
            word(6).to_string()
        );
    });
}
