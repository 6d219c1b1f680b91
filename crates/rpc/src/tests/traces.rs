//! Traces over a chain of blocks; what they say of single transactions is tested in the executor.

use super::rig::{EMITTER, Rig, account, emit, recovered, run, signed, word};
use alloy_primitives::{Address, Bytes, TxKind};
use serde_json::{Value, json};

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value
        .as_object()
        .unwrap_or_else(|| panic!("an object: {value}"))
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

/// A block of a transfer, a call that logs and one that reverts.
async fn three(rig: &Rig) -> [String; 3] {
    let hashes = [
        rig.send(0, account(1).address(), Bytes::new()).await,
        rig.send(1, EMITTER, emit(1, 2)).await,
        rig.send(2, EMITTER, Bytes::new()).await,
    ];
    let record = rig.mine().await;
    assert_eq!(record.transactions.len(), 3);
    hashes
}

#[test]
fn a_transaction_is_traced_by_every_tracer() {
    run(|rig| async move {
        let [transfer, logs, reverts] = three(&rig).await;
        let receipt = rig.call("eth_getTransactionReceipt", json!([logs])).await;
        let steps = rig.call("debug_traceTransaction", json!([logs])).await;
        assert_eq!(
            names(&steps),
            ["failed", "gas", "returnValue", "structLogs"]
        );
        let gas = format!("{:#x}", steps["gas"].as_u64().unwrap());
        assert_eq!(gas, receipt["gasUsed"]);
        let first = &steps["structLogs"][0];
        assert_eq!(first["op"], "CALLDATASIZE");
        assert_eq!(first["depth"], 1);
        let options = json!([reverts, { "tracer": "callTracer" }]);
        let frame = rig.call("debug_traceTransaction", options).await;
        assert_eq!(frame["error"], "execution reverted");
        assert_eq!(frame["revertReason"], "no!");
        let config = json!({ "withLog": true });
        let options = json!([logs, { "tracer": "callTracer", "tracerConfig": config }]);
        let frame = rig.call("debug_traceTransaction", options).await;
        assert_eq!(frame["logs"].as_array().unwrap().len(), 1);
        assert_eq!(frame["gasUsed"], receipt["gasUsed"]);
        let options = json!([transfer, { "tracer": "prestateTracer" }]);
        let before = rig.call("debug_traceTransaction", options).await;
        let sender = format!("{:#x}", account(0).address());
        assert_eq!(before[&sender]["balance"], "0x21e19e0c9bab2400000");
        let options = json!([logs, { "tracer": "4byteTracer" }]);
        let selectors = rig.call("debug_traceTransaction", options).await;
        assert_eq!(selectors, json!({ "0x00000000-60": 1 }));
        let options = json!([logs, { "tracer": "noopTracer" }]);
        assert_eq!(rig.call("debug_traceTransaction", options).await, json!({}));
        let options = json!([logs, { "tracer": "flatCallTracer" }]);
        let flat = rig.call("debug_traceTransaction", options).await;
        assert_eq!(flat, rig.call("trace_transaction", json!([logs])).await);
        let config = json!({ "callTracer": {}, "noopTracer": {} });
        let options = json!([logs, { "tracer": "muxTracer", "tracerConfig": config }]);
        let several = rig.call("debug_traceTransaction", options).await;
        assert_eq!(names(&several), ["callTracer", "noopTracer"]);
    });
}

#[test]
fn a_block_is_traced_as_its_transactions_are() {
    run(|rig| async move {
        let hashes = three(&rig).await;
        let options = json!({ "tracer": "callTracer" });
        let by_number = rig
            .call("debug_traceBlockByNumber", json!(["0x1", options]))
            .await;
        let block = rig
            .call("eth_getBlockByNumber", json!(["0x1", false]))
            .await;
        let by_hash = json!([block["hash"], options]);
        assert_eq!(rig.call("debug_traceBlockByHash", by_hash).await, by_number);
        for (traced, hash) in by_number.as_array().unwrap().iter().zip(&hashes) {
            assert_eq!(traced["txHash"], *hash);
            let alone = json!([hash, options]);
            let alone = rig.call("debug_traceTransaction", alone).await;
            assert_eq!(traced["result"], alone);
        }
        let all = rig.call("trace_block", json!(["0x1"])).await;
        let mut expected = Vec::new();
        for hash in &hashes {
            let traces = rig.call("trace_transaction", json!([hash])).await;
            expected.extend(traces.as_array().unwrap().clone());
        }
        assert_eq!(all, json!(expected));
        let filter = json!([{ "fromBlock": "0x1", "toBlock": "latest", "toAddress": [EMITTER], "count": 1 }]);
        let found = rig.call("trace_filter", filter).await;
        assert_eq!(found, json!([expected[1]]));
        let path = json!([hashes[0], []]);
        assert_eq!(rig.call("trace_get", path).await, expected[0]);
        let path = json!([hashes[0], ["0x1"]]);
        assert_eq!(rig.call("trace_get", path).await, Value::Null);
    });
}

#[test]
fn what_the_explorer_asks_for_is_the_call_trace_with_logs() {
    run(|rig| async move {
        let [_, logs, _] = three(&rig).await;
        let frame = crate::debug::call_trace(&rig.backend, &logs.parse().unwrap());
        let frame = frame.unwrap().unwrap();
        assert_eq!(frame.logs.len(), 1);
        assert_eq!(frame.to, Some(EMITTER));
        let unknown = crate::debug::call_trace(&rig.backend, &word(9)).unwrap();
        assert_eq!(unknown, None);
    });
}

#[test]
fn replays_have_what_was_asked_for() {
    run(|rig| async move {
        let [_, logs, _] = three(&rig).await;
        let types = json!(["trace", "stateDiff", "vmTrace"]);
        let replayed = rig
            .call("trace_replayTransaction", json!([logs, types]))
            .await;
        assert_eq!(
            names(&replayed),
            ["output", "stateDiff", "trace", "vmTrace"]
        );
        let emitter = format!("{EMITTER:#x}");
        let diff = &replayed["stateDiff"][&emitter]["storage"][word(0).to_string()];
        assert_eq!(diff["*"], json!({ "from": word(0), "to": word(1) }));
        assert!(!replayed["vmTrace"]["ops"].as_array().unwrap().is_empty());
        let block = json!(["0x1", types]);
        let block = rig.call("trace_replayBlockTransactions", block).await;
        assert_eq!(block[1]["transactionHash"], logs);
        assert_eq!(block[1]["stateDiff"], replayed["stateDiff"]);
        let only = rig
            .call("trace_replayTransaction", json!([logs, ["trace"]]))
            .await;
        assert_eq!(only["trace"], replayed["trace"]);
        assert_eq!(only["vmTrace"], Value::Null);
    });
}

#[test]
fn calls_are_traced_over_what_they_pretend() {
    run(|rig| async move {
        let request = json!({ "to": EMITTER, "data": emit(3, 4) });
        let frame = json!([request, "latest", { "tracer": "callTracer" }]);
        let frame = rig.call("debug_traceCall", frame).await;
        assert_eq!(frame["output"], word(4).to_string());
        // NUMBER PUSH0 MSTORE PUSH1 32 PUSH0 RETURN.
        let code = json!({ (EMITTER.to_string()): { "code": "0x435f5260205ff3" } });
        let options = json!({ "tracer": "callTracer", "stateOverrides": code, "blockOverrides": { "number": "0x63" } });
        let frame = json!([request, "latest", options]);
        let frame = rig.call("debug_traceCall", frame).await;
        assert_eq!(frame["output"], word(99).to_string());
        let traced = rig
            .call("trace_call", json!([request, ["trace"], "latest"]))
            .await;
        assert_eq!(traced["output"], word(4).to_string());
        let many = json!([
            [[request, ["stateDiff"]], [request, ["stateDiff"]]],
            "latest"
        ]);
        let many = rig.call("trace_callMany", many).await;
        let emitter = format!("{EMITTER:#x}");
        let slot = word(0).to_string();
        assert_eq!(
            many[0]["stateDiff"][&emitter]["storage"][&slot]["*"]["to"],
            word(3).to_string()
        );
        assert_eq!(
            many[1]["stateDiff"].get(&emitter),
            None,
            "the second writes what is there"
        );
        let raw = signed(&account(0), 0, TxKind::Call(EMITTER), emit(5, 6));
        let traced = rig
            .call("trace_rawTransaction", json!([raw, ["trace"]]))
            .await;
        assert_eq!(traced["output"], word(6).to_string());
        let hash = recovered(raw).hash();
        let unknown = rig.call("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!(unknown, Value::Null, "it was not sent");
    });
}

#[test]
fn refusals_say_what_there_is() {
    run(|rig| async move {
        let [transfer, ..] = three(&rig).await;
        let script = json!([transfer, { "tracer": "{ result: function() {} }" }]);
        let (code, message) = rig.error("debug_traceTransaction", script).await;
        assert_eq!(code, -32602);
        assert!(message.contains("JavaScript") && message.contains("prestateTracer"));
        let unknown = json!([transfer, { "tracer": "callTrace" }]);
        let (_, message) = rig.error("debug_traceTransaction", unknown).await;
        assert!(message.starts_with("no tracer is called callTrace; there are callTracer"));
        let nested = json!({ "muxTracer": {} });
        let nested = json!([transfer, { "tracer": "muxTracer", "tracerConfig": nested }]);
        assert_eq!(rig.error("debug_traceTransaction", nested).await.0, -32602);
        let wrong = json!([transfer, { "timeout": "soon" }]);
        assert_eq!(
            rig.error("debug_traceTransaction", wrong).await,
            (-32602, "invalid timeout: soon".to_owned())
        );
        assert_eq!(
            rig.error("debug_traceTransaction", json!([word(1)])).await,
            (-32000, "transaction not found".to_owned())
        );
        assert_eq!(
            rig.error("debug_traceBlockByNumber", json!(["0x0"])).await,
            (-32000, "genesis is not traceable".to_owned())
        );
        let filter = json!([{ "fromBlock": "0x1", "toBlock": "0x1", "fromAddress": ["nobody"] }]);
        assert_eq!(rig.error("trace_filter", filter).await.0, -32602);
        assert_eq!(
            rig.call("trace_transaction", json!([word(1)])).await,
            Value::Null
        );
    });
}

#[test]
fn raw_bytes_are_what_hashes_are_made_of() {
    run(|rig| async move {
        let hashes = three(&rig).await;
        let block = rig
            .call("eth_getBlockByNumber", json!(["0x1", false]))
            .await;
        let header = rig.call("debug_getRawHeader", json!(["0x1"])).await;
        let header: Bytes = serde_json::from_value(header).unwrap();
        assert_eq!(
            alloy_primitives::keccak256(&header).to_string(),
            block["hash"].as_str().unwrap()
        );
        let raw = rig.call("debug_getRawBlock", json!([block["hash"]])).await;
        let raw: Bytes = serde_json::from_value(raw).unwrap();
        assert_eq!(format!("{:#x}", raw.len()), block["size"]);
        let transaction = rig
            .call("debug_getRawTransaction", json!([hashes[0]]))
            .await;
        let transaction: Bytes = serde_json::from_value(transaction).unwrap();
        assert_eq!(recovered(transaction).hash().to_string(), hashes[0]);
        let receipts = rig.call("debug_getRawReceipts", json!(["0x1"])).await;
        assert_eq!(receipts.as_array().unwrap().len(), 3);
        let bad = rig.call("debug_getBadBlocks", json!([])).await;
        assert_eq!(bad, json!([]));
        let absent = rig.error("debug_getRawHeader", json!(["0xff"])).await;
        assert_eq!(absent, (-32000, "header not found".to_owned()));
        let nobody = rig.call("trace_block", json!(["0xff"])).await;
        assert_eq!(nobody, Value::Null);
        let sent = rig.send(0, Address::ZERO, Bytes::new()).await;
        let waiting = rig.call("debug_getRawTransaction", json!([sent])).await;
        assert_ne!(waiting, "0x");
    });
}
