//! Many signed transactions in one request.

use super::{
    rig::{Options, Rig, account, run, run_with, signed},
    sockets::{Answer, exchange_bytes, start},
};
use crate::{RpcConfig, RpcServer};
use alloy_primitives::{Address, Bytes, TxKind};
use primitives::{Transaction, transaction::Impersonation};
use primitives::{bundle::BundleBuilder, limits, recovery::SenderCache, signature::SenderKey};
use serde_json::json;

const HEAD: &str =
    "POST /bulk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream";

fn transfer(index: u32, nonce: u64) -> Bytes {
    signed(
        &account(index),
        nonce,
        TxKind::Call(Address::ZERO),
        Bytes::new(),
    )
}

fn key_of(raw: &Bytes) -> SenderKey {
    let cache = SenderCache::default();
    let transaction = Transaction::decode(raw.clone()).unwrap();
    let recovered = cache.recover(transaction, Impersonation::Refused).unwrap();
    cache.key(&recovered.sender()).unwrap()
}

/// Five items, of which two are good, each with a key that may be anybody's.
fn mixed(key: Option<SenderKey>) -> (Vec<Bytes>, bytes::Bytes) {
    let mut broken = transfer(1, 0).to_vec();
    broken.pop();
    let items = vec![
        transfer(0, 0),
        broken.into(),
        transfer(0, 0),
        transfer(1, 0),
        Bytes::new(),
    ];
    let mut builder = BundleBuilder::new(limits::BUNDLE_BYTES_MAX);
    for raw in &items {
        builder.push(raw, key.as_ref()).unwrap();
    }
    (items, builder.finish())
}

async fn post(server: &RpcServer, body: &[u8]) -> Answer {
    exchange_bytes(server, HEAD, (body, body.len())).await
}

/// The answer to [`mixed`]: everything else is in the pool.
fn check_mixed(answer: &serde_json::Value, rig: &Rig) {
    assert_eq!(answer["accepted"], 2, "{answer}");
    let errors = answer["errors"].as_array().unwrap();
    let places: Vec<_> = errors.iter().map(|error| error["index"].as_u64()).collect();
    assert_eq!(places, [Some(1), Some(2), Some(4)], "{answer}");
    assert_eq!(errors[1]["message"], "already known");
    assert_eq!(errors[1]["code"], -32000);
    assert_eq!(rig.backend.mempool.counts().pending, 2);
}

#[test]
fn each_transaction_has_its_own_fate_whatever_the_keys_say() {
    let honest = key_of(&transfer(0, 0));
    let nobody = SenderKey::new([7; 64]);
    for key in [None, Some(honest), Some(nobody)] {
        run(async move |rig: Rig| {
            let server = start(&rig).await;
            let (_, body) = mixed(key);
            let answer = post(&server, &body).await;
            assert_eq!(answer.status, 200);
            check_mixed(&answer.json(), &rig);
        });
    }
}

#[test]
fn by_json_it_is_the_same() {
    run(async |rig: Rig| {
        let (items, _) = mixed(None);
        let key = Bytes::from(key_of(&items[0]).as_bytes().to_vec());
        let keys = json!([key, null, null, key, null]);
        let answer = rig
            .call("headway_sendRawTransactions", json!([items, keys]))
            .await;
        check_mixed(&answer, &rig);
        let (code, message) = rig
            .error("headway_sendRawTransactions", json!([items, [key]]))
            .await;
        assert_eq!(code, -32602, "{message}");
    });
}

#[test]
fn what_is_no_bundle_is_refused_as_a_whole() {
    run(async |rig: Rig| {
        let server = start(&rig).await;
        let (_, body) = mixed(None);
        let mut version = body.to_vec();
        version[0] = 9;
        for broken in [&[][..], &version, &body[..body.len() - 1], b"{}"] {
            let answer = post(&server, broken).await;
            assert_eq!(answer.status, 400);
            let message = answer.json()["error"]["message"].to_string();
            assert!(message.contains("bundle"), "{message}");
        }
        let long = limits::BUNDLE_BYTES_MAX + 1;
        let answer = exchange_bytes(&server, HEAD, (&vec![1; long], long)).await;
        assert_eq!(answer.status, 413);
        let head = "POST /bulk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
        let answer = exchange_bytes(&server, head, (&body, body.len())).await;
        assert_eq!(answer.status, 415);
        let head = "GET /bulk HTTP/1.1\r\nhost: localhost";
        assert_eq!(exchange_bytes(&server, head, (&[], 0)).await.status, 405);
        assert_eq!(rig.backend.mempool.counts().pending, 0);
    });
}

#[test]
fn a_body_that_does_not_arrive_is_not_waited_for() {
    let config = RpcConfig {
        body_wait_ms: 50,
        ..RpcConfig::dev()
    };
    let options = Options {
        config,
        ..Options::default()
    };
    run_with(options, async |rig: Rig| {
        let server = start(&rig).await;
        let (_, body) = mixed(None);
        let answer = exchange_bytes(&server, HEAD, (&body[..40], body.len())).await;
        assert_eq!(answer.status, 408);
        assert_eq!(post(&server, &body).await.status, 200, "others are served");
    });
}
