//! Subscriptions over a WebSocket.
//!
//! ```text
//! eth_subscribe      newHeads │ logs │ newPendingTransactions [full] │ syncing
//! headway_subscribe  every stage of every block, as it is reached
//! ```
//! `newHeads` and `logs` follow a cursor through the chain, so that no block is skipped however slow
//! the client reads, and each is told once, in order. The other kinds skip what a client that reads
//! too slowly has missed. Nobody is told while [`SUBSCRIBER_UNREAD_BYTES_MAX`] bytes of its connection are unread. When a development chain goes back, a subscription goes on with what follows.
//! A connection has at most `subscriptions_per_connection_max` of them.

use crate::{
    args::Args,
    backend::Backend,
    config::SUBSCRIBER_UNREAD_BYTES_MAX,
    error::RpcError,
    eth::{Syncing, block, log, transaction},
    flow::Flow,
    registry::Registry,
    shard::ShardPlace,
    switch::{Changes, Switch},
};
use alloy_primitives::U64;
use alloy_rpc_types_eth::Filter;
use jsonrpsee::{
    Extensions, PendingSubscriptionSink, SubscriptionSink,
    core::to_json_raw_value,
    types::{ErrorObjectOwned, Params},
};
use pipeline::{ChainEvent, ExecutedRecord};
use primitives::stage::Stage;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};

pub(crate) fn register(methods: &mut Registry) {
    let ethereum = methods.module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, switch, extensions| {
            serve_ethereum(params, pending, (switch, reader(&extensions)))
        },
    );
    ethereum.expect("registered once");
    let headway = methods.module.register_subscription(
        "headway_subscribe",
        "headway_subscription",
        "headway_unsubscribe",
        |_, pending, switch, extensions| serve_stages(pending, switch, reader(&extensions)),
    );
    headway.expect("registered once");
}

/// What a client asked for.
enum Kind {
    Heads,
    Logs(Box<Filter>),
    Pending { full: bool },
    Syncing,
}

impl Kind {
    fn parse(params: &Params<'_>) -> Result<Self, RpcError> {
        let args = Args::parse(params)?;
        args.at_most(2)?;
        let name: String = args.get(0)?;
        match name.as_str() {
            "newHeads" => Ok(Self::Heads),
            "logs" => {
                let filter = args.get::<Option<Filter>>(1)?.unwrap_or_default();
                log::check(&filter)?;
                Ok(Self::Logs(Box::new(filter)))
            }
            "newPendingTransactions" => {
                let full = args.get::<Option<bool>>(1)?.unwrap_or_default();
                Ok(Self::Pending { full })
            }
            "syncing" => Ok(Self::Syncing),
            _ => Err(RpcError::ArgumentsConflict(format!(
                "no {name:?} subscription in eth namespace"
            ))),
        }
    }
}

/// The client is gone or has unsubscribed.
struct Gone;

async fn serve_ethereum(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    (switch, reader): (Arc<Switch>, Option<Arc<Flow>>),
) {
    let kind = match Kind::parse(&params) {
        Ok(kind) => kind,
        Err(error) => return pending.reject(ErrorObjectOwned::from(error)).await,
    };
    // Subscribed before the answer, so that nothing after it is missed.
    let mut feed = Feed::start(&switch);
    let admissions = feed.backend.subscribe_pending();
    let Ok(sink) = pending.accept().await else {
        return;
    };
    let sink = Sink { sink, reader };
    let ended = match kind {
        Kind::Heads => {
            let tell = |record: &ExecutedRecord| vec![block::format_header(record)];
            follow(&mut feed, &sink, tell).await
        }
        Kind::Logs(filter) => {
            let tell = |record: &ExecutedRecord| log::matching(record, &filter);
            follow(&mut feed, &sink, tell).await
        }
        Kind::Pending { full } => tell_pending(&sink, admissions, full).await,
        Kind::Syncing => tell_syncing(&mut feed, &sink).await,
    };
    drop(ended);
}

/// The first height that is news: not one that is only executed again after a restart.
fn first_height(backend: &Backend) -> u64 {
    let executed = backend.chain.heads().executed_height;
    let served = backend
        .chain
        .syncing()
        .map_or(executed, |sync| sync.target_height);
    served.max(executed).saturating_add(1)
}

/// What a subscription reads, and how far it has told it.
struct Feed {
    switch: Switch,
    changes: Changes,
    backend: Arc<Backend>,
    events: Receiver<ChainEvent>,
    next: u64,
}

impl Feed {
    fn start(switch: &Switch) -> Self {
        // In this order, so that no change of backends slips by.
        let changes = switch.changes();
        let backend = switch.current();
        Self {
            changes,
            events: backend.chain.subscribe(),
            next: first_height(&backend),
            switch: switch.clone(),
            backend,
        }
    }

    /// The next event; none when some were missed, or when the chain has gone back.
    async fn event(&mut self, sink: &Sink) -> Result<Option<ChainEvent>, Gone> {
        let changed = tokio::select! {
            biased;
            () = self.changes.next() => true,
            event = next(sink, &mut self.events) => return event,
        };
        if changed {
            self.backend = self.switch.current();
            self.events = self.backend.chain.subscribe();
            self.next = self.next.min(first_height(&self.backend));
        }
        Ok(None)
    }
}

/// Tells something about each executed block, once and in order.
async fn follow<T: Serialize>(
    feed: &mut Feed,
    sink: &Sink,
    tell: impl Fn(&ExecutedRecord) -> Vec<T>,
) -> Result<(), Gone> {
    loop {
        match feed.event(sink).await? {
            Some(ChainEvent::Stage { .. }) => continue,
            Some(ChainEvent::Executed(_)) | None => {}
        }
        // A store that can't be read ends the subscription; the node is about to halt.
        while let Some(record) = feed.backend.chain.record(feed.next).map_err(|_| Gone)? {
            feed.next += 1;
            for item in tell(&record) {
                send(sink, &item).await?;
            }
        }
    }
}

async fn tell_pending(
    sink: &Sink,
    mut admissions: Receiver<primitives::RecoveredTransaction>,
    full: bool,
) -> Result<(), Gone> {
    loop {
        let Some(tx) = next(sink, &mut admissions).await? else {
            continue;
        };
        if full {
            send(sink, &transaction::format_waiting(&tx)).await?;
        } else {
            send(sink, &tx.hash()).await?;
        }
    }
}

/// Tells the state now, and each change between syncing and not.
async fn tell_syncing(feed: &mut Feed, sink: &Sink) -> Result<(), Gone> {
    let mut told = None;
    // A shard's chain falls behind when the relay chain goes on, and nothing happens here.
    let mut relay = feed.backend.shard.as_ref().map(ShardPlace::updates);
    loop {
        let progress = feed.backend.syncing();
        if told != Some(progress.is_some()) {
            told = Some(progress.is_some());
            send(sink, &Syncing::from(progress)).await?;
        }
        match &mut relay {
            Some(relay) => tokio::select! {
                event = feed.event(sink) => drop(event?),
                update = next(sink, relay) => drop(update?),
            },
            None => drop(feed.event(sink).await?),
        }
    }
}

/// A block reached a stage.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StageReached {
    height: U64,
    stage: Stage,
    timestamp_ms: u64,
}

async fn serve_stages(
    pending: PendingSubscriptionSink,
    switch: Arc<Switch>,
    reader: Option<Arc<Flow>>,
) {
    let mut feed = Feed::start(&switch);
    let Ok(sink) = pending.accept().await else {
        return;
    };
    let sink = Sink { sink, reader };
    while let Ok(event) = feed.event(&sink).await {
        let Some(ChainEvent::Stage {
            height,
            stage,
            now_ms,
        }) = event
        else {
            continue;
        };
        let height = U64::from(height);
        let reached = StageReached {
            height,
            stage,
            timestamp_ms: now_ms,
        };
        if send(&sink, &reached).await.is_err() {
            return;
        }
    }
}

/// The next event; none when some were missed.
async fn next<T: Clone>(sink: &Sink, events: &mut Receiver<T>) -> Result<Option<T>, Gone> {
    tokio::select! {
        () = sink.sink.closed() => Err(Gone),
        event = events.recv() => match event {
            Ok(event) => Ok(Some(event)),
            Err(RecvError::Lagged(_)) => Ok(None),
            Err(RecvError::Closed) => Err(Gone),
        },
    }
}

/// Where a subscription tells, and how far its reader is.
struct Sink {
    sink: SubscriptionSink,
    /// None without a socket.
    reader: Option<Arc<Flow>>,
}

fn reader(extensions: &Extensions) -> Option<Arc<Flow>> {
    extensions.get::<Arc<Flow>>().cloned()
}

/// Tells when the reader has taken most of what it was told: what waits to be told costs nothing.
async fn send<T: Serialize>(sink: &Sink, item: &T) -> Result<(), Gone> {
    if let Some(reader) = &sink.reader {
        tokio::select! {
            () = sink.sink.closed() => return Err(Gone),
            () = reader.until_unread(SUBSCRIBER_UNREAD_BYTES_MAX) => {}
        }
    }
    let json = to_json_raw_value(item).map_err(|_| Gone)?;
    if let Some(reader) = &sink.reader {
        reader.answered(json.get().len());
    }
    sink.sink.send(json).await.map_err(|_| Gone)
}
