//! Which runs to merge next: a pure choice from their sizes.
//!
//! ```text
//!   State, Index    base ████████████████  ▇▇▇▇ ▇▇▇▇  ▂▂ ▂▂ ▂▂  ▁ ▁ ▁ ▁ ▁    newest
//!                        8 neighbours of a tier ─▶ 1 of the next; all ─▶ base when as large as it
//!   Blocks          ▆▆▆▆ ▆▆▆▆ ▆▆▆▆ ▂▂ ▂▂ ▁ ▁ ▁ ▁     the same up to a piece, which then stays
//!   History         ▃▃ ▃▃ ▃▃ ▃▃ ▁ ▁ ▁                the same up to an eighth of what is kept
//! ```
//!
//! So a row is rewritten once for each tier it climbs, and in the base as often as the base doubles
//! or is overwritten. Only what is merged with the oldest run can leave deletions out.
//!
//! A piece is of a fixed size until there are many; then of a fixed part of all blocks, so that the
//! number of files has a limit and a block is rewritten once more each time the chain is eight times
//! as long.

use super::rows::{Family, Heights};
use super::run::RunEntry;
use std::ops::Range;

/// Pieces of blocks that are few enough to be open files.
const PIECES: u64 = 64;

/// When runs are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How many runs of a tier become one of the next; at least 2.
    pub(crate) fan_in: usize,
    /// Runs of blocks that have half as many bytes are not merged any more, as long as there are few.
    pub(crate) piece_bytes_max: u64,
}

/// Runs to merge, by their place among the family's, and the tier of what comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) range: Range<usize>,
    pub(super) tier: u8,
}

impl Policy {
    /// What to merge next, if anything. The first `busy` runs are left alone: they, and perhaps
    /// none, are being merged.
    pub(super) fn choose(
        &self,
        family: Family,
        (runs, busy): (&[RunEntry], usize),
        kept: Option<Heights>,
    ) -> Option<Choice> {
        if busy == 0 && family.overrides() && base_is_due(runs) {
            return Some(choice(runs, 0..runs.len()));
        }
        let first = if family.overrides() {
            busy.max(1)
        } else {
            busy
        };
        let choice = self.choose_among(family, runs.get(first..)?, kept)?;
        Some(Choice {
            range: choice.range.start + first..choice.range.end + first,
            tier: choice.tier,
        })
    }

    fn choose_among(
        &self,
        family: Family,
        runs: &[RunEntry],
        kept: Option<Heights>,
    ) -> Option<Choice> {
        match family {
            Family::State | Family::Index => self.choose_tier(runs, |_| true),
            Family::Blocks => self.choose_piece(runs),
            Family::History => {
                let span_max = kept.map_or(u64::MAX, |kept| kept.high.saturating_sub(kept.low) / 8);
                self.choose_tier(runs, |runs| span(runs) <= span_max)
            }
        }
    }

    /// The oldest neighbours of the lowest tier that has enough of them and that may be merged.
    fn choose_tier(&self, runs: &[RunEntry], may: impl Fn(&[RunEntry]) -> bool) -> Option<Choice> {
        let mut end = runs.len();
        for tier in runs.chunk_by(|a, b| a.tier == b.tier).rev() {
            let start = end - tier.len();
            let most = tier.len().min(self.fan_in * 4);
            let mut counts = (self.fan_in..=most).rev();
            if let Some(count) = counts.find(|count| may(&tier[..*count])) {
                return Some(choice(runs, start..start + count));
            }
            end = start;
        }
        None
    }

    /// The oldest neighbours of the lowest tier that are many, or a piece together.
    fn choose_piece(&self, runs: &[RunEntry]) -> Option<Choice> {
        let whole = self.piece_bytes_max.max(bytes(runs) / PIECES) / 2;
        let mut end = runs.len();
        let alike =
            |a: &RunEntry, b: &RunEntry| a.tier == b.tier && (a.bytes < whole) == (b.bytes < whole);
        for tier in runs.chunk_by(alike).rev() {
            end -= tier.len();
            if tier[0].bytes >= whole {
                continue;
            }
            let enough = |len: &usize| *len >= self.fan_in || bytes(&tier[..*len]) >= whole;
            if let Some(len) = (2..=tier.len()).find(enough) {
                return Some(choice(runs, end..end + len));
            }
        }
        None
    }
}

fn choice(runs: &[RunEntry], range: Range<usize>) -> Choice {
    let tier = runs[range.clone()].iter().map(|run| run.tier).max();
    Choice {
        tier: tier.unwrap_or_default().saturating_add(1),
        range,
    }
}

/// Whether the other runs are as large as the oldest.
fn base_is_due(runs: &[RunEntry]) -> bool {
    let base_and_uppers = runs.split_first();
    base_and_uppers.is_some_and(|(base, uppers)| !uppers.is_empty() && bytes(uppers) >= base.bytes)
}

fn bytes(runs: &[RunEntry]) -> u64 {
    runs.iter().map(|run| run.bytes).sum()
}

/// Heights from the first run's to the last one's.
pub(super) fn heights(runs: &[RunEntry]) -> Heights {
    Heights {
        low: runs.first().map_or(0, |run| run.heights.low),
        high: runs.last().map_or(0, |run| run.heights.high),
    }
}

fn span(runs: &[RunEntry]) -> u64 {
    let Heights { low, high } = heights(runs);
    high.saturating_sub(low)
}

#[cfg(test)]
mod tests;
