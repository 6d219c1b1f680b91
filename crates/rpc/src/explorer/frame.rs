//! What is around every page: title, navigation, search, the state of the node. And the pages that say what failed.

use super::{assets, visit::Refusal};
use crate::{backend::Backend, error::RpcError, net::CLIENT_VERSION, shard::ShardPlace};
use askama::Template;

/// Longest piece of a request that an error page repeats, in bytes.
const ECHO_BYTES_MAX: usize = 120;

/// An answer to a request for a page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) html: String,
    /// Where to go instead.
    pub(super) location: Option<String>,
}

impl Page {
    /// A page that was found.
    pub(super) fn new(template: &impl Template) -> Result<Self, RpcError> {
        Self::with_status(200, template)
    }

    pub(super) fn with_status(status: u16, template: &impl Template) -> Result<Self, RpcError> {
        Ok(Self {
            status,
            html: render(template)?,
            location: None,
        })
    }

    /// Sends a visitor on.
    pub(super) fn elsewhere(location: String) -> Self {
        Self {
            status: 303,
            html: String::new(),
            location: Some(location),
        }
    }
}

/// A template's text.
pub(super) fn render(template: &impl Template) -> Result<String, RpcError> {
    let rendered = template.render();
    rendered.map_err(|error| RpcError::Internal(format!("template: {error}")))
}

/// What the frame of a page shows.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) section: &'static str,
    pub(super) chain_id: u64,
    /// Whether the chain has shards, or is one.
    pub(super) has_shards: bool,
    /// The shard whose chain it is.
    pub(super) shard: Option<u32>,
    pub(super) version: &'static str,
    /// What is wrong with the node, if anything is.
    pub(super) trouble: Option<String>,
    /// What the search field holds.
    pub(super) sought: String,
}

impl Frame {
    pub(super) fn new(backend: &Backend, section: &'static str, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            section,
            chain_id: backend.chain.config().chain_id,
            has_shards: backend.shards.is_some() || backend.shard.is_some(),
            shard: backend.shard.as_ref().map(ShardPlace::id),
            version: CLIENT_VERSION,
            trouble: trouble(backend),
            sought: String::new(),
        }
    }

    /// Whether a link of the navigation leads to this very section.
    pub(super) fn is_in(&self, section: &str) -> bool {
        self.section == section
    }

    /// Where an embedded file is.
    pub(super) fn asset(&self, name: &str) -> &'static str {
        assets::address(name)
    }
}

fn trouble(backend: &Backend) -> Option<String> {
    if let Err(error) = backend.require_ready() {
        return Some(error.to_string());
    }
    let standing = backend.standing()?;
    let (latest, finalized) = (standing.latest, standing.relay_finalized);
    if standing.behind {
        return Some(format!(
            "this node is behind: block {finalized} of this shard is final, and block {latest} is the newest here"
        ));
    }
    standing.stalled.then(|| {
        let seconds = standing.finalized_age_ms / 1_000;
        format!("this shard stands still: its newest final block is {seconds} seconds old")
    })
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    heading: String,
    text: String,
    hint: &'static str,
}

/// Says that there is no such thing.
pub(super) fn absent(backend: &Backend, what: &str, asked: &str) -> Result<Page, RpcError> {
    let (asked, is_cut) = super::format::cut(asked, ECHO_BYTES_MAX);
    let mut frame = Frame::new(backend, "", format!("No such {what}"));
    frame.sought = asked.trim_start_matches('/').to_owned();
    let message = Message {
        frame,
        heading: format!("No such {what}"),
        text: format!("{asked}{}", if is_cut { "…" } else { "" }),
        hint: "Numbers, hashes, addresses and block tags can be searched for.",
    };
    Page::with_status(404, &message)
}

/// Says why a request was refused.
pub(super) fn refused(backend: &Backend, refusal: &Refusal) -> Result<Page, RpcError> {
    let message = Message {
        frame: Frame::new(backend, "", "Refused"),
        heading: "Refused".to_owned(),
        text: refusal.to_string(),
        hint: "",
    };
    Page::with_status(refusal.status(), &message)
}

/// Says why there is no page; never fails itself.
pub(super) fn failure(backend: &Backend, error: &RpcError) -> Page {
    let (status, heading) = match error {
        RpcError::Busy(_) | RpcError::Unread(_) => (503, "This node is busy"),
        RpcError::Syncing { .. } => (503, "This node is catching up"),
        RpcError::Diverged(_) | RpcError::Stopped(_) => (503, "This node has stopped"),
        RpcError::Pruned { .. } | RpcError::HistoryUnavailable { .. } => {
            (410, "Older than what this node keeps")
        }
        RpcError::HeaderNotFound | RpcError::HashNotFound | RpcError::UnknownBlock => {
            (404, "No such block")
        }
        RpcError::LimitExceeded(_) => (400, "More than this node answers at once"),
        _ => (500, "This page could not be made"),
    };
    if let RpcError::Internal(problem) = error {
        tracing::error!(problem, "page failed by our own fault");
    }
    let message = Message {
        frame: Frame::new(backend, "", heading),
        heading: heading.to_owned(),
        text: error.to_string(),
        hint: "",
    };
    Page::with_status(status, &message).unwrap_or_else(|error| Page {
        status: 500,
        html: error.to_string(),
        location: None,
    })
}
