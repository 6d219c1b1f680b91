//! A whole network above the relay chain: one agent in each node, on simulated links. One seed gives one history.
//!
//! ```text
//!        τ        τ                       a leader in turn proposes; its block is final everywhere δ later
//! ──┬────────┬────────┬──▶ relay blocks
//!   └─ δ ─▶ update to all agents ─▶ votes, statements, offers, chunks ─▶ Net ─▶ Inclusion of each node
//! ```

use super::{
    clock::Time,
    cpu::Cpu,
    demand::Demand,
    model::{Mode, Model, SCALE},
    net::{Bans, Net, Seat},
    relay::{Relay, RelayFault},
    shard::{Journal, RULES, SimBuilder, Trade, Workshop, hash_of},
};
use alloy_primitives::{B256, Bytes};
use commonware_cryptography::Signer as _;
use commonware_runtime::{
    Handle, Runner as _, Supervisor as _,
    deterministic::{self, Context},
};
use primitives::{
    crypto::{PrivateKey, PublicKey},
    limits::SHARD_GAS_MAX,
    shard::{ShardId, ShardNamespace},
};
use shards::{
    agent::{Agent, AgentConfig, CellarFault},
    feed::{LedgerFeed, RelayUpdate},
    inclusion::Inclusion,
    ledger::{Authority, Ledger, RulesError, ShardTerms, rules::CORES_UNLIMITED},
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

const START: Duration = Duration::from_secs(1_700_000_000);
/// The runtime's step: no two events that depend on each other are nearer.
const CYCLE: Duration = Duration::from_micros(20);
/// Seeds of the keys of collators, above those of all validators.
const COLLATORS_FROM: u64 = 1_000;
/// Relay blocks without a collator's block after which the next one takes its turn.
const PATIENCE_BLOCKS: u64 = 5;
/// How much longer a view takes whose leader is silent, in times of finality.
const SKIPPED: u64 = 2;
const US_PER_MS: u64 = 1_000;

/// What to simulate.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) model: Model,
    pub(super) mode: Mode,
    pub(super) demand: Demand,
    /// Transactions that fit into a block; without it what the budget says.
    pub(super) transactions_max: Option<u64>,
    /// After how long no more transactions come, in milliseconds.
    pub(super) ends_ms: u64,
}

/// Why a simulation can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorldFault {
    /// There is no ledger with such rules.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The relay chain broke.
    #[error(transparent)]
    Relay(#[from] RelayFault),
    /// There is nobody to lead.
    #[error("no validator is left to lead")]
    Leaderless,
}

pub(super) struct Node {
    feed: LedgerFeed,
    inclusion: Inclusion,
    pub(super) cpu: Arc<Cpu>,
    handle: Option<Handle<Result<(), CellarFault>>>,
    /// Updates that wait while the node is cut off.
    waiting: Option<Vec<RelayUpdate>>,
}

/// The simulation.
pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) relay: Relay,
    pub(super) net: Arc<Net>,
    pub(super) nodes: Vec<Node>,
    pub(super) journal: Journal,
    pub(super) begins_ms: u64,
    time: Time,
    finality_ms: u64,
    next_block_ms: u64,
    /// Blocks that are not final yet, with the time at which they are.
    on_the_way: VecDeque<(u64, RelayUpdate)>,
}

/// Runs a scenario; beside its outcome, a fingerprint of everything that happened.
pub(super) fn simulate<T>(
    setup: Setup,
    scenario: impl AsyncFnOnce(&mut World) -> Result<T, WorldFault>,
) -> Result<(T, String), WorldFault> {
    let config = deterministic::Config::new()
        .with_seed(setup.seed)
        .with_cycle(CYCLE)
        .with_start_time(UNIX_EPOCH + START);
    deterministic::Runner::new(config).start(|runtime| async move {
        let mut world = World::new(&runtime, setup)?;
        let outcome = scenario(&mut world).await?;
        Ok((outcome, runtime.auditor().state()))
    })
}

fn genesis_of(shard: ShardId) -> B256 {
    hash_of(&shard.0.to_be_bytes())
}

/// All shards of a model, by number.
pub(super) fn shards_of(model: &Model) -> impl Iterator<Item = ShardId> + use<> {
    (1..=u32::from(model.shards)).map(ShardId)
}

impl World {
    fn new(runtime: &Context, setup: Setup) -> Result<Self, WorldFault> {
        let time = Time::new(runtime);
        let model = &setup.model;
        let collators = u64::from(model.shards) * u64::from(model.collators);
        let seeds = (0..u64::from(model.validators))
            .chain((0..collators).map(|one| COLLATORS_FROM.saturating_add(one)));
        let keys: Vec<PrivateKey> = seeds.map(PrivateKey::from_seed).collect();
        let public: Vec<PublicKey> = keys.iter().map(|key| key.public_key()).collect();
        let begins_ms = time.now_ms();
        let (validators, builders) = public.split_at(usize::from(model.validators));
        let each = usize::from(model.collators.max(1));
        let shards = shards_of(model).zip(builders.chunks(each));
        let shards = shards.map(|(shard, keys)| (shard, terms(shard, keys, begins_ms), 1));
        let ledger = Ledger::genesis(model.rules(setup.mode), begins_ms, shards)?;
        let authority = Authority {
            namespace: ShardNamespace::new(&B256::ZERO),
            validators: validators.to_vec(),
        };
        let (net, inboxes) = Net::new(model, public, setup.seed);
        let mut world = Self {
            relay: Relay::new(ledger, authority, setup.seed),
            net,
            nodes: Vec::new(),
            journal: Journal::default(),
            begins_ms,
            finality_ms: model.finality_ms(),
            next_block_ms: begins_ms.saturating_add(model.block_ms),
            time,
            on_the_way: VecDeque::new(),
            setup,
        };
        for (index, (key, inboxes)) in keys.iter().zip(inboxes).enumerate() {
            let cpu = Arc::new(Cpu::new(world.setup.model.node_cores));
            let seat = Seat {
                net: Arc::clone(&world.net),
                node: index,
                time: world.time.clone(),
                cpu: Arc::clone(&cpu),
            };
            let config = world.config(index, key);
            let agent = world.agent(runtime, &seat, config);
            let (feed, inclusion) = (agent.feed.clone(), agent.inclusion.clone());
            let [statements, collations] = seat.ends(inboxes);
            world.nodes.push(Node {
                feed,
                inclusion,
                cpu,
                handle: Some(agent.start(statements, collations)),
                waiting: None,
            });
        }
        Ok(world)
    }

    fn config(&self, index: usize, key: &PrivateKey) -> AgentConfig {
        let model = &self.setup.model;
        let mut config = AgentConfig::new(key.clone(), format!("node{index}"));
        config.patience_ms = config
            .patience_ms
            .max(model.block_ms.saturating_mul(PATIENCE_BLOCKS));
        config.workers = usize::from(model.node_cores.saturating_sub(1).max(1));
        let scale = usize::try_from(SCALE).unwrap_or(1);
        config.held_bytes_max /= scale;
        config.large_bytes /= u32::try_from(SCALE).unwrap_or(1);
        config.on_the_way_bytes_max /= SCALE;
        config.served_bytes_max /= scale;
        let above = index.checked_sub(usize::from(model.validators));
        let each = usize::from(model.collators.max(1));
        let shard = above.and_then(|place| shards_of(model).nth(place / each));
        config.collates = shard.into_iter().collect();
        config
    }

    fn agent(
        &self,
        runtime: &Context,
        seat: &Seat,
        config: AgentConfig,
    ) -> Agent<Context, Bans, SimBuilder> {
        let setup = &self.setup;
        let costs = setup.model.costs;
        let mut budget = setup.model.budget(setup.mode);
        budget.transactions = setup.transactions_max.unwrap_or(budget.transactions);
        let pace_ms = match setup.mode {
            Mode::Asynchronous => setup.model.block_ms,
            Mode::Synchronous => 0,
        };
        let trade = Trade {
            node: u64::try_from(seat.node).unwrap_or(u64::MAX),
            key: config.key.public_key(),
            mode: setup.mode,
            budget,
            pace_ms,
            costs,
            demand: setup.demand,
            begins_ms: self.begins_ms,
            ends_ms: self.begins_ms.saturating_add(setup.ends_ms),
        };
        let feed = self.relay.feed();
        let means = (Arc::clone(&seat.cpu), seat.time.clone());
        let workshop = Arc::new(Workshop {
            cpu: Arc::clone(&seat.cpu),
            time: seat.time.clone(),
            costs,
        });
        Agent {
            runtime: runtime.child("agent").with_attribute("index", seat.node),
            blocker: Bans {
                net: Arc::clone(&seat.net),
                node: seat.node,
            },
            builder: SimBuilder::new(trade, means, (feed.clone(), self.journal.clone())),
            checker: Arc::clone(&workshop) as _,
            cutter: workshop,
            config,
            feed,
            inclusion: Inclusion::default(),
        }
    }

    pub(super) fn validators(&self) -> usize {
        usize::from(self.setup.model.validators)
    }

    /// Lets so many relay blocks pass.
    pub(super) async fn blocks(&mut self, count: u64) -> Result<(), WorldFault> {
        let height = self.relay.ledger.height().saturating_add(count);
        while self.relay.ledger.height() < height {
            self.step().await?;
        }
        Ok(())
    }

    /// The next thing that happens on the relay chain.
    async fn step(&mut self) -> Result<(), WorldFault> {
        let arrival_ms = self
            .on_the_way
            .front()
            .map_or(u64::MAX, |(at_ms, _)| *at_ms);
        let next_ms = arrival_ms.min(self.next_block_ms);
        self.time.until(next_ms.saturating_mul(US_PER_MS)).await;
        if arrival_ms == next_ms {
            if let Some((_, update)) = self.on_the_way.pop_front() {
                self.publish(&update);
            }
            return Ok(());
        }
        let now_ms = self.time.now_ms();
        let leader = self.leader()?;
        let update = self.relay.lead(&leader, now_ms)?;
        let final_ms = now_ms.saturating_add(self.finality_ms);
        self.on_the_way.push_back((final_ms, update));
        self.next_block_ms = now_ms
            .saturating_add(self.setup.model.block_ms)
            .saturating_add(self.skipped_ms());
        Ok(())
    }

    /// Whose turn it is to lead, or the first after it who can.
    fn leader(&self) -> Result<Inclusion, WorldFault> {
        let leads = self.turns().find(|node| node.leads());
        let leader = leads.ok_or(WorldFault::Leaderless)?;
        Ok(leader.inclusion.clone())
    }

    fn turns(&self) -> impl Iterator<Item = &Node> {
        let validators = self.validators();
        let height = usize::try_from(self.relay.ledger.height()).unwrap_or_default();
        (0..validators).filter_map(move |turn| self.nodes.get((height + turn) % validators))
    }

    /// How much longer it takes until the next block, because leaders are silent.
    fn skipped_ms(&self) -> u64 {
        let silent = self.turns().take_while(|node| !node.leads()).count();
        let silent = u64::try_from(silent).unwrap_or_default();
        silent.saturating_mul(SKIPPED.saturating_mul(self.finality_ms))
    }

    fn publish(&mut self, update: &RelayUpdate) {
        for node in &mut self.nodes {
            node.inclusion.settle(&update.ledger);
            match &mut node.waiting {
                Some(waiting) => waiting.push(update.clone()),
                None => node.feed.publish(update.clone()),
            }
        }
    }

    /// Stops a node for good.
    pub(super) fn kill(&mut self, index: usize) {
        if let Some(handle) = self
            .nodes
            .get_mut(index)
            .and_then(|node| node.handle.take())
        {
            handle.abort();
        }
    }

    /// Cuts a node off from everybody, or lets it catch up.
    pub(super) fn cut_off(&mut self, index: usize, is_cut: bool) {
        let side = if is_cut { index.saturating_add(1) } else { 0 };
        self.net.put(index, side);
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        if is_cut {
            if node.waiting.is_none() {
                node.waiting = Some(Vec::new());
            }
            return;
        }
        for update in node.waiting.take().unwrap_or_default() {
            node.feed.publish(update);
        }
    }

    /// How long after its proposal a relay block is final.
    pub(super) const fn finality_ms(&self) -> u64 {
        self.finality_ms
    }
}

impl Node {
    const fn leads(&self) -> bool {
        self.handle.is_some() && self.waiting.is_none()
    }
}

fn terms(shard: ShardId, collators: &[PublicKey], genesis_ms: u64) -> ShardTerms {
    ShardTerms {
        genesis_hash: genesis_of(shard),
        genesis_root: genesis_of(shard),
        genesis_ms,
        rules: RULES,
        gas_limit: SHARD_GAS_MAX,
        collators: collators.to_vec(),
        charter: Bytes::new(),
        cores_max: CORES_UNLIMITED,
    }
}
