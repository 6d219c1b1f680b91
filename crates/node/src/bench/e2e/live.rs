//! One validator in this process, and a load against its port.

use super::{E2eBench, E2eReport, Ordered, POLL};
use crate::{
    bench::{Threads, Usage, state::OnProgress},
    dev,
    error::NodeError,
    init::{GenesisOptions, genesis_file, now_seconds},
    load::{self, LoadReport},
    network::{self, NetworkParts},
    process::{self, DataDirectory, RpcParts},
    run::{self, Node, NodeParts},
};
use alloy_primitives::{Address, U256};
use commonware_codec::Encode as _;
use commonware_cryptography::Signer as _;
use commonware_runtime::{Clock as _, Runner as _, tokio};
use consensus::{Order, sync::ServerConfig};
use pipeline::{Chain, PipelineConfig};
use primitives::{BlockLimits, Genesis, chain::Protocol, crypto::PrivateKey};
use rpc::RpcConfig;
use state::{Location, StoreConfig};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// Of the chain that is measured: some 28,000 transfers a block.
const GAS_LIMIT: u64 = 600_000_000;
const BLOCK_BYTES_MAX: u32 = 8 << 20;
/// What the first account of the load has, in wei: enough to pay for all senders.
const FUNDS_WEI: U256 = U256::from_limbs([0, 1 << 40, 0, 0]);
/// Longest wait until the load is in blocks, and until what it wrote is on disk.
const WAIT: Duration = Duration::from_secs(600);
/// The thread of the load, by which its CPU is told from the node's.
const LOAD_THREAD: &str = "load";

/// What the load's thread gives back.
struct Loaded {
    report: LoadReport,
    /// When its clock started.
    before: (Usage, Threads),
    after: (Usage, Threads),
}

pub(super) fn run(
    bench: &E2eBench,
    progress: OnProgress<'_>,
    report: &mut E2eReport,
) -> Result<Ordered, NodeError> {
    let directory = DataDirectory::open(&bench.directory.join("live"))?;
    let genesis = genesis()?;
    let (serving, served) = mpsc::channel();
    let (finished, mut outcome) = futures::channel::oneshot::channel();
    let config = tokio::Config::new().with_storage_directory(directory.consensus());
    thread::scope(|scope| {
        let loader = thread::Builder::new().name(LOAD_THREAD.to_owned());
        let load = move || {
            let Ok(url) = served.recv() else { return };
            // The receiver is gone only if the node failed, which is said there.
            finished.send(send(bench, url, progress)).ok();
        };
        loader
            .spawn_scoped(scope, load)
            .map_err(|error| NodeError::Bench(error.to_string()))?;
        let (genesis, directory) = (&genesis, &directory);
        tokio::Runner::new(config).start(|runtime| async move {
            let (node, limits) = Box::pin(start(&runtime, bench, genesis, directory)).await?;
            let (chain, order) = (node.chain.clone(), node.order().clone());
            let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
            let parts = RpcParts {
                listen,
                config: RpcConfig::default(),
                dev: None,
                peers: 0,
            };
            let server = process::serve(&runtime, &node, parts).await?;
            serving.send(format!("http://{}", server.address())).ok();
            let failed = Box::pin(node.failed());
            let loaded = match futures::future::select(&mut outcome, failed).await {
                futures::future::Either::Left((loaded, _)) => loaded,
                futures::future::Either::Right((fault, _)) => return Err(fault),
            };
            let loaded = loaded.map_err(|_| NodeError::Bench("the load ended".to_owned()))??;
            let durable_s = durable(&runtime, &chain).await?;
            report.live(&loaded.report, &loaded.cost(), durable_s);
            gather(genesis.clone(), limits, &chain, &order).await
        })
    })
}

impl Loaded {
    /// CPU of the node by kind of thread, in seconds, while the load ran.
    fn cost(&self) -> Vec<(String, f64)> {
        let mut threads = self.after.1.since(&self.before.1);
        threads.retain(|(name, _)| name != LOAD_THREAD);
        threads
    }
}

/// Runs the load; its own clock starts after it has signed everything.
fn send(bench: &E2eBench, url: String, progress: OnProgress<'_>) -> Result<Loaded, NodeError> {
    let moments = Mutex::new((None, None));
    let hear = |heard: load::Progress| {
        let mut moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.step {
            "signing" => moments.0 = Some((Usage::now(), Threads::now())),
            "receipts" => drop(
                moments
                    .1
                    .get_or_insert_with(|| (Usage::now(), Threads::now())),
            ),
            _ => {}
        }
        drop(moments);
        progress(crate::bench::state::at(
            heard.step,
            heard.done as u64,
            heard.total as u64,
        ));
    };
    let report = load::run(&bench.load(url), &hear)?;
    if report.mined < report.transactions {
        let (mined, transactions) = (report.mined, report.transactions);
        let why = if report.interrupted {
            "interrupted"
        } else {
            "some are missing"
        };
        return Err(NodeError::Bench(format!(
            "{why}: {mined} of {transactions} are in blocks"
        )));
    }
    let (before, after) = moments.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Loaded {
        report,
        before: before.unwrap_or_default(),
        after: after.unwrap_or_default(),
    })
}

fn genesis() -> Result<Genesis, NodeError> {
    let signers = dev::accounts();
    let options = GenesisOptions {
        chain_id: dev::CHAIN_ID,
        gas_limit: GAS_LIMIT,
        timestamp: now_seconds(),
        funded: signers
            .iter()
            .map(|signer| (signer.address(), FUNDS_WEI))
            .collect(),
        shards: None,
        governor: None,
        cores: None,
    };
    let protocol = Protocol {
        block_bytes_max: BLOCK_BYTES_MAX,
        gas_charge_floor_permille: 0,
        ..Protocol::default()
    };
    let refuse = |source| NodeError::Genesis {
        path: PathBuf::from("genesis of bench e2e"),
        source,
    };
    let text = genesis_file(&options, &[key()], protocol).map_err(refuse)?;
    Genesis::from_json(&text).map_err(refuse)
}

fn key() -> PrivateKey {
    PrivateKey::from_seed(0)
}

async fn start(
    runtime: &tokio::Context,
    bench: &E2eBench,
    genesis: &Genesis,
    directory: &DataDirectory,
) -> Result<(Node, BlockLimits), NodeError> {
    let identity = run::identity(genesis, &key());
    let listen = process::require_free(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?;
    let limits = identity.limits;
    let (wires, _network) = network::connect(
        runtime,
        NetworkParts {
            key: key(),
            namespace: identity.namespace,
            listen,
            validators: vec![(identity.public_key, listen)],
            followers: Vec::new(),
            limits,
        },
    );
    let parts = NodeParts {
        genesis: genesis.clone(),
        key: key(),
        fee_recipient: Address::ZERO,
        location: Location::Directory(directory.state("0")),
        store: StoreConfig {
            commit_workers: bench.workers,
            ..StoreConfig::default()
        },
        partition: "node0".to_owned(),
        pipeline: PipelineConfig {
            workers: bench.workers,
            ..PipelineConfig::default()
        },
        control: None,
        anchor: None,
        sync: None,
        serving: ServerConfig::default(),
        has_history: false,
        bias: None,
        never_voted: false,
        collated: Vec::new(),
    };
    let node = Box::pin(run::assemble(runtime, parts, wires)).await?;
    Ok((node, limits))
}

/// Waits until what has executed is on disk, and says how long.
async fn durable(runtime: &tokio::Context, chain: &Chain) -> Result<f64, NodeError> {
    let target = chain.heads().executed_height;
    let started = runtime.current();
    loop {
        let elapsed = runtime
            .current()
            .duration_since(started)
            .unwrap_or_default();
        if chain.durable_height() >= target {
            return Ok(elapsed.as_secs_f64());
        }
        if elapsed > WAIT {
            return Err(NodeError::Bench(
                "the state does not become durable".to_owned(),
            ));
        }
        runtime.sleep(POLL).await;
    }
}

async fn gather(
    genesis: Genesis,
    limits: BlockLimits,
    chain: &Chain,
    order: &Order,
) -> Result<Ordered, NodeError> {
    let mut ordered = Ordered {
        genesis,
        limits,
        blocks: Vec::new(),
        transactions: 0,
    };
    for height in 1..=chain.heads().executed_height {
        let missing = || NodeError::Bench(format!("the archive lacks height={height}"));
        let block = order.block(height).await.ok_or_else(missing)?;
        ordered.transactions += block.transactions().len();
        ordered.blocks.push(block.encode());
    }
    Ok(ordered)
}
