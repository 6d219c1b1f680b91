//! What only a development chain serves.

use super::rig::{EMITTER, GENESIS_TIME, Options, Rig, account, run, run_with, word};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, address, eip191_hash_message};
use futures::future::{Either, select};
use serde_json::{Value, json};
use std::{pin::pin, time::Duration};

/// A call that waits for a block, while blocks are made on request.
pub(super) async fn call_and_mine(rig: &Rig, method: &str, params: Value) -> Value {
    let producer = pin!(async {
        loop {
            (rig.backend.clock.sleep)(Duration::from_millis(1)).await;
            if rig.control.take_request() {
                rig.mine().await;
            }
        }
    });
    let call = pin!(rig.call(method, params));
    match select(call, producer).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), _)) => unreachable!("it produces for ever"),
    }
}

#[test]
fn unlocked_accounts_send() {
    run(|rig| async move {
        let accounts = rig.call("eth_accounts", json!([])).await;
        let from = format!("{:#x}", account(0).address());
        assert_eq!(accounts[0], from);
        let to = Address::repeat_byte(9);
        let request = json!({ "from": from, "to": to, "value": "0x5" });
        let first = rig.call("eth_sendTransaction", json!([request])).await;
        let second = rig.call("eth_sendTransaction", json!([request])).await;
        rig.mine().await;
        for (hash, nonce) in [(first, "0x0"), (second, "0x1")] {
            let transaction = rig.call("eth_getTransactionByHash", json!([hash])).await;
            assert_eq!(transaction["nonce"], nonce);
            assert_eq!(transaction["gas"], "0x5208");
            assert_eq!(transaction["from"], from);
        }
        assert_eq!(rig.call("eth_getBalance", json!([to])).await, "0xa");
        let stranger = json!({ "from": Address::repeat_byte(3), "to": Address::ZERO });
        let answer = rig.error("eth_sendTransaction", json!([stranger])).await;
        assert_eq!(answer, (-32000, "unknown account".to_owned()));
    });
}

#[test]
fn a_signed_transaction_can_be_sent() {
    run(|rig| async move {
        let request = json!({ "from": account(0).address(), "to": EMITTER, "data": "0x01", "gasPrice": "0x77359400" });
        let signed = rig.call("eth_signTransaction", json!([request])).await;
        assert_eq!(signed["tx"]["type"], "0x0");
        let hash = rig
            .call("eth_sendRawTransaction", json!([signed["raw"]]))
            .await;
        assert_eq!(hash, signed["tx"]["hash"]);
    });
}

#[test]
fn an_impersonated_account_sends() {
    run(|rig| async move {
        let whale = address!("00000000000000000000000000000000000a11ce");
        let balance = U256::from(10).pow(U256::from(20));
        call_and_mine(&rig, "hardhat_setBalance", json!([whale, balance])).await;
        let request = json!({ "from": whale, "to": Address::ZERO, "value": "0x5" });
        assert_eq!(
            rig.error("eth_sendTransaction", json!([request])).await.1,
            "unknown account"
        );
        rig.call("hardhat_impersonateAccount", json!([whale])).await;
        let hash = rig.call("eth_sendTransaction", json!([request])).await;
        rig.mine().await;
        let receipt = rig.call("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"], "0x1");
        assert_eq!(receipt["from"], format!("{whale:#x}"));
        assert_eq!(
            rig.call("anvil_stopImpersonatingAccount", json!([whale]))
                .await,
            true
        );
        assert_eq!(
            rig.error("eth_sendTransaction", json!([request])).await.1,
            "unknown account"
        );
    });
}

#[test]
fn state_is_set_in_a_block() {
    run(|rig| async move {
        let target = Address::repeat_byte(0x42);
        call_and_mine(&rig, "hardhat_setBalance", json!([target, "0x7"])).await;
        call_and_mine(&rig, "anvil_setNonce", json!([target, "0x9"])).await;
        call_and_mine(&rig, "hardhat_setCode", json!([target, "0x60016000"])).await;
        let storage = json!([target, "0x3", word(0x33)]);
        call_and_mine(&rig, "hardhat_setStorageAt", storage).await;
        assert_eq!(rig.call("eth_getBalance", json!([target])).await, "0x7");
        assert_eq!(
            rig.call("eth_getTransactionCount", json!([target])).await,
            "0x9"
        );
        assert_eq!(rig.call("eth_getCode", json!([target])).await, "0x60016000");
        let slot = rig.call("eth_getStorageAt", json!([target, "0x3"])).await;
        assert_eq!(slot, word(0x33).to_string());
        assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x4");
    });
}

#[test]
fn blocks_and_time_come_on_request() {
    run(|rig| async move {
        call_and_mine(&rig, "evm_mine", json!([])).await;
        assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x1");
        call_and_mine(&rig, "hardhat_mine", json!(["0x3", "0x64"])).await;
        assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x4");
        let time = async |number: &str| {
            let block = rig
                .call("eth_getBlockByNumber", json!([number, false]))
                .await;
            let time: U256 = serde_json::from_value(block["timestamp"].clone()).unwrap();
            time.to::<u64>()
        };
        assert!(
            time("0x4").await >= time("0x2").await + 200,
            "a hundred seconds apart"
        );
        let before = time("latest").await;
        let offset = rig.call("evm_increaseTime", json!([3_600])).await;
        assert_eq!(offset, 3_800);
        call_and_mine(&rig, "evm_mine", json!([])).await;
        assert!(time("latest").await >= before + 3_600);
        let wanted = GENESIS_TIME + 1_000_000;
        rig.call("evm_setNextBlockTimestamp", json!([wanted])).await;
        call_and_mine(&rig, "evm_mine", json!([])).await;
        assert!(time("latest").await - wanted <= 1);
        let (code, message) = rig
            .error("evm_setNextBlockTimestamp", json!([wanted - 9]))
            .await;
        assert_eq!(code, -32602);
        assert!(
            message.contains("lower than or equal to previous"),
            "{message}"
        );
    });
}

#[test]
fn what_a_final_order_cannot_honour_says_why() {
    run(|rig| async move {
        for (method, params) in [
            ("evm_snapshot", json!([])),
            ("evm_revert", json!(["0x1"])),
            ("anvil_reset", json!([])),
            ("evm_setAutomine", json!([false])),
            ("evm_setIntervalMining", json!([5])),
        ] {
            let (code, message) = rig.error(method, params).await;
            assert_eq!(code, -32000, "{method}");
            assert!(message.contains("is not supported: "), "{message}");
        }
        assert_eq!(rig.call("evm_setAutomine", json!([true])).await, true);
        assert_eq!(rig.call("evm_setIntervalMining", json!([0])).await, true);
    });
}

#[test]
fn with_several_validators_nothing_is_promised() {
    let options = Options {
        validators: 4,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        for (method, params) in [
            ("evm_mine", json!([])),
            ("evm_increaseTime", json!([5])),
            ("hardhat_setBalance", json!([Address::ZERO, "0x1"])),
        ] {
            let (code, message) = rig.error(method, params).await;
            assert_eq!(code, -32000, "{method}");
            assert!(message.contains("several validators"), "{message}");
        }
    });
}

#[test]
fn messages_are_signed() {
    run(|rig| async move {
        let address = account(1).address();
        let message = Bytes::from_static(b"hello");
        let one = rig.call("personal_sign", json!([message, address])).await;
        assert_eq!(rig.call("eth_sign", json!([address, message])).await, one);
        let recover = |signature: &Value, hash: B256| {
            let bytes: Bytes = serde_json::from_value(signature.clone()).unwrap();
            let signature = Signature::from_raw(&bytes).unwrap();
            signature.recover_address_from_prehash(&hash).unwrap()
        };
        assert_eq!(recover(&one, eip191_hash_message(&message)), address);

        let typed = json!({
            "types": {
                "EIP712Domain": [{ "name": "name", "type": "string" }],
                "Mail": [{ "name": "text", "type": "string" }],
            },
            "primaryType": "Mail",
            "domain": { "name": "Test" },
            "message": { "text": "hello" },
        });
        let parsed: alloy_dyn_abi::TypedData = serde_json::from_value(typed.clone()).unwrap();
        let hash = parsed.eip712_signing_hash().unwrap();
        for typed in [typed.clone(), Value::String(typed.to_string())] {
            let signature = rig
                .call("eth_signTypedData_v4", json!([address, typed]))
                .await;
            assert_eq!(recover(&signature, hash), address);
        }
    });
}
