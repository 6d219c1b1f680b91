//! The one port: JSON-RPC over HTTP and WebSocket, and the pages.
//!
//! Sockets are outside the simulation; [`module`] is what they serve, and needs none.

use crate::{
    accept::{DispatchLayer, Door, Room},
    admin,
    backend::Backend,
    bulk,
    config::{BATCH_PARSE_MAX, REQUESTS_MAX, UNREAD_MESSAGES_MAX},
    console, debug, dev, eth,
    explorer::{Live, Site},
    headway, net, refused,
    registry::Registry,
    socket::Places,
    subscribe,
    switch::Switch,
    trace, txpool,
};
use jsonrpsee::{
    RpcModule,
    core::middleware::RpcServiceBuilder,
    server::{
        BatchRequestConfig, IdProvider, PingConfig, Server, ServerConfig, ServerHandle,
        stop_channel,
    },
    types::SubscriptionId,
};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle};

/// Why the port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something else listens there.
    #[error(
        "cannot listen on {0}: the port is in use, perhaps by another node; stop that one or choose another port"
    )]
    PortInUse(SocketAddr),
    /// The operating system does not let us.
    #[error("cannot listen on {0}: permission denied; choose a port above 1023")]
    PermissionDenied(SocketAddr),
    /// Another reason.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// A served backend; dropping it stops serving.
#[derive(Debug)]
pub struct RpcServer {
    handle: ServerHandle,
    address: SocketAddr,
    /// Tells a developer about blocks.
    narrator: Option<Narrator>,
    live: Arc<Live>,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Narrator(JoinHandle<()>);

impl Drop for Narrator {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl RpcServer {
    /// Where it listens; tells the port if 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops taking connections and closes those there are.
    pub fn stop(&self) {
        self.live.stop();
        // An error means that it has stopped before.
        self.handle.stop().ok();
    }

    /// Resolves when every connection is closed.
    pub async fn stopped(mut self) {
        self.handle.clone().stopped().await;
        drop(self.narrator.take());
    }
}

impl Drop for RpcServer {
    fn drop(&mut self) {
        // A stream has no end of its own, and its connection would outlive the server.
        self.live.stop();
    }
}

/// All methods, callable without a socket.
#[must_use]
pub fn module(switch: impl Into<Switch>) -> RpcModule<Switch> {
    registry(switch).module
}

/// All methods, and what is said of some.
pub(crate) fn registry(switch: impl Into<Switch>) -> Registry {
    let switch = switch.into();
    let is_dev = switch.current().dev.is_some();
    let mut methods = Registry::new(switch);
    eth::register(&mut methods);
    debug::register(&mut methods);
    trace::register(&mut methods);
    headway::register(&mut methods);
    bulk::register(&mut methods);
    net::register(&mut methods);
    subscribe::register(&mut methods);
    txpool::register(&mut methods);
    admin::register(&mut methods);
    refused::register(&mut methods);
    dev::register(&mut methods, is_dev);
    methods
}

/// Serves a backend, or one after another, on an address.
///
/// # Errors
/// [`ServeError`] says what to do about it.
pub async fn serve(
    switch: impl Into<Switch>,
    address: SocketAddr,
) -> Result<RpcServer, ServeError> {
    serve_with_shards(switch, BTreeMap::new(), address).await
}

/// The same, with the chains of shards at `/shard/<number>`.
///
/// # Errors
/// [`ServeError`] says what to do about it.
pub async fn serve_with_shards(
    switch: impl Into<Switch>,
    shards: BTreeMap<u32, Arc<Backend>>,
    address: SocketAddr,
) -> Result<RpcServer, ServeError> {
    let switch = switch.into();
    let backend = switch.current();
    let live = Arc::new(Live::default());
    let site = Site::new(
        switch.clone(),
        Arc::clone(&live),
        address.ip().is_loopback(),
    );
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| explain(address, source))?;
    let address = listener
        .local_addr()
        .map_err(|source| explain(address, source))?;
    let rooms = shards
        .into_iter()
        .map(|(shard, backend)| (shard, room(site.of_shard(shard, backend))));
    let door = Door {
        shards: Arc::new(rooms.collect()),
        room: room(site),
        places: Places::new(&backend.config),
        traffic: Arc::clone(&backend.traffic),
    };
    let (stop, handle) = stop_channel();
    Handle::current().spawn(door.accept(listener, stop));
    let narrator = switch.current().dev.as_ref().map(|_| {
        let story = console::narrate(switch.clone());
        Narrator(Handle::current().spawn(story))
    });
    tracing::info!(%address, "serving");
    Ok(RpcServer {
        handle,
        address,
        narrator,
        live,
    })
}

/// The methods of one chain.
fn room(site: Site) -> Room {
    let switch = site.switch.clone();
    let dispatch = RpcServiceBuilder::new().layer(DispatchLayer(switch.clone()));
    let builder = Server::builder()
        .set_config(server_config(&switch.current()))
        .set_rpc_middleware(dispatch)
        .to_service_builder();
    Room::new(builder, module(switch).into(), site)
}

fn server_config(backend: &Backend) -> ServerConfig {
    let config = &backend.config;
    ServerConfig::builder()
        .max_request_body_size(config.body_bytes_max)
        .max_response_body_size(config.response_bytes_max)
        // What it counts is requests.
        .max_connections(u32::try_from(REQUESTS_MAX).unwrap_or(u32::MAX))
        .max_subscriptions_per_connection(config.subscriptions_per_connection_max)
        .set_batch_request_config(BatchRequestConfig::Limit(BATCH_PARSE_MAX))
        .set_message_buffer_capacity(UNREAD_MESSAGES_MAX)
        .enable_ws_ping(PingConfig::default())
        .set_id_provider(SubscriptionIds::default())
        .build()
}

fn explain(address: SocketAddr, source: io::Error) -> ServeError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortInUse(address),
        io::ErrorKind::PermissionDenied => ServeError::PermissionDenied(address),
        _ => ServeError::Listen { address, source },
    }
}

/// Ids in geth's form. They need not be secret: a subscription belongs to its connection.
#[derive(Debug, Default)]
struct SubscriptionIds {
    count: AtomicU64,
}

impl IdProvider for SubscriptionIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{count:#x}").into()
    }
}
