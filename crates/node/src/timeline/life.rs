//! One timeline from its beginning to its end: a node in a task of its own, which ends with everything in it.

use super::copy::Beginning;
use crate::{
    dev,
    error::NodeError,
    network::{self, NetworkParts},
    process::{self, DataDirectory, Readable},
    run::{self, Identity, NodeParts},
};
use commonware_cryptography::Signer as _;
use commonware_runtime::{Clock as _, Handle, Spawner as _, Supervisor as _, tokio::Context};
use consensus::{Order, sync::ServerConfig};
use pipeline::{DevControl, PipelineConfig};
use primitives::{Anchor, Genesis, crypto::PrivateKey};
use state::{Location, StoreConfig};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};
use tokio::sync::oneshot;

/// What all timelines of a chain have in common.
pub(crate) struct Origin {
    pub(crate) runtime: Context,
    pub(crate) genesis: Genesis,
    pub(crate) key: PrivateKey,
    pub(crate) identity: Identity,
    pub(crate) store: StoreConfig,
    pub(crate) pipeline: PipelineConfig,
    /// The data directory.
    pub(crate) path: PathBuf,
    /// Timelines so far.
    pub(crate) begun: u64,
}

/// One timeline.
pub(super) struct Life {
    pub(super) readable: Readable,
    pub(super) order: Order,
    pub(super) control: DevControl,
    task: Handle<NodeError>,
    files: Files,
}

/// Where a timeline keeps what it stores.
#[derive(Clone, Debug)]
pub(super) struct Files {
    state: PathBuf,
    partition: String,
}

/// What a task says once its node runs.
type Ready = (Readable, Order);

impl Origin {
    /// The first timeline, or another one.
    pub(super) async fn begin(&mut self, beginning: Option<Beginning>) -> Result<Life, NodeError> {
        let number = self.begun;
        self.begun += 1;
        let block_time_ms = self.genesis.chain.protocol.block_time_ms;
        let control = DevControl::new(1).with_block_time(block_time_ms);
        let Some(beginning) = beginning else {
            let name = number.to_string();
            let state = self.path.join(format!("state-{name}"));
            let files = Files {
                state,
                partition: format!("node{name}"),
            };
            return self.start(files, None, control).await;
        };
        // Nothing is made before all is as it was.
        control.hold().await;
        control
            .restore(beginning.settings)
            .map_err(|error| part(&error))?;
        let (anchor, state) = match beginning.anchor {
            Some((anchor, copy)) => (Some(anchor), copy.keep()),
            None => (None, self.path.join(format!("state-{number}"))),
        };
        let files = Files {
            state,
            partition: format!("node{number}"),
        };
        let life = self.start(files, anchor, control).await?;
        let mut progress = life.readable.chain.progress();
        let reached =
            progress.wait_for(|now| now.stopped || now.heads.executed_height >= beginning.height);
        reached.await;
        self.fill(&life, beginning.waiting)?;
        life.control.release();
        Ok(life)
    }

    /// Puts back what waited. What does not fit in any more has fitted before, so it is no fault.
    fn fill(
        &self,
        life: &Life,
        waiting: Vec<primitives::RecoveredTransaction>,
    ) -> Result<(), NodeError> {
        let Readable { chain, mempool, .. } = &life.readable;
        let state = chain
            .snapshot(chain.heads().executed_height)
            .map_err(|error| part(&error))?;
        let elapsed = self.runtime.current().duration_since(UNIX_EPOCH);
        let now_ms = u64::try_from(elapsed.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        let admitted = mempool.admit_many(waiting, &state, now_ms);
        admitted.map(drop).map_err(|error| part(&error))
    }

    async fn start(
        &self,
        files: Files,
        anchor: Option<Anchor>,
        control: DevControl,
    ) -> Result<Life, NodeError> {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let listen = process::require_free(loopback)?;
        let network = NetworkParts {
            key: self.key.clone(),
            namespace: self.identity.namespace.clone(),
            listen,
            validators: vec![(self.key.public_key(), listen)],
            followers: Vec::new(),
            limits: self.identity.limits,
        };
        let parts = NodeParts {
            genesis: self.genesis.clone(),
            key: self.key.clone(),
            fee_recipient: dev::fee_recipient(0),
            location: Location::Directory(files.state.clone()),
            store: self.store,
            partition: files.partition.clone(),
            pipeline: PipelineConfig {
                // Made anew from the blocks that the timeline begins with.
                postings: Some(Location::Directory(files.state.clone())),
                ..self.pipeline.clone()
            },
            control: Some(control.clone()),
            has_history: true,
            bias: None,
            // Its votes are all its own: nobody has seen those of the timeline before it.
            never_voted: anchor.is_some(),
            anchor,
            sync: None,
            serving: ServerConfig::default(),
            collated: Vec::new(),
        };
        let (ready, is_ready) = oneshot::channel();
        let runtime = self.runtime.child("node").with_attribute("index", 0);
        let task = runtime.spawn(move |runtime| live(runtime, network, parts, ready));
        let (readable, order) = match is_ready.await {
            Ok(ready) => ready,
            // It ended before it began, and says why.
            Err(_) => return Err(ended(task.await)),
        };
        Ok(Life {
            readable,
            order,
            control,
            task,
            files,
        })
    }

    pub(super) fn snapshot_directory(&self, id: u64) -> PathBuf {
        self.path.join(format!("snapshot-{id}"))
    }

    /// Every folder that a timeline has.
    pub(super) fn remains(&self, files: Files) -> Vec<PathBuf> {
        let prefix = format!("{}-", files.partition);
        let consensus = DataDirectory::consensus_in(&self.path);
        let mut remains = folders(&consensus, &prefix);
        remains.push(files.state);
        remains
    }
}

fn folders(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let matching = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with(prefix))
    });
    matching.map(|entry| entry.path()).collect()
}

/// A node for as long as its task is not aborted.
async fn live(
    runtime: Context,
    network: NetworkParts,
    parts: NodeParts,
    ready: oneshot::Sender<Ready>,
) -> NodeError {
    let (wires, _network) = network::connect(&runtime, network);
    let node = match Box::pin(run::assemble(&runtime, parts, wires)).await {
        Ok(node) => node,
        Err(error) => return error,
    };
    // Nobody waits for it any more if the process ends.
    ready
        .send((Readable::from(&node), node.order().clone()))
        .ok();
    Box::pin(node.failed()).await
}

impl Life {
    /// Resolves when the timeline cannot go on.
    pub(super) async fn failed(&mut self) -> NodeError {
        ended((&mut self.task).await)
    }

    /// Ends it, and everything in it.
    pub(super) async fn end(&mut self) -> Files {
        self.task.abort();
        // It ended because it was told to.
        drop((&mut self.task).await);
        self.files.clone()
    }
}

fn ended(outcome: Result<NodeError, commonware_runtime::Error>) -> NodeError {
    outcome.unwrap_or_else(|error| part(&error))
}

fn part(error: &impl std::fmt::Display) -> NodeError {
    NodeError::Part {
        part: "timeline",
        error: error.to_string(),
    }
}
