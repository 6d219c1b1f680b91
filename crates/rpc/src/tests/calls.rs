//! Calls, estimates, access lists.

use super::rig::{EMITTER, Options, account, emit, run, run_with, word};
use crate::{RpcConfig, backend::run_code};
use alloy_primitives::Address;
use futures::future::{Either, select};
use serde_json::json;
use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

#[test]
fn a_call_returns_or_tells_why_it_reverted() {
    run(|rig| async move {
        let call = json!({ "to": EMITTER, "data": emit(1, 2) });
        assert_eq!(
            rig.call("eth_call", json!([call, "latest"])).await,
            word(2).to_string()
        );
        assert_eq!(
            rig.call("eth_call", json!([call])).await,
            word(2).to_string()
        );
        let error = rig
            .try_call("eth_call", json!([{ "to": EMITTER }, "latest"]))
            .await
            .unwrap_err();
        assert_eq!(error["code"], 3);
        assert_eq!(error["message"], "execution reverted: no!");
        assert!(error["data"].as_str().unwrap().starts_with("0x08c379a0"));
        let error = rig
            .try_call("eth_estimateGas", json!([{ "to": EMITTER }]))
            .await
            .unwrap_err();
        assert_eq!(error["code"], 3);
        assert_eq!(error["message"], "execution reverted: no!");
    });
}

#[test]
fn overrides_pretend() {
    run(|rig| async move {
        // Returns the block number: NUMBER PUSH0 MSTORE PUSH1 32 PUSH0 RETURN.
        let code = "0x435f5260205ff3";
        let target = Address::repeat_byte(0x77);
        let state = json!({ target.to_string(): { "code": code } });
        let call = json!({ "to": target });
        rig.mine().await;
        let number = rig.call("eth_call", json!([call, "latest", state])).await;
        assert_eq!(
            number,
            word(1).to_string(),
            "as in geth, the block's own number"
        );
        let number = rig.call("eth_call", json!([call, "pending", state])).await;
        assert_eq!(number, word(2).to_string());
        let number = rig
            .call(
                "eth_call",
                json!([call, "latest", state, { "number": "0x63" }]),
            )
            .await;
        assert_eq!(number, word(99).to_string());
        let both = json!({ target.to_string(): { "state": {}, "stateDiff": {} } });
        assert_eq!(
            rig.error("eth_call", json!([call, "latest", both])).await.0,
            -32602
        );
    });
}

#[test]
fn an_estimate_is_enough() {
    run(|rig| async move {
        let from = account(0).address();
        let transfer = json!({ "from": from, "to": Address::ZERO, "value": "0x1" });
        assert_eq!(
            rig.call("eth_estimateGas", json!([transfer])).await,
            "0x5208"
        );
        let poor = json!({ "from": Address::repeat_byte(1), "to": Address::ZERO, "value": "0x1" });
        let (code, message) = rig.error("eth_estimateGas", json!([poor])).await;
        assert_eq!(code, -32000);
        assert!(message.contains("insufficient funds"), "{message}");
    });
}

#[test]
fn an_access_list_names_what_is_touched() {
    run(|rig| async move {
        let call = json!({ "from": account(0).address(), "to": EMITTER, "data": emit(1, 2) });
        let answer = rig
            .call("eth_createAccessList", json!([call, "latest"]))
            .await;
        let expected = json!([{ "address": format!("{EMITTER:#x}"), "storageKeys": [word(0)] }]);
        assert_eq!(answer["accessList"], expected);
        assert!(answer.get("error").is_none());
        assert!(answer["gasUsed"].is_string());
        let answer = rig
            .call("eth_createAccessList", json!([{ "to": EMITTER }]))
            .await;
        assert_eq!(answer["error"], "execution reverted: no!");
    });
}

#[test]
fn code_that_runs_long_leaves_a_place_for_everything_else() {
    let config = RpcConfig {
        blocking_calls_max: 2,
        ..RpcConfig::dev()
    };
    let options = Options {
        config,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let (end, running) = std::sync::mpsc::sync_channel::<()>(0);
        let running = Arc::new(Mutex::new(running));
        let long = || {
            let running = Arc::clone(&running);
            run_code(Arc::clone(&rig.backend), move |_| {
                // An error means that it may end.
                running.lock().unwrap().recv().ok();
                Ok(())
            })
        };
        let all = pin!(futures::future::join_all([long(), long(), long()]));
        let block = rig.call("eth_getBlockByNumber", json!(["latest", false]));
        let Either::Right((block, all)) = select(all, pin!(block)).await else {
            panic!("what does not end ended");
        };
        assert_eq!(block["number"], "0x0");
        drop(end);
        assert!(all.await.into_iter().all(|ended| ended.is_ok()));
    });
}
