//! Methods inside the deterministic simulator, which has no tokio runtime and no wall clock.

use super::rig::{EMITTER, Rig, account, emit, simulate};
use alloy_primitives::{Address, Bytes};
use serde_json::{Value, json};

/// A send, a wait for its receipt, a call, an estimate; everything a scenario does.
async fn scenario(rig: Rig) -> Vec<Value> {
    rig.send(0, EMITTER, emit(1, 2)).await;
    let raw = rig.raw(1, Address::ZERO, Bytes::new());
    let produce = async {
        while rig.backend.mempool.counts().pending < 2 {
            (rig.backend.clock.sleep)(std::time::Duration::from_millis(1)).await;
        }
        rig.mine().await
    };
    let (receipt, _) = futures::join!(
        rig.call("eth_sendRawTransactionSync", json!([raw])),
        produce
    );
    let call = json!({ "from": account(0).address(), "to": EMITTER, "data": emit(3, 4) });
    let late = rig.raw(1, Address::ZERO, Bytes::new());
    vec![
        receipt,
        rig.call("eth_call", json!([call])).await,
        rig.call("eth_estimateGas", json!([call])).await,
        rig.call("eth_getBlockByNumber", json!(["latest", true]))
            .await,
        rig.call("eth_getLogs", json!([{ "fromBlock": "0x0" }]))
            .await,
        rig.try_call("eth_sendRawTransactionSync", json!([late, 500]))
            .await
            .unwrap_err(),
    ]
}

#[test]
fn methods_answer_the_same_for_the_same_seed() {
    let answers = simulate(7, scenario);
    assert_eq!(answers, simulate(7, scenario));
    assert_eq!(answers[0]["status"], "0x1");
    assert_eq!(answers[5]["code"], 4);
}
