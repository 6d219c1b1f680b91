//! `/shards`: where the blocks of every shard are on their way from collated to final, live.
//!
//! ```text
//! LedgerFeed: ledger, passages, chances ─▶ Shown, one for each shard ─┬▶ the page
//!                                                                     └▶ its live parts, see `live`
//! ```
//! Limit: the first [`SHARDS_SHOWN`] shards; the page says when there are more.

use super::{
    format,
    frame::{self, Frame, Page, render},
    html::{self, Html},
    live::Texts,
    shard_lane::{LanePart, RowsPart, Shown},
    visit::Visit,
};
use crate::{
    backend::Backend,
    error::RpcError,
    headway::shards::{RpcOffence, RpcShard, RpcShards},
};
use askama::{Template, filters::HtmlSafe};
use primitives::shard::ShardId;
use shards::feed::{LedgerFeed, RelayUpdate};
use std::sync::Arc;

/// Shards on the page.
const SHARDS_SHOWN: usize = 16;

#[derive(Template)]
#[template(path = "shards.html")]
struct ShardsPage {
    frame: Frame,
    figures: Figures,
    shards: Vec<Card>,
    hidden: usize,
    offences: Offences,
}

/// Numbers about all shards now.
#[derive(Template)]
#[template(path = "part_shard_figures.html")]
struct Figures {
    height: Html,
    shards: usize,
    cores: String,
    core_count: usize,
    pending: usize,
    quorum: usize,
}

/// What validators did wrong.
#[derive(Template)]
#[template(path = "part_offences.html")]
struct Offences {
    offences: Vec<OffenceRow>,
}

/// What is said of one shard above its drawing.
#[derive(Template)]
#[template(path = "part_shard_head.html")]
struct Head {
    status: &'static str,
    collators: usize,
    cores: String,
    finalized: Html,
    finalized_hash: Html,
    age: String,
}

// Each was escaped when it was rendered itself.
impl HtmlSafe for Figures {}
impl HtmlSafe for Offences {}
impl HtmlSafe for Head {}

/// One shard.
struct Card {
    id: u32,
    is_served: bool,
    head: Head,
    lane: LanePart,
    rows: RowsPart,
}

struct OffenceRow {
    validator: u16,
    kind: &'static str,
    height: Html,
    candidate: Html,
}

pub(super) fn page(backend: &Arc<Backend>, _: &Visit) -> Result<Page, RpcError> {
    let Some(feed) = &backend.shards else {
        return frame::absent(backend, "page", "/shards");
    };
    let newest = feed.newest();
    let shards = RpcShards::from(newest.ledger.as_ref());
    Page::new(&ShardsPage {
        frame: Frame::new(backend, "shards", "Shards"),
        figures: figures(&shards),
        shards: shown(&shards)
            .map(|shard| card(backend, (feed, &newest), (&shards, shard)))
            .collect(),
        hidden: shards.shards.len().saturating_sub(SHARDS_SHOWN),
        offences: offences(&shards.offences),
    })
}

/// The drawings, by the names of their events.
pub(super) fn lane_texts(backend: &Backend) -> Result<Texts, RpcError> {
    let Some(feed) = &backend.shards else {
        return Ok(Vec::new());
    };
    let newest = feed.newest();
    let shards = newest.ledger.shards().take(SHARDS_SHOWN);
    let lane = |(shard, _): (ShardId, _)| {
        let lane = Shown::new(feed, shard).lane(backend);
        Ok((format!("lane-{shard}"), render(&lane)?))
    };
    shards.map(lane).collect()
}

/// All else that moves, by the names of the events.
pub(super) fn slow_texts(backend: &Backend) -> Result<Texts, RpcError> {
    let Some(feed) = &backend.shards else {
        return Ok(Vec::new());
    };
    let newest = feed.newest();
    let shards = RpcShards::from(newest.ledger.as_ref());
    let mut texts = vec![
        ("shard-figures".to_owned(), render(&figures(&shards))?),
        ("offences".to_owned(), render(&offences(&shards.offences))?),
    ];
    for shard in shown(&shards) {
        let id = shard.id;
        let rows = Shown::new(feed, ShardId(id)).rows(backend, &newest.ledger);
        texts.push((
            format!("head-{id}"),
            render(&head(backend, &shards, shard))?,
        ));
        texts.push((format!("rows-{id}"), render(&rows)?));
    }
    Ok(texts)
}

fn shown(shards: &RpcShards) -> impl Iterator<Item = &RpcShard> {
    shards.shards.iter().take(SHARDS_SHOWN)
}

fn card(
    backend: &Backend,
    (feed, newest): (&LedgerFeed, &RelayUpdate),
    (shards, shard): (&RpcShards, &RpcShard),
) -> Card {
    let shown = Shown::new(feed, ShardId(shard.id));
    Card {
        id: shard.id,
        is_served: shown.is_served(),
        head: head(backend, shards, shard),
        lane: shown.lane(backend),
        rows: shown.rows(backend, &newest.ledger),
    }
}

fn figures(shards: &RpcShards) -> Figures {
    let owner = |core: &Option<u32>| core.map_or_else(|| "–".to_owned(), |id| id.to_string());
    let cores: Vec<_> = shards.cores.iter().map(owner).collect();
    Figures {
        height: html::block(shards.height.to()),
        shards: shards.shards.len(),
        core_count: cores.len(),
        cores: cores.join(" "),
        pending: shards.shards.iter().map(|shard| shard.pending.len()).sum(),
        quorum: shards.quorum,
    }
}

fn head(backend: &Backend, shards: &RpcShards, shard: &RpcShard) -> Head {
    let cores = shards.cores.iter().enumerate();
    let own = cores.filter(|(_, owner)| **owner == Some(shard.id));
    let own: Vec<_> = own.map(|(core, _)| core.to_string()).collect();
    let finalized = &shard.finalized;
    Head {
        status: shard.status,
        collators: shard.collators.len(),
        cores: match own.as_slice() {
            [] => "no core".to_owned(),
            [core] => format!("core {core}"),
            cores => format!("cores {}", cores.join(", ")),
        },
        finalized: html::number(finalized.number),
        finalized_hash: html::key(&finalized.hash.to_string()),
        age: format::age(backend.now_ms(), shard.finalized_ms),
    }
}

fn offences(offences: &[RpcOffence]) -> Offences {
    let rows = offences.iter().rev().map(|offence| OffenceRow {
        validator: offence.validator,
        kind: offence.kind,
        height: html::block(offence.height.to()),
        candidate: html::key(&offence.candidate.to_string()),
    });
    Offences {
        offences: rows.collect(),
    }
}
