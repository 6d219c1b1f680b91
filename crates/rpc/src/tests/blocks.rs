//! Blocks, transactions, receipts, tags.

use super::rig::{CHAIN_ID, EMITTER, Options, account, emit, run, run_with, signed, word};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use serde_json::{Value, json};

/// Field names of an object, sorted.
fn fields(object: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields
}

const BLOCK_FIELDS: [&str; 26] = [
    "baseFeePerGas",
    "blobGasUsed",
    "difficulty",
    "excessBlobGas",
    "extraData",
    "gasLimit",
    "gasUsed",
    "hash",
    "logsBloom",
    "miner",
    "mixHash",
    "nonce",
    "number",
    "parentBeaconBlockRoot",
    "parentHash",
    "receiptsRoot",
    "requestsHash",
    "sha3Uncles",
    "size",
    "stateRoot",
    "timestamp",
    "transactions",
    "transactionsRoot",
    "uncles",
    "withdrawals",
    "withdrawalsRoot",
];

#[test]
fn a_block_has_exactly_the_fields_of_the_standard() {
    run(|rig| async move {
        rig.send(0, Address::ZERO, Bytes::new()).await;
        let record = rig.mine().await;
        let block = rig
            .call("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        assert_eq!(fields(&block), BLOCK_FIELDS);
        assert_eq!(block["number"], "0x1");
        assert_eq!(block["hash"], record.hash.to_string());
        assert_eq!(block["uncles"], json!([]));
        assert_eq!(block["withdrawals"], json!([]));
        assert_eq!(block["blobGasUsed"], "0x0");
        assert_eq!(block["excessBlobGas"], "0x0");
        let digest = Bytes::copy_from_slice(record.block.digest().as_ref());
        assert_eq!(block["extraData"], digest.to_string());
        let hash = record.transactions[0].hash().to_string();
        assert_eq!(block["transactions"], json!([hash]));

        let full = rig
            .call("eth_getBlockByHash", json!([record.hash, true]))
            .await;
        assert_eq!(fields(&full), BLOCK_FIELDS);
        assert_eq!(full["transactions"][0]["hash"], hash);
        let alone = rig.call("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!(full["transactions"][0], alone);
    });
}

#[test]
fn size_is_the_length_in_rlp() {
    run(|rig| async move {
        for _ in 0..3 {
            rig.send(0, Address::ZERO, vec![7; 300].into()).await;
        }
        let record = rig.mine().await;
        let block = alloy_consensus::Block {
            header: record.header.clone(),
            body: alloy_consensus::BlockBody {
                transactions: record
                    .transactions
                    .iter()
                    .map(|tx| tx.envelope().clone())
                    .collect(),
                ommers: Vec::new(),
                withdrawals: Some(Default::default()),
            },
        };
        let size = alloy_rlp::encode(&block).len();
        let answer = rig
            .call("eth_getBlockByNumber", json!(["0x1", false]))
            .await;
        assert_eq!(answer["size"], format!("{size:#x}"));
    });
}

#[test]
fn a_transaction_has_exactly_the_fields_of_its_type() {
    run(|rig| async move {
        let hash = rig.send(0, account(1).address(), Bytes::new()).await;
        let pending = rig.call("eth_getTransactionByHash", json!([hash])).await;
        for field in ["blockHash", "blockNumber", "transactionIndex"] {
            assert!(pending[field].is_null(), "{field}");
        }
        let record = rig.mine().await;
        let transaction = rig.call("eth_getTransactionByHash", json!([hash])).await;
        let expected = [
            "accessList",
            "blockHash",
            "blockNumber",
            "blockTimestamp",
            "chainId",
            "from",
            "gas",
            "gasPrice",
            "hash",
            "input",
            "maxFeePerGas",
            "maxPriorityFeePerGas",
            "nonce",
            "r",
            "s",
            "to",
            "transactionIndex",
            "type",
            "v",
            "value",
            "yParity",
        ];
        assert_eq!(fields(&transaction), expected);
        assert_eq!(transaction["type"], "0x2");
        assert_eq!(transaction["chainId"], format!("{CHAIN_ID:#x}"));
        assert_eq!(transaction["blockHash"], record.hash.to_string());
        assert_eq!(transaction["transactionIndex"], "0x0");
        assert_eq!(transaction["from"], format!("{:#x}", account(0).address()));
        let by_place = rig
            .call(
                "eth_getTransactionByBlockNumberAndIndex",
                json!(["0x1", "0x0"]),
            )
            .await;
        assert_eq!(by_place, transaction);
        let by_place = rig
            .call(
                "eth_getTransactionByBlockHashAndIndex",
                json!([record.hash, "0x0"]),
            )
            .await;
        assert_eq!(by_place, transaction);
        let raw = rig.call("eth_getRawTransactionByHash", json!([hash])).await;
        assert_eq!(raw, record.transactions[0].raw().to_string());
    });
}

#[test]
fn a_receipt_has_exactly_the_fields_of_the_standard() {
    run(|rig| async move {
        rig.send(0, EMITTER, emit(1, 2)).await;
        let hash = rig.send(0, EMITTER, emit(3, 4)).await;
        let record = rig.mine().await;
        let receipt = rig.call("eth_getTransactionReceipt", json!([hash])).await;
        let expected = [
            "blockHash",
            "blockNumber",
            "contractAddress",
            "cumulativeGasUsed",
            "effectiveGasPrice",
            "from",
            "gasUsed",
            "logs",
            "logsBloom",
            "status",
            "to",
            "transactionHash",
            "transactionIndex",
            "type",
        ];
        assert_eq!(fields(&receipt), expected);
        assert_eq!(receipt["status"], "0x1");
        assert_eq!(receipt["type"], "0x2");
        assert_eq!(receipt["transactionIndex"], "0x1");
        assert!(receipt["contractAddress"].is_null());
        let log = &receipt["logs"][0];
        let expected = [
            "address",
            "blockHash",
            "blockNumber",
            "blockTimestamp",
            "data",
            "logIndex",
            "removed",
            "topics",
            "transactionHash",
            "transactionIndex",
        ];
        assert_eq!(fields(log), expected);
        assert_eq!(log["logIndex"], "0x1", "counted over the block");
        assert_eq!(log["topics"], json!([word(0xaa), word(3)]));
        assert_eq!(log["data"], word(4).to_string());
        let all = rig.call("eth_getBlockReceipts", json!([record.hash])).await;
        assert_eq!(all.as_array().unwrap().len(), 2);
        assert_eq!(all[1], receipt);
        assert_eq!(
            rig.call("eth_getBlockReceipts", json!(["latest"])).await,
            all
        );
    });
}

#[test]
fn creations_and_failures_are_told() {
    run(|rig| async move {
        let code = Bytes::from(hex!("600160005360016000f3"));
        let raw = signed(&account(0), 0, TxKind::Create, code);
        let created = rig.call("eth_sendRawTransaction", json!([raw])).await;
        let reverted = rig.send(1, EMITTER, Bytes::new()).await;
        rig.mine().await;
        let receipt = rig
            .call("eth_getTransactionReceipt", json!([created]))
            .await;
        let address = account(0).address().create(0);
        assert_eq!(receipt["contractAddress"], format!("{address:#x}"));
        assert!(receipt["to"].is_null());
        assert_eq!(
            rig.call("eth_getCode", json!([address, "latest"])).await,
            "0x01"
        );
        let receipt = rig
            .call("eth_getTransactionReceipt", json!([reverted]))
            .await;
        assert_eq!(receipt["status"], "0x0");
        assert_eq!(receipt["logs"], json!([]));
    });
}

#[test]
fn what_is_not_there_is_null() {
    run(|rig| async move {
        rig.mine().await;
        let hash = word(77);
        for (method, params) in [
            ("eth_getBlockByNumber", json!(["0xff", false])),
            ("eth_getBlockByHash", json!([hash, false])),
            ("eth_getBlockReceipts", json!(["0xff"])),
            ("eth_getBlockReceipts", json!([hash])),
            ("eth_getBlockTransactionCountByNumber", json!(["0xff"])),
            ("eth_getBlockTransactionCountByHash", json!([hash])),
            ("eth_getUncleCountByBlockNumber", json!(["0xff"])),
            ("eth_getUncleCountByBlockHash", json!([hash])),
            ("eth_getTransactionByHash", json!([hash])),
            ("eth_getTransactionReceipt", json!([hash])),
            (
                "eth_getTransactionByBlockNumberAndIndex",
                json!(["0x1", "0x0"]),
            ),
            (
                "eth_getTransactionByBlockNumberAndIndex",
                json!(["0xff", "0x0"]),
            ),
            (
                "eth_getTransactionByBlockHashAndIndex",
                json!([hash, "0x0"]),
            ),
            ("headway_getBlockStages", json!(["0xff"])),
            ("headway_getBlockAccessList", json!(["0xff"])),
            ("headway_getBlockAccessList", json!([hash])),
            ("headway_getBlockAccessList", json!(["pending"])),
            ("headway_getBlockExecution", json!(["0xff"])),
            ("headway_getBlockExecution", json!([hash])),
            ("headway_getBlockExecution", json!(["earliest"])),
        ] {
            assert!(rig.call(method, params).await.is_null(), "{method}");
        }
        assert_eq!(
            rig.call("eth_getUncleCountByBlockNumber", json!(["0x1"]))
                .await,
            "0x0"
        );
    });
}

#[test]
fn tags_name_executed_and_verified_blocks() {
    run(|rig| async move {
        rig.mine().await;
        rig.mine().await;
        let number = async |tag: &str| {
            let block = rig.call("eth_getBlockByNumber", json!([tag, false])).await;
            block["number"].as_str().unwrap().to_owned()
        };
        assert_eq!(number("latest").await, "0x2");
        assert_eq!(number("safe").await, "0x2");
        assert_eq!(number("finalized").await, "0x0");
        assert_eq!(number("earliest").await, "0x0");
        assert_eq!(number("pending").await, "0x3");
        rig.verify().await;
        assert_eq!(number("finalized").await, "0x2");
        let heads = rig.call("headway_getHeads", json!([])).await;
        assert_eq!(
            heads,
            json!({ "verified": "0x2", "executed": "0x3", "finalized": "0x3" })
        );
    });
}

#[test]
fn the_pending_block_has_no_hash_and_holds_what_is_ordered() {
    run(|rig| async move {
        let parent = rig.mine().await;
        let block = rig
            .call("eth_getBlockByNumber", json!(["pending", true]))
            .await;
        assert_eq!(fields(&block), BLOCK_FIELDS);
        for field in ["hash", "nonce", "miner"] {
            assert!(block[field].is_null(), "{field}");
        }
        assert_eq!(block["parentHash"], parent.hash.to_string());
        assert_eq!(block["transactions"], json!([]));
    });
}

#[test]
fn pending_counts_waiting_transactions() {
    run(|rig| async move {
        let address = account(0).address();
        rig.send(0, Address::ZERO, Bytes::new()).await;
        rig.send(0, Address::ZERO, Bytes::new()).await;
        let count = async |tag: &str| {
            rig.call("eth_getTransactionCount", json!([address, tag]))
                .await
        };
        assert_eq!(count("latest").await, "0x0");
        assert_eq!(count("pending").await, "0x2");
        rig.mine().await;
        assert_eq!(count("latest").await, "0x2");
        assert_eq!(count("pending").await, "0x2");
        assert_eq!(count("earliest").await, "0x0");
    });
}

#[test]
fn state_is_read_at_any_kept_block() {
    run(|rig| async move {
        rig.send(0, EMITTER, emit(5, 6)).await;
        let record = rig.mine().await;
        rig.send(0, EMITTER, emit(7, 8)).await;
        rig.mine().await;
        let slot = async |block: Value| {
            rig.call("eth_getStorageAt", json!([EMITTER, "0x0", block]))
                .await
        };
        assert_eq!(slot(json!("0x0")).await, word(0).to_string());
        assert_eq!(slot(json!("0x1")).await, word(5).to_string());
        assert_eq!(
            slot(json!({ "blockHash": record.hash })).await,
            word(5).to_string()
        );
        assert_eq!(
            slot(json!({ "blockNumber": "0x1" })).await,
            word(5).to_string()
        );
        assert_eq!(slot(Value::Null).await, word(7).to_string());
        let poor = rig
            .call("eth_getBalance", json!([Address::repeat_byte(9), "latest"]))
            .await;
        assert_eq!(poor, "0x0");
    });
}

#[test]
fn a_proof_fits_the_state_root() {
    run(|rig| async move {
        rig.send(0, EMITTER, emit(5, 6)).await;
        rig.mine().await;
        let proof = rig
            .call("eth_getProof", json!([EMITTER, ["0x0", word(9)], "latest"]))
            .await;
        let expected = [
            "accountProof",
            "address",
            "balance",
            "codeHash",
            "nonce",
            "storageHash",
            "storageProof",
        ];
        assert_eq!(fields(&proof), expected);
        assert_eq!(proof["storageProof"][0]["key"], "0x0", "as it was asked");
        assert_eq!(proof["storageProof"][0]["value"], "0x5");
        assert_eq!(proof["storageProof"][1]["key"], word(9).to_string());
        assert_eq!(proof["storageProof"][1]["value"], "0x0");
        let block = rig
            .call("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        let first: Bytes = serde_json::from_value(proof["accountProof"][0].clone()).unwrap();
        assert_eq!(
            block["stateRoot"],
            alloy_primitives::keccak256(first).to_string()
        );
    });
}

#[test]
fn fees_follow_the_blocks() {
    run(|rig| async move {
        rig.send(0, Address::ZERO, Bytes::new()).await;
        rig.mine().await;
        rig.mine().await;
        let history = rig
            .call(
                "eth_feeHistory",
                json!(["0x2", "latest", [0.0, 50.0, 100.0]]),
            )
            .await;
        assert_eq!(history["oldestBlock"], "0x1");
        assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 3);
        assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 2);
        assert_eq!(
            history["reward"][0],
            json!(["0x3b9aca00", "0x3b9aca00", "0x3b9aca00"])
        );
        assert_eq!(history["reward"][1], json!(["0x0", "0x0", "0x0"]));
        let by_number = rig.call("eth_feeHistory", json!([2, "0x2", []])).await;
        assert_eq!(by_number["baseFeePerGas"], history["baseFeePerGas"]);
        assert!(by_number.get("reward").is_none());
        let next = rig.call("eth_baseFee", json!([])).await;
        assert_eq!(history["baseFeePerGas"][2], next);
        let tip = rig.call("eth_maxPriorityFeePerGas", json!([])).await;
        assert_eq!(tip, "0x3b9aca00");
        let number = |value: &Value| value.as_str().unwrap().parse::<U256>().unwrap();
        let price = rig.call("eth_gasPrice", json!([])).await;
        assert_eq!(number(&price), number(&next) + number(&tip));
    });
}

#[test]
fn small_namespaces() {
    run(|rig| async move {
        assert_eq!(
            rig.call("eth_chainId", json!([])).await,
            format!("{CHAIN_ID:#x}")
        );
        assert_eq!(
            rig.call("net_version", json!([])).await,
            CHAIN_ID.to_string()
        );
        assert_eq!(rig.call("net_peerCount", json!([])).await, "0x3");
        assert_eq!(rig.call("net_listening", json!([])).await, true);
        assert_eq!(rig.call("eth_syncing", json!([])).await, false);
        let version = rig.call("web3_clientVersion", json!([])).await;
        assert!(version.as_str().unwrap().contains("Headway/v"), "{version}");
        let hash = rig.call("web3_sha3", json!(["0x"])).await;
        assert_eq!(hash, alloy_primitives::KECCAK256_EMPTY.to_string());
    });
}

#[test]
fn stages_are_told_in_milliseconds() {
    run(|rig| async move {
        let record = rig.mine().await;
        rig.verify().await;
        let stages = rig.call("headway_getBlockStages", json!(["0x1"])).await;
        assert_eq!(
            fields(&stages),
            [
                "durableMs",
                "executedMs",
                "finalizedMs",
                "height",
                "notarizedMs",
                "proposedMs",
                "verifiedMs"
            ]
        );
        assert_eq!(stages["height"], "0x1");
        assert_eq!(stages["proposedMs"], record.block.header().timestamp_ms);
        assert!(stages["notarizedMs"].is_null());
        assert!(stages["verifiedMs"].is_u64());
        let by_tag = rig
            .call("headway_getBlockStages", json!(["finalized"]))
            .await;
        assert_eq!(by_tag, stages);
    });
}

#[test]
fn a_budget_is_what_is_not_in_flight() {
    run(|rig| async move {
        let address = account(0).address();
        let budget = rig
            .call("headway_getInclusionBudget", json!([address]))
            .await;
        assert_eq!(budget["available"], "0x21e19e0c9bab2400000");
        assert_eq!(budget["nonceNext"], "0x0");
        rig.send(0, Address::ZERO, Bytes::new()).await;
        rig.mine().await;
        let less = rig
            .call("headway_getInclusionBudget", json!([address]))
            .await;
        assert_eq!(less["nonceNext"], "0x1");
        assert_ne!(less["available"], budget["available"]);
    });
}

#[test]
fn outside_dev_there_are_no_accounts() {
    let options = Options {
        dev: false,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        assert_eq!(rig.call("eth_accounts", json!([])).await, json!([]));
        let (code, message) = rig.error("evm_mine", json!([])).await;
        assert_eq!(code, -32601);
        assert!(message.contains("only in dev"), "{message}");
        assert_eq!(
            rig.error("eth_sendTransaction", json!([{}])).await.0,
            -32601
        );
    });
}
