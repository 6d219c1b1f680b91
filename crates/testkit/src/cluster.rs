//! A whole network in one deterministic runtime: real nodes, execution included, on simulated links.
//!
//! ```text
//! simulate(config, scenario)
//!    └─ Cluster ── links (faults.rs) ── Validator 0 … n: disk, partition ──life 0──✂ crash ──life 1──▶
//!         │                                 └─ node::run::assemble, as in production
//!         └─ watch: the heads of every life, all the time ──▶ oracle.rs
//! ```
//! One seed gives one history: the runtime picks the order of tasks and the fate of messages from
//! it. A crash is a power failure: the tasks end where they are; of what was not synced, the files
//! of consensus lose everything and the state's disk a random part.
//!
//! Limits: time is simulated and advances a millisecond for every round of tasks, so that CPU time
//! costs nothing; `PipelineConfig::execution_delay` stands for slow execution.

mod block_liar;
mod join;
mod liar;
mod lying;
mod network;
mod shard_liar;
mod shards;
mod state_liar;
mod sync;
mod validator;

pub use block_liar::{BLOCK_LIES, BlockLie};
pub use liar::Lie;
pub use shard_liar::ShardLie;
pub use state_liar::{STATE_LIES, StateLie};
pub use sync::Seen;

use crate::faults;
use alloy_primitives::{Address, B256, U256};
use commonware_cryptography::Signer as _;
use commonware_p2p::simulated::Link;
use commonware_runtime::{
    Clock as _, Runner as _, Supervisor as _,
    deterministic::{self, Context},
};
use mempool::Mempool;
use network::Links;
use node::{
    error::NodeError,
    init::{GenesisOptions, genesis_file},
    run::{self, NodeParts},
};
use pipeline::Chain;
use primitives::{
    Genesis,
    chain::Protocol,
    crypto::{PrivateKey, PublicKey},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use state::MemoryDisk;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use validator::{Running, Validator};

/// Simulated time after which a scenario that has not ended is stuck.
const SCENARIO_MAX: Duration = Duration::from_secs(60 * 60);
/// How often a waiting scenario looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// When simulated time starts, in seconds since the Unix epoch.
const START_SECONDS: u64 = 1_700_000_000;
/// The chain of all simulations.
pub const CHAIN_ID: u64 = 31_337;

/// What to simulate.
#[derive(Clone)]
pub struct ClusterConfig {
    /// Picks one history.
    pub seed: u64,
    /// How many validators.
    pub validators: u8,
    /// How many nodes that only follow; their indices come after the validators'.
    pub followers: u8,
    /// Every link at first.
    pub link: Link,
    /// Rules of the chain.
    pub protocol: Protocol,
    /// Block gas limit.
    pub gas_limit: u64,
    /// Accounts at height 0: balance and code.
    pub accounts: BTreeMap<Address, alloy_genesis::GenesisAccount>,
    /// The state at multiples of so many heights is given to nodes that have none.
    pub served_blocks: u64,
    /// Validators that execute slowly: added to each of their non-empty blocks.
    pub execution_delays: BTreeMap<usize, Duration>,
    /// Shards, from number 1 on, each by the nodes that collate it.
    pub shards: Vec<Vec<usize>>,
    /// Cores of all shards together, if they go where the load is.
    pub cores: Option<u16>,
}

impl ClusterConfig {
    /// Four validators, 50 ms apart.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            validators: 4,
            followers: 0,
            link: faults::good_link(),
            protocol: Protocol::default(),
            gas_limit: 30_000_000,
            accounts: BTreeMap::new(),
            served_blocks: 0,
            execution_delays: BTreeMap::new(),
            shards: Vec::new(),
            cores: None,
        }
    }
}

impl fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConfig")
            .field("seed", &self.seed)
            .field("validators", &self.validators)
            .finish_non_exhaustive()
    }
}

/// Says which seed failed; a failure is a seed.
struct SeedNote(u64);

impl Drop for SeedNote {
    #[expect(clippy::print_stderr, reason = "beside the panic message of a test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation failed with seed={}", self.0);
        }
    }
}

/// Runs a scenario on a network without any validator started, and returns a fingerprint of
/// everything that happened.
pub fn simulate<F: Future<Output = ()>>(
    config: ClusterConfig,
    scenario: impl FnOnce(Cluster) -> F,
) -> String {
    let _note = SeedNote(config.seed);
    let start_time = UNIX_EPOCH + Duration::from_secs(START_SECONDS);
    let runtime = deterministic::Config::new()
        .with_seed(config.seed)
        .with_start_time(start_time)
        .with_timeout(Some(SCENARIO_MAX));
    deterministic::Runner::new(runtime).start(|runtime| async move {
        let cluster = Cluster::new(runtime.child("cluster"), config).await;
        scenario(cluster).await;
        runtime.auditor().state()
    })
}

/// What has been seen to be wrong, whoever saw it.
type Violations = Arc<Mutex<Vec<String>>>;

/// A network of validators.
pub struct Cluster {
    runtime: Context,
    links: Links,
    link: Link,
    genesis: Genesis,
    validators: Vec<Validator>,
    violations: Violations,
    seen: shards::Seen,
    told: liar::Told,
    /// For what the runtime does not decide: which unsynced writes survive a crash.
    rng: StdRng,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.validators).finish()
    }
}

impl Cluster {
    async fn new(runtime: Context, config: ClusterConfig) -> Self {
        let nodes = config.validators.saturating_add(config.followers);
        let keys: Vec<PrivateKey> = (0..nodes)
            .map(|index| PrivateKey::from_seed(u64::from(index)))
            .collect();
        let genesis = genesis(&config, &keys);
        let peers: Vec<PublicKey> = keys.iter().map(PrivateKey::public_key).collect();
        let limits = keys
            .first()
            .map(|key| run::identity(&genesis, key).limits)
            .expect("a network has a validator");
        let links = network::start(&runtime, &peers, &limits).await;
        let validators = keys.into_iter().enumerate();
        let validators = validators.map(|(index, key)| {
            let delay = config.execution_delays.get(&index).copied();
            let delay = delay.unwrap_or_default();
            Validator::new(index, key, &genesis, delay, config.served_blocks)
        });
        let validators = validators.collect();
        let cluster = Self {
            runtime,
            links,
            link: config.link,
            genesis,
            validators,
            violations: Violations::default(),
            seen: shards::Seen::default(),
            told: liar::Told::default(),
            rng: StdRng::seed_from_u64(config.seed),
        };
        cluster.heal().await;
        cluster
    }

    /// Every node of the network, running or not.
    pub fn indices(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.validators.len()
    }

    /// The chain's genesis.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Simulated time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let start = UNIX_EPOCH + Duration::from_secs(START_SECONDS);
        self.now().duration_since(start).unwrap_or_default()
    }

    /// A fingerprint of everything that has happened.
    #[must_use]
    pub fn auditor(&self) -> String {
        self.runtime.auditor().state()
    }

    /// Simulated time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.runtime.current()
    }

    /// What one running validator lets everybody read.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn chain(&self, index: usize) -> &Chain {
        &self.running(index).chain
    }

    /// The pool of one running validator.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn mempool(&self, index: usize) -> &Mempool {
        &self.running(index).mempool
    }

    fn running(&self, index: usize) -> &Running {
        let running = self.validators[index].running.as_ref();
        running.expect("a scenario asks for validators that run")
    }

    /// The chains of the validators that run, with their indices.
    pub fn chains(&self) -> impl Iterator<Item = (usize, &Chain)> {
        self.validators.iter().filter_map(|validator| {
            let running = validator.running.as_ref()?;
            Some((validator.index, &running.chain))
        })
    }

    /// What the watches have seen so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    /// Starts every validator that does not run.
    pub async fn start_all(&mut self) {
        for index in self.indices() {
            if self.validators[index].running.is_none() {
                self.start(index).await;
            }
        }
    }

    /// Starts a validator, on what its last life left behind.
    ///
    /// # Panics
    /// If it runs, or if it cannot start.
    pub async fn start(&mut self, index: usize) {
        let started = self.try_start(index, |_| {}).await;
        started.unwrap_or_else(|error| panic!("validator {index}: {error}"));
    }

    /// Starts a validator on other parts than the usual ones.
    ///
    /// # Errors
    /// Why it cannot start.
    ///
    /// # Panics
    /// If it runs.
    pub async fn try_start(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut NodeParts),
    ) -> Result<(), NodeError> {
        self.begin(index, change).await;
        self.validators[index].begun().await
    }

    /// Lets a validator begin to start.
    async fn begin(&mut self, index: usize, change: impl FnOnce(&mut NodeParts)) {
        let validator = &mut self.validators[index];
        let limits = run::identity(&self.genesis, &validator.key).limits;
        let lie = validator.lie.map(|lie| (lie, limits));
        let wires = network::wires(
            &self.links,
            &validator.key.public_key(),
            lie,
            &validator.liar,
        )
        .await;
        let mut parts = validator.parts(&self.genesis);
        change(&mut parts);
        let watched = (Arc::clone(&self.violations), Arc::clone(&self.seen));
        validator.begin(&self.runtime, parts, wires, watched);
    }

    /// Cuts a validator's power.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn crash(&mut self, index: usize) {
        let rng = &mut self.rng;
        let power_cut = self.validators[index].crash(&mut || rng.random());
        power_cut.await;
        // The tasks are dropped, and their files closed, in the rounds that follow.
        self.runtime.sleep(LOOK_EVERY).await;
    }

    /// Cuts everybody's power in the same moment.
    pub async fn crash_all(&mut self) {
        let rng = &mut self.rng;
        let running = self.validators.iter_mut();
        let running = running.filter(|validator| validator.running.is_some());
        let power_cuts: Vec<_> = running
            .map(|validator| validator.crash(&mut || rng.random()))
            .collect();
        for power_cut in power_cuts {
            power_cut.await;
        }
        self.runtime.sleep(LOOK_EVERY).await;
    }

    /// The disk of a validator that does not run: for a scenario that damages it.
    ///
    /// # Panics
    /// If it runs.
    #[must_use]
    pub fn disk(&self, index: usize) -> &MemoryDisk {
        let validator = &self.validators[index];
        assert!(validator.running.is_none(), "validator {index} runs");
        &validator.disk
    }

    /// Lets time pass.
    pub async fn run_for(&self, time: Duration) {
        self.runtime.sleep(time).await;
    }

    /// Lets time pass until something holds.
    ///
    /// # Panics
    /// If it does not within `limit` of simulated time.
    pub async fn until(&self, what: &str, limit: Duration, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = self.now() + limit;
        while !holds(self) {
            assert!(
                self.now() < deadline,
                "not within {limit:?}: {what}; {self:?}"
            );
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    /// Lets time pass until every running validator has verified a height.
    ///
    /// # Panics
    /// If one has not within `limit` of simulated time.
    pub async fn until_verified(&self, height: u64, limit: Duration) {
        let verified = |cluster: &Self| {
            let mut heads = cluster.chains().map(|(_, chain)| chain.heads());
            heads.all(|heads| heads.verified_height >= height)
        };
        let what = format!("verified_height >= {height}");
        self.until(&what, limit, verified).await;
    }

    /// Lets time pass until every running validator has executed and verified these transactions.
    ///
    /// # Panics
    /// If one has not within `limit` of simulated time.
    pub async fn until_settled(&self, transactions: &[B256], limit: Duration) {
        let mut unsettled = transactions.to_vec();
        let settled = |cluster: &Self| {
            while unsettled.last().is_some_and(|hash| cluster.settled(hash)) {
                unsettled.pop();
            }
            unsettled.is_empty()
        };
        let what = format!("{} transactions are verified", transactions.len());
        self.until(&what, limit, settled).await;
    }

    /// A node whose history begins above a transaction need not know it.
    fn settled(&self, transaction: &B256) -> bool {
        let located = self.chains().map(|(_, chain)| {
            let location = chain.transaction(transaction);
            let location = location.expect("a simulated disk reads");
            (chain, location.map(|(record, _)| record.height()))
        });
        let located: Vec<_> = located.collect();
        let Some(height) = located.iter().find_map(|(_, height)| *height) else {
            return false;
        };
        located.iter().all(|(chain, known)| {
            let expected = height >= chain.first_height();
            chain.heads().verified_height >= height && known.is_some() == expected
        })
    }

    fn lie(&mut self, index: usize, subject: lying::Subject) {
        let validator = &mut self.validators[index];
        assert!(validator.running.is_none(), "validator {index} runs");
        validator.lie = Some(subject);
    }

    fn public_key(&self, index: usize) -> PublicKey {
        self.validators[index].key.public_key()
    }
}

/// A genesis with these accounts, and those every chain has.
fn genesis(config: &ClusterConfig, keys: &[PrivateKey]) -> Genesis {
    let options = GenesisOptions {
        chain_id: CHAIN_ID,
        gas_limit: config.gas_limit,
        timestamp: START_SECONDS,
        funded: BTreeMap::<Address, U256>::new(),
        shards: (!config.shards.is_empty()).then(|| shards::options(config, keys)),
        governor: Some(crate::workload::owner()),
        cores: config.cores,
    };
    let validators = &keys[..usize::from(config.validators)];
    let file = genesis_file(&options, validators, config.protocol.clone());
    let parsed = file.and_then(|text| Genesis::from_json(&text));
    let mut genesis = parsed.expect("a scenario's protocol is in range");
    genesis.alloc.extend(config.accounts.clone());
    for shard in &mut genesis.shards {
        shard.genesis.alloc.extend(config.accounts.clone());
    }
    genesis
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
