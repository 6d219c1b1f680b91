//! What is said of a running node, by everything that looks at one: metrics and their documents, the
//! dashboard, the alerts, `top`, `profile` and `doctor`.

use super::{
    ACCOUNTS, BALANCE, DataDirectory, DevOptions, GAS_LIMIT, MNEMONIC, Started, accounts, genesis,
    start_nodes,
};
use crate::{
    doctor::{self, DoctorOptions, Status},
    load::client::Client,
    process::{self, RpcParts, TemporaryDirectory},
    profile::{self, Style, tests::mints},
    top::{self, FRAME_SIZE, TopOptions},
};
use alloy_primitives::B256;
use commonware_cryptography::Signer as _;
use commonware_runtime::{Runner as _, tokio::Context};
use primitives::crypto::PrivateKey;
use rpc::{Dev, RpcConfig};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

/// Metrics that are ours to explain; the rest is counted by the consensus engine and the runtime.
const OURS: [&str; 6] = [
    "headway_",
    "node_agent_",
    "node_pipeline_",
    "node_consensus_relay_",
    "node_consensus_transactions_",
    "runtime_process_",
];
/// What the names of metrics in dashboards and alerts begin with.
const PREFIXES: [&str; 3] = ["headway_", "node_", "runtime_"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a test beside a development chain of one validator and one shard, with the address of its RPC.
fn beside_a_node(test: impl FnOnce(String) + Send + 'static) {
    let temporary = TemporaryDirectory::create().unwrap();
    let directory = DataDirectory::open(temporary.path()).unwrap();
    let options = DevOptions {
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        chain_id: super::CHAIN_ID,
        validators: 1,
        shards: Some(1),
        cores: None,
        block_time: None,
        gas_limit: GAS_LIMIT,
        data_dir: None,
        in_memory: false,
        mnemonic: MNEMONIC.to_owned(),
        accounts: ACCOUNTS,
        balance: BALANCE,
        history_blocks: None,
        workers: NonZeroUsize::new(2).unwrap(),
        spans: true,
        execution_delay: Duration::ZERO,
    };
    let keys = [PrivateKey::from_seed(0)];
    let genesis = genesis(&options, &accounts(), &keys).unwrap();
    let config =
        commonware_runtime::tokio::Config::new().with_storage_directory(directory.consensus());
    commonware_runtime::tokio::Runner::new(config).start(|runtime| async move {
        let started = start_nodes(&runtime, &options, &genesis, &keys, &directory).await;
        let url = serve(&runtime, started.unwrap()).await;
        // What looks at a node has a runtime of its own.
        tokio::task::spawn_blocking(move || test(url))
            .await
            .unwrap();
    });
}

async fn serve(runtime: &Context, (nodes, control): Started) -> String {
    let parts = RpcParts {
        listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        config: RpcConfig::dev(),
        dev: Some(Dev::new(accounts(), control)),
        peers: 0,
    };
    let server = process::serve_node(runtime, &nodes[0], parts);
    let server = server.await.unwrap();
    let url = format!("http://{}", server.address());
    // For as long as the runtime runs.
    std::mem::forget((nodes, server));
    url
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

/// Sends the mints of a collection and waits until all are mined; the collection's address.
fn mint(url: &str) -> String {
    let (text, collection) = mints();
    block_on(async {
        let client = Client::new(url, Duration::from_secs(30)).unwrap();
        let mut hashes = Vec::new();
        for raw in text.lines().filter(|line| line.starts_with("0x")) {
            let hash: Option<B256> = client
                .call("eth_sendRawTransaction", json!([raw]))
                .await
                .unwrap();
            hashes.push(hash.unwrap());
        }
        for hash in hashes {
            let mut tries = 0..500;
            while client
                .call::<serde_json::Value>("eth_getTransactionReceipt", json!([hash]))
                .await
                .unwrap()
                .is_none()
            {
                tries.next().expect("mined within a few seconds");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    collection.to_string()
}

fn page(url: &str, path: &str) -> String {
    let client = Client::new(url, Duration::from_secs(10)).unwrap();
    let (status, body) = block_on(client.get(path)).unwrap();
    assert_eq!(status, 200);
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn a_running_node_is_seen_by_everything_that_looks_at_one() {
    beside_a_node(|url| {
        let collection = mint(&url);
        let frame = top::once(
            &TopOptions {
                url: url.clone(),
                interval: Duration::from_millis(300),
            },
            FRAME_SIZE,
        );
        let frame = frame.unwrap();
        for text in [
            "live",
            "in step with the chain",
            "stages",
            "hot places of block",
        ] {
            assert!(frame.contains(text), "{text}\n{frame}");
        }
        profiles(&url, &collection);
        let findings = doctor::examine(&DoctorOptions {
            config: None,
            url: Some(url.clone()),
        });
        let findings = findings.unwrap();
        let node = findings.iter().find(|finding| finding.name == "node");
        assert_eq!(
            node.unwrap().status,
            Status::Ok,
            "{}",
            doctor::text(&findings)
        );
        metrics_are_documented(&page(&url, "/metrics"));
    });
}

fn profiles(url: &str, collection: &str) {
    // Some block holds several mints: they were sent faster than blocks come.
    let newest: u64 = 40;
    let blocks = (1..newest).filter_map(|height| profile::of_block(url, &height.to_string()).ok());
    let busiest = blocks
        .max_by_key(|block| block.profile.waiting_count)
        .unwrap();
    let text = busiest.text(Style::default());
    assert!(text.contains("What to do"), "{text}");
    if busiest.profile.waiting_count > 0 {
        let place = &busiest.profile.hot_places[0];
        assert_eq!(place.address.to_string(), collection);
    }
    let unknown = profile::of_block(url, "99999999").unwrap_err();
    assert!(
        unknown.to_string().contains("no block 99999999"),
        "{unknown}"
    );
    assert_eq!(unknown.exit_code(), 1);
}

/// Every metric of ours is in the document, and every one that is named elsewhere exists.
fn metrics_are_documented(page: &str) {
    let exposed = Exposed::read(page);
    let path = root().join("docs/metrics.md");
    let written = fs::read_to_string(&path).unwrap_or_default();
    let document = exposed.document();
    if written != document {
        fs::write(&path, document).unwrap();
        panic!(
            "docs/metrics.md did not say what a node tells; it is written anew: read it and keep it"
        );
    }
    for file in ["ops/grafana/headway.json", "ops/prometheus/alerts.yml"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let named = names(&text);
        assert!(named.len() > 10, "{file} names {} metrics", named.len());
        for name in named {
            assert!(
                exposed.has(name),
                "{file} names {name}, which a node does not tell"
            );
        }
    }
    let dashboard = fs::read_to_string(root().join("ops/grafana/headway.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}

/// Names of metrics in a text.
fn names(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .collect()
}

/// The metrics of a page.
#[derive(Default)]
struct Exposed {
    metrics: BTreeMap<String, Metric>,
}

#[derive(Default)]
struct Metric {
    help: String,
    kind: String,
    labels: Vec<String>,
}

impl Exposed {
    fn read(page: &str) -> Self {
        let mut exposed = Self::default();
        for line in page.lines() {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' '))
            {
                exposed.metrics.entry(name.to_owned()).or_default().help = help.to_owned();
            } else if let Some((name, kind)) =
                line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
            {
                exposed.metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
            } else if let Some((name, labels, _)) = top::exposition::parts(line) {
                exposed.add_labels(name, labels);
            }
        }
        exposed
    }

    fn add_labels(&mut self, sample: &str, labels: &str) {
        let suffixes = ["", "_total", "_bucket", "_sum", "_count"];
        let name = suffixes.iter().find_map(|suffix| {
            let name = sample.strip_suffix(suffix)?;
            self.metrics.contains_key(name).then(|| name.to_owned())
        });
        let Some(metric) = name.and_then(|name| self.metrics.get_mut(&name)) else {
            return;
        };
        for label in labels.split("\",").filter_map(|pair| pair.split_once('=')) {
            let name = label.0.to_owned();
            if !metric.labels.contains(&name) && !["index", "le"].contains(&label.0) {
                metric.labels.push(name);
            }
        }
    }

    /// Whether a sample of this name exists.
    fn has(&self, sample: &str) -> bool {
        self.metrics.iter().any(|(name, metric)| {
            let Some(suffix) = sample.strip_prefix(name.as_str()) else {
                return false;
            };
            match metric.kind.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                "counter" => suffix == "_total" || (suffix.is_empty() && name.ends_with("_total")),
                _ => suffix.is_empty(),
            }
        })
    }

    fn document(&self) -> String {
        let mut text = String::from(
            "# Metrics\n\n\
             `GET /metrics` on the RPC port answers in Prometheus' text format. This page is made from what a node\n\
             tells: the test `dev::tests` of the crate `node` compares them, and writes the page anew when they differ.\n\n\
             `headway_…` is read when somebody asks; `node_…` is counted by the parts of a node while they work. A process\n\
             with several nodes (`headway dev --validators 4`) tells them apart by the label `index`; what begins with\n\
             `headway_` is of the first. Histograms have the usual `_bucket`, `_sum` and `_count`. Other names beginning\n\
             with `node_network_` and `node_consensus_` belong to the consensus engine, `runtime_` to the runtime; they say\n\
             themselves what they are, and may change with its version. A shard that a node collates has the metrics of any\n\
             chain, as `node_shard_pipeline_…` with its number as `id`; they are not listed again.\n\n\
             [`ops/grafana/headway.json`](../ops/grafana/headway.json) is a dashboard of them,\n\
             [`ops/prometheus/alerts.yml`](../ops/prometheus/alerts.yml) are alerts; [operations.md](operations.md) says how\n\
             to use both.\n\n\
             | metric | type | labels | what it is |\n|---|---|---|---|\n",
        );
        for (name, metric) in &self.metrics {
            let Metric { help, kind, labels } = metric;
            if !OURS.iter().any(|prefix| name.starts_with(prefix)) || name.contains("mailbox") {
                continue;
            }
            let total = match kind == "counter" && !name.ends_with("_total") {
                true => "_total",
                false => "",
            };
            let labels = labels.join(", ");
            text.push_str(&format!(
                "| `{name}{total}` | {kind} | {labels} | {help} |\n"
            ));
        }
        text
    }
}
