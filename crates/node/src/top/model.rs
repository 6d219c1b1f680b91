//! What is shown: the newest sample, rates between samples, and whether the node answers at all.
//!
//! ```text
//! see(now, sample)   counters of two samples ─▶ a second's worth of each ─▶ histories
//! see(now, problem)  the last values stay, with since when there is no answer
//! press(key)         page, help, pause
//! ```
//! A counter that is lower than before belongs to a process that has started again: no rate is told of it.

use super::{
    keys::Key,
    sample::{self, Known, Sample},
};
use alloy_primitives::B256;
use primitives::BlockStages;
use rpc::{RpcProfile, RpcRun};
use std::{collections::VecDeque, time::Duration};

/// Values of a rate that are kept: four minutes at one a second.
pub const HISTORY_MAX: usize = 240;
/// Blocks whose stages are taken together.
pub const STAGES_MAX: usize = 128;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// Stages, rates, what the node has.
    Overview,
    /// What transactions of the newest block wait for.
    HotPlaces,
}

/// Whether the node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing came yet.
    Connecting,
    /// The last look was answered.
    Live,
    /// It was not.
    Lost {
        /// Since when.
        since: Duration,
        /// Why.
        problem: String,
    },
}

/// Everything there is to draw.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) url: String,
    pub(super) interval: Duration,
    pub(super) now: Duration,
    pub(super) link: Link,
    pub(super) page: Page,
    pub(super) shows_help: bool,
    /// How often the node was seen to have started again.
    pub(super) restarts: usize,
    pub(super) newest: Option<Sample>,
    /// Of the newest block in which somebody waits, or of the newest one as long as nobody does.
    pub(super) profile: Option<RpcProfile>,
    /// How the newest block with transactions was executed.
    pub(super) run: Option<RpcRun>,
    pub(super) stages: VecDeque<BlockStages>,
    pub(super) transactions: History,
    pub(super) gas: History,
    pub(super) blocks: History,
    pub(super) reexecutions: History,
    /// How much of the time the node executed, in thousandths.
    pub(super) executing: History,
    paused: bool,
    seen_at: Duration,
    /// The newest block whose profile came.
    profiled: Option<B256>,
}

/// A rate over time, newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) values: VecDeque<f64>,
}

impl History {
    fn push(&mut self, value: f64) {
        self.values.push_back(value);
        if self.values.len() > HISTORY_MAX {
            self.values.pop_front();
        }
    }

    /// The newest value.
    pub(super) fn newest(&self) -> Option<f64> {
        self.values.back().copied()
    }

    /// The largest one that is kept.
    pub(super) fn largest(&self) -> f64 {
        self.values.iter().copied().fold(0.0, f64::max)
    }
}

impl Model {
    /// Before the first look.
    pub(super) fn new(url: &str, interval: Duration) -> Self {
        Self {
            url: url.to_owned(),
            interval,
            now: Duration::ZERO,
            link: Link::Connecting,
            page: Page::Overview,
            shows_help: false,
            restarts: 0,
            newest: None,
            profile: None,
            run: None,
            stages: VecDeque::new(),
            transactions: History::default(),
            gas: History::default(),
            blocks: History::default(),
            reexecutions: History::default(),
            executing: History::default(),
            paused: false,
            seen_at: Duration::ZERO,
            profiled: None,
        }
    }

    /// Whether nobody wants to look just now.
    pub(super) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// What need not be asked again.
    pub(super) fn known(&self) -> Known {
        let newest = self.newest.as_ref();
        let is_live = self.link == Link::Live;
        Known {
            // Another node may answer after a pause.
            identity: newest
                .filter(|_| is_live)
                .and_then(|sample| sample.identity.clone()),
            staged_height: newest.map_or(0, |sample| sample.staged_height),
            profiled: self.profiled,
        }
    }

    /// Somebody pressed a key.
    pub(super) const fn press(&mut self, key: Key) {
        match key {
            Key::Pause => self.paused = !self.paused,
            Key::Help => self.shows_help = !self.shows_help,
            Key::Tab => {
                self.page = match self.page {
                    Page::Overview => Page::HotPlaces,
                    Page::HotPlaces => Page::Overview,
                }
            }
            Key::Quit | Key::Redraw => {}
        }
    }

    /// A look was answered, or not.
    pub(super) fn see(&mut self, now: Duration, look: Result<Sample, String>) {
        self.now = now;
        let sample = match look {
            Ok(sample) => sample,
            Err(problem) => {
                let since = match &self.link {
                    Link::Lost { since, .. } => *since,
                    Link::Connecting | Link::Live => now,
                };
                self.link = Link::Lost { since, problem };
                return;
            }
        };
        if let Some(before) = self.newest.take() {
            self.rate(&before, &sample, now.saturating_sub(self.seen_at));
        }
        self.stages.extend(sample.stages.iter().copied());
        while self.stages.len() > STAGES_MAX {
            self.stages.pop_front();
        }
        if let Some(profile) = &sample.profile {
            self.see_profile(profile);
        }
        self.link = Link::Live;
        self.seen_at = now;
        self.newest = Some(sample);
    }

    /// A quiet block does not take the place of one in which transactions wait: nobody could read it.
    fn see_profile(&mut self, profile: &RpcProfile) {
        self.profiled = Some(profile.hash);
        self.run.clone_from(&profile.execution);
        let waits = |profile: &RpcProfile| profile.waiting_count > 0;
        if waits(profile) || !self.profile.as_ref().is_some_and(waits) {
            self.profile = Some(profile.clone());
        }
    }

    fn rate(&mut self, before: &Sample, after: &Sample, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let grown = |name| {
            let grown = after.metrics.get(name)? - before.metrics.get(name)?;
            (grown >= 0.0 && seconds > 0.0).then_some(grown / seconds)
        };
        let Some(transactions) = grown(sample::TRANSACTIONS) else {
            // The process has started again.
            self.restarts += usize::from(after.metrics.get(sample::TRANSACTIONS).is_some());
            self.stages.clear();
            return;
        };
        self.transactions.push(transactions);
        let others = [
            (&mut self.gas, sample::GAS, 1.0),
            (&mut self.blocks, sample::BLOCKS, 1.0),
            (&mut self.reexecutions, sample::REEXECUTIONS, 1.0),
            (&mut self.executing, sample::EXECUTION_SECONDS, 1_000.0),
        ];
        for (history, name, unit) in others {
            history.push(grown(name).unwrap_or(0.0) * unit);
        }
    }

    /// The median of what blocks took between two of their stages, in milliseconds.
    pub(super) fn median_ms(
        &self,
        from: fn(&BlockStages) -> Option<u64>,
        to: fn(&BlockStages) -> Option<u64>,
    ) -> Option<u64> {
        let took = self.stages.iter().filter_map(|stages| {
            let (from, to) = (from(stages)?, to(stages)?);
            to.checked_sub(from)
        });
        let mut took: Vec<u64> = took.collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }
}
