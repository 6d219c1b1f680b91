//! What the next block of a development chain is like: pure, under the lock of the control.

use super::{Honoured, Pace};
use alloy_primitives::Address;
use primitives::Directive;
use std::collections::VecDeque;

/// How blocks are made, as far as callers may choose it; what is for the next block only goes with that block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether a waiting transaction makes a block.
    pub automine: bool,
    /// Milliseconds after which a block follows another one, with or without a transaction.
    pub interval_ms: Option<u64>,
    /// Milliseconds added to the node's clock.
    pub time_offset_ms: i64,
    /// Time of the next block that is no mere change, in seconds.
    pub next_timestamp: Option<u64>,
    /// Seconds from each block to the next, instead of what the clock shows.
    pub timestamp_interval: Option<u64>,
    /// Base fee of the next block, in wei.
    pub next_base_fee: Option<u64>,
    /// Who receives the fees of blocks from now on, instead of the validator's own choice.
    pub proposer: Option<Address>,
    /// No block is made but those that are asked for.
    pub driven: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            automine: true,
            interval_ms: None,
            time_offset_ms: 0,
            next_timestamp: None,
            timestamp_interval: None,
            next_base_fee: None,
            proposer: None,
            driven: false,
        }
    }
}

impl Settings {
    /// The time of a block that begins now.
    pub(super) fn next_ms(&self, now_ms: u64, parent_ms: u64, interval_s: Option<u64>) -> u64 {
        let parent_s = parent_ms / 1_000;
        let clock_ms = now_ms.saturating_add_signed(self.time_offset_ms);
        let wanted_s = self.next_timestamp.or_else(|| {
            let interval = interval_s.or(self.timestamp_interval)?;
            Some(parent_s.saturating_add(interval))
        });
        let wanted_ms = match wanted_s {
            Some(wanted) => wanted.saturating_mul(1_000),
            None if self.driven => clock_ms.max(parent_s.saturating_add(1).saturating_mul(1_000)),
            None => clock_ms,
        };
        wanted_ms.max(parent_ms.saturating_add(1))
    }

    /// The clock goes on from a time.
    pub(super) fn move_clock(&mut self, now_ms: u64, time_ms: u64) {
        let signed = |ms| i64::try_from(ms).unwrap_or(i64::MAX);
        self.time_offset_ms = signed(time_ms).saturating_sub(signed(now_ms));
    }

    pub(super) fn catch_up(&mut self, now_ms: u64, parent_ms: u64) {
        // A driven chain may be seconds ahead of its clock, a second for each block.
        if !self.driven && now_ms.saturating_add_signed(self.time_offset_ms) < parent_ms {
            self.move_clock(now_ms, parent_ms);
        }
    }
}

/// What a block is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its time, in milliseconds.
    pub timestamp_ms: u64,
    /// Whether it takes waiting transactions.
    pub transactions: bool,
    /// Changes of state.
    pub directives: Vec<Directive>,
    /// Its base fee, if not the one that follows from its parent.
    pub base_fee: Option<u64>,
    /// Who receives its fees, if not whom the validator names.
    pub proposer: Option<Address>,
}

/// Blocks that somebody asked for.
#[derive(Debug)]
pub(super) struct Requested {
    pub(super) left: u64,
    pub(super) interval_s: Option<u64>,
    pub(super) is_first: bool,
}

/// The state of block production.
#[derive(Debug, Default)]
pub(super) struct Production {
    pub(super) settings: Settings,
    pub(super) directives: Vec<Directive>,
    pub(super) requested: VecDeque<Requested>,
    /// Blocks that were ever asked for.
    pub(super) asked: u64,
    pub(super) honoured: Honoured,
    pub(super) is_held: bool,
    pub(super) is_building: bool,
    pub(super) built_height: u64,
    /// Whether the block that is being built was asked for.
    is_answer: bool,
    /// When the last block was begun, by the node's clock.
    begun_ms: Option<u64>,
}

impl Production {
    pub(super) fn pace(&mut self, now_ms: u64) -> Pace {
        if self.is_held {
            return Pace::Asked(None);
        }
        if !self.requested.is_empty() || !self.directives.is_empty() {
            return Pace::Now;
        }
        let begun_ms = *self.begun_ms.get_or_insert(now_ms);
        let interval = self.settings.interval_ms;
        let due = interval.map(|interval| {
            let due_ms = begun_ms.saturating_add(interval);
            due_ms.saturating_sub(now_ms)
        });
        match (due, self.settings.automine, self.settings.driven) {
            (Some(0), _, _) => Pace::Now,
            (due, false, _) => Pace::Asked(due),
            (due, true, true) => Pace::Driven(due),
            (_, true, false) => Pace::Free,
        }
    }

    pub(super) fn begin(&mut self, now_ms: u64, parent_ms: u64) -> Option<Draft> {
        if self.is_held {
            return None;
        }
        self.is_building = true;
        self.begun_ms = Some(now_ms);
        let directives = std::mem::take(&mut self.directives);
        let is_change = self.settings.driven && !directives.is_empty();
        if is_change {
            return Some(Draft {
                // Before the time that is set for the block after it.
                timestamp_ms: match self.settings.next_timestamp {
                    Some(_) => parent_ms.saturating_add(1),
                    None => self.settings.next_ms(now_ms, parent_ms, None),
                },
                transactions: false,
                directives,
                base_fee: None,
                proposer: self.settings.proposer,
            });
        }
        let interval_s = self.take_request();
        let settings = &mut self.settings;
        let timestamp_ms = settings.next_ms(now_ms, parent_ms, interval_s);
        let is_set = settings.next_timestamp.take().is_some();
        if is_set || interval_s.or(settings.timestamp_interval).is_some() {
            settings.move_clock(now_ms, timestamp_ms);
        }
        Some(Draft {
            timestamp_ms,
            transactions: true,
            directives,
            base_fee: settings.next_base_fee.take(),
            proposer: settings.proposer,
        })
    }

    /// Takes one of the blocks that were asked for, if any; how far it is from the one before.
    fn take_request(&mut self) -> Option<u64> {
        let request = self.requested.front_mut()?;
        self.is_answer = true;
        request.left = request.left.saturating_sub(1);
        let interval_s = request.interval_s.filter(|_| !request.is_first);
        request.is_first = false;
        if request.left == 0 {
            self.requested.pop_front();
        }
        interval_s
    }

    pub(super) fn built(&mut self, height: u64) {
        self.is_building = false;
        self.built_height = height;
        if std::mem::take(&mut self.is_answer) {
            self.honoured = Honoured {
                count: self.honoured.count.saturating_add(1),
                height,
            };
        }
    }
}
