//! A shard's chain beside the ledger that speaks of it: health, syncing, stages, metrics, pages.

use super::{
    rig::{GENESIS_TIME, Rig, genesis_hash, run_shard},
    sockets::{Answer, LOOPBACK, exchange_bytes, get},
};
use crate::{RpcServer, ShardPlace, serve_with_shards};
use alloy_primitives::{Address, B256, Bytes};
use commonware_cryptography::Signer as _;
use pipeline::ExecutedRecord;
use primitives::{
    bundle::BundleBuilder,
    crypto::PrivateKey,
    limits,
    shard::{
        BackedEnvelope, Bits, CarriedOrders, Coding, Descriptor, Envelope, RelayAnchor, Schedule,
        ShardId, ShardNamespace, ShardSection, Votes,
    },
};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use shards::{
    feed::{LedgerFeed, RelayUpdate},
    ledger::{
        Authority, CheckedSection, Ledger, LedgerRules, RelayStep, ShardOrder, ShardTerms,
        rules::CORES_UNLIMITED,
    },
    passage::Observer,
};
use std::{collections::BTreeMap, sync::Arc};

const SHARD: ShardId = ShardId(1);
const RULES: B256 = B256::repeat_byte(3);

/// A relay chain of one validator, as far as its ledger goes.
struct Relay {
    key: PrivateKey,
    authority: Arc<Authority>,
    ledger: Ledger,
    feed: LedgerFeed,
}

fn digest(height: u64) -> B256 {
    B256::left_padding_from(&height.to_be_bytes())
}

impl Relay {
    fn new() -> Self {
        let key = PrivateKey::from_seed(0);
        let terms = ShardTerms {
            genesis_hash: genesis_hash(),
            genesis_root: B256::ZERO,
            genesis_ms: GENESIS_TIME * 1_000,
            rules: RULES,
            gas_limit: 30_000_000,
            collators: Vec::new(),
            charter: Bytes::new(),
            cores_max: CORES_UNLIMITED,
        };
        let rules = LedgerRules::asynchronous(1);
        let ledger = Ledger::genesis(rules, GENESIS_TIME * 1_000, [(SHARD, terms, 1)]).unwrap();
        let authority = Arc::new(Authority {
            namespace: ShardNamespace::new(&B256::ZERO),
            validators: vec![key.public_key()],
        });
        let feed = LedgerFeed::new(RelayUpdate {
            height: 0,
            digest: digest(0),
            ledger: Arc::new(ledger.clone()),
            authority: Arc::clone(&authority),
            events: Vec::new(),
        });
        Self {
            key,
            authority,
            ledger,
            feed,
        }
    }

    fn step(&mut self, section: ShardSection) {
        let height = self.ledger.height() + 1;
        let mut random = StdRng::seed_from_u64(0);
        let section =
            CheckedSection::check(section, &self.ledger, &self.authority, &mut random).unwrap();
        let step = RelayStep {
            height,
            parent_digest: digest(height - 1),
            timestamp_ms: self.ledger.timestamp_ms() + 1_000,
            executed_height: height - 1,
            section: &section,
        };
        let (ledger, events) = self.ledger.apply(&step).unwrap();
        self.ledger = ledger;
        self.feed.publish(RelayUpdate {
            height,
            digest: digest(height),
            ledger: Arc::new(self.ledger.clone()),
            authority: Arc::clone(&self.authority),
            events,
        });
    }

    /// A block that notes a block of the shard with this hash.
    fn back(&mut self, hash: B256) {
        let parent = self.ledger.shard(SHARD).unwrap().newest();
        let height = self.ledger.height();
        let envelope = Envelope {
            descriptor: Descriptor {
                shard: SHARD,
                number: parent.number + 1,
                parent: parent.hash,
                head: hash,
                state_root: B256::ZERO,
                anchor: RelayAnchor {
                    height,
                    digest: digest(height),
                },
                rules: RULES,
                collation_hash: B256::ZERO,
                collation_bytes: 1_000,
                gas_used: 0,
                timestamp_ms: parent.timestamp_ms + 1_000,
                collator: self.key.public_key(),
            },
            coding: Coding {
                epoch: 0,
                total: 1,
                minimum: 1,
                root: B256::ZERO,
            },
            schedule: Schedule { core: 0, height },
        };
        let statement = envelope.statement();
        self.step(ShardSection {
            backed: vec![BackedEnvelope {
                envelope,
                backers: Bits::below(1),
                signatures: vec![statement.sign(&self.authority.namespace, &self.key)],
            }],
            ..ShardSection::default()
        });
    }

    /// A block in which the validator holds everything, and says whether it found it valid.
    fn vote(&mut self, is_valid: bool) {
        let pending = self.ledger.pending();
        let places: Bits = pending.map(|one| usize::from(one.place)).collect();
        let votes = Votes {
            height: self.ledger.height(),
            held: places,
            valid: if is_valid { places } else { Bits::EMPTY },
            invalid: Bits::EMPTY,
        };
        let namespace = &self.authority.namespace;
        let vote = votes.sign(0, &self.ledger.digest(), namespace, &self.key);
        self.step(ShardSection {
            votes: vec![vote],
            ..ShardSection::default()
        });
    }

    /// A block that carries an order of the one before.
    fn order(&mut self, order: &ShardOrder) {
        let orders = CarriedOrders {
            height: self.ledger.height(),
            list: vec![order.to_bytes()],
        };
        self.step(ShardSection {
            orders,
            ..ShardSection::default()
        });
    }

    fn place(&self) -> ShardPlace {
        ShardPlace::new(SHARD, self.feed.clone())
    }
}

/// Runs a test over a shard's chain and a relay chain's ledger.
fn beside<F: Future<Output = ()>>(test: impl FnOnce(Relay, Rig, Rig) -> F) {
    let relay = Relay::new();
    let (place, feed) = (relay.place(), relay.feed.clone());
    run_shard(place, feed, |root, shard| test(relay, root, shard));
}

async fn start(root: &Rig, shard: &Rig) -> RpcServer {
    let shards = BTreeMap::from([(SHARD.0, Arc::clone(&shard.backend))]);
    let backend = Arc::clone(&root.backend);
    serve_with_shards(backend, shards, LOOPBACK).await.unwrap()
}

async fn mine(shard: &Rig) -> Arc<ExecutedRecord> {
    shard.send(0, Address::ZERO, Bytes::new()).await;
    shard.mine().await
}

async fn health(server: &RpcServer, path: &str) -> (u16, Value) {
    let answer = get(server, path, "localhost").await;
    (answer.status, answer.json())
}

#[test]
fn a_block_of_a_shard_has_stages_of_its_own() {
    beside(|mut relay, _, shard| async move {
        let record = mine(&shard).await;
        let stages = async || {
            shard
                .call("headway_getBlockStages", json!(["latest"]))
                .await
        };
        let collated = record.block.header().timestamp_ms;
        let first = stages().await;
        assert_eq!(first["height"], json!("0x1"));
        assert_eq!(first["collatedMs"], json!(collated));
        assert!(first["executedMs"].is_u64());
        for stage in ["backedMs", "includedMs", "finalizedMs", "backedHeight"] {
            assert!(first[stage].is_null(), "{stage}: {first}");
        }
        for stage in ["proposedMs", "notarizedMs", "verifiedMs"] {
            assert!(first.get(stage).is_none(), "{stage}: {first}");
        }
        relay.back(record.hash);
        let backed = stages().await;
        assert_eq!(backed["anchorHeight"], json!("0x0"));
        assert_eq!(backed["backedHeight"], json!("0x1"));
        assert_eq!(backed["backedMs"], json!(GENESIS_TIME * 1_000 + 1_000));
        relay.vote(false);
        assert_eq!(stages().await["includedHeight"], json!("0x2"));
        assert_eq!(shard.backend.safe_height().unwrap(), 1);
        relay.vote(true);
        let finalized = stages().await;
        assert_eq!(finalized["finalizedHeight"], json!("0x3"));
        assert!(finalized["finalizedMs"].as_u64() > finalized["includedMs"].as_u64());
        let unknown = shard.call("headway_getBlockStages", json!(["0x9"])).await;
        assert!(unknown.is_null());
    });
}

#[test]
fn a_chain_that_lacks_what_is_final_says_that_it_syncs() {
    beside(|mut relay, root, shard| async move {
        let server = start(&root, &shard).await;
        let record = mine(&shard).await;
        let syncing = async || shard.call("eth_syncing", json!([])).await;
        relay.back(record.hash);
        relay.vote(true);
        assert_eq!(syncing().await, json!(false));
        let (status, body) = health(&server, "/health").await;
        assert_eq!((status, &body["status"]), (200, &json!("ok")), "{body}");
        let expected = json!({
            "id": 1, "status": "active", "latest": "0x1", "safe": "0x1", "finalized": "0x0", "relayFinalized": "0x1",
            "finalizedAgeMs": 0, "behind": false, "stalled": false,
        });
        assert_eq!(body["shards"], json!([expected]));
        // The next one is made and made final elsewhere.
        relay.back(B256::repeat_byte(0xee));
        relay.vote(true);
        let behind = syncing().await;
        assert_eq!(behind["currentBlock"], json!("0x1"));
        assert_eq!(behind["highestBlock"], json!("0x2"));
        let (status, body) = health(&server, "/health").await;
        assert_eq!((status, &body["status"]), (200, &json!("degraded")));
        assert_eq!(body["shards"][0]["behind"], json!(true));
        let (status, body) = health(&server, "/shard/1/health").await;
        assert_eq!((status, &body["status"]), (503, &json!("failing")));
        assert_eq!(body["syncing"]["target"], json!("0x2"));
        // A block of that number, and another one than the final.
        mine(&shard).await;
        assert_eq!(syncing().await["highestBlock"], json!("0x2"));
        assert_eq!(root.call("eth_syncing", json!([])).await, json!(false));
        let page = get(&server, "/shard/1/", "localhost").await.body;
        assert!(page.contains("this node is behind: block 2 of this shard is final"));
    });
}

#[test]
fn a_shard_without_final_blocks_stands_still() {
    beside(|mut relay, root, shard| async move {
        let server = start(&root, &shard).await;
        let record = mine(&shard).await;
        relay.back(record.hash);
        relay.vote(true);
        let heartbeat_ms = shard.backend.chain.config().protocol.heartbeat_ms;
        let patience_ms = heartbeat_ms * crate::shard::STALLED_HEARTBEATS;
        let finalized_ms = relay.ledger.shard(SHARD).unwrap().finalized().timestamp_ms;
        let set_clock = |ms: u64| {
            for rig in [&root, &shard] {
                rig.now_ms.store(ms, std::sync::atomic::Ordering::Relaxed);
            }
        };
        set_clock(finalized_ms + patience_ms);
        assert_eq!(health(&server, "/health").await.1["status"], json!("ok"));
        set_clock(finalized_ms + patience_ms + 1);
        let (status, body) = health(&server, "/health").await;
        assert_eq!((status, &body["status"]), (200, &json!("degraded")));
        assert_eq!(body["shards"][0]["stalled"], json!(true));
        assert_eq!(body["shards"][0]["behind"], json!(false));
        assert_eq!(health(&server, "/shard/1/health").await.0, 503);
        let metrics = get(&server, "/metrics", "localhost").await.body;
        for line in [
            "headway_shard_height{shard=\"1\",stage=\"final\"} 1",
            "headway_shard_stalled{shard=\"1\"} 1",
            "headway_shard_behind{shard=\"1\"} 0",
            "headway_shard_relay_blocks_total{shard=\"1\",chance=\"taken\"} 1",
            "headway_shard_relay_blocks_total{shard=\"1\",chance=\"idle\"} 1",
        ] {
            assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
        }
        let elsewhere = get(&server, "/shard/2/health", "localhost").await;
        assert_eq!(elsewhere.status, 404);
    });
}

#[test]
fn a_retired_shard_takes_no_transactions_and_a_paused_one_does() {
    beside(|mut relay, root, shard| async move {
        let server = start(&root, &shard).await;
        let record = mine(&shard).await;
        relay.back(record.hash);
        relay.vote(true);
        let status = async |expected: &str| {
            let (code, body) = health(&server, "/health").await;
            assert_eq!(body["shards"][0]["status"], json!(expected), "{body}");
            assert_eq!((code, &body["status"]), (200, &json!("ok")), "{body}");
            let (code, body) = health(&server, "/shard/1/health").await;
            assert_eq!(body["shard"]["status"], json!(expected), "{body}");
            assert_eq!((code, &body["status"]), (200, &json!("ok")), "{body}");
        };
        status("active").await;
        relay.order(&ShardOrder::Pause(SHARD));
        status("paused").await;
        shard.send(1, Address::ZERO, Bytes::new()).await;
        relay.order(&ShardOrder::Retire(SHARD));
        status("retired").await;
        refuses(&server, &shard).await;
        assert_eq!(shard.backend.mempool.counts().pending, 1);
        root.send(2, Address::ZERO, Bytes::new()).await;
    });
}

/// On every way in, with an error that says why.
async fn refuses(server: &RpcServer, shard: &Rig) {
    let retired = "the shard is retired: it takes no transactions any more";
    let raw = shard.raw(2, Address::ZERO, Bytes::new());
    for (method, params) in [
        ("eth_sendRawTransaction", json!([raw])),
        ("eth_sendRawTransactionSync", json!([raw])),
        ("headway_sendRawTransactions", json!([[raw]])),
    ] {
        let error = shard.error(method, params).await;
        assert_eq!(error, (-32000, retired.to_owned()), "{method}");
    }
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw],
    });
    let batch = json!([call, call]).to_string();
    let head = "POST /shard/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    let answer = exchange_bytes(server, head, (batch.as_bytes(), batch.len())).await;
    for one in answer.json().as_array().unwrap() {
        assert_eq!(one["error"]["message"], retired, "{one}");
    }
    let mut bundle = BundleBuilder::new(limits::BUNDLE_BYTES_MAX);
    bundle.push(&raw, None).unwrap();
    let bundle = bundle.finish();
    let head =
        "POST /shard/1/bulk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream";
    let answer = exchange_bytes(server, head, (&bundle, bundle.len())).await;
    assert!(answer.body.contains(retired), "{}", answer.body);
}

async fn page(server: &RpcServer, path: &str) -> Answer {
    let answer = get(server, path, "localhost").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer
}

#[test]
fn the_blocks_of_a_shard_are_drawn_and_listed() {
    beside(|mut relay, root, shard| async move {
        relay.feed.observe(Observer {
            now_ms: Box::new(|| GENESIS_TIME * 1_000 + 5_000),
            has_work: Box::new(|_, _| Some(true)),
        });
        let server = start(&root, &shard).await;
        let record = mine(&shard).await;
        relay.back(record.hash);
        let backed = page(&server, "/shards").await.body;
        assert!(backed.contains(r#"<tr class="backed">"#), "{backed}");
        assert!(backed.contains(r#"<a class="n" href="/shard/1/block/1">1</a>"#));
        relay.vote(true);
        for _ in 0..3 {
            relay.step(ShardSection::default());
        }
        let body = page(&server, "/shards").await.body;
        assert!(body.contains(r#"<tr class="final">"#), "{body}");
        assert!(body.contains("+4.00 s <small><a class=\"n\" href=\"/block/1\">1</a></small>"));
        assert!(body.contains("4 relay blocks missed") || body.contains("3 relay blocks missed"));
        assert!(
            body.contains("Newest blocks of shard 1: collated 1, backed 1, included 1, final 1")
        );
        assert!(body.len() < 100_000, "{} bytes", body.len());
    });
}

#[test]
fn pages_of_a_shard_lead_to_its_own() {
    beside(|mut relay, root, shard| async move {
        let server = start(&root, &shard).await;
        let record = mine(&shard).await;
        relay.back(record.hash);
        let hash = record.transactions[0].hash();
        for path in [
            "",
            "/",
            "/blocks",
            "/txs",
            "/block/1",
            "/pool",
            &format!("/tx/{hash}"),
        ] {
            let answer = page(&server, &format!("/shard/1{path}")).await;
            assert!(answer.head.contains("content-security-policy"), "{path}");
            assert!(answer.body.contains(">shard 1</span>"), "{path}");
            for link in answer.body.split("href=\"/").skip(1) {
                let link = link.split('"').next().unwrap();
                let at_root = ["assets/", "metrics", "shards"];
                let is_own =
                    link.starts_with("shard/1/") || at_root.iter().any(|one| link.starts_with(one));
                assert!(is_own, "{path} leads to /{link}");
            }
        }
        let block = page(&server, "/shard/1/block/1").await.body;
        for stage in ["collated", "executed", "backed", "included", "final"] {
            assert!(block.contains(&format!("{stage} <b>")), "{stage}: {block}");
        }
        assert!(!block.contains("notarized"));
        let found = get(&server, "/shard/1/search?q=1", "localhost").await;
        assert!(
            found.head.contains("location: /shard/1/block/1"),
            "{}",
            found.head
        );
        for path in [
            "/shard/1/validators",
            "/shard/1/shards",
            "/shard/2/",
            "/shard/1/block/7",
        ] {
            assert_eq!(get(&server, path, "localhost").await.status, 404, "{path}");
        }
        // The chain at the root has no such block.
        assert_eq!(get(&server, "/block/1", "localhost").await.status, 404);
    });
}
