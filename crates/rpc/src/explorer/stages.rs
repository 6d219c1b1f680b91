//! When a block reached its stages, as pages show it.

use super::format;
use crate::{backend::Backend, error::RpcError, headway::stages::of_shard};
use primitives::BlockStages;

/// The most stages that a way has.
pub(super) const COUNT: usize = 5;

/// The stages that blocks pass, in order; a block is durable beside them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) names: &'static [&'static str],
    /// The stage that a block reaches by being executed here, if that is one of them.
    pub(super) executed: Option<usize>,
}

/// Of the relay chain, and of a chain without shards.
pub(super) const RELAY: Way = Way {
    names: &["proposed", "notarized", "finalized", "executed", "verified"],
    executed: Some(3),
};
/// Of a shard's chain, where it is collated.
const SHARD: Way = Way {
    names: &["collated", "executed", "backed", "included", "final"],
    executed: Some(1),
};
/// Of a shard, as the relay chain sees it.
pub(super) const CANDIDATE: Way = Way {
    names: &["collated", "backed", "included", "final"],
    executed: None,
};

impl Way {
    /// The way of a chain's blocks.
    pub(super) const fn of(backend: &Backend) -> &'static Self {
        match backend.shard {
            None => &RELAY,
            Some(_) => &SHARD,
        }
    }

    /// The last stage.
    pub(super) const fn end(&self) -> usize {
        self.names.len().saturating_sub(1)
    }

    pub(super) fn name(&self, stage: usize) -> &'static str {
        self.names.get(stage).copied().unwrap_or_default()
    }
}

/// When a block reached each stage of its way, in Unix milliseconds.
pub(super) type Times = [Option<u64>; COUNT];

/// The times of a block that may not have any.
pub(super) fn times(backend: &Backend, height: u64) -> Result<Times, RpcError> {
    if backend.shard.is_none() {
        return Ok(of_relay(backend.chain.stages(height)));
    }
    let stages = of_shard(backend, height)?.unwrap_or_default();
    Ok([
        stages.collated_ms,
        stages.executed_ms,
        stages.backed_ms,
        stages.included_ms,
        stages.finalized_ms,
    ])
}

fn of_relay(stages: Option<BlockStages>) -> Times {
    let stages = stages.unwrap_or_default();
    [
        stages.proposed_ms,
        stages.notarized_ms,
        stages.finalized_ms,
        stages.executed_ms,
        stages.verified_ms,
    ]
}

/// The first time that is known.
pub(super) fn first(times: &Times) -> Option<u64> {
    times.iter().flatten().min().copied()
}

/// The last stage that was reached; the first if none is known.
pub(super) fn reached(times: &Times) -> usize {
    times.iter().rposition(Option::is_some).unwrap_or(0)
}

/// One stage of one block.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) number: usize,
    /// After the first known time; nothing if the stage was not seen.
    pub(super) after: Option<String>,
    /// Since the stage before.
    pub(super) since: Option<String>,
    /// Where its part of the bar begins and how long it is.
    pub(super) start: String,
    pub(super) length: String,
}

/// A block's way through its stages.
pub(super) fn steps(way: &Way, times: &Times) -> Vec<Step> {
    let first = first(times).unwrap_or_default();
    let last = times.iter().flatten().max().copied().unwrap_or_default();
    let whole = u128::from(last.saturating_sub(first).max(1));
    let mut before = first;
    let mut steps = Vec::with_capacity(COUNT);
    for (number, (name, time)) in way.names.iter().zip(times).enumerate() {
        let at = time.unwrap_or(before).max(before);
        let share = |ms: u64| format::length(u128::from(ms), whole);
        steps.push(Step {
            name,
            number,
            after: time
                .map(|time| format!("+{}", format::milliseconds(time.saturating_sub(first)))),
            since: time.map(|time| format::milliseconds(time.saturating_sub(before))),
            start: share(before.saturating_sub(first)),
            length: share(at.saturating_sub(before)),
        });
        before = at;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_was_not_seen_takes_no_part_of_the_bar() {
        let steps = steps(&RELAY, &[Some(1_000), None, Some(1_050), Some(1_100), None]);
        assert_eq!(steps[1].after, None);
        assert_eq!(steps[1].length, "0.00%");
        assert_eq!(steps[2].length, "50.00%");
        assert_eq!(steps[3].after.as_deref(), Some("+100 ms"));
        assert_eq!(steps[3].since.as_deref(), Some("50 ms"));
        assert_eq!(steps[4].after, None);
    }

    #[test]
    fn a_block_that_was_never_seen_has_no_times() {
        let never = of_relay(None);
        assert_eq!(first(&never), None);
        assert!(
            steps(&RELAY, &never)
                .iter()
                .all(|step| step.after.is_none())
        );
    }
}
