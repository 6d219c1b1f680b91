//! Takes connections, each with a place, and gives each one its own front.
//!
//! ```text
//! accept ─▶ a place? ─yes─▶ Socket ─▶ HTTP ─▶ Front ─▶ jsonrpsee
//!               └────no──▶ 429, closed
//! ```
//! jsonrpsee's own loop takes every connection and counts requests: connections that ask for nothing would then
//! use up the files of the process, and a node that cannot open its files stops. Limit: `connections_max`.

use crate::{
    backend::Backend,
    batch::Dispatch,
    explorer::Site,
    flow::{Flow, Traffic},
    front::FrontLayer,
    socket::{Places, Socket},
    switch::Switch,
};
use futures::future::BoxFuture;
use jsonrpsee::{
    Methods,
    core::BoxError,
    server::{
        HttpRequest, HttpResponse, StopHandle, TowerServiceBuilder, serve_with_graceful_shutdown,
    },
};
use std::{collections::BTreeMap, io::Write as _, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
};
use tower::{
    Service as _,
    layer::util::{Identity, Stack},
};

/// What a connection too many is told.
const NO_PLACE: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/plain\r\ncontent-length: 21\r\n\
    retry-after: 5\r\nconnection: close\r\n\r\ntoo many connections\n";
/// How long to wait when a connection could not be taken, for example because too many files are open.
const PAUSE: Duration = Duration::from_millis(50);

/// Puts [`Dispatch`] before the methods.
#[derive(Clone, Debug)]
pub(crate) struct DispatchLayer(pub(crate) Switch);

impl<S> tower::Layer<S> for DispatchLayer {
    type Service = Dispatch<S>;

    fn layer(&self, inner: S) -> Dispatch<S> {
        Dispatch {
            inner,
            switch: self.0.clone(),
        }
    }
}

/// jsonrpsee's part of a connection.
pub(crate) type Builder = TowerServiceBuilder<Stack<DispatchLayer, Identity>, Identity>;

/// The methods of one chain, behind whatever connection.
pub(crate) struct Room {
    builder: Builder,
    methods: Methods,
    site: Site,
}

impl Room {
    pub(crate) const fn new(builder: Builder, methods: Methods, site: Site) -> Self {
        Self {
            builder,
            methods,
            site,
        }
    }

    /// What its pages are answered from.
    pub(crate) const fn site(&self) -> &Site {
        &self.site
    }

    /// What is served.
    pub(crate) fn backend(&self) -> Arc<Backend> {
        self.site.switch.current()
    }

    /// Answers one request, or serves a WebSocket that begins with it.
    pub(crate) fn answer(
        &self,
        request: HttpRequest,
        stop: StopHandle,
    ) -> BoxFuture<'static, Result<HttpResponse, BoxError>> {
        let mut service = self.builder.clone().build(self.methods.clone(), stop);
        Box::pin(async move { service.call(request).await })
    }
}

/// The chains of shards, by their numbers.
pub(crate) type Rooms = Arc<BTreeMap<u32, Room>>;

/// What every connection is given.
pub(crate) struct Door {
    pub(crate) room: Room,
    pub(crate) shards: Rooms,
    pub(crate) places: Places,
    pub(crate) traffic: Arc<Traffic>,
}

impl Door {
    /// Takes connections until it is told to stop.
    pub(crate) async fn accept(self, listener: TcpListener, stop: StopHandle) {
        let mut stopped = std::pin::pin!(stop.clone().shutdown());
        loop {
            let accepted = tokio::select! {
                () = &mut stopped => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.open(stream, &stop),
                Err(error) => {
                    tracing::debug!(%error, "no connection taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn open(&self, stream: TcpStream, stop: &StopHandle) {
        let Some(place) = self.places.take() else {
            refuse(stream);
            return;
        };
        // Answers are written whole; a socket that refuses this is about to fail anyway.
        stream.set_nodelay(true).ok();
        let flow = Flow::new(Arc::clone(&self.traffic));
        let socket = Socket::new(stream, Arc::clone(&flow), self.places.clone(), place);
        let front = FrontLayer {
            site: self.room.site.clone(),
            flow,
            shards: Arc::clone(&self.shards),
            stop: stop.clone(),
        };
        let builder = self.room.builder.clone();
        let service = builder
            .set_http_middleware(tower::ServiceBuilder::new().layer(front))
            .build(self.room.methods.clone(), stop.clone());
        let stopped = stop.clone().shutdown();
        Handle::current().spawn(async move {
            let served = serve_with_graceful_shutdown(socket, service, stopped).await;
            if let Err(error) = served {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
}

/// Says why, if that can be said without waiting.
fn refuse(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        stream.write_all(NO_PLACE).ok();
    }
}
