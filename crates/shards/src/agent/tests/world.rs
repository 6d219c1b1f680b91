//! Nodes on simulated links above the toy relay. One seed gives one history.

use super::{
    relay::Relay,
    toy::{Cutting, GAS_LIMIT, ToyBuilder, ToyChecker, ToyCutter},
};
use crate::{
    agent::{Agent, AgentConfig, CellarFault, ReedSolomonCutter},
    feed::{LedgerFeed, RelayUpdate},
    inclusion::Inclusion,
    ledger::{Authority, Discard, Ledger, LedgerEvent, LedgerRules, Named, ShardTerms},
    message,
};
use alloy_primitives::{B256, Bytes};
use commonware_cryptography::Signer as _;
use commonware_p2p::simulated::{self, Config, Link, Network, Oracle};
use commonware_runtime::{
    Clock as _, Handle, Metrics as _, Quota, Runner as _, Storage as _, Supervisor as _,
    deterministic::{self, Context},
};
use commonware_utils::probability;
use primitives::{
    crypto::{PrivateKey, PublicKey},
    shard::{ShardId, ShardNamespace},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, UNIX_EPOCH},
};

/// Time between two relay blocks.
pub(super) const TAU_MS: u64 = 100;
/// Less than a toy collation, and less than two answers count for.
const ONE_CHUNK_BYTES: usize = 1_056;
const LATENCY: Duration = Duration::from_millis(10);
const START: Duration = Duration::from_secs(1_700_000_000);
const COLLATORS_FROM: u64 = 100;
const SPARES_FROM: u64 = 200;
pub(super) const A: ShardId = ShardId(1);
pub(super) const B: ShardId = ShardId(2);

/// What to simulate.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) validators: u16,
    pub(super) collators: u64,
    /// Nodes that only follow, until they are made validators; after the collators.
    pub(super) spares: u64,
    /// Validators that can't say what they find of a candidate while the world doubts.
    pub(super) doubters: BTreeSet<usize>,
    /// Nodes that give one chunk to each peer in a second, and never a whole collation.
    pub(super) frugal: BTreeSet<usize>,
    /// Shards and their cores.
    pub(super) shards: Vec<(ShardId, u16)>,
    /// Anybody may collate.
    pub(super) open: bool,
    /// Bytes that a node holds of what is not pending, and that it gives each peer in a second.
    pub(super) held_bytes_max: Option<usize>,
    pub(super) served_bytes_max: Option<usize>,
    pub(super) large_bytes: Option<u32>,
    pub(super) rules: LedgerRules,
    /// Validators that find everything valid.
    pub(super) liars: BTreeSet<usize>,
    /// Validators that cut otherwise, and answer nobody.
    pub(super) cutting: BTreeMap<usize, Cutting>,
    /// Nodes that answer nobody.
    pub(super) silent: BTreeSet<usize>,
    /// One message of ten is lost.
    pub(super) lossy: bool,
    /// Cut by the real code.
    pub(super) real_chunks: bool,
    /// Nodes, validators first, whose keys the test itself uses.
    pub(super) puppets: BTreeSet<usize>,
    /// A shard whose candidates take so many milliseconds to check.
    pub(super) slow: Option<(ShardId, u64)>,
    /// Numbers that there are for each shard.
    pub(super) supply: u64,
    /// How long after its proposal a relay block is final everywhere.
    pub(super) final_ms: u64,
}

impl Setup {
    pub(super) fn new(seed: u64, validators: u16) -> Self {
        Self {
            seed,
            validators,
            collators: 2,
            spares: 0,
            doubters: BTreeSet::new(),
            frugal: BTreeSet::new(),
            shards: vec![(A, 1), (B, 1)],
            open: false,
            held_bytes_max: None,
            large_bytes: None,
            served_bytes_max: None,
            rules: LedgerRules::asynchronous(validators),
            liars: BTreeSet::new(),
            cutting: BTreeMap::new(),
            silent: BTreeSet::new(),
            lossy: false,
            real_chunks: false,
            puppets: BTreeSet::new(),
            slow: None,
            supply: u64::MAX,
            final_ms: 120,
        }
    }
}

pub(super) type Ends = (
    simulated::Sender<PublicKey, Context>,
    simulated::Receiver<PublicKey>,
);

struct Node {
    feed: LedgerFeed,
    inclusion: Inclusion,
    handle: Option<Handle<Result<(), CellarFault>>>,
    /// Updates that wait while the node is cut off from the relay chain.
    paused: Option<Vec<RelayUpdate>>,
}

/// The simulation.
pub(super) struct World {
    pub(super) runtime: Context,
    pub(super) relay: Relay,
    pub(super) keys: Vec<PrivateKey>,
    pub(super) namespace: ShardNamespace,
    nodes: Vec<Node>,
    /// The nodes that are validators now, in their order, and those that are next.
    validators: Vec<usize>,
    next_validators: Vec<usize>,
    pub(super) doubts: Arc<AtomicBool>,
    builders: BTreeMap<usize, ToyBuilder>,
    /// How many candidates each node has checked.
    pub(super) checks: BTreeMap<usize, Arc<AtomicU64>>,
    pub(super) links: Oracle<PublicKey, Context>,
    setup: Setup,
    pub(super) supply: Arc<AtomicU64>,
    /// All updates so far.
    history: Vec<RelayUpdate>,
    /// Updates on their way, with the time at which they are final.
    on_the_way: Vec<(u64, RelayUpdate)>,
    next_block_ms: u64,
    /// Agents that have been started.
    lives: u64,
}

/// Runs a scenario, and gives a fingerprint of everything that happened.
pub(super) fn simulate<F: Future<Output = ()>>(
    setup: Setup,
    scenario: impl FnOnce(World) -> F,
) -> String {
    let config = deterministic::Config::new()
        .with_seed(setup.seed)
        .with_start_time(UNIX_EPOCH + START)
        .with_timeout(Some(Duration::from_secs(600)));
    deterministic::Runner::new(config).start(|runtime| async move {
        let world = World::new(runtime.child("world"), setup).await;
        scenario(world).await;
        runtime.auditor().state()
    })
}

pub(super) fn terms(shard: ShardId, collators: Vec<PublicKey>) -> ShardTerms {
    ShardTerms {
        genesis_hash: genesis_of(shard),
        genesis_root: genesis_of(shard),
        genesis_ms: 0,
        rules: B256::repeat_byte(3),
        gas_limit: GAS_LIMIT,
        collators,
        charter: Bytes::new(),
        cores_max: 64,
    }
}

/// The same with a seed by which the first groups are the validators in their order, if there are few of them: core
/// 0 has the first, core 1 those after them, and so on.
fn in_order(ledger: Ledger) -> Ledger {
    let (all, size) = (ledger.rules().validators, ledger.rules().group_size);
    let size = size.min(all);
    if all > 10 {
        return ledger;
    }
    let expected = |core: u16| (0..size).map(move |one| usize::from((core * size + one) % all));
    ledger.seeded(|ledger| {
        (0..ledger.cores().len()).all(|core| {
            let core = u16::try_from(core).unwrap();
            ledger.group(core, 0) == expected(core).collect()
        })
    })
}

fn genesis_of(shard: ShardId) -> B256 {
    crate::agent::backing::hash_of(&shard.0.to_be_bytes())
}

impl World {
    async fn new(runtime: Context, setup: Setup) -> Self {
        let seeds = (0..u64::from(setup.validators))
            .chain((0..setup.collators).map(|one| COLLATORS_FROM + one))
            .chain((0..setup.spares).map(|one| SPARES_FROM + one));
        let keys: Vec<PrivateKey> = seeds.map(PrivateKey::from_seed).collect();
        let public: Vec<PublicKey> = keys.iter().map(|key| key.public_key()).collect();
        let (validators, others) = public.split_at(usize::from(setup.validators));
        let collators = match setup.open {
            true => &[],
            false => &others[..others.len() - usize::try_from(setup.spares).unwrap()],
        };
        let shards = setup.shards.iter();
        let shards =
            shards.map(|(shard, cores)| (*shard, terms(*shard, collators.to_vec()), *cores));
        let start_ms = u64::try_from(START.as_millis()).unwrap();
        let ledger = Ledger::genesis(setup.rules.clone(), start_ms, shards).unwrap();
        let ledger = in_order(ledger);
        let authority = Authority {
            namespace: ShardNamespace::new(&B256::ZERO),
            validators: validators.to_vec(),
        };
        let config = Config {
            max_size: message::message_bytes_max(setup.rules.collation_bytes_max),
            max_peers_per_set: NonZeroUsize::new(public.len()).unwrap(),
            disconnect_on_block: true,
            tracked_peer_sets: NonZeroUsize::MIN,
        };
        let network = runtime.child("network");
        let (network, links) = Network::new_with_peers(network, config, public.clone()).await;
        let _runs_until_the_end = network.start();
        let mut world = Self {
            namespace: authority.namespace.clone(),
            relay: Relay::new(ledger, authority),
            keys,
            nodes: Vec::new(),
            validators: (0..usize::from(setup.validators)).collect(),
            next_validators: Vec::new(),
            doubts: Arc::default(),
            builders: BTreeMap::new(),
            checks: BTreeMap::new(),
            links,
            supply: Arc::new(AtomicU64::new(setup.supply)),
            setup,
            history: Vec::new(),
            on_the_way: Vec::new(),
            next_block_ms: 0,
            lives: 0,
            runtime,
        };
        world.next_block_ms = world.now_ms() + TAU_MS;
        world.connect(|_, _| true).await;
        for index in 0..world.keys.len() {
            let feed = world.relay.feed();
            let node = world.start(index, feed).await;
            world.nodes.push(node);
        }
        world
    }

    pub(super) fn now_ms(&self) -> u64 {
        let now = self.runtime.current().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap()
    }

    pub(super) fn public(&self, index: usize) -> PublicKey {
        self.keys[index].public_key()
    }

    /// The index of a collator among all nodes.
    pub(super) fn collator(&self, index: usize) -> usize {
        usize::from(self.setup.validators) + index
    }

    /// The index of a spare node among all nodes.
    pub(super) fn spare(&self, index: usize) -> usize {
        self.collator(usize::try_from(self.setup.collators).unwrap()) + index
    }

    /// With the next relay block, these nodes become the validators, in this order.
    pub(super) async fn end_epoch(&mut self, validators: Vec<usize>) {
        let keys = validators.iter().map(|index| self.public(*index));
        self.relay.end_epoch(keys.collect());
        self.next_validators = validators;
        self.blocks(1).await;
    }

    pub(super) fn builder(&self, collator: usize) -> &ToyBuilder {
        &self.builders[&self.collator(collator)]
    }

    /// The ends of a node's two links. Those it had before fall silent.
    pub(super) async fn ends(&self, index: usize) -> (Ends, Ends) {
        let quota = Quota::per_second(NonZeroU32::new(1_024).unwrap());
        let control = self.links.control(self.public(index));
        let small = control.register(0, quota).await.unwrap();
        let large = control.register(1, quota).await.unwrap();
        (small, large)
    }

    /// Who an agent is, and what it may use.
    fn config(&self, index: usize) -> AgentConfig {
        let mut config = AgentConfig::new(self.keys[index].clone(), format!("agent{index}"));
        config.patience_ms = 500;
        let collators = usize::from(self.setup.validators)..self.spare(0);
        if collators.contains(&index) {
            config.collates = self.setup.shards.iter().map(|(shard, _)| *shard).collect();
        }
        let (held, served) = (self.setup.held_bytes_max, self.setup.served_bytes_max);
        config.held_bytes_max = held.unwrap_or(config.held_bytes_max);
        config.large_bytes = self.setup.large_bytes.unwrap_or(config.large_bytes);
        config.served_bytes_max = served.unwrap_or(config.served_bytes_max);
        let cutting = self.setup.cutting.get(&index).copied();
        let withholds = cutting.is_some_and(|cutting| cutting != Cutting::WrongCoding);
        if withholds || self.setup.silent.contains(&index) {
            config.served_bytes_max = 0;
        }
        if self.setup.frugal.contains(&index) {
            config.served_bytes_max = ONE_CHUNK_BYTES;
        }
        config
    }

    async fn start(&mut self, index: usize, feed: LedgerFeed) -> Node {
        feed.resume(self.history.last().map_or(0, |update| update.height));
        let inclusion = Inclusion::default();
        let mut node = Node {
            feed: feed.clone(),
            inclusion: inclusion.clone(),
            handle: None,
            paused: None,
        };
        if self.setup.puppets.contains(&index) {
            return node;
        }
        let (small, large) = self.ends(index).await;
        let key = self.keys[index].clone();
        let config = self.config(index);
        let cutting = self.setup.cutting.get(&index).copied();
        let genesis = self.setup.shards.iter();
        let genesis = genesis.map(|(shard, _)| (*shard, genesis_of(*shard)));
        let builder = self.builders.entry(index).or_insert_with(|| {
            let archive = Arc::clone(&self.relay.archive);
            ToyBuilder::new(key.public_key(), genesis, Arc::clone(&self.supply), archive)
        });
        let builder = builder.clone();
        let checks = Arc::clone(self.checks.entry(index).or_default());
        self.lives += 1;
        let runtime = self
            .runtime
            .child("agent")
            .with_attribute("life", self.lives)
            .with_attribute("node", index);
        let agent = Agent {
            runtime,
            blocker: self.links.control(self.public(index)),
            builder,
            checker: Arc::new(ToyChecker {
                lies: self.setup.liars.contains(&index),
                checks,
                slow: self.setup.slow,
                owed_ms: AtomicU64::new(0),
                doubts: match self.setup.doubters.contains(&index) {
                    true => Arc::clone(&self.doubts),
                    false => Arc::default(),
                },
            }),
            cutter: match self.setup.real_chunks {
                true => Arc::new(ReedSolomonCutter),
                false => Arc::new(ToyCutter(cutting.unwrap_or(Cutting::Honest))),
            },
            config,
            feed,
            inclusion,
        };
        node.handle = Some(agent.start(small, large));
        node
    }

    /// Links exactly the pairs for which this holds.
    pub(super) async fn connect(&self, linked: impl Fn(usize, usize) -> bool) {
        let count = self.keys.len();
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            if from == to {
                continue;
            }
            let (sender, receiver) = (self.public(from), self.public(to));
            drop(
                self.links
                    .remove_link(sender.clone(), receiver.clone())
                    .await,
            );
            if linked(from, to) {
                let link = Link {
                    latency: LATENCY,
                    jitter: Duration::from_millis(2),
                    success_rate: match self.setup.lossy {
                        true => probability!(9, 10),
                        false => probability!(1.0),
                    },
                };
                self.links.add_link(sender, receiver, link).await.unwrap();
            }
        }
    }

    /// Stops a node for good.
    pub(super) fn kill(&mut self, index: usize) {
        if let Some(handle) = self.nodes[index].handle.take() {
            handle.abort();
        }
    }

    /// Starts killed nodes again, which go through so many of the last relay blocks again.
    pub(super) async fn restart(&mut self, nodes: &[usize], again: usize) {
        // What was killed ends in the rounds that follow.
        self.runtime.sleep(Duration::from_millis(1)).await;
        for index in nodes {
            let first = self.history.len().saturating_sub(again);
            let feed = LedgerFeed::new(self.history[first].clone());
            let node = self.start(*index, feed).await;
            for update in &self.history[first + 1..] {
                node.inclusion.settle(&update.ledger);
                node.feed.publish(update.clone());
            }
            self.nodes[*index] = node;
        }
    }

    /// Takes what a killed node has on disk.
    pub(super) async fn wipe(&self, index: usize) {
        for kind in ["slips", "records"] {
            let partition = format!("agent{index}-shards-{kind}");
            self.runtime.remove(&partition, None).await.unwrap();
        }
    }

    /// The validators that are asked under a schedule of core 0.
    pub(super) fn backers(&self, height: u64) -> Vec<usize> {
        self.relay.ledger.group(0, height).iter().collect()
    }

    /// Number and hash of a shard's final block.
    pub(super) fn final_head(&self, shard: ShardId, number: usize) -> (u64, B256) {
        let heads = self.events(|event| match event {
            LedgerEvent::Final(named, head) if named.shard == shard => {
                Some((head.number, head.hash))
            }
            _ => None,
        });
        let last = number.checked_sub(1).and_then(|index| heads.get(index));
        last.copied().unwrap_or((0, genesis_of(shard)))
    }

    /// Cuts a node off from the relay chain, or lets it catch up.
    pub(super) fn pause(&mut self, index: usize, paused: bool) {
        let node = &mut self.nodes[index];
        match paused {
            true => node.paused = Some(Vec::new()),
            false => {
                for update in node.paused.take().unwrap_or_default() {
                    node.feed.publish(update);
                }
            }
        }
    }

    /// Lets a node that was cut off go on, and tells it of nothing but the newest relay block, as a feed does whose
    /// reader is far behind.
    pub(super) fn skip(&mut self, index: usize) {
        let waiting = self.nodes[index].paused.take().unwrap_or_default();
        if let Some(newest) = waiting.last() {
            self.nodes[index].feed.publish(newest.clone());
        }
    }

    pub(super) fn inclusions(&self) -> impl Iterator<Item = &Inclusion> {
        self.nodes.iter().map(|node| &node.inclusion)
    }

    /// Leaves out the relay blocks that would have passed while the links were laid: there are many of them.
    pub(super) fn skip_beginning(&mut self) {
        self.next_block_ms = self.now_ms() + TAU_MS;
    }

    /// Lets so many relay blocks pass.
    pub(super) async fn blocks(&mut self, count: u64) {
        let height = self.relay.ledger.height() + count;
        while self.relay.ledger.height() < height {
            self.step().await;
        }
    }

    /// Lets relay blocks pass until something holds, at most so many.
    pub(super) async fn until(&mut self, max: u64, what: &str, holds: impl Fn(&Self) -> bool) {
        let height = self.relay.ledger.height() + max;
        while !holds(self) {
            let now = self.relay.ledger.height();
            assert!(
                now < height,
                "not within {max} relay blocks: {what}; {}",
                self.describe()
            );
            self.step().await;
        }
    }

    /// The next thing that happens on the relay chain.
    async fn step(&mut self) {
        let arrival = self.on_the_way.first().map_or(u64::MAX, |(at, _)| *at);
        let next = arrival.min(self.next_block_ms);
        let at = UNIX_EPOCH + Duration::from_millis(next);
        self.runtime.sleep_until(at).await;
        if arrival == next {
            let (_, update) = self.on_the_way.remove(0);
            self.publish(&update);
            return;
        }
        self.next_block_ms += TAU_MS;
        let height = usize::try_from(self.relay.ledger.height()).unwrap();
        let count = self.validators.len();
        // A leader that is gone or cut off is skipped in no time.
        let leader = (0..count)
            .map(|turn| self.validators[(height + turn) % count])
            .find(|index| {
                let node = &self.nodes[*index];
                let runs = node.handle.is_some() || self.setup.puppets.contains(index);
                runs && node.paused.is_none()
            })
            .expect("somebody leads");
        let now_ms = self.now_ms();
        let update = self.relay.lead(&self.nodes[leader].inclusion, now_ms);
        if !self.next_validators.is_empty() {
            self.validators = mem::take(&mut self.next_validators);
        }
        self.on_the_way.push((now_ms + self.setup.final_ms, update));
    }

    fn publish(&mut self, update: &RelayUpdate) {
        self.history.push(update.clone());
        for node in &mut self.nodes {
            node.inclusion.settle(&update.ledger);
            match &mut node.paused {
                Some(waiting) => waiting.push(update.clone()),
                None => node.feed.publish(update.clone()),
            }
        }
    }

    /// Final numbers of a shard.
    pub(super) fn final_number(&self, shard: ShardId) -> u64 {
        self.relay.ledger.shard(shard).unwrap().finalized().number
    }

    /// Events of one kind, in order.
    pub(super) fn events<T>(&self, pick: impl Fn(&LedgerEvent) -> Option<T>) -> Vec<T> {
        let events = self.relay.events.iter();
        events.filter_map(|(_, event)| pick(event)).collect()
    }

    pub(super) fn discards(&self) -> Vec<(Named, Discard)> {
        self.events(|event| match event {
            LedgerEvent::Discarded(named, reason) => Some((*named, *reason)),
            LedgerEvent::Backed(_)
            | LedgerEvent::Included(_)
            | LedgerEvent::Final(..)
            | LedgerEvent::Offended(_)
            | LedgerEvent::Escalated(..)
            | LedgerEvent::Ordered(..)
            | LedgerEvent::Refused(..)
            | LedgerEvent::Moved { .. } => None,
        })
    }

    pub(super) fn finals(&self, shard: ShardId) -> Vec<Named> {
        self.events(|event| match event {
            LedgerEvent::Final(named, _) if named.shard == shard => Some(*named),
            LedgerEvent::Final(..)
            | LedgerEvent::Backed(_)
            | LedgerEvent::Included(_)
            | LedgerEvent::Discarded(..)
            | LedgerEvent::Offended(_)
            | LedgerEvent::Escalated(..)
            | LedgerEvent::Ordered(..)
            | LedgerEvent::Refused(..)
            | LedgerEvent::Moved { .. } => None,
        })
    }

    /// Who has banned whom.
    pub(super) async fn bans(&self) -> Vec<(usize, usize)> {
        let place = |key: &PublicKey| {
            let place = self.keys.iter().position(|one| one.public_key() == *key);
            place.unwrap()
        };
        let bans = self.links.blocked().await.unwrap();
        bans.iter()
            .map(|(by, who)| (place(by), place(who)))
            .collect()
    }

    /// Every shard's final blocks follow each other, and their numbers are 0, 1, 2, … each once.
    pub(super) fn check_chains(&self) {
        for (shard, _) in &self.setup.shards {
            let finals = self.finals(*shard);
            for (index, named) in finals.iter().enumerate() {
                assert_eq!(named.number, u64::try_from(index).unwrap() + 1);
            }
            let ledger = &self.relay.ledger;
            let finalized = ledger.shard(*shard).unwrap().finalized();
            let next = self
                .builders
                .values()
                .filter_map(|one| one.next(*shard, finalized.hash));
            let next: BTreeSet<u64> = next.collect();
            assert!(
                next.len() <= 1,
                "collators disagree about a block: {next:?}"
            );
        }
    }

    /// All collators that run have the newest final block of a shard, and what it holds.
    pub(super) fn check_followed(&self, collators: &[usize]) {
        for (shard, _) in &self.setup.shards {
            let finalized = *self.relay.ledger.shard(*shard).unwrap().finalized();
            for collator in collators {
                let next = self.builder(*collator).next(*shard, finalized.hash);
                assert!(
                    next.is_some(),
                    "collator {collator} has not followed {shard}"
                );
            }
        }
    }

    /// What a node counts under a name, over all its lives.
    pub(super) fn metric(&self, index: usize, name: &str) -> u64 {
        let metrics = self.runtime.encode();
        let (name, node) = (format!("agent_{name}{{"), format!("node=\"{index}\""));
        let lines = metrics.lines();
        let lines = lines.filter(|line| line.contains(&name) && line.contains(&node));
        let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>());
        values.map(|value| value.expect("a whole number")).sum()
    }

    pub(super) fn describe(&self) -> String {
        let shards = self.relay.ledger.shards().map(|(shard, segment)| {
            let pending: Vec<_> = segment
                .pending()
                .map(|one| {
                    let held = one.held.count();
                    (
                        one.envelope.descriptor.number,
                        held,
                        one.valid.count(),
                        one.invalid.count(),
                    )
                })
                .collect();
            format!(
                "shard {shard}: final {} pending {pending:?}",
                segment.finalized().number
            )
        });
        let shards: Vec<_> = shards.collect();
        format!("height {} {shards:?}", self.relay.ledger.height())
    }

    /// Distances from backed to final, sorted.
    pub(super) fn distances(&self) -> Vec<u64> {
        let mut distances = self.relay.distances.clone();
        distances.sort_unstable();
        distances
    }

    pub(super) fn stop_supply(&self, at: u64) {
        self.supply.store(at, Relaxed);
    }
}
