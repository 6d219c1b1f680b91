//! The explorer: pages about the chain, made by this node from what its methods read.
//!
//! ```text
//! GET /                    overview, live      GET /address/0x…  account     GET /search?q=  sends on
//! GET /blocks  /txs        newest              GET /token/0x…    token       GET /live       server-sent events
//! GET /block/N or hash     block               GET /pool         waiting     GET /assets/…   style, script
//! GET /tx/HASH             transaction         GET /validators   proposers   POST /address/0x…/call, /abi
//!
//! request ─▶ ROUTES, by its path ─▶ page (backend::run: a blocking thread, bounded) ─▶ template ─▶ headers
//! ```
//! The pages of a shard's chain are the same, below `/shard/N`: its links are made for a chain at the root, and each
//! page is put below its [`base`] when it is done.
//!
//! Pages are made on the server and need no script; with it, `/` follows the chain. Nothing comes from another
//! origin, nothing is inline, and every text that somebody else wrote is escaped by the templates (see [`html`]).
//! What a page reads is bounded by the constants of its file; what it left out, it says.

mod abi;
mod address;
mod assets;
mod base;
mod block;
mod changes;
mod contract;
mod decode;
mod format;
mod frame;
mod history;
mod html;
mod known;
mod lists;
mod live;
mod overview;
mod parallelism;
mod pipeline;
mod pool;
mod search;
mod shard_lane;
mod shards_page;
mod stages;
mod token;
mod token_page;
mod trace;
mod transaction;
mod validators;
mod visit;

use crate::{
    backend::{Backend, run},
    config::FORM_BYTES_MAX,
    error::RpcError,
    switch::Switch,
};
use alloy_primitives::Bytes;
use frame::Page;
use http_body_util::{BodyExt as _, Limited};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
pub(crate) use live::Live;
use std::{sync::Arc, time::Duration};
use visit::{Refusal, Visit};

/// What may be loaded, and from where: this node, no inline script or style, in no foreign frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// An address that names its content never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// A page is asked for again each time.
const EACH_TIME: &str = "no-cache";
const HTML: &str = "text/html; charset=utf-8";

/// What pages remember between requests; nothing that a page could not do without.
#[derive(Debug, Default)]
pub(crate) struct Explorer {
    abis: Arc<abi::Uploads>,
    tokens: token::Tokens,
}

impl Explorer {
    /// What still holds when a development chain has gone back: there may be other contracts then.
    pub(crate) fn succeed(&self) -> Self {
        Self {
            abis: Arc::clone(&self.abis),
            tokens: token::Tokens::default(),
        }
    }
}

/// What requests for pages are answered from.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) switch: Switch,
    pub(crate) live: Arc<Live>,
    /// Whether only this machine reaches the node.
    pub(crate) is_local: bool,
    /// Where it is; nothing at the root.
    base: Arc<str>,
}

impl Site {
    /// The pages of the chain at the root.
    pub(crate) fn new(switch: Switch, live: Arc<Live>, is_local: bool) -> Self {
        Self {
            switch,
            live,
            is_local,
            base: Arc::from(""),
        }
    }

    /// The pages of a shard's chain; they end with those at the root.
    pub(crate) fn of_shard(&self, shard: u32, backend: Arc<Backend>) -> Self {
        Self {
            switch: backend.into(),
            live: Arc::new(self.live.sibling()),
            is_local: self.is_local,
            base: format!("/shard/{shard}").into(),
        }
    }
}

/// What one request is answered from, to its end.
struct Here {
    backend: Arc<Backend>,
    is_local: bool,
}

type PageOf = fn(&Arc<Backend>, &Visit) -> Result<Page, RpcError>;

/// The first part of a path, whether something follows it, and what answers.
struct Route {
    name: &'static str,
    argument: bool,
    page: PageOf,
}

impl Route {
    const fn new(name: &'static str, argument: bool, page: PageOf) -> Self {
        Self {
            name,
            argument,
            page,
        }
    }
}

/// Every page.
const ROUTES: &[Route] = &[
    Route::new("", false, overview::page),
    Route::new("blocks", false, lists::blocks),
    Route::new("txs", false, lists::transactions),
    Route::new("block", true, block::page),
    Route::new("tx", true, transaction::page),
    Route::new("address", true, address::page),
    Route::new("token", true, token_page::page),
    Route::new("pool", false, pool::page),
    Route::new("search", false, search::page),
    Route::new("validators", false, validators::page),
    Route::new("shards", false, shards_page::page),
];

/// Those of a shard: it has neither validators nor shards of its own, which are the last two.
const SHARD_ROUTES: &[Route] = ROUTES.split_at(ROUTES.len() - 2).0;

/// What is posted, by what follows the address.
const FORMS: &[(&str, PageOf)] = &[("call", contract::call), ("abi", contract::upload)];

/// Whether a posted request is a form of the explorer: all others are JSON-RPC.
pub(crate) fn is_form(path: &str) -> bool {
    form(path).is_some()
}

fn form(path: &str) -> Option<(&str, PageOf)> {
    let (address, name) = path.strip_prefix("/address/")?.split_once('/')?;
    let form = FORMS.iter().find(|(form, _)| *form == name)?;
    Some((address, form.1))
}

/// Answers a request for a page, or for something a page needs.
pub(crate) async fn answer(site: Site, request: HttpRequest) -> HttpResponse {
    let path = request.uri().path().to_owned();
    let path = path.strip_prefix(&*site.base).unwrap_or(&path);
    if let Some(asset) = assets::at(path) {
        let response = respond(200, asset.content_type, Bytes::from_static(asset.bytes));
        return with(response, "cache-control", FOR_EVER);
    }
    if let Some(topic) = live::topic(path) {
        return live::stream(site, topic).await;
    }
    let here = Here {
        backend: site.switch.settled().await,
        is_local: site.is_local,
    };
    let made = match request.method().as_str() {
        "POST" => posted(&here, path.to_owned(), request).await,
        _ => {
            let query = request.uri().query().unwrap_or_default().to_owned();
            viewed(&here, path.to_owned(), query).await
        }
    };
    let page = match made {
        Ok(page) => page,
        Err(error) => frame::failure(&here.backend, &error),
    };
    finish(base::place(page, &site.base))
}

async fn viewed(here: &Here, path: String, query: String) -> Result<Page, RpcError> {
    let visit = match Visit::new(&query) {
        Ok(visit) => visit,
        Err(refusal) => return frame::refused(&here.backend, &refusal),
    };
    let path = path.trim_start_matches('/');
    let (name, argument) = path.split_once('/').unwrap_or((path, ""));
    let is_there = |route: &&Route| route.name == name && route.argument != argument.is_empty();
    let routes = match here.backend.shard {
        None => ROUTES,
        Some(_) => SHARD_ROUTES,
    };
    let Some(route) = routes.iter().find(is_there) else {
        return frame::absent(&here.backend, "page", &format!("/{path}"));
    };
    let visit = visit.at(argument, here.is_local);
    let page = route.page;
    run(Arc::clone(&here.backend), move |backend| {
        page(backend, &visit)
    })
    .await
}

async fn posted(here: &Here, path: String, request: HttpRequest) -> Result<Page, RpcError> {
    let refuse = |refusal| frame::refused(&here.backend, &refusal);
    if !visit::is_own(&request) {
        return refuse(Refusal::Foreign);
    }
    let Some((address, page)) = form(&path) else {
        return frame::absent(&here.backend, "page", &path);
    };
    let is_partial = request.headers().contains_key("hx-request");
    let body = match read(&here.backend, request.into_body()).await {
        Ok(body) => body,
        Err(refusal) => return refuse(refusal),
    };
    let visit = match Visit::new(&body) {
        Ok(visit) => visit.at(address, here.is_local).partial(is_partial),
        Err(refusal) => return refuse(refusal),
    };
    run(Arc::clone(&here.backend), move |backend| {
        page(backend, &visit)
    })
    .await
}

/// A form's fields, which are few, and arrive in time or not at all.
async fn read(backend: &Backend, body: HttpBody) -> Result<String, Refusal> {
    let body = Limited::new(body, FORM_BYTES_MAX).collect();
    let late = (backend.clock.sleep)(Duration::from_millis(backend.config.body_wait_ms));
    let collected = tokio::select! {
        collected = body => collected.map_err(|_| Refusal::TooLarge)?,
        () = late => return Err(Refusal::Slow),
    };
    String::from_utf8(collected.to_bytes().to_vec()).map_err(|_| Refusal::Malformed)
}

fn finish(page: Page) -> HttpResponse {
    let response = respond(page.status, HTML, page.html.into_bytes().into());
    let response = with(response, "cache-control", EACH_TIME);
    match page.location {
        Some(location) => with(response, "location", &location),
        None => response,
    }
}

fn respond(status: u16, content_type: &str, body: Bytes) -> HttpResponse {
    let body = HttpBody::new(http_body_util::Full::new(body.0));
    secured(HttpResponse::new(body), status, content_type)
}

/// Adds what every answer of the explorer says.
fn secured(mut response: HttpResponse, status: u16, content_type: &str) -> HttpResponse {
    *response.status_mut() = status.try_into().expect("a status code of our own");
    let headers = [
        ("content-type", content_type),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        // Not less: without a referrer, browsers hide the origin of this node's own forms from it too.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ];
    for (name, value) in headers {
        response = with(response, name, value);
    }
    response
}

/// Sets a header; a value that can't be one is left out.
fn with(mut response: HttpResponse, name: &'static str, value: &str) -> HttpResponse {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
    response
}
