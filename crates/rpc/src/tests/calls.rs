//! Calls, estimates, access lists.

use super::rig::{EMITTER, account, emit, run, word};
use alloy_primitives::Address;
use serde_json::json;

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
