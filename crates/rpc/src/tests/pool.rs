//! Sending and waiting.

use super::rig::{CHAIN_ID, Options, account, run, run_with, signed};
use alloy_primitives::{Address, Bytes, TxKind};
use serde_json::json;

#[test]
fn txpool_tells_pending_and_queued() {
    run(|rig| async move {
        let hash = rig.send(0, Address::ZERO, Bytes::new()).await;
        let gap = signed(&account(0), 5, TxKind::Call(Address::ZERO), Bytes::new());
        let queued = rig.call("eth_sendRawTransaction", json!([gap])).await;
        let status = rig.call("txpool_status", json!([])).await;
        assert_eq!(status, json!({ "pending": "0x1", "queued": "0x1" }));
        let sender = format!("{:#x}", account(0).address());
        let content = rig.call("txpool_content", json!([])).await;
        assert_eq!(content["pending"][&sender]["0"]["hash"], hash, "{content}");
        assert_eq!(content["queued"][&sender]["5"]["hash"], queued);
        let own = rig.call("txpool_contentFrom", json!([sender])).await;
        assert_eq!(own["pending"]["0"]["hash"], hash);
        let inspect = rig.call("txpool_inspect", json!([])).await;
        let line = inspect["pending"][&sender]["0"].as_str().unwrap();
        assert!(
            line.contains("1 wei + 200000 gas × 10000000000 wei"),
            "{line}"
        );
    });
}

#[test]
fn a_synchronous_send_answers_with_the_receipt() {
    run(|rig| async move {
        let raw = rig.raw(0, Address::ZERO, Bytes::new());
        let block = async {
            while rig.backend.mempool.counts().pending == 0 {
                futures::future::ready(()).await;
                (rig.backend.clock.sleep)(std::time::Duration::from_millis(1)).await;
            }
            rig.mine().await
        };
        let (receipt, record) =
            futures::join!(rig.call("eth_sendRawTransactionSync", json!([raw])), block);
        assert_eq!(receipt["blockHash"], record.hash.to_string());
        assert_eq!(receipt["status"], "0x1");
    });
}

#[test]
fn a_synchronous_send_gives_up_with_the_hash() {
    run(|rig| async move {
        let raw = rig.raw(0, Address::ZERO, Bytes::new());
        let hash = super::rig::recovered(raw.clone()).hash();
        let error = rig
            .try_call("eth_sendRawTransactionSync", json!([raw, 1]))
            .await
            .unwrap_err();
        assert_eq!(error["code"], 4);
        assert_eq!(error["data"], hash.to_string());
        assert_eq!(
            rig.backend.mempool.counts().pending,
            1,
            "it stays in the pool"
        );
        let again = rig
            .error("eth_sendRawTransactionSync", json!([raw, 1]))
            .await;
        assert_eq!(again, (-32000, "already known".to_owned()));
    });
}

#[test]
fn a_production_chain_takes_transactions_too() {
    let options = Options {
        dev: false,
        ..Options::default()
    };
    run_with(options, |rig| async move {
        let hash = rig.send(0, Address::ZERO, Bytes::new()).await;
        rig.mine().await;
        let receipt = rig.call("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"], "0x1");
        assert_eq!(
            rig.call("eth_chainId", json!([])).await,
            format!("{CHAIN_ID:#x}")
        );
    });
}
