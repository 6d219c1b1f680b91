//! What a collator does that does not know which block of its shard comes next: it has the relay chain searched.
//!
//! ```text
//!   builder's F, for ever         final, long ago                ledger's newest final block
//!         └─ which is F+1? ──▶ relay blocks of this node, the newest first ──▶ F+1 … by parent hashes
//!                                                             fetch, follow ◀─────┘
//! ```
//! Relay updates name what becomes final from the moment on at which they begin, and what was pending then. A collator
//! that is behind that moment asks for what lies between: it was started after the shard, its folder is empty or an old
//! copy, or it was away for long. A restart asks again, from what the builder has then. What its builder has above its
//! files may be blocks that nobody took, for whose numbers others are final: it asks for the names of these too.
//!
//! It says so once in the log, with what to do, where that does not help: relay blocks are not there, it is too far
//! behind, or nobody else has the next block any more.
//!
//! Limits: one search of a shard at a time, of at most [`ARREARS_MAX`] numbers, which is what others keep.

use super::{
    config::{ARREARS_MAX, GAP_RETRY_MS, RECENT_NUMBERS, SEARCH_RETRY_MS, STARVED_MS},
    duties::{Duties, Effect},
    shelf::{Entry, Fate, Origin},
};
use crate::{
    arrears::{Arrears, FinalCandidate, RelayGap},
    ledger::Segment,
};
use primitives::shard::ShardId;
use std::mem;

/// How far it has come in one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Search {
    is_on: bool,
    /// When there may be another, in milliseconds.
    retry_ms: u64,
    /// The last search met a gap. A node that has just started may have the relay blocks a little later.
    met_gap: bool,
    /// It has been said that this collator can't go on.
    is_told: bool,
    /// The newest block when it was looked at last, and since when it is that and behind.
    newest: u64,
    since_ms: Option<u64>,
}

impl Search {
    /// How long the builder has been behind and had no newer block.
    fn waits_ms(&mut self, newest: u64, now_ms: u64) -> u64 {
        if self.newest != newest {
            (self.newest, self.since_ms, self.is_told) = (newest, None, false);
        }
        now_ms.saturating_sub(*self.since_ms.get_or_insert(now_ms))
    }
}

impl Duties {
    /// Has the relay chain searched, if it is not known which block of a shard comes next.
    pub(crate) fn search(&mut self, segment: &Segment) {
        let (shard, now_ms) = (segment.shard, self.now_ms);
        let head = *segment.finalized();
        let height = self.relay.height;
        let Some(line) = self.lines.get_mut(&shard).filter(|line| line.has_begun()) else {
            return;
        };
        let newest = line.newest();
        if newest >= head.number {
            // How long it was cut off does not count: it did not know then what it lacked.
            line.search.since_ms = None;
            return;
        }
        let waited_ms = line.search.waits_ms(newest, now_ms);
        // What is above it in the builder may be another chain than the final one.
        let durable = line.durable().min(newest);
        let within = durable.saturating_add(1)..=newest.saturating_add(1);
        let is_known = self.shelf.within(shard, within).any(|(_, entry)| {
            let descriptor = &entry.descriptor;
            let next = line.has(&descriptor.parent) && !line.has(&descriptor.head);
            next && entry.fate == Fate::Final
        });
        let far = head.number.saturating_sub(newest);
        if is_known && (far <= RECENT_NUMBERS || waited_ms < STARVED_MS) {
            return;
        }
        if is_known || far > ARREARS_MAX {
            line.search
                .tell(shard, (newest, head.number), "nobody has it any more");
            return;
        }
        if line.search.is_on || now_ms < line.search.retry_ms {
            return;
        }
        line.search.is_on = true;
        tracing::info!(%shard, newest, durable, finalized = head.number, "looks for the names of blocks that it lacks");
        self.effects.push(Effect::Search(Arrears {
            shard,
            newest: durable,
            head,
            height,
        }));
    }

    /// What the relay chain says of the blocks that the builder of a shard lacks.
    pub(crate) fn searched(
        &mut self,
        arrears: &Arrears,
        named: Result<Vec<FinalCandidate>, RelayGap>,
    ) {
        let (shard, now_ms) = (arrears.shard, self.now_ms);
        let Some(line) = self.lines.get_mut(&shard) else {
            return;
        };
        line.search.is_on = false;
        let is_first = !mem::replace(&mut line.search.met_gap, named.is_err());
        let again_ms = match named {
            Err(_) if !is_first => GAP_RETRY_MS,
            Ok(_) | Err(_) => SEARCH_RETRY_MS,
        };
        line.search.retry_ms = now_ms.saturating_add(again_ms);
        // It could ask nobody for what it had no names of.
        line.search.since_ms = None;
        match named {
            Ok(named) => {
                tracing::info!(%shard, newest = arrears.newest, count = named.len(), "blocks that it lacks have names");
                for one in named {
                    self.learn_final(one);
                }
            }
            Err(gap) if is_first => {
                tracing::info!(%shard, newest = arrears.newest, %gap, "looks again for the names of blocks that it lacks");
            }
            Err(gap) => {
                let numbers = (arrears.newest, arrears.head.number);
                line.search.tell(shard, numbers, &gap.to_string());
            }
        }
    }

    /// A candidate is final, and was cut so when it was backed last.
    pub(crate) fn learn_final(
        &mut self,
        (descriptor, coding): FinalCandidate,
    ) -> Option<&mut Entry> {
        let (id, now_ms) = (descriptor.id(), self.now_ms);
        let entry = self.shelf.learn(id, &descriptor, Origin::Ledger, now_ms)?;
        (entry.fate, entry.backed) = (Fate::Final, true);
        entry.backed_coding = Some(coding);
        Some(entry)
    }
}

impl Search {
    /// This collator can't go on, and why.
    fn tell(&mut self, shard: ShardId, (newest, finalized): (u64, u64), reason: &str) {
        if !self.is_told {
            self.is_told = true;
            tracing::error!(
                %shard, newest, finalized, reason,
                "this collator can't get the block that comes next; stop it, put a copy of the shard's folder of another \
                 collator into its data directory, and start it again"
            );
        }
    }
}
