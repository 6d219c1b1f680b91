//! Going back, through the methods that callers use, with everything real but the sockets.

use super::{First, Origin, SNAPSHOTS_MAX};
use crate::{
    dev,
    init::{GenesisOptions, genesis_file},
    process::{self, RpcParts, TemporaryDirectory},
    run,
};
use alloy_primitives::{Address, B256, U64, U256};
use commonware_cryptography::Signer as _;
use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio};
use pipeline::PipelineConfig;
use primitives::{Genesis, chain::Protocol, crypto::PrivateKey};
use rpc::{Dev, RpcConfig, Switch, Timelines};
use serde_json::{Value, json};
use state::StoreConfig;
use std::{future::Future, net::SocketAddr, path::PathBuf};

/// A chain, without sockets.
#[derive(Clone)]
struct Served {
    switch: Switch,
    path: PathBuf,
    accounts: Vec<Address>,
}

impl Served {
    async fn try_call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let methods = rpc::module(self.switch.clone());
        let (answer, _) = methods
            .raw_json_request(&request.to_string(), 1)
            .await
            .unwrap();
        let mut answer: Value = serde_json::from_str(answer.get()).unwrap();
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        match self.try_call(method, params).await {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    async fn height(&self) -> u64 {
        let height: U64 =
            serde_json::from_value(self.call("eth_blockNumber", json!([])).await).unwrap();
        height.to()
    }

    async fn send(&self, value: u64) -> Value {
        let [from, to] = [self.accounts[0], self.accounts[1]];
        let fee = "0x77359400";
        let request = json!({ "from": from, "to": to, "value": U256::from(value), "gas": "0x5208",
            "maxFeePerGas": fee, "maxPriorityFeePerGas": "0x1" });
        self.call("eth_sendTransaction", json!([request])).await
    }

    async fn balance(&self) -> Value {
        self.call("eth_getBalance", json!([self.accounts[1], "latest"]))
            .await
    }

    /// What a caller can see of the chain.
    async fn look(&self) -> Vec<Value> {
        let sender = self.accounts[0];
        let mut seen = vec![self.balance().await];
        for (method, params) in [
            ("eth_getBlockByNumber", json!(["latest", true])),
            ("eth_getTransactionCount", json!([sender, "pending"])),
            ("eth_getTransactionCount", json!([sender, "latest"])),
            ("eth_getLogs", json!([{ "fromBlock": "0x0" }])),
            ("txpool_content", json!([])),
            ("hardhat_getAutomine", json!([])),
            ("evm_increaseTime", json!([0])),
            ("eth_getBlockReceipts", json!(["latest"])),
        ] {
            seen.push(self.call(method, params).await);
        }
        seen
    }
}

fn origin(runtime: &tokio::Context, path: PathBuf) -> Origin {
    let key = PrivateKey::from_seed(0);
    let protocol = Protocol {
        gas_charge_floor_permille: 0,
        dev: true,
        ..Protocol::default()
    };
    let funded = dev::accounts();
    let funded = funded.iter().take(2).map(|signer| {
        let funds = U256::from(10).pow(U256::from(21));
        (signer.address(), funds)
    });
    let options = GenesisOptions {
        chain_id: dev::CHAIN_ID,
        gas_limit: 30_000_000,
        timestamp: 1_700_000_000,
        funded: funded.collect(),
        shards: None,
        governor: None,
        cores: None,
    };
    let genesis = genesis_file(&options, std::slice::from_ref(&key), protocol).unwrap();
    let genesis = Genesis::from_json(&genesis).unwrap();
    Origin {
        runtime: runtime.child("chain"),
        identity: run::identity(&genesis, &key),
        genesis,
        key,
        store: StoreConfig {
            history_blocks: None,
            ..StoreConfig::default()
        },
        pipeline: PipelineConfig::default(),
        path,
        begun: 0,
    }
}

/// Runs a test over a chain that can go back.
fn test<F: Future<Output = ()>>(test: impl FnOnce(Served) -> F) {
    let directory = TemporaryDirectory::create().unwrap();
    let path = directory.path().to_owned();
    let config = tokio::Config::new().with_storage_directory(path.join("consensus"));
    tokio::Runner::new(config).start(|runtime| async move {
        let first = First::begin(origin(&runtime, path.clone())).await.unwrap();
        let signers: Vec<_> = dev::accounts().into_iter().take(2).collect();
        let accounts = signers.iter().map(|signer| signer.address()).collect();
        let (timelines, requests) = Timelines::new();
        let parts = RpcParts {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            config: RpcConfig::dev(),
            dev: Some(Dev::new(signers, first.control()).with_timelines(timelines)),
            peers: 0,
        };
        let backend = process::backend(&runtime, first.readable(), parts);
        let supervisor = first.supervised(backend);
        let switch = supervisor.switch();
        let running = runtime.child("supervisor");
        drop(running.spawn(|runtime| async move { supervisor.run(&runtime, requests).await }));
        let served = Served {
            switch,
            path,
            accounts,
        };
        test(served).await;
    });
    drop(directory);
}

#[test]
fn all_is_as_it_was() {
    test(|chain| async move {
        chain.call("evm_increaseTime", json!([1_000])).await;
        for value in 1..4 {
            chain.send(value).await;
        }
        chain.call("evm_setAutomine", json!([false])).await;
        let waiting = chain.send(10).await;
        let before = chain.look().await;
        let snapshot = chain.call("evm_snapshot", json!([])).await;
        assert_eq!(chain.look().await, before, "a snapshot changes nothing");

        chain.call("evm_mine", json!([])).await;
        chain.call("evm_setAutomine", json!([true])).await;
        chain.call("evm_increaseTime", json!([5_000])).await;
        let later = chain.send(11).await;
        let receipt = chain
            .call("eth_getTransactionReceipt", json!([later]))
            .await;
        let hash = receipt["blockHash"].clone();
        assert_ne!(chain.look().await, before);

        assert_eq!(chain.call("evm_revert", json!([snapshot])).await, true);
        assert_eq!(chain.look().await, before);
        for (method, asked) in [
            ("eth_getTransactionReceipt", &later),
            ("eth_getTransactionByHash", &later),
            ("eth_getTransactionReceipt", &waiting),
            ("eth_getBlockReceipts", &hash),
        ] {
            let answer = chain.call(method, json!([asked])).await;
            assert_eq!(answer, Value::Null, "{method}");
        }
        // The same transactions again, with the same hashes.
        chain.call("evm_mine", json!([])).await;
        chain.call("evm_setAutomine", json!([true])).await;
        assert_eq!(chain.send(11).await, later);
        for hash in [waiting, later] {
            let receipt = chain.call("eth_getTransactionReceipt", json!([hash])).await;
            assert_eq!(receipt["status"], "0x1");
        }
        assert_eq!(
            chain.balance().await,
            json!(U256::from(10).pow(U256::from(21)) + U256::from(27))
        );
    });
}

#[test]
fn a_snapshot_is_used_up_with_all_that_came_after_it() {
    test(|chain| async move {
        let mut ids = Vec::new();
        for value in 1..=3 {
            chain.send(value).await;
            ids.push(chain.call("evm_snapshot", json!([])).await);
        }
        let revert = async |id: &Value| chain.call("anvil_revert", json!([id])).await;
        let heights = [chain.height().await];
        assert_eq!(revert(&ids[1]).await, true);
        assert_eq!(chain.height().await, heights[0] - 1);
        for unknown in [&ids[1], &ids[2], &json!("0x77"), &json!(U256::MAX)] {
            assert_eq!(revert(unknown).await, false, "{unknown}");
        }
        chain.send(4).await;
        assert_eq!(revert(&ids[0]).await, true);
        assert_eq!(chain.height().await, heights[0] - 2);
    });
}

#[test]
fn the_oldest_snapshot_goes_first_and_takes_its_files_along() {
    test(|chain| async move {
        chain.send(1).await;
        let mut ids = Vec::new();
        for _ in 0..=SNAPSHOTS_MAX {
            ids.push(chain.call("evm_snapshot", json!([])).await);
        }
        let kept = || {
            let entries = std::fs::read_dir(&chain.path).unwrap().flatten();
            let names = entries.map(|entry| entry.file_name().into_string().unwrap());
            names.filter(|name| name.starts_with("snapshot-")).count()
        };
        assert_eq!(kept(), SNAPSHOTS_MAX);
        assert_eq!(chain.call("evm_revert", json!([ids[0]])).await, false);
        assert_eq!(chain.call("evm_revert", json!([ids[1]])).await, true);
        // The one that the chain is in now.
        assert_eq!(kept(), 1);
    });
}

#[test]
fn a_reset_begins_at_genesis() {
    test(|chain| async move {
        let genesis = chain
            .call("eth_getBlockByNumber", json!(["0x0", false]))
            .await;
        let early = chain.call("evm_snapshot", json!([])).await;
        let hash = chain.send(1).await;
        let snapshot = chain.call("evm_snapshot", json!([])).await;
        assert_eq!(chain.call("hardhat_reset", json!([])).await, true);
        assert_eq!(chain.height().await, 0);
        let latest = chain
            .call("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        assert_eq!(latest, genesis);
        for gone in [early, snapshot] {
            assert_eq!(chain.call("evm_revert", json!([gone])).await, false);
        }
        assert_eq!(chain.send(1).await, hash);
        assert_eq!(chain.height().await, 1, "one block for one transaction");
    });
}

#[test]
fn filters_and_subscriptions_go_on() {
    test(|chain| async move {
        chain.send(1).await;
        let blocks = chain.call("eth_newBlockFilter", json!([])).await;
        let pending = chain
            .call("eth_newPendingTransactionFilter", json!([]))
            .await;
        let methods = rpc::module(chain.switch.clone());
        let request = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
        let (_, mut heads) = methods.raw_json_request(request, 64).await.unwrap();
        let snapshot = chain.call("evm_snapshot", json!([])).await;
        for value in 2..5 {
            chain.send(value).await;
        }
        let told = chain.call("eth_getFilterChanges", json!([blocks])).await;
        assert!(told.as_array().unwrap().len() >= 3);
        chain.call("evm_revert", json!([snapshot])).await;
        let hash = chain.send(9).await;
        let height = chain.height().await;
        let latest = chain
            .call("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        let told = chain.call("eth_getFilterChanges", json!([blocks])).await;
        assert_eq!(told, json!([latest["hash"]]));
        let told = chain.call("eth_getFilterChanges", json!([pending])).await;
        assert!(told.as_array().unwrap().contains(&hash));
        loop {
            let head = heads.recv().await.expect("it goes on");
            let head: Value = serde_json::from_str(head.get()).unwrap();
            if head["params"]["result"]["hash"] == latest["hash"] {
                assert_eq!(head["params"]["result"]["number"], json!(U64::from(height)));
                break;
            }
        }
    });
}

#[test]
fn callers_need_not_know() {
    test(|chain| async move {
        let snapshot = chain.call("evm_snapshot", json!([])).await;
        let start = chain.height().await;
        chain.send(1).await;
        let hash: B256 = serde_json::from_value(chain.send(2).await).unwrap();
        let (reader, reverter) = (chain.clone(), chain.clone());
        let read = async {
            for _ in 0..200 {
                reader.balance().await;
                let block = json!(["latest", true]);
                let block = reader.call("eth_getBlockByNumber", block).await;
                assert!(block["hash"].is_string());
                let logs = json!([{ "fromBlock": "earliest" }]);
                reader.call("eth_getLogs", logs).await;
            }
        };
        let revert = async {
            let mut snapshot = snapshot;
            for _ in 0..5 {
                let reverted = reverter.call("evm_revert", json!([snapshot])).await;
                assert_eq!(reverted, true);
                snapshot = reverter.call("evm_snapshot", json!([])).await;
            }
        };
        futures::join!(read, revert);
        assert_eq!(chain.height().await, start);
        let gone = chain.call("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!(gone, Value::Null);
    });
}

#[test]
fn hundreds_of_blocks_come_at_once_and_go_again() {
    test(|chain| async move {
        let snapshot = chain.call("evm_snapshot", json!([])).await;
        let start = chain.height().await;
        chain.call("hardhat_mine", json!(["0x12c", "0x3c"])).await;
        assert_eq!(chain.height().await, start + 300);
        let time = async |height: u64| {
            let block = json!([U64::from(height), false]);
            let block = chain.call("eth_getBlockByNumber", block).await;
            let time: U64 = serde_json::from_value(block["timestamp"].clone()).unwrap();
            time.to::<u64>()
        };
        let all = time(start + 300).await - time(start + 1).await;
        assert_eq!(all, 299 * 60);
        // Far above genesis: the anchor has fewer headers than there are.
        let high = chain.call("evm_snapshot", json!([])).await;
        chain.send(1).await;
        assert_eq!(chain.call("evm_revert", json!([high])).await, true);
        assert_eq!(chain.height().await, start + 300);
        chain.send(2).await;
        assert_eq!(chain.height().await, start + 301);
        assert_eq!(chain.call("evm_revert", json!([snapshot])).await, true);
        assert_eq!(chain.height().await, start);
    });
}

#[test]
fn a_time_is_exactly_that_of_the_block_a_transaction_makes() {
    test(|chain| async move {
        chain.send(1).await;
        let wanted = 2_000_000_000_u64;
        chain
            .call("evm_setNextBlockTimestamp", json!([wanted]))
            .await;
        let target = Address::repeat_byte(0x42);
        chain
            .call("hardhat_setBalance", json!([target, "0x7"]))
            .await;
        let coinbase = Address::repeat_byte(0xcb);
        chain.call("hardhat_setCoinbase", json!([coinbase])).await;
        let fee = json!(["0x7"]);
        chain.call("hardhat_setNextBlockBaseFeePerGas", fee).await;
        chain.send(2).await;
        let block = chain
            .call("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        assert_eq!(block["timestamp"], json!(U64::from(wanted)));
        assert_eq!(block["baseFeePerGas"], "0x7");
        assert_eq!(block["miner"], json!(coinbase));
        assert_eq!(block["transactions"].as_array().unwrap().len(), 1);
        chain.send(3).await;
        let block = chain
            .call("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        let next: U64 = serde_json::from_value(block["timestamp"].clone()).unwrap();
        assert!((wanted + 1..wanted + 60).contains(&next.to::<u64>()));
    });
}
