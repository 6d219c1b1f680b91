//! When the blocks of a Headway node were finalized, executed and verified, as that node noted it.
//!
//! ```text
//! block that holds ours ─▶ waiting ─ every LOOK: headway_getBlockStages ─▶ all stages? ─▶ found
//! ```
//! Whether a node has such words is found by asking. It notes Unix milliseconds of its own clock, so a node
//! on another machine needs the same time: a block that it executed after it was read here shows that it
//! has not, and then nothing is said of stages.

use super::{client::Client, error::LoadError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const METHOD: &str = "headway_getBlockStages";
/// Between two looks at blocks that wait for a stage.
const LOOK: Duration = Duration::from_millis(250);
/// Blocks asked for in one look. A node forgets stages after some thousand blocks.
const BLOCKS_PER_LOOK: usize = 256;
/// How long the last blocks may take to be verified once all is executed.
const LAST_WAIT: Duration = Duration::from_secs(3);
/// By how much clocks may differ.
const CLOCKS_MS: u64 = 5;

/// Unix milliseconds at which a block reached its stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct BlockTimes {
    /// Of a shard's block only: its own time.
    #[serde(rename = "collatedMs", default)]
    pub(super) collated_ms: Option<u64>,
    #[serde(rename = "backedMs", default)]
    pub(super) backed_ms: Option<u64>,
    #[serde(rename = "includedMs", default)]
    pub(super) included_ms: Option<u64>,
    #[serde(rename = "finalizedMs", default)]
    pub(super) finalized_ms: Option<u64>,
    #[serde(rename = "executedMs", default)]
    pub(super) executed_ms: Option<u64>,
    #[serde(rename = "verifiedMs", default)]
    pub(super) verified_ms: Option<u64>,
}

impl BlockTimes {
    /// Whether it is in its last stage: a shard's block when it is final, any other when its result is certified.
    const fn is_complete(&self) -> bool {
        match self.collated_ms {
            Some(_) => self.finalized_ms.is_some(),
            None => self.verified_ms.is_some(),
        }
    }
}

/// Stages of the blocks that held ours.
#[derive(Debug)]
pub(super) struct Stages {
    /// When the run started, by this machine's clock.
    start_unix_ms: u64,
    found: BTreeMap<u64, BlockTimes>,
    /// Blocks whose last stage is not known yet, and when they were seen, in microseconds of the run.
    waiting: VecDeque<(u64, u64)>,
    next_look: Option<Instant>,
    pub(super) clocks_differ: bool,
}

impl Stages {
    /// None if the node has no words for stages.
    pub(super) async fn of(client: &Client) -> Option<Self> {
        let asked: Result<Option<Value>, _> = client.call(METHOD, json!(["latest"])).await;
        asked.is_ok().then_some(Self {
            start_unix_ms: 0,
            found: BTreeMap::new(),
            waiting: VecDeque::new(),
            next_look: None,
            clocks_differ: false,
        })
    }

    /// The clock starts.
    pub(super) const fn start(&mut self, unix_ms: u64) {
        self.start_unix_ms = unix_ms;
    }

    /// A block held ours, seen now.
    pub(super) fn expect(&mut self, height: u64, now_us: u64) {
        self.waiting.push_back((height, now_us));
    }

    /// Asks for blocks that wait, if it is time.
    pub(super) async fn look(&mut self, client: &Client) -> Result<(), LoadError> {
        let now = Instant::now();
        if self.waiting.is_empty() || self.next_look.is_some_and(|next| now < next) {
            return Ok(());
        }
        self.next_look = Some(now + LOOK);
        let count = self.waiting.len().min(BLOCKS_PER_LOOK);
        let asked: Vec<_> = self.waiting.drain(..count).collect();
        let params = asked
            .iter()
            .map(|(height, _)| json!([format!("0x{height:x}")]));
        let answers = match client.batch::<BlockTimes>(METHOD, params.collect()).await {
            Ok(answers) => answers,
            Err(error) => {
                for block in asked.into_iter().rev() {
                    self.waiting.push_front(block);
                }
                return Err(error);
            }
        };
        for ((height, seen_us), times) in asked.into_iter().zip(answers).rev() {
            // One that is forgotten will not be remembered.
            let Some(times) = times else {
                continue;
            };
            if !self.note(height, seen_us, times) {
                self.waiting.push_front((height, seen_us));
            }
        }
        Ok(())
    }

    /// Asks until every block has its stages or the time is up.
    pub(super) async fn finish(&mut self, client: &Client, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + LAST_WAIT);
        while !self.waiting.is_empty() && Instant::now() < deadline {
            // What it can't say is left out of the report.
            if self.look(client).await.is_err() {
                return;
            }
            sleep(LOOK / 5).await;
        }
    }

    /// What is known of a block, and from when on its times count, in Unix milliseconds.
    pub(super) fn of_block(&self, height: u64) -> Option<(&BlockTimes, u64)> {
        Some((self.found.get(&height)?, self.start_unix_ms))
    }

    /// Keeps the times of a block; whether all are there.
    fn note(&mut self, height: u64, seen_us: u64, times: BlockTimes) -> bool {
        let seen_ms = self.start_unix_ms.saturating_add(seen_us / 1_000);
        let executed_ms = times.executed_ms.unwrap_or_default();
        self.clocks_differ |= executed_ms > seen_ms.saturating_add(CLOCKS_MS);
        self.found.insert(height, times);
        times.is_complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_a_shard_is_complete_when_it_is_final() {
        let read = |text: &str| serde_json::from_str::<BlockTimes>(text).unwrap();
        let shard = r#"{"height":"0x1","collatedMs":1,"executedMs":2,"backedMs":3,"includedMs":4,"finalizedMs":null}"#;
        assert!(!read(shard).is_complete());
        assert_eq!(read(shard).included_ms, Some(4));
        assert!(read(&shard.replace("null", "5")).is_complete());
        let relay = r#"{"height":"0x1","finalizedMs":5,"executedMs":6,"verifiedMs":null}"#;
        assert!(
            !read(relay).is_complete(),
            "its order is final, not its result"
        );
        assert!(read(&relay.replace("null", "7")).is_complete());
    }

    #[test]
    fn a_block_executed_after_it_was_read_shows_another_clock() {
        for (executed_ms, differ) in [
            (1_000, false),
            (3_000, false),
            (3_005, false),
            (3_006, true),
        ] {
            let mut stages = Stages {
                start_unix_ms: 1_000,
                found: BTreeMap::new(),
                waiting: VecDeque::new(),
                next_look: None,
                clocks_differ: false,
            };
            let times = BlockTimes {
                executed_ms: Some(executed_ms),
                ..BlockTimes::default()
            };
            assert!(!stages.note(7, 2_000_999, times), "not verified yet");
            assert_eq!(stages.clocks_differ, differ, "{executed_ms}");
            assert_eq!(stages.of_block(7), Some((&times, 1_000)));
        }
    }
}
