//! One shard as the relay chain sees it: a drawing of its newest blocks, and the same as a table.
//!
//! ```text
//! collated  •   •   •                a strand for each block, as in the pipeline of the relay chain
//! backed     \•  \•  \•
//! included     \•  \┃  \•            ┃ discarded
//! final          \•      \•
//! relay     | | | | ! | |            a mark for each relay block: it backed one, it did not, it should have (!)
//! ```
//! Limits: what the node remembers of each shard; [`ROWS_MAX`] blocks in the table.

use super::{
    format,
    html::{self, Html},
    pipeline::{Drawing, Scale, Strand, draw, push},
    stages,
};
use crate::{backend::Backend, headway::shards::RpcPending};
use alloy_primitives::U64;
use askama::{Template, filters::HtmlSafe};
use primitives::shard::ShardId;
use shards::{
    feed::LedgerFeed,
    ledger::{Discard, Ledger, Moment, Segment},
    passage::{Chance, Passage, Tally},
};
use std::collections::BTreeMap;

/// Blocks in the table of a shard.
const ROWS_MAX: usize = 12;
/// Height of the row of relay blocks.
const RELAY_LANE: u64 = 30;
/// Half of the height of a mark in it.
const MARK: u64 = 5;

/// The drawing of a shard.
#[derive(Template)]
#[template(path = "part_lane.html")]
pub(super) struct LanePart {
    drawing: Drawing,
    height: u64,
    relay_y: u64,
    /// Marks of relay blocks: that backed a candidate, that did not, that should have.
    taken: String,
    idle: String,
    missed: String,
    tally: Tally,
    newest_relay: u64,
    text: String,
}

/// The blocks of a shard as a table.
#[derive(Template)]
#[template(path = "part_lane_rows.html")]
pub(super) struct RowsPart {
    rows: Vec<Row>,
}

// Each was escaped when it was rendered itself.
impl HtmlSafe for LanePart {}
impl HtmlSafe for RowsPart {}

/// One block.
struct Row {
    class: &'static str,
    pill: &'static str,
    word: &'static str,
    number: Html,
    core: u16,
    anchor: Html,
    age: String,
    backed: Step,
    included: Option<Step>,
    finalized: Option<Step>,
    discarded: Option<(Step, &'static str)>,
    votes: Option<Votes>,
}

/// One moment of a block: after it was collated, and in which relay block.
struct Step {
    after: String,
    relay: Html,
}

/// What validators have said of a candidate that is not final.
struct Votes {
    backers: usize,
    held: usize,
    valid: usize,
    invalid: usize,
}

/// What is shown of one shard.
pub(super) struct Shown {
    shard: ShardId,
    passages: Vec<Passage>,
    chances: Vec<(Moment, Chance)>,
    tally: Tally,
}

impl Shown {
    pub(super) fn new(feed: &LedgerFeed, shard: ShardId) -> Self {
        feed.passages(|passages| Self {
            shard,
            passages: passages.of(shard).copied().collect(),
            chances: passages.chances(shard).collect(),
            tally: passages.tally(shard),
        })
    }

    /// Whether this node collates it, and serves its pages.
    pub(super) const fn is_served(&self) -> bool {
        self.tally.is_observed
    }

    pub(super) fn lane(&self, backend: &Backend) -> LanePart {
        let now_ms = backend.now_ms();
        let strands: Vec<_> = self.passages.iter().map(strand).collect();
        let drawing = draw(&stages::CANDIDATE, now_ms, &strands);
        let scale = Scale {
            now_ms,
            window_ms: drawing.window_ms,
        };
        let relay_y = drawing.height + RELAY_LANE / 2;
        let (mut taken, mut idle, mut missed) = (String::new(), String::new(), String::new());
        for (moment, chance) in &self.chances {
            let x = scale.x(moment.ms);
            if x < 0 {
                continue;
            }
            let (marks, half) = match chance {
                Chance::Taken => (&mut taken, MARK),
                Chance::Idle => (&mut idle, MARK / 2),
                Chance::Missed => (&mut missed, RELAY_LANE / 2 - 1),
            };
            let (top, bottom) = (relay_y - half, relay_y + half);
            push(marks, format_args!("M{x} {top}V{bottom}"));
        }
        LanePart {
            height: drawing.height + RELAY_LANE,
            relay_y,
            taken,
            idle,
            missed,
            tally: self.tally,
            newest_relay: self.chances.last().map_or(0, |(moment, _)| moment.height),
            text: self.text(&drawing),
            drawing,
        }
    }

    /// The drawing in words, for those who don't see it.
    fn text(&self, drawing: &Drawing) -> String {
        let newest = |lane: &super::pipeline::Lane| match lane.newest {
            Some(height) => format!("{} {height}", lane.name),
            None => format!("none {}", lane.name),
        };
        let newest: Vec<_> = drawing.lanes.iter().map(newest).collect();
        let missed = match self.tally {
            Tally {
                is_observed: true,
                missed,
                ..
            } => format!("; {missed} relay blocks missed"),
            _ => String::new(),
        };
        format!(
            "Newest blocks of shard {}: {}; {} in flight{missed}",
            self.shard.0,
            newest.join(", "),
            drawing.in_flight_count,
        )
    }

    pub(super) fn rows(&self, backend: &Backend, ledger: &Ledger) -> RowsPart {
        let pending: BTreeMap<u64, RpcPending> = ledger
            .shard(self.shard)
            .into_iter()
            .flat_map(Segment::pending)
            .map(|one| (one.sequence, RpcPending::from(one)))
            .collect();
        let newest = self.passages.iter().rev().take(ROWS_MAX);
        let now_ms = backend.now_ms();
        let rows = newest.map(|passage| {
            let mut row = Row::new(passage, now_ms);
            if self.is_served() && passage.discarded.is_none() {
                row.number = html::shard_block(self.shard.0, passage.number);
            }
            row.votes = pending.get(&passage.sequence).map(Votes::from);
            row
        });
        RowsPart {
            rows: rows.collect(),
        }
    }
}

fn strand(passage: &Passage) -> Strand {
    let ms = |moment: Option<Moment>| moment.map(|moment| moment.ms);
    Strand {
        height: passage.number,
        times: [
            Some(passage.collated_ms),
            Some(passage.backed.ms),
            ms(passage.included),
            ms(passage.finalized),
            None,
        ],
        executed_for: None,
        left_ms: passage.discarded.map(|(moment, _)| moment.ms),
    }
}

impl Row {
    fn new(passage: &Passage, now_ms: u64) -> Self {
        let step = |moment: Moment| Step {
            after: format::milliseconds(moment.ms.saturating_sub(passage.collated_ms)),
            relay: html::block(moment.height),
        };
        let (class, pill, word) = match passage {
            Passage {
                discarded: Some(_), ..
            } => ("discarded", "bad", "discarded"),
            Passage {
                finalized: Some(_), ..
            } => ("final", "s3", "final"),
            Passage {
                included: Some(_), ..
            } => ("included", "s2", "included"),
            _ => ("backed", "s1", "backed"),
        };
        Self {
            class,
            pill,
            word,
            number: html::number(U64::from(passage.number)),
            core: passage.core,
            anchor: html::block(passage.anchor_height),
            age: format::age(now_ms, passage.collated_ms),
            backed: step(passage.backed),
            included: passage.included.map(step),
            finalized: passage.finalized.map(step),
            discarded: passage.discarded.map(|(at, why)| (step(at), reason(why))),
            votes: None,
        }
    }
}

impl From<&RpcPending> for Votes {
    fn from(pending: &RpcPending) -> Self {
        Self {
            backers: pending.backers,
            held: pending.held,
            valid: pending.valid,
            invalid: pending.invalid,
        }
    }
}

/// Why a candidate was discarded, in words.
const fn reason(why: Discard) -> &'static str {
    match why {
        Discard::Unavailable => "too few chunks in time",
        Discard::Undecided => "too few approvals in time",
        Discard::Invalid => "found invalid",
        Discard::Descendant => "one before it was discarded",
        Discard::Epoch => "other validators",
        Discard::Retired => "the shard was retired",
    }
}
