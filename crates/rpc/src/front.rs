//! The HTTP in front of JSON-RPC: who may call, and the pages.
//!
//! ```text
//! request ─▶ Host allowed? ─▶ Origin allowed? ─▶ OPTIONS  preflight
//!                                                GET /metrics   Prometheus text
//!                                                GET /health    JSON; 503 while syncing or stopped
//!                                                /bulk          signed transactions, many at once
//!                                                GET, forms     explorer (no WebSocket upgrade)
//!                                                /shard/<n>/…   pages and health of a shard that this node collates
//!                                                /shard/<n>     its JSON-RPC
//!                                                else           JSON-RPC: POST, WebSocket
//! ```
//! A browser is the only caller that sends `Origin`; tools do not, and are not asked. A WebSocket has no
//! preflight, so its `Origin` is checked here or nowhere.

use crate::{
    accept::{Room, Rooms},
    backend::Backend,
    batch::Transport,
    body::{InTime, Metered},
    bulk,
    explorer::{self, Site},
    flow::Flow,
    health::{self, Health},
    metrics::{self, Outcome},
};
use http_body::Body;
use jsonrpsee::{
    core::BoxError,
    server::{HttpBody, HttpRequest, HttpResponse, StopHandle},
};
use serde_json::json;
use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::Instant;
use tower::{Layer, Service};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What somebody is told who asks for a shard that is not here.
const NO_SHARD: &str = "no such shard on this node: it serves the shards that it collates\n";
/// What a request too many is told.
const TOO_MANY: &str = "too many requests at the same time\n";
/// What a request is told whose body is one too many.
const CROWDED: &str = "too much is being sent to this node: try again, or send less at a time\n";
/// What a WebSocket too many is told.
const NO_WEBSOCKET: &str = "too many WebSockets: try again, or post requests\n";
/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// Puts [`Front`] before JSON-RPC.
#[derive(Clone)]
pub(crate) struct FrontLayer {
    /// Where it is local, only known names may address this node.
    pub(crate) site: Site,
    /// The connection that is served.
    pub(crate) flow: Arc<Flow>,
    /// The chains of shards.
    pub(crate) shards: Rooms,
    /// When to end.
    pub(crate) stop: StopHandle,
}

impl std::fmt::Debug for FrontLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontLayer")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for FrontLayer {
    type Service = Front<S>;

    fn layer(&self, inner: S) -> Front<S> {
        let layer = self.clone();
        Front { inner, layer }
    }
}

/// Serves the pages and decides who may reach JSON-RPC.
#[derive(Clone, Debug)]
pub(crate) struct Front<S> {
    inner: S,
    layer: FrontLayer,
}

impl<S, B> Service<HttpRequest<B>> for Front<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        let mut request = request.map(HttpBody::new);
        let flow = Arc::clone(&self.layer.flow);
        let Some(open) = flow.request() else {
            return Box::pin(async { Ok(respond(429, TEXT, TOO_MANY.to_owned())) });
        };
        let arriving = flow.arriving();
        // A bundle has a limit of its own, and an upgrade no body.
        let (_, rest) = self.layer.placed(request.uri().path());
        if rest != bulk::PATH && !is_upgrade(&request) {
            let bytes_max = self.layer.site.switch.current().config.bodies_bytes_max;
            request = Metered::request(request, Arc::clone(&arriving), bytes_max);
        }
        // What it is asked for is how long an answer would be.
        let has_body = request.method() != "HEAD";
        let answer = self.answer(request);
        Box::pin(async move {
            let mut response = answer.await?;
            if arriving.is_refused() {
                let refusal = respond(503, TEXT, CROWDED.to_owned());
                *response.status_mut() = refusal.status();
                *response.body_mut() = refusal.into_body();
                set(&mut response, "content-type", TEXT);
            }
            match response.body().size_hint().exact() {
                Some(bytes) if has_body => {
                    flow.answered(usize::try_from(bytes).unwrap_or(usize::MAX));
                }
                Some(_) => {}
                None => flow.keep(),
            }
            drop((open, arriving));
            Ok(response)
        })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

impl<S> Front<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError>,
    S::Future: Send + 'static,
{
    fn answer(&mut self, mut request: HttpRequest) -> Answer {
        let origin = match self.layer.admit(&request) {
            Ok(origin) => origin,
            Err(Refused(why)) => {
                let refusal = respond(403, TEXT, why.to_owned());
                return Box::pin(async { Ok(refusal) });
            }
        };
        if let Some(mut response) = self.layer.page(&request) {
            allow(&mut response, origin);
            return Box::pin(async { Ok(response) });
        }
        if let Some(site) = self.layer.site_of(&request) {
            return Box::pin(async move {
                let mut response = explorer::answer(site, request).await;
                allow(&mut response, origin);
                Ok(response)
            });
        }
        let (site, rest) = self.layer.placed(request.uri().path());
        if rest == bulk::PATH {
            let switch = site.switch.clone();
            return Box::pin(async move {
                let mut response = bulk(switch.settled().await, request).await;
                allow(&mut response, origin);
                Ok(response)
            });
        }
        if is_upgrade(&request) {
            let backend = self.layer.site.switch.current();
            if !self.layer.flow.upgrade(backend.config.websockets_max()) {
                let refusal = respond(503, TEXT, NO_WEBSOCKET.to_owned());
                return Box::pin(std::future::ready(Ok(refusal)));
            }
        } else {
            request = self.layer.in_time(request);
        }
        prepare(&mut request, &self.layer.flow);
        let answer: Answer = match shard_of(request.uri().path()) {
            None => Box::pin(self.inner.call(request)),
            Some(shard) => match shard.and_then(|shard| self.layer.shards.get(&shard)) {
                Some(room) => room.answer(request, self.layer.stop.clone()),
                None => Box::pin(async { Ok(respond(404, TEXT, NO_SHARD.to_owned())) }),
            },
        };
        Box::pin(async move {
            let mut response = answer.await?;
            allow(&mut response, origin);
            Ok(response)
        })
    }
}

/// Why a request goes no further.
struct Refused(&'static str);

impl FrontLayer {
    /// The origin to allow in the answer, if any; or why the request is refused.
    fn admit(&self, request: &HttpRequest) -> Result<Option<String>, Refused> {
        let host = host(request).unwrap_or_default();
        if self.site.is_local && !self.is_known(without_port(host)) {
            return Err(Refused("invalid host specified\n"));
        }
        let Some(origin) = header(request, "origin") else {
            return Ok(None);
        };
        if self.site.switch.current().config.cors.allows(origin) || is_same(origin, host) {
            return Ok(Some(origin.to_owned()));
        }
        // An ordinary request goes through without the headers: the browser keeps the answer from the page.
        if is_upgrade(request) {
            return Err(Refused("origin not allowed\n"));
        }
        Ok(None)
    }

    /// The same request; its body fails when it takes too long to arrive.
    fn in_time(&self, request: HttpRequest) -> HttpRequest {
        let backend = self.site.switch.current();
        InTime::request(request, &backend.clock, backend.config.body_wait_ms)
    }

    fn is_known(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_address = bare.parse::<IpAddr>().is_ok();
        let backend = self.site.switch.current();
        let mut hosts = backend.config.hosts.iter();
        is_address
            || host.eq_ignore_ascii_case("localhost")
            || hosts.any(|known| known.eq_ignore_ascii_case(host))
    }

    /// The answer to everything that is not JSON-RPC.
    fn page(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let backend = &self.site.switch.current();
        match (request.method().as_str(), request.uri().path()) {
            ("OPTIONS", _) => Some(respond(204, TEXT, String::new())),
            ("GET", _) if is_upgrade(request) => None,
            ("GET" | "HEAD", "/metrics") => {
                let page = metrics::page(backend, &self.shards);
                Some(respond(200, PROMETHEUS, page))
            }
            ("GET" | "HEAD", "/health") => Some(told(health::of_node(backend, &self.shards))),
            ("GET" | "HEAD", path) => {
                let (room, rest) = self.room(path)?;
                (rest == "/health").then(|| told(health::of_shard(&room.backend())))
            }
            _ => None,
        }
    }

    /// The shard that a path leads to, if it is here, and what follows it in the path.
    fn room<'a>(&self, path: &'a str) -> Option<(&Room, &'a str)> {
        let (shard, rest) = below_shard(path)?;
        Some((self.shards.get(&shard?)?, rest))
    }

    /// Which chain a path is about, and what it means there.
    fn placed<'a>(&self, path: &'a str) -> (&Site, &'a str) {
        match self.room(path) {
            Some((room, rest)) => (room.site(), rest),
            None => (&self.site, path),
        }
    }

    /// Whose pages are asked for, if the explorer answers.
    fn site_of(&self, request: &HttpRequest) -> Option<Site> {
        let (site, rest) = self.placed(request.uri().path());
        let is_page = match request.method().as_str() {
            "GET" | "HEAD" => rest != bulk::PATH && !is_upgrade(request),
            "POST" => explorer::is_form(rest),
            _ => false,
        };
        is_page.then(|| site.clone())
    }
}

fn told((status, body): Health) -> HttpResponse {
    respond(status, JSON, body)
}

/// The shard whose JSON-RPC is addressed; none inside if it is no number, or if something follows it.
fn shard_of(path: &str) -> Option<Option<u32>> {
    let (shard, rest) = below_shard(path)?;
    Some(shard.filter(|_| rest.trim_end_matches('/').is_empty()))
}

/// The shard whose chain is addressed, and what follows its number.
fn below_shard(path: &str) -> Option<(Option<u32>, &str)> {
    // What lost its number is not meant for the relay chain.
    let addressed = match path.strip_prefix("/shard/") {
        Some(addressed) => addressed,
        None if path == "/shard" => "",
        None => return None,
    };
    let end = addressed.find('/').unwrap_or(addressed.len());
    let (number, rest) = addressed.split_at(end);
    let shard = number.parse().ok();
    // One shard, one address.
    Some((
        shard.filter(|shard: &u32| shard.to_string() == number),
        rest,
    ))
}

/// Posted bundles; refused ones are said in the form of JSON-RPC's errors.
async fn bulk(backend: Arc<Backend>, request: HttpRequest) -> HttpResponse {
    let started = Instant::now();
    let posted = bulk::post(Arc::clone(&backend), request).await;
    let outcome = match posted {
        Ok(_) => Outcome::Answered,
        Err(_) => Outcome::Refused,
    };
    backend.calls.count("bulk", outcome, 1, started.elapsed());
    let (status, body) = match posted {
        Ok(answer) => (200, answer),
        Err(error) => {
            let refusal = json!({"error": {"message": error.to_string()}});
            (error.status(), refusal.to_string())
        }
    };
    respond(status, JSON, body)
}

/// Marks how the request came in, and makes its content type one that jsonrpsee knows.
fn prepare(request: &mut HttpRequest, flow: &Arc<Flow>) {
    let transport = if is_upgrade(request) {
        request.extensions_mut().insert(Arc::clone(flow));
        Transport::WebSocket
    } else {
        Transport::Http
    };
    request.extensions_mut().insert(transport);
    let content_type = header(request, "content-type").unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(JSON)
        && let Ok(json) = JSON.parse()
    {
        request.headers_mut().insert("content-type", json);
    }
}

/// Lets a page of this origin read the answer.
fn allow(response: &mut HttpResponse, origin: Option<String>) {
    let Some(origin) = origin else {
        return;
    };
    set(response, "access-control-allow-origin", &origin);
    set(
        response,
        "access-control-allow-methods",
        "POST, GET, OPTIONS",
    );
    set(response, "access-control-allow-headers", "content-type");
    set(response, "access-control-allow-private-network", "true");
    set(response, "access-control-max-age", PREFLIGHT_SECONDS);
    set(response, "vary", "origin");
}

fn respond(status: u16, content_type: &'static str, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(body));
    *response.status_mut() = status.try_into().expect("a status code of our own");
    set(&mut response, "content-type", content_type);
    response
}

/// Sets a header; a value that can't be one is left out.
fn set(response: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// The name the caller used for this node: from the header, or from the URI in HTTP/2.
pub(crate) fn host(request: &HttpRequest) -> Option<&str> {
    header(request, "host").or_else(|| Some(request.uri().authority()?.as_str()))
}

fn is_upgrade(request: &HttpRequest) -> bool {
    header(request, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a page of this origin was served by this very node.
pub(crate) fn is_same(origin: &str, host: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_brackets() {
        assert_eq!(without_port("localhost:8545"), "localhost");
        assert_eq!(without_port("localhost"), "localhost");
        assert_eq!(without_port("[::1]:8545"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
    }

    #[test]
    fn shards_are_named_by_their_numbers() {
        assert_eq!(shard_of("/shard/7"), Some(Some(7)));
        assert_eq!(shard_of("/shard/7/"), Some(Some(7)));
        assert_eq!(shard_of("/shard/x"), Some(None));
        assert_eq!(shard_of("/shard/-1"), Some(None));
        assert_eq!(shard_of("/shard/+1"), Some(None));
        assert_eq!(shard_of("/shard/01"), Some(None));
        assert_eq!(shard_of("/shard/"), Some(None));
        assert_eq!(shard_of("/shard"), Some(None));
        assert_eq!(shard_of("/shard/7/eth"), Some(None));
        assert_eq!(below_shard("/shard/7/block/1"), Some((Some(7), "/block/1")));
        assert_eq!(shard_of("/shards"), None);
        assert_eq!(shard_of("/"), None);
    }

    #[test]
    fn only_own_pages_are_the_same_origin() {
        assert!(is_same("http://localhost:8545", "localhost:8545"));
        assert!(!is_same("http://localhost:3000", "localhost:8545"));
        assert!(!is_same("null", "localhost:8545"));
        assert!(!is_same("http://evil.example", ""));
    }
}
