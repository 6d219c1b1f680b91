//! Of shards: what the relay chain says of each, and how those stand that this node collates.

use super::Page;
use crate::{accept::Rooms, backend::Backend};
use shards::{
    ledger::{Ledger, Segment, Status},
    passage::Tally,
};

/// Nothing on a chain without shards.
pub(super) fn write(backend: &Backend, rooms: &Rooms, page: &mut Page) {
    let Some(feed) = &backend.shards else {
        return;
    };
    let newest = feed.newest();
    write_ledger(&newest.ledger, backend.now_ms(), page);
    let tallies = newest.ledger.shards().map(|(shard, _)| {
        let tally = feed.passages(|passages| passages.tally(shard));
        (shard.0, tally)
    });
    write_tallies(tallies, page);
    write_collated(rooms, page);
}

fn write_ledger(ledger: &Ledger, now_ms: u64, page: &mut Page) {
    page.head(
        "shard_height",
        "gauge",
        "Highest number of a shard that the relay chain calls included, final",
    );
    for (shard, segment) in ledger.shards() {
        let heads = [
            ("included", segment.included().number),
            ("final", segment.finalized().number),
        ];
        for (stage, number) in heads {
            let labels = format!("shard=\"{shard}\",stage=\"{stage}\"");
            page.value("shard_height", &labels, number);
        }
    }
    page.head(
        "shard_final_age_seconds",
        "gauge",
        "Time since the timestamp of an active shard's newest final block",
    );
    let active = ledger.shards();
    for (shard, segment) in active.filter(|(_, one)| one.status() == Status::Active) {
        let age_ms = age_ms(segment, now_ms);
        let labels = format!("shard=\"{shard}\"");
        page.value("shard_final_age_seconds", &labels, age_ms as f64 / 1_000.0);
    }
    page.head(
        "shard_pending",
        "gauge",
        "Candidates of a shard that are backed and not final",
    );
    for (shard, segment) in ledger.shards() {
        let labels = format!("shard=\"{shard}\"");
        page.value("shard_pending", &labels, segment.pending().len());
    }
}

fn age_ms(segment: &Segment, now_ms: u64) -> u64 {
    now_ms.saturating_sub(segment.finalized().timestamp_ms)
}

fn write_tallies(tallies: impl Iterator<Item = (u32, Tally)>, page: &mut Page) {
    page.head(
        "shard_relay_blocks_total",
        "counter",
        "Relay blocks that backed a candidate of a shard (taken), that did not though it had work (missed; known where it is collated), and others (idle)",
    );
    for (shard, tally) in tallies {
        let chances = [
            ("taken", tally.taken),
            ("missed", tally.missed),
            ("idle", tally.idle),
        ];
        for (chance, count) in chances {
            let labels = format!("shard=\"{shard}\",chance=\"{chance}\"");
            page.value("shard_relay_blocks_total", &labels, count);
        }
    }
}

fn write_collated(rooms: &Rooms, page: &mut Page) {
    let standings = rooms
        .values()
        .filter_map(|room| room.backend().standing())
        .collect::<Vec<_>>();
    page.head(
        "shard_executed_height",
        "gauge",
        "Highest number of a shard executed here, where it is collated",
    );
    for one in &standings {
        let labels = format!("shard=\"{}\"", one.id);
        page.value("shard_executed_height", &labels, one.latest);
    }
    page.head(
        "shard_behind",
        "gauge",
        "1 while a block of a shard that is final is not here, where it is collated",
    );
    for one in &standings {
        let labels = format!("shard=\"{}\"", one.id);
        page.value("shard_behind", &labels, u8::from(one.behind));
    }
    page.head(
        "shard_stalled",
        "gauge",
        "1 while a shard that is collated here has had no final block for several heartbeats",
    );
    for one in &standings {
        let labels = format!("shard=\"{}\"", one.id);
        page.value("shard_stalled", &labels, u8::from(one.stalled));
    }
    page.head(
        "shard_pool_transactions",
        "gauge",
        "Executable transactions in the pool of a shard that is collated here",
    );
    for (shard, room) in rooms.iter() {
        let labels = format!("shard=\"{shard}\"");
        let pending = room.backend().mempool.counts().pending;
        page.value("shard_pool_transactions", &labels, pending);
    }
}
