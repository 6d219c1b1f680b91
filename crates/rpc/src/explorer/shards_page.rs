//! `/shards`: where the candidates of every shard are on their way from collated to final.
//!
//! ```text
//! backed ─▶ included ─▶ final       as the ledger after the newest finalized relay block says
//! ```

use super::{
    frame::{self, Frame, Page},
    html::{self, Html},
    visit::Visit,
};
use crate::{
    backend::Backend,
    error::RpcError,
    headway::shards::{RpcPending, RpcShard, RpcShards},
};
use askama::Template;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "shards.html")]
struct ShardsPage {
    frame: Frame,
    height: Html,
    quorum: usize,
    cores: usize,
    pending: usize,
    offences: Vec<OffenceRow>,
    shards: Vec<Lane>,
}

/// One shard's way.
struct Lane {
    id: u32,
    status: &'static str,
    collators: usize,
    backed: Vec<Step>,
    included: Vec<Step>,
    finalized: u64,
    finalized_hash: Html,
}

/// A candidate on its way.
struct Step {
    number: u64,
    core: u16,
    backers: usize,
    held: usize,
    valid: usize,
    invalid: usize,
    age: u64,
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
    let shards = RpcShards::from(feed.newest().ledger.as_ref());
    let height = shards.height.to::<u64>();
    Page::new(&ShardsPage {
        frame: Frame::new(backend, "shards", "Shards"),
        height: html::block(height),
        quorum: shards.quorum,
        cores: shards.cores.len(),
        pending: shards.shards.iter().map(|shard| shard.pending.len()).sum(),
        offences: shards
            .offences
            .iter()
            .rev()
            .map(|offence| OffenceRow {
                validator: offence.validator,
                kind: offence.kind,
                height: html::block(offence.height.to()),
                candidate: html::key(&offence.candidate.to_string()),
            })
            .collect(),
        shards: shards
            .shards
            .into_iter()
            .map(|shard| lane(shard, height))
            .collect(),
    })
}

fn lane(shard: RpcShard, height: u64) -> Lane {
    let (included, backed): (Vec<_>, Vec<_>) = shard
        .pending
        .iter()
        .partition(|pending| pending.stage == "included");
    let steps = |pending: Vec<&RpcPending>| {
        pending
            .into_iter()
            .map(|pending| step(pending, height))
            .collect()
    };
    Lane {
        id: shard.id,
        status: shard.status,
        collators: shard.collators.len(),
        backed: steps(backed),
        included: steps(included),
        finalized: shard.finalized.number.to(),
        finalized_hash: html::key(&shard.finalized.hash.to_string()),
    }
}

fn step(pending: &RpcPending, height: u64) -> Step {
    Step {
        number: pending.head.number.to(),
        core: pending.core,
        backers: pending.backers,
        held: pending.held,
        valid: pending.valid,
        invalid: pending.invalid,
        age: height.saturating_sub(pending.backed_height.to()),
    }
}
