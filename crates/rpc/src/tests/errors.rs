//! Codes and messages.

use super::rig::{EMITTER, Options, STORE, account, run, run_with, sign, signed, word};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use pipeline::StateProgress;
use serde_json::json;

#[test]
fn wrong_arguments_are_32602_and_say_which() {
    run(|rig| async move {
        let missing = "missing value for required argument 0".to_owned();
        assert_eq!(
            rig.error("eth_getBalance", json!([])).await,
            (-32602, missing)
        );
        for (method, params) in [
            ("eth_getBalance", json!(["0x12", "latest"])),
            ("eth_getBlockByNumber", json!(["newest", false])),
            ("eth_sendRawTransaction", json!(["no hex"])),
            ("eth_getStorageAt", json!([EMITTER, "zz", "latest"])),
            ("eth_getLogs", json!(["x"])),
        ] {
            let (code, message) = rig.error(method, params).await;
            assert_eq!(code, -32602, "{method}");
            assert!(
                message.starts_with("invalid argument "),
                "{method}: {message}"
            );
        }
        let (code, message) = rig.error("eth_chainId", json!([1])).await;
        assert_eq!(
            (code, message.as_str()),
            (-32602, "too many arguments, want at most 0")
        );
        assert_eq!(rig.error("eth_chainId", json!({ "a": 1 })).await.0, -32602);
        assert_eq!(rig.error("eth_nonsense", json!([])).await.0, -32601);
    });
}

#[test]
fn a_block_that_is_not_there_has_no_state() {
    run(|rig| async move {
        let address = account(0).address();
        for method in ["eth_getBalance", "eth_getCode", "eth_getTransactionCount"] {
            let answer = rig.error(method, json!([address, "0xff"])).await;
            assert_eq!(answer, (-32000, "header not found".to_owned()), "{method}");
        }
        let by_hash = json!([address, { "blockHash": word(1) }]);
        let answer = rig.error("eth_getBalance", by_hash).await;
        assert_eq!(answer, (-32000, "header for hash not found".to_owned()));
        let answer = rig
            .error("eth_call", json!([{ "to": EMITTER }, "0xff"]))
            .await;
        assert_eq!(answer.0, -32000);
        let answer = rig
            .error("eth_feeHistory", json!(["0x1", "0xff", []]))
            .await;
        assert_eq!(
            answer,
            (
                -32000,
                "request beyond head block: requested 255, head 0".to_owned()
            )
        );
    });
}

#[test]
fn state_that_is_not_kept_names_the_oldest() {
    run(|rig| async move {
        let address = account(0).address();
        let kept = STORE.history_blocks.unwrap();
        for _ in 0..kept - 8 {
            rig.verify().await;
        }
        let oldest = rig.call("eth_getBalance", json!([address, "0x0"])).await;
        assert!(oldest.is_string(), "all blocks are kept as yet: {oldest}");
        // The store lets go of heights when it flushes, some at a time, and of what was written there.
        for _ in 0..3 * kept {
            rig.send(0, Address::ZERO, Bytes::new()).await;
            rig.mine().await;
            rig.verify().await;
        }
        let (code, message) = rig.error("eth_getBalance", json!([address, "0x0"])).await;
        assert_eq!(code, -32000);
        assert!(
            message.starts_with("historical state not available"),
            "{message}"
        );
        assert!(message.contains("missing trie node"), "{message}");
        let block = rig
            .call("eth_getBlockByNumber", json!(["0x0", false]))
            .await;
        assert_eq!(block["number"], "0x0", "blocks stay");
    });
}

#[test]
fn refused_transactions_have_geths_words() {
    run(|rig| async move {
        rig.send(0, Address::ZERO, Bytes::new()).await;
        rig.mine().await;
        let fields = TxEip1559 {
            chain_id: super::rig::CHAIN_ID,
            nonce: 1,
            gas_limit: 21_000,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Address::ZERO),
            ..TxEip1559::default()
        };
        let cases = [
            (
                TxEip1559 {
                    nonce: 0,
                    ..fields.clone()
                },
                "nonce too low",
            ),
            (
                TxEip1559 {
                    value: U256::MAX >> 1,
                    ..fields.clone()
                },
                "insufficient funds",
            ),
            (
                TxEip1559 {
                    chain_id: 1,
                    ..fields.clone()
                },
                "chain",
            ),
            (
                TxEip1559 {
                    gas_limit: 20_999,
                    ..fields.clone()
                },
                "intrinsic gas too low",
            ),
            (
                TxEip1559 {
                    gas_limit: 1 << 40,
                    ..fields.clone()
                },
                "gas",
            ),
            (
                TxEip1559 {
                    max_priority_fee_per_gas: 1 << 60,
                    ..fields.clone()
                },
                "max priority fee per gas higher",
            ),
        ];
        for (transaction, words) in cases {
            let raw = sign(&account(0), transaction);
            let (code, message) = rig.error("eth_sendRawTransaction", json!([raw])).await;
            assert_eq!(code, -32000, "{message}");
            assert!(message.contains(words), "{words}: {message}");
        }
    });
}

#[test]
fn what_is_no_transaction_is_refused() {
    run(|rig| async move {
        let raw = signed(&account(0), 0, TxKind::Call(Address::ZERO), Bytes::new());
        rig.call("eth_sendRawTransaction", json!([raw])).await;
        let (_, message) = rig.error("eth_sendRawTransaction", json!([raw])).await;
        assert_eq!(message, "already known");
        for garbage in ["0x", "0x02", "0x05c0", "0xdeadbeef"] {
            assert_eq!(
                rig.error("eth_sendRawTransaction", json!([garbage]))
                    .await
                    .0,
                -32000
            );
        }
        let (_, message) = rig.error("eth_sendRawTransaction", json!(["0x03c0"])).await;
        assert_eq!(message, "transaction type not supported");
    });
}

#[test]
fn an_impersonated_transaction_is_not_taken_raw() {
    run(|rig| async move {
        use alloy_consensus::SignableTransaction;
        use alloy_eips::Encodable2718;
        use alloy_primitives::{Signature, hex};
        let sender = account(0).address();
        let signature = Signature::new(sender.into_word().into(), U256::ZERO, false);
        let transaction = TxEip1559 {
            chain_id: super::rig::CHAIN_ID,
            gas_limit: 21_000,
            max_fee_per_gas: 10_000_000_000,
            to: TxKind::Call(Address::ZERO),
            ..TxEip1559::default()
        };
        let raw = hex::encode_prefixed(transaction.into_signed(signature).encoded_2718());
        let answer = rig.error("eth_sendRawTransaction", json!([raw])).await;
        assert_eq!(answer, (-32000, "invalid sender".to_owned()));
    });
}

#[test]
fn while_syncing_latest_is_not_served() {
    run(|rig| async move {
        rig.mine().await;
        rig.pipeline.sync_target(5);
        let syncing = rig.call("eth_syncing", json!([])).await;
        let expected =
            json!({ "startingBlock": "0x0", "currentBlock": "0x1", "highestBlock": "0x5" });
        assert_eq!(syncing, expected);
        let address = account(0).address();
        let said = "node is syncing: executed 1 of 5".to_owned();
        for (method, params) in [
            ("eth_blockNumber", json!([])),
            ("eth_getBalance", json!([address, "latest"])),
            ("eth_getBlockByNumber", json!(["latest", false])),
            ("eth_getBlockByNumber", json!(["0x3", false])),
            ("eth_getTransactionReceipt", json!([word(1)])),
            ("eth_call", json!([{ "to": EMITTER }])),
            ("eth_newBlockFilter", json!([])),
            ("eth_gasPrice", json!([])),
        ] {
            assert_eq!(
                rig.error(method, params).await,
                (-32000, said.clone()),
                "{method}"
            );
        }
        let raw = signed(&account(0), 0, TxKind::Call(Address::ZERO), Bytes::new());
        assert_eq!(
            rig.error("eth_sendRawTransaction", json!([raw])).await.1,
            said
        );
        let block = rig
            .call("eth_getBlockByNumber", json!(["0x1", false]))
            .await;
        assert_eq!(block["number"], "0x1", "what it has it tells");
        for _ in 0..4 {
            rig.mine().await;
        }
        assert_eq!(rig.call("eth_syncing", json!([])).await, false);
        assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x5");
    });
}

#[test]
fn what_was_before_a_state_from_peers_is_pruned() {
    let options = Options {
        first_height: 3,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        for _ in 0..4 {
            rig.mine().await;
        }
        let said = |asked: u64| {
            let said =
                format!("pruned history unavailable: block {asked} is not kept, oldest is 3");
            (4444, said)
        };
        for (method, params) in [
            ("eth_getBlockByNumber", json!(["0x1", false])),
            ("eth_getBlockReceipts", json!(["0x1"])),
            ("eth_getBlockTransactionCountByNumber", json!(["0x1"])),
            (
                "eth_getLogs",
                json!([{ "fromBlock": "0x0", "toBlock": "latest" }]),
            ),
        ] {
            assert_eq!(rig.error(method, params).await, said(1), "{method}");
        }
        let block = async |tag| rig.call("eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!(block("earliest").await["number"], "0x0");
        assert_eq!(block("0x3").await["number"], "0x3");
        assert_eq!(block("latest").await["number"], "0x4");
        let fees = rig
            .call("eth_feeHistory", json!(["0x400", "latest", []]))
            .await;
        assert_eq!(fees["oldestBlock"], "0x3");
        assert_eq!(fees["gasUsedRatio"].as_array().map(Vec::len), Some(2));
        rig.call("eth_gasPrice", json!([])).await;
    });
}

#[test]
fn a_state_that_comes_from_peers_is_told_in_bytes() {
    run(|rig| async move {
        let progress = StateProgress {
            bytes_done: 16,
            bytes: 32,
        };
        rig.pipeline.state_sync(8, progress);
        let syncing = rig.call("eth_syncing", json!([])).await;
        let expected = json!({
            "startingBlock": "0x0",
            "currentBlock": "0x0",
            "highestBlock": "0x8",
            "syncedStateBytes": "0x10",
            "stateBytes": "0x20",
        });
        assert_eq!(syncing, expected);
    });
}

#[test]
fn limits_are_32005() {
    run(|rig| async move {
        let keys: Vec<_> = (0..1_025).map(word).collect();
        let answer = rig
            .error("eth_getProof", json!([EMITTER, keys, "latest"]))
            .await;
        assert_eq!(answer.0, -32005, "{}", answer.1);
        let topics: Vec<_> = (0..1_001).map(word).collect();
        let answer = rig
            .error("eth_getLogs", json!([{ "topics": [topics] }]))
            .await;
        assert_eq!(answer.0, -32005, "{}", answer.1);
    });
}
