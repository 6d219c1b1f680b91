//! The wiring of one node's consensus: archives, marshal, simplex and the two gossips.
//!
//! ```text
//!   network ─▶ simplex (votes, certificates, resolver) ──▶ Deferred(Ordering) ──▶ marshal ──▶ delivery ──▶ pipeline
//!           ─▶ marshal (backfill), relay (blocks)                                    │
//!           ─▶ results, transactions                              archives (finalizations, blocks)
//! ```
//! A node without a validator's key runs the same engine: it follows and never votes.

use crate::{
    activity::ActivityReporter,
    application::Ordering,
    archive::Archives,
    config::{
        ARCHIVE_SECTION_ITEMS, ConsensusConfig, JOURNAL_BUFFER_BYTES, MAILBOX_MESSAGES_MAX,
        PAGE_BYTES, PAGES_MAX, REPAIR_BLOCKS_MAX, VIEWS_RETAINED,
    },
    delivery::{self, Delivery},
    join,
    ledgers::Follower,
    network::{Link, Network, Wires},
    offer::Order,
    relay::{PoolSource, Relay},
    results::ResultGossip,
    sync::{Server, StoreSource},
    transactions::TransactionGossip,
};
use commonware_consensus::{
    Reporters,
    marshal::{
        self, Identifier, Start,
        core::{Actor as Marshal, Mailbox as MarshalMailbox},
        resolver::p2p as backfill,
        standard::{Deferred, Standard},
    },
    simplex::{self, ForwardPolicy, SkipBudget, SkipPolicy, config::Floor, elector::RoundRobin},
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{Digested, certificate::ConstantProvider};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Storage, buffer::paged::CacheRef};
use commonware_utils::NonZeroDuration;
use primitives::{
    Anchor, Block, BlockLimits,
    crypto::{BlockDigest, BlockHasher, PublicKey, Scheme},
};
use rand_core::CryptoRng;
use std::{
    fmt,
    num::{NonZeroU16, NonZeroU64, NonZeroUsize},
    time::Duration,
};

const MAILBOX: NonZeroUsize = nonzero(MAILBOX_MESSAGES_MAX);
const BUFFER: NonZeroUsize = nonzero(JOURNAL_BUFFER_BYTES);
/// One epoch for ever: the validators of a chain are fixed until epochs exist.
const EPOCH_BLOCKS: NonZeroU64 = NonZeroU64::MAX;

pub(crate) const fn nonzero(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("a named limit is not zero")
}

/// What the runtime must offer.
pub trait Runtime: Clock + CryptoRng + Spawner + Storage + Metrics {}
impl<E: Clock + CryptoRng + Spawner + Storage + Metrics> Runtime for E {}

/// What one node's consensus is made of.
#[derive(Debug)]
pub struct EngineParts {
    /// Identity on the network.
    pub public_key: PublicKey,
    /// Verifies, and for a validator signs, votes.
    pub scheme: Scheme,
    /// The block at height 0.
    pub genesis: Block,
    /// Where to begin instead, for a node whose state came from peers.
    pub anchor: Option<Anchor>,
    /// Bounds for decoding blocks.
    pub limits: BlockLimits,
    /// Our rules.
    pub ordering: Ordering,
    /// Timeouts and sizes.
    pub config: ConsensusConfig,
}

/// The running parts; they stop with the task that started them.
pub struct Engine {
    order: Order,
    handles: Vec<(&'static str, Handle<()>)>,
}

/// Why consensus cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineFault {
    /// A part ended.
    #[error("consensus stopped: part={part}")]
    Ended {
        /// Which part.
        part: &'static str,
    },
    /// What is stored does not open.
    #[error(
        "the stored {archive} cannot be opened ({error}); a validator must not vote without its history: restore the data directory from a copy, or start again with an empty one and a new key"
    )]
    Archive {
        /// Which archive.
        archive: &'static str,
        /// Why.
        error: String,
    },
    /// There is a place to begin at, but not the state there.
    #[error(
        "the state stands at height={executed} but this node begins at height={anchor}; its state was not fetched to the end: start it with --sync state again"
    )]
    StateMissing {
        /// Height of the state.
        executed: u64,
        /// Height at which the node begins.
        anchor: u64,
    },
    /// The state is not the one that the validators signed.
    #[error(
        "the state at height={height} is not the one that this node begins at; start again with an empty data directory"
    )]
    OtherState {
        /// The height.
        height: u64,
    },
    /// A validator without a journal of its votes.
    #[error(
        "this key is a validator's and the journal of its votes is not here, so it may have voted before and must not vote again; restore the folder `consensus` of the data directory, follow with another key, or, if the key has never voted, start it once with --never-voted"
    )]
    MayHaveVoted,
    /// The state is there, but the order it was computed from is not.
    #[error(
        "the state stands at height={executed} but the stored order ends at height={ordered}; restore the folder `consensus` of the data directory, or start again with an empty data directory and a new key"
    )]
    OrderMissing {
        /// Height of the state.
        executed: u64,
        /// Height of the newest stored block.
        ordered: u64,
    },
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.handles.iter().map(|(part, _)| part);
        f.debug_list().entries(parts).finish()
    }
}

type Provider = ConstantProvider<Scheme, Epoch>;

impl Engine {
    /// Opens what is stored and starts every part.
    ///
    /// # Errors
    /// When what is stored does not open or contradicts itself.
    pub async fn start<E: Runtime, N: Network>(
        runtime: E,
        parts: EngineParts,
        wires: Wires<N>,
    ) -> Result<Self, EngineFault> {
        let Wires {
            votes,
            certificates,
            resolver,
            backfill,
            blocks,
            results,
            transactions,
            sync,
            blocker,
            peers,
            shard_statements: _,
            shard_collations: _,
        } = wires;
        let links = MarshalLinks::<N> {
            backfill,
            blocks,
            blocker: blocker.clone(),
            peers,
        };
        let (marshal, mut handles) = start_marshal(&runtime, &parts, links).await?;
        let order = Order::new(marshal.clone());
        let simplex = start_simplex(&runtime, &parts, marshal, blocker.clone());
        handles.push(("simplex", simplex.start(votes, certificates, resolver)));
        let ordering = parts.ordering.parts();
        let gossip = ResultGossip {
            runtime: runtime.child("results"),
            pipeline: ordering.pipeline.clone(),
            scheme: ordering.results.clone(),
            blocker: blocker.clone(),
            retry: parts.config.result_retry,
        };
        handles.push(("results", gossip.start(results)));
        let server = Server {
            runtime: runtime.child("sync"),
            blocker: blocker.clone(),
            source: StoreSource {
                chain: ordering.pipeline.chain().clone(),
                order: order.clone(),
            },
            limits: parts.limits,
            config: parts.config.sync,
        };
        let serving = server.start(sync);
        handles.extend(serving.map(|handle| ("sync", handle)));
        let gossip = TransactionGossip {
            runtime: runtime.child("transactions"),
            chain: ordering.pipeline.chain().clone(),
            mempool: ordering.mempool.clone(),
            senders: ordering.senders.clone(),
            blocker,
            retry: parts.config.transaction_retry,
        };
        handles.push(("transactions", gossip.start(transactions)));
        Ok(Self { order, handles })
    }

    /// Reads what is finalized.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// Resolves when the first part ends, which no part does while the node is healthy.
    pub async fn failed(self) -> EngineFault {
        let ends = self
            .handles
            .into_iter()
            .map(|(part, handle)| Box::pin(ended(part, handle)));
        futures::future::select_all(ends).await.0
    }
}

async fn ended(part: &'static str, handle: Handle<()>) -> EngineFault {
    if let Err(error) = handle.await {
        tracing::error!(part, %error, "a part of consensus failed");
    }
    EngineFault::Ended { part }
}

type Started = (
    MarshalMailbox<Scheme, Standard<Block>>,
    Vec<(&'static str, Handle<()>)>,
);

struct MarshalLinks<N: Network> {
    backfill: Link<N>,
    blocks: Link<N>,
    blocker: N::Blocker,
    peers: N::Peers,
}

/// Who brings the shard ledger to each finalized block, on a chain that has one.
async fn follower<E: Runtime>(
    runtime: &E,
    parts: &EngineParts,
) -> Result<Option<Follower<E>>, EngineFault> {
    let Some(ledgers) = parts.ordering.ledgers() else {
        return Ok(None);
    };
    let storage = runtime.child("ledger");
    let follower = Follower::open(storage, &parts.config.partition, ledgers.clone());
    follower.await.map(Some)
}

async fn start_marshal<E: Runtime, N: Network>(
    runtime: &E,
    parts: &EngineParts,
    links: MarshalLinks<N>,
) -> Result<Started, EngineFault> {
    let config = &parts.config;
    let cache = CacheRef::new(PAGE_SIZE, nonzero(PAGES_MAX));
    let mut archives = Archives::open(runtime, config, parts.limits, &cache).await?;
    if let Some(anchor) = &parts.anchor {
        archives = join::begin(runtime, parts, anchor, archives).await?;
    }
    require_order(parts, archives.ordered_height())?;
    if let Some(ledgers) = parts.ordering.ledgers() {
        ledgers.resume(archives.ordered_height());
    }
    let (marshal, mailbox, floor) = Marshal::<_, Standard<Block>, _, _, _, _, _>::init(
        runtime.child("marshal"),
        archives.finalizations,
        archives.blocks,
        marshal_config(parts, cache),
    )
    .await;
    let (buffer, relay) =
        relay(runtime, parts, links.blocker.clone()).start(links.peers.clone(), links.blocks);
    let resolver = backfill::init(
        runtime.child("backfill"),
        backfill::Config {
            public_key: parts.public_key.clone(),
            peer_provider: links.peers,
            blocker: links.blocker,
            mailbox_size: MAILBOX,
            fetch_timeout: nonzero_duration(config.fetch_timeout),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        links.backfill,
    );
    let ordering = parts.ordering.parts();
    let follower = follower(runtime, parts).await?;
    let (reporter, delivery) = delivery::start(
        runtime.child("delivery"),
        Delivery {
            pipeline: ordering.pipeline.clone(),
            recent: parts.ordering.recent().clone(),
            archive: mailbox.clone(),
            anchor: parts.anchor.clone(),
            processed_height: floor.processed().map_or(0, |last| last.height().get()),
            pending_max: config.pending_acks_max.get().saturating_add(1),
        },
        follower,
    );
    let marshal = marshal.start(reporter, buffer, resolver);
    if let Some((tip, _)) = mailbox.get_info(Identifier::Latest).await {
        ordering.pipeline.sync_target(tip.get());
    }
    if let Some(anchor) = &parts.anchor {
        // Until then there is a state, but no block to answer with.
        let first_block = anchor.height().saturating_add(1);
        ordering.pipeline.sync_target(first_block);
    }
    let handles = vec![
        ("delivery", delivery),
        ("marshal", marshal),
        ("relay", relay),
    ];
    Ok((mailbox, handles))
}

fn relay<E: Runtime, B>(runtime: &E, parts: &EngineParts, blocker: B) -> Relay<E, B, PoolSource> {
    let ordering = parts.ordering.parts();
    Relay {
        runtime: runtime.child("relay"),
        blocker,
        source: PoolSource {
            mempool: ordering.mempool.clone(),
            senders: ordering.senders.clone(),
        },
        limits: parts.limits,
        public_key: parts.public_key.clone(),
    }
}

/// A block is executed only after it is stored, so the state can never be ahead of the order.
fn require_order(parts: &EngineParts, ordered: u64) -> Result<(), EngineFault> {
    let executed = parts
        .ordering
        .parts()
        .pipeline
        .chain()
        .heads()
        .executed_height;
    if executed > ordered {
        return Err(EngineFault::OrderMissing { executed, ordered });
    }
    Ok(())
}

const PAGE_SIZE: NonZeroU16 = NonZeroU16::new(PAGE_BYTES).expect("a page is not empty");

fn nonzero_duration(duration: Duration) -> NonZeroDuration {
    NonZeroDuration::new(duration).unwrap_or(NonZeroDuration::new_panic(Duration::from_secs(1)))
}

fn marshal_config(
    parts: &EngineParts,
    page_cache: CacheRef,
) -> marshal::Config<Provider, FixedEpocher, Sequential, Block, Digested<Block>> {
    marshal::Config {
        provider: ConstantProvider::new(parts.scheme.clone()),
        epocher: FixedEpocher::new(EPOCH_BLOCKS),
        start: match &parts.anchor {
            Some(anchor) => Start::Floor(anchor.finalization().clone()),
            None => Start::Genesis(Digested::precomputed(
                parts.genesis.clone(),
                parts.genesis.digest(),
            )),
        },
        partition_prefix: format!("{}-marshal", parts.config.partition),
        mailbox_size: MAILBOX,
        view_retention: ViewDelta::new(VIEWS_RETAINED),
        prunable_items_per_section: NonZeroU64::new(ARCHIVE_SECTION_ITEMS)
            .expect("a section is not empty"),
        page_cache,
        replay_buffer: BUFFER,
        key_write_buffer: BUFFER,
        value_write_buffer: BUFFER,
        block_codec_config: parts.limits,
        max_repair: nonzero(REPAIR_BLOCKS_MAX),
        max_pending_acks: parts.config.pending_acks_max,
        strategy: Sequential,
    }
}

type DeferredOrdering<E> = Deferred<E, Scheme, Ordering, Block, FixedEpocher>;
type SimplexReporter<E> = Reporters<DeferredOrdering<E>, ActivityReporter<E>>;
type Simplex<E, B> = simplex::Engine<
    E,
    Scheme,
    RoundRobin<BlockHasher>,
    B,
    BlockDigest,
    DeferredOrdering<E>,
    DeferredOrdering<E>,
    SimplexReporter<E>,
    Sequential,
>;

fn start_simplex<E: Runtime, B: commonware_p2p::Blocker<PublicKey = PublicKey>>(
    runtime: &E,
    parts: &EngineParts,
    marshal: MarshalMailbox<Scheme, Standard<Block>>,
    blocker: B,
) -> Simplex<E, B> {
    let config = &parts.config;
    let deferred = Deferred::new(
        runtime.child("deferred"),
        parts.ordering.clone(),
        marshal,
        FixedEpocher::new(EPOCH_BLOCKS),
    );
    let activity = ActivityReporter::new(
        runtime.child("activity"),
        parts.ordering.parts().pipeline.clone(),
    );
    simplex::Engine::new(
        runtime.child("simplex"),
        simplex::Config {
            scheme: parts.scheme.clone(),
            elector: RoundRobin::<BlockHasher>::default(),
            blocker,
            automaton: deferred.clone(),
            relay: deferred.clone(),
            reporter: Reporters::from((Some(deferred), Some(activity))),
            strategy: Sequential,
            partition: join::votes_partition(config),
            mailbox_size: MAILBOX,
            epoch: Epoch::zero(),
            floor: match &parts.anchor {
                Some(anchor) => Floor::Finalized(anchor.finalization().clone()),
                None => Floor::Genesis(parts.genesis.digest()),
            },
            replay_buffer: BUFFER,
            write_buffer: BUFFER,
            page_cache: CacheRef::new(PAGE_SIZE, nonzero(PAGES_MAX)),
            leader_timeout: config.leader_timeout,
            certification_timeout: config.certification_timeout,
            timeout_retry: config.timeout_retry,
            view_retention: ViewDelta::new(VIEWS_RETAINED),
            skip: SkipPolicy::Enabled {
                timeout: config.skip_timeout,
                budget: SkipBudget::Participants,
            },
            fetch_timeout: nonzero_duration(config.fetch_timeout),
            fetch_retry_delay: Duration::from_millis(500),
            forward: ForwardPolicy::SilentVoters,
            track_historical_votes: false,
        },
    )
}
