//! What only a development chain serves.

use super::rig::{EMITTER, GENESIS_TIME, Options, Rig, account, run, run_with, word};
use crate::Successor;
use alloy_primitives::{Address, B256, Bytes, Signature, U64, U256, address, eip191_hash_message};
use futures::future::{Either, select};
use pipeline::Pace;
use serde_json::{Value, json};
use std::{pin::pin, sync::Mutex, time::Duration};

/// A call that waits for a block, while blocks are made on request.
pub(super) async fn call_and_mine(rig: &Rig, method: &str, params: Value) -> Value {
    let producer = pin!(async {
        loop {
            (rig.backend.clock.sleep)(Duration::from_millis(1)).await;
            if rig.control.pace(0) == Pace::Now {
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
        rig.call("evm_setAutomine", json!([false])).await;
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
        rig.call("evm_setAutomine", json!([false])).await;
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
fn a_contract_is_impersonated() {
    run(|rig| async move {
        let balance = U256::from(10).pow(U256::from(20));
        call_and_mine(&rig, "hardhat_setBalance", json!([EMITTER, balance])).await;
        rig.call("hardhat_impersonateAccount", json!([EMITTER]))
            .await;
        rig.call("evm_setAutomine", json!([false])).await;
        let request = json!({ "from": EMITTER, "to": Address::ZERO, "value": "0x5" });
        let hash = rig.call("eth_sendTransaction", json!([request])).await;
        rig.mine().await;
        let receipt = rig.call("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"], "0x1");
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
        assert!(offset.as_u64().unwrap() >= 3_600, "{offset}");
        call_and_mine(&rig, "evm_mine", json!([])).await;
        assert!(time("latest").await >= before + 3_600);
        let wanted = GENESIS_TIME + 1_000_000;
        rig.call("evm_setNextBlockTimestamp", json!([wanted])).await;
        call_and_mine(&rig, "evm_mine", json!([])).await;
        assert_eq!(time("latest").await, wanted);
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
fn who_waits_for_a_block_is_told_that_the_chain_went_back() {
    run(|rig| async move {
        let mining = rig.error("evm_mine", json!([]));
        let going_back = async {
            let backend = &rig.backend;
            backend.succeed(Successor {
                chain: backend.chain.clone(),
                mempool: backend.mempool.clone(),
                senders: backend.senders.clone(),
                control: rig.control.clone(),
            })
        };
        let ((code, message), _successor) = futures::join!(mining, going_back);
        assert_eq!(code, -32000);
        assert_eq!(message, "the chain went back before this was done");
    });
}

#[test]
fn no_time_is_set_that_no_clock_has() {
    run(|rig| async move {
        let ages = u64::MAX / 1_000;
        for (method, params) in [
            ("evm_setNextBlockTimestamp", json!([ages])),
            ("evm_increaseTime", json!([ages])),
            ("anvil_setBlockTimestampInterval", json!([ages])),
            ("hardhat_mine", json!(["0x2", U64::from(ages)])),
            ("hardhat_mine", json!(["0x2", U64::MAX])),
        ] {
            let (code, message) = rig.error(method, params).await;
            assert_eq!(code, -32602, "{method}");
            assert_eq!(message, "time would be out of range", "{method}");
        }
    });
}

#[test]
fn what_a_chain_cannot_honour_says_why() {
    run(|rig| async move {
        for (method, params) in [
            ("evm_snapshot", json!([])),
            ("evm_revert", json!(["0x1"])),
            ("anvil_reset", json!([])),
            (
                "hardhat_reset",
                json!([{ "forking": { "jsonRpcUrl": "http://127.0.0.1" } }]),
            ),
            ("hardhat_setPrevRandao", json!([word(1)])),
            ("evm_setBlockGasLimit", json!(["0x1"])),
            ("anvil_setRpcUrl", json!(["http://127.0.0.1"])),
        ] {
            let (code, message) = rig.error(method, params).await;
            assert_eq!(code, -32000, "{method}");
            assert!(message.contains("is not supported: "), "{message}");
        }
    });
}

#[test]
fn transactions_wait_while_nobody_asks_for_a_block() {
    run(|rig| async move {
        assert_eq!(rig.call("hardhat_getAutomine", json!([])).await, true);
        rig.call("evm_setAutomine", json!([false])).await;
        assert_eq!(rig.call("anvil_getAutomine", json!([])).await, false);
        let request = json!({ "from": account(0).address(), "to": Address::ZERO });
        let hash = rig.call("eth_sendTransaction", json!([request])).await;
        assert_eq!(rig.control.pace(0), Pace::Asked(None));
        call_and_mine(&rig, "evm_mine", json!([])).await;
        let receipt = rig.call("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["blockNumber"], "0x1");

        rig.call("evm_setIntervalMining", json!([2_500])).await;
        assert_eq!(rig.call("anvil_getIntervalMining", json!([])).await, 3);
        rig.call("anvil_setIntervalMining", json!([4])).await;
        assert_eq!(rig.control.settings().interval_ms, Some(4_000));
        rig.call("evm_setIntervalMining", json!([0])).await;
        let interval = rig.call("anvil_getIntervalMining", json!([])).await;
        assert_eq!(interval, Value::Null);
    });
}

#[test]
fn the_next_block_is_as_it_was_told() {
    run(|rig| async move {
        let coinbase = Address::repeat_byte(0xcb);
        rig.call("hardhat_setCoinbase", json!([coinbase])).await;
        rig.call("hardhat_setNextBlockBaseFeePerGas", json!(["0x5"]))
            .await;
        let pending = rig.call("eth_baseFee", json!([])).await;
        assert_eq!(pending, "0x5");
        let wanted = GENESIS_TIME + 500;
        rig.call("evm_setNextBlockTimestamp", json!([wanted])).await;
        let pending = rig
            .call("eth_getBlockByNumber", json!(["pending", false]))
            .await;
        assert_eq!(pending["timestamp"], format!("{wanted:#x}"));
        let settings = rig.control.settings();
        assert_eq!(settings.proposer, Some(coinbase));
        assert_eq!(settings.next_base_fee, Some(5));
        rig.call("anvil_setBlockTimestampInterval", json!([12]))
            .await;
        assert_eq!(
            rig.call("anvil_removeBlockTimestampInterval", json!([]))
                .await,
            true
        );
    });
}

#[test]
fn the_pool_is_emptied_on_request() {
    run(|rig| async move {
        rig.call("evm_setAutomine", json!([false])).await;
        let send = async |index: u32| {
            let request = json!({ "from": account(index).address(), "to": Address::ZERO });
            rig.call("eth_sendTransaction", json!([request])).await
        };
        let count = async || rig.call("txpool_status", json!([])).await["pending"].clone();
        let first = send(0).await;
        assert_eq!(
            rig.call("anvil_dropTransaction", json!([first])).await,
            first
        );
        assert_eq!(
            rig.call("hardhat_dropTransaction", json!([first])).await,
            false
        );
        send(0).await;
        send(1).await;
        let sender = account(0).address();
        rig.call("anvil_removePoolTransactions", json!([sender]))
            .await;
        assert_eq!(count().await, "0x1");
        rig.call("anvil_dropAllTransactions", json!([])).await;
        assert_eq!(count().await, "0x0");
    });
}

#[test]
fn tools_learn_what_they_ask_for() {
    run(|rig| async move {
        let metadata = rig.call("hardhat_metadata", json!([])).await;
        assert_eq!(metadata["latestBlockNumber"], 0);
        let version = rig.call("web3_clientVersion", json!([])).await;
        assert_eq!(metadata["clientVersion"], version);
        let version = version.as_str().unwrap();
        assert!(version.starts_with("HardhatNetwork/"), "{version}");
        assert!(version.contains("Headway/v"), "{version}");
        let node = rig.call("anvil_nodeInfo", json!([])).await;
        assert_eq!(node["environment"]["chainId"], 31_337);
        assert_eq!(node["currentBlockNumber"], "0x0");
        let logging = json!([true]);
        assert_eq!(
            rig.call("hardhat_setLoggingEnabled", logging.clone()).await,
            true
        );
        assert_eq!(
            rig.call("anvil_setLoggingEnabled", logging).await,
            Value::Null
        );
        let anybody = json!({ "from": Address::repeat_byte(3), "to": Address::ZERO });
        rig.call("anvil_autoImpersonateAccount", json!([true]))
            .await;
        rig.call("evm_setAutomine", json!([false])).await;
        let (_, message) = rig.error("eth_sendTransaction", json!([anybody])).await;
        assert!(message.contains("insufficient funds"), "{message}");
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

#[test]
fn sending_waits_for_the_block_and_says_why_it_failed() {
    run(|rig| async move {
        let request = |value: u64, input: &str| {
            json!([{ "from": account(0).address(), "to": EMITTER, "value": U256::from(value),
                "input": input, "gas": "0x30d40" }])
        };
        let send = async |params: Value| {
            let producer = pin!(async {
                loop {
                    (rig.backend.clock.sleep)(Duration::from_millis(1)).await;
                    if rig.backend.mempool.counts().pending > 0 {
                        rig.mine().await;
                    }
                }
            });
            let call = pin!(rig.try_call("eth_sendTransaction", params));
            match select(call, producer).await {
                Either::Left((answer, _)) => answer,
                Either::Right(((), _)) => unreachable!("it produces for ever"),
            }
        };
        let hash = send(request(0, &super::rig::emit(1, 2).to_string())).await;
        let receipt = json!([hash.unwrap()]);
        let receipt = rig.call("eth_getTransactionReceipt", receipt).await;
        assert_eq!(receipt["status"], "0x1", "it is there without waiting");
        let error = send(request(0, "0x")).await.unwrap_err();
        assert_eq!(error["code"], 3);
        assert_eq!(error["message"], "execution reverted: no!");
        assert!(error["data"].as_str().unwrap().starts_with("0x08c379a0"));
        // It is in a block all the same.
        let sent = json!([account(0).address(), "latest"]);
        let sent = rig.call("eth_getTransactionCount", sent).await;
        assert_eq!(sent, "0x2");
    });
}

#[test]
fn a_dumped_state_is_loaded_by_another_chain() {
    let target = Address::repeat_byte(0x42);
    let dumped = Mutex::new(Value::Null);
    let dump = &dumped;
    run(|rig| async move {
        call_and_mine(&rig, "hardhat_setBalance", json!([target, "0x7"])).await;
        call_and_mine(&rig, "hardhat_setNonce", json!([target, "0x9"])).await;
        call_and_mine(&rig, "hardhat_setCode", json!([target, "0x60016000"])).await;
        let storage = json!([target, "0x3", word(0x33)]);
        call_and_mine(&rig, "hardhat_setStorageAt", storage).await;
        *dump.lock().unwrap() = rig.call("anvil_dumpState", json!([])).await;
        for nonsense in ["0x", "0x1f8b", "0x7b7d"] {
            let (code, message) = rig.error("anvil_loadState", json!([nonsense])).await;
            assert_eq!(code, -32602, "{message}");
        }
    });
    let dump = dumped.into_inner().unwrap();
    run(|rig| async move {
        let loaded = call_and_mine(&rig, "anvil_loadState", json!([dump])).await;
        assert_eq!(loaded, true);
        assert_eq!(rig.call("eth_getBalance", json!([target])).await, "0x7");
        let nonce = rig.call("eth_getTransactionCount", json!([target])).await;
        assert_eq!(nonce, "0x9");
        let code = rig.call("eth_getCode", json!([target])).await;
        assert_eq!(code, "0x60016000");
        let slot = rig.call("eth_getStorageAt", json!([target, "0x3"])).await;
        assert_eq!(slot, word(0x33).to_string());
        // Every account is in a dump, so the next one is the same.
        assert_eq!(rig.call("anvil_dumpState", json!([])).await, dump);
    });
}
