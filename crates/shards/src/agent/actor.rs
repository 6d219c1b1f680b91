//! Carries relay updates, messages, work and time to the duties, and does what they say.

use super::{
    cellar::{Cellar, CellarFault, CellarHandle, log::LogConfig, record::RecordLimit},
    config::{AgentConfig, FOLLOWS_MAX, MESSAGE_BYTES_AT_ONCE, MESSAGES_AT_ONCE, UPDATES_AT_ONCE},
    duties::{Done, Duties, Effect, Job, Order},
    mailbox::{Heard, Mailbox},
    metrics::Metrics,
    seams::{Builder, Checker, Cutter, Finding},
};
use crate::{
    arrears::Arrears,
    feed::{LedgerFeed, RelayUpdate},
    inclusion::Inclusion,
    ledger::Ledger,
    message::{CollationLimit, LargeMessage, PROOF_BYTES_MAX, SmallMessage},
};
use bytes::Bytes;
use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_runtime::{Clock, Handle, IoBuf, Metrics as RuntimeMetrics, Spawner, Storage};
use primitives::{
    crypto::PublicKey,
    shard::{Descriptor, ShardId},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc,
};

/// Results of work that wait to be looked at; workers wait when there are more.
const DONE_MAX: usize = 256;
/// Orders that wait for a shard's builder: all blocks that it may follow at a time, and one that it builds.
const ORDERS_MAX: usize = FOLLOWS_MAX + 2;

/// An agent, before it starts.
pub struct Agent<E, B, K> {
    /// Its part of the node's runtime.
    pub runtime: E,
    /// Bans peers.
    pub blocker: B,
    /// Builds the blocks of the shards that it collates.
    pub builder: K,
    /// Checks candidates.
    pub checker: Arc<dyn Checker>,
    /// Cuts and restores collations.
    pub cutter: Arc<dyn Cutter>,
    /// Who it is.
    pub config: AgentConfig,
    /// Finalized relay blocks.
    pub feed: LedgerFeed,
    /// What this node's relay blocks take from.
    pub inclusion: Inclusion,
}

impl<E, B, K> fmt::Debug for Agent<E, B, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<E, B, K> Agent<E, B, K>
where
    E: Clock + Spawner + RuntimeMetrics + Storage,
    B: Blocker<PublicKey = PublicKey>,
    K: Builder,
{
    /// Starts it on the links of statements and of collations. It ends with them or with the feed, or when what it
    /// keeps can't be read or written.
    pub fn start(
        self,
        statements: (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
        collations: (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) -> Handle<Result<(), CellarFault>> {
        let Self {
            runtime,
            blocker,
            builder,
            checker,
            cutter,
            config,
            feed,
            inclusion,
        } = self;
        let metrics = Metrics::new(&runtime);
        // Now, so that nothing of what a node that restarts goes through again is missed.
        let (updates, first) = (feed.subscribe(), feed.newest());
        runtime.spawn(move |runtime| async move {
            let (finished, done) = mpsc::channel(DONE_MAX);
            let newest = config.collates.iter();
            let newest: Vec<_> = newest
                .filter_map(|shard| Some((*shard, builder.newest(*shard)?)))
                .collect();
            let numbers = newest.iter().map(|(shard, (number, _))| (*shard, *number));
            let (cellar, keeping, recalled) = Cellar::open(
                runtime.child("cellar"),
                log_config(&config, &first.ledger),
                &numbers.collect(),
                finished.clone(),
            )
            .await?;
            let builders = config.collates.iter().map(|shard| {
                let orders = start_builder(&runtime, *shard, builder.clone(), finished.clone());
                (*shard, orders)
            });
            let builders = builders.collect();
            let mut duties = Duties::new(config, first, inclusion, Arc::clone(&cutter), metrics);
            duties.now_ms = unix_ms(runtime.current());
            for (shard, newest) in newest {
                duties.has(shard, Some(newest));
                duties.lasts(shard, builder.durable(shard));
            }
            duties.recall(recalled);
            let running = Running {
                runtime,
                blocker,
                duties,
                feed,
                builder,
                workshop: Workshop {
                    checker,
                    cutter,
                    builders,
                    cellar,
                    finished,
                },
            };
            let inputs = (updates, done, keeping);
            running.run(statements, collations, inputs).await
        })
    }
}

fn log_config(config: &AgentConfig, ledger: &Ledger) -> LogConfig {
    let bytes_max = usize::try_from(ledger.rules().collation_bytes_max).unwrap_or(usize::MAX);
    let limit = RecordLimit(bytes_max.saturating_add(PROOF_BYTES_MAX));
    let partition = format!("{}-shards", config.partition);
    LogConfig::new(partition, limit, config.kept_bytes_max)
}

/// Where work is done.
struct Workshop {
    checker: Arc<dyn Checker>,
    cutter: Arc<dyn Cutter>,
    builders: BTreeMap<ShardId, mpsc::Sender<Order>>,
    cellar: Cellar,
    finished: mpsc::Sender<Done>,
}

struct Running<E, B, K> {
    runtime: E,
    blocker: B,
    duties: Duties,
    feed: LedgerFeed,
    builder: K,
    workshop: Workshop,
}

type Inputs = (
    broadcast::Receiver<Arc<RelayUpdate>>,
    mpsc::Receiver<Done>,
    CellarHandle,
);

impl<E, B, K> Running<E, B, K>
where
    E: Clock + Spawner + RuntimeMetrics,
    B: Blocker<PublicKey = PublicKey>,
    K: Builder,
{
    async fn run(
        mut self,
        (mut small_sender, small): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
        (mut large_sender, large): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
        (mut updates, mut done, mut keeping): Inputs,
    ) -> Result<(), CellarFault> {
        let mut mailbox = Mailbox::new(small, large);
        loop {
            self.duties.now_ms = unix_ms(self.runtime.current());
            self.duties.advance();
            for effect in self.duties.take_effects() {
                self.act(effect, &mut small_sender, &mut large_sender);
            }
            let look_at = at_ms(self.duties.next_look_ms());
            tokio::select! {
                biased;
                ended = &mut keeping => return stopped(ended),
                update = updates.recv() => match update {
                    Ok(update) => self.update_all(update, &mut updates),
                    // What it missed is named again as long as it is pending.
                    Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "fell behind the ledger"),
                    Err(RecvError::Closed) => return Ok(()),
                },
                finished = done.recv() => {
                    let Some(finished) = finished else { return Ok(()) };
                    self.touch();
                    self.duties.done(finished);
                }
                heard = mailbox.next() => {
                    let Some(heard) = heard else { return Ok(()) };
                    self.hear_all(heard, &mut mailbox).await;
                }
                () = self.runtime.sleep_until(look_at) => {}
            }
        }
    }

    /// Time has passed while nothing came.
    fn touch(&mut self) {
        self.duties.now_ms = unix_ms(self.runtime.current());
    }

    /// Takes in what there is: a node that restarts goes through many relay blocks at once.
    fn update_all(
        &mut self,
        first: Arc<RelayUpdate>,
        updates: &mut broadcast::Receiver<Arc<RelayUpdate>>,
    ) {
        self.touch();
        self.duties.resumed_height = self.feed.resumed_height();
        for shard in self.workshop.builders.keys() {
            self.duties.lasts(*shard, self.builder.durable(*shard));
        }
        self.duties.update(first);
        for _ in 0..UPDATES_AT_ONCE {
            let Ok(update) = updates.try_recv() else {
                return;
            };
            self.duties.update(update);
        }
    }

    /// Takes in the messages that are there: under a flood of them, everything is looked at once for many.
    async fn hear_all(
        &mut self,
        first: Heard,
        mailbox: &mut Mailbox<
            impl Receiver<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        >,
    ) {
        let mut bytes = first.bytes();
        self.hear(first);
        for _ in 1..MESSAGES_AT_ONCE {
            if bytes >= MESSAGE_BYTES_AT_ONCE {
                return;
            }
            let Some(heard) = mailbox.waiting().await else {
                return;
            };
            bytes = bytes.saturating_add(heard.bytes());
            self.hear(heard);
        }
    }

    fn hear(&mut self, heard: Heard) {
        self.touch();
        match heard {
            Heard::Small(peer, message) => self.small(&peer, message),
            Heard::Large(peer, message) => self.large(&peer, message),
        }
    }

    fn small(&mut self, peer: &PublicKey, message: IoBuf) {
        match SmallMessage::decode(message) {
            Ok(message) => self.duties.small(peer, message),
            Err(error) => {
                tracing::debug!(%error, "malformed message about shards");
                self.duties.ban(peer, "a malformed message");
            }
        }
    }

    fn large(&mut self, peer: &PublicKey, message: IoBuf) {
        let limit = CollationLimit(self.duties.ledger().rules().collation_bytes_max);
        match LargeMessage::decode_cfg(message, &limit) {
            Ok(message) => self.duties.large(peer, message),
            Err(error) => {
                tracing::debug!(%error, "malformed message with a collation");
                self.duties.ban(peer, "a malformed message");
            }
        }
    }

    fn act(
        &mut self,
        effect: Effect,
        small: &mut impl Sender<PublicKey = PublicKey>,
        large: &mut impl Sender<PublicKey = PublicKey>,
    ) {
        // Who is not reached asks, or hears it again at the next relay height.
        match effect {
            Effect::Small(to, message) => drop(small.send(to, message.encode(), true)),
            Effect::Large(to, message) => drop(large.send(to, message.encode(), false)),
            Effect::Ban(peer, lie) => {
                commonware_p2p::block!(self.blocker, peer, lie, "misbehaved about shards");
            }
            Effect::Work(job) => self.work(job),
            Effect::Order(order) => self.order(order),
            Effect::Search(arrears) => self.search(arrears),
            Effect::Cellar(request) => self.workshop.cellar.ask(request),
            Effect::Progress(progresses) => self.workshop.cellar.progress(progresses),
        }
    }

    fn work(&self, job: Job) {
        let finished = self.workshop.finished.clone();
        let checker = Arc::clone(&self.workshop.checker);
        let cutter = Arc::clone(&self.workshop.cutter);
        let worker = self.runtime.child("worker").shared(true);
        let _ends_with_its_job = worker.spawn(move |runtime| async move {
            let done = job.run(checker.as_ref(), cutter.as_ref());
            let remaining = checker.remaining();
            if remaining > Duration::ZERO {
                runtime.sleep(remaining).await;
            }
            // An error means that the agent has ended.
            drop(finished.send(done).await);
        });
    }

    /// In a task of its own: it may take long, and nothing else waits for it.
    fn search(&self, arrears: Arrears) {
        let (builder, finished) = (self.builder.clone(), self.workshop.finished.clone());
        let runtime = self.runtime.child("search");
        let _ends_with_its_walk = runtime.spawn(move |_| async move {
            let named = builder.name(arrears).await;
            // An error means that the agent has ended.
            drop(finished.send(Done::Searched(arrears, named)).await);
        });
    }

    fn order(&self, order: Order) {
        let shard = match &order {
            Order::Build(build) => build.shard,
            Order::Follow(descriptor, _) => descriptor.shard,
        };
        if let Some(builder) = self.workshop.builders.get(&shard) {
            builder
                .try_send(order)
                .unwrap_or_else(|error| tracing::error!(%error, "a builder has too many orders"));
        }
    }
}

impl Job {
    fn run(self, checker: &dyn Checker, cutter: &dyn Cutter) -> Done {
        match self {
            Self::Examine {
                id,
                descriptor,
                collation,
                known,
                validators,
                epoch,
                cancelled,
            } => {
                let finding =
                    known.unwrap_or_else(|| checker.check(&descriptor, &collation, &cancelled));
                let cut = match finding {
                    Finding::Valid => cutter.cut(&collation, validators, epoch),
                    Finding::Invalid | Finding::Undecided => None,
                };
                Done::Examined { id, finding, cut }
            }
            Self::Restore { id, coding, chunks } => Done::Restored {
                id,
                coding,
                restored: cutter.restore(&coding, &chunks),
            },
        }
    }
}

/// A task that carries out a shard's orders, one after the other.
fn start_builder<E, K>(
    runtime: &E,
    shard: ShardId,
    builder: K,
    finished: mpsc::Sender<Done>,
) -> mpsc::Sender<Order>
where
    E: Spawner,
    K: Builder,
{
    let (sender, mut orders) = mpsc::channel(ORDERS_MAX);
    let runtime = runtime.child("builder");
    let _ends_with_its_orders = runtime.spawn(move |_| async move {
        while let Some(order) = orders.recv().await {
            let done = carry_out(&builder, shard, order).await;
            if finished.send(done).await.is_err() {
                return;
            }
        }
    });
    sender
}

async fn carry_out(builder: &impl Builder, shard: ShardId, order: Order) -> Done {
    match order {
        Order::Build(order) => {
            let built = builder.build(order).await.map(Box::new);
            let newest = builder.newest(shard);
            Done::Built {
                shard,
                built,
                newest,
            }
        }
        Order::Follow(descriptor, collation) => follow(builder, *descriptor, collation).await,
    }
}

async fn follow(builder: &impl Builder, descriptor: Descriptor, collation: Bytes) -> Done {
    let (shard, head, id) = (descriptor.shard, descriptor.head, descriptor.id());
    let finding = builder.follow(descriptor, collation).await;
    Done::Followed {
        shard,
        head,
        id,
        finding,
        newest: builder.newest(shard),
    }
}

/// Why the cellar keeps nothing more.
fn stopped(
    ended: Result<Result<(), CellarFault>, commonware_runtime::Error>,
) -> Result<(), CellarFault> {
    ended.unwrap_or_else(|error| {
        Err(CellarFault::Write {
            error: error.to_string(),
        })
    })
}

/// The time that is so many milliseconds after the Unix epoch.
fn at_ms(unix_ms: u64) -> SystemTime {
    let since = Duration::from_millis(unix_ms);
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
