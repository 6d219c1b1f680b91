//! When to begin a shard's next block: so late that it carries the newest transactions, and early enough for the first
//! relay block that has a place for it.
//!
//! ```text
//!   relay blocks   T ──── T+τ ──── T+2τ ──── T+3τ       a place on each core in each
//!   line                  c1        c2  ◀ the first that comes when it is ready, and not before those in front of it
//!   next                       └ begin ─ build, send, check, sign ─ spare ─▶ T+3τ
//! ```
//! A core takes one candidate for each relay block, and a collator builds one: what once has to wait in line would wait
//! for ever, and everything behind it as long. So a block is not begun for a place that others will have.
//!
//! τ and the time from beginning a block to its last signature are what has been seen. Both are guesses: too late means
//! the next relay block, too early means to wait for it. A relay block missed costs more than the wait, so a block is
//! begun earlier than the median would need: by twice what the slowest of the last ones took beyond it, and by half a
//! block time at most. Slow ones are rarer than what is remembered reaches back, so there is a margin beside that: a step
//! more with each relay block that was missed though a block had been begun for it, and a little less with each that was
//! not, so that one in [`MARGIN_SHARE`] or so is missed where a step is what it takes. What is on its way is expected to
//! take the median. Where the builder is what takes longest, nothing is ever put off. Where a shard has several cores, its
//! blocks are begun a relay block sooner for each core beyond the first.

use crate::{
    agent::{config::TICK_MS, duties::Duties},
    ledger::Segment,
};
use primitives::shard::CandidateId;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, VecDeque},
};

/// Times between relay blocks that are remembered.
const INTERVALS: usize = 4;
/// Candidates whose time from beginning to last signature is remembered.
const WAYS: usize = 16;
/// Candidates that are known to have been measured: as many as a shard of sixteen cores has pending.
const MEASURED: usize = 64;
/// Of the longest of these times, the share that is to spare at least.
const SPARE_SHARE: u64 = 8;
/// Of the time between relay blocks, the share that is to spare at most.
const SPARE_BLOCK_SHARE: u64 = 2;
/// Of the time between relay blocks, what the margin grows by for one that is missed, and what it is at most.
const STEP_SHARE: u64 = 4;
const MARGIN_BLOCKS: u64 = 1;
/// Of the margin, what a relay block that is taken takes off.
const MARGIN_SHARE: u64 = 512;
/// To spare in any case, in milliseconds: an agent looks at the clock so much later than it should.
const SPARE_MS: u64 = 2 * TICK_MS;
/// Relay blocks that were expected and did not come: the chain is at rest, and waits for something to take.
const RESTS_AFTER: u64 = 2;

/// A relay block as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeenBlock {
    pub(crate) height: u64,
    /// Its time.
    pub(crate) at_ms: u64,
    /// When it was seen to be final.
    pub(crate) seen_ms: u64,
    /// Candidates are pending after it, so that the next one comes as soon as it can.
    pub(crate) busy: bool,
    /// Number of the shard's newest block after it.
    pub(crate) number: u64,
}

/// A candidate in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) id: CandidateId,
    /// Its time: when its block was begun.
    pub(crate) begun_ms: u64,
    /// Enough have signed it, as far as is known, and it may enter.
    pub(crate) signed: bool,
}

/// From beginning a block to its last signature, in milliseconds.
#[derive(Clone, Debug, Default)]
struct Way {
    /// Of the newest candidates, in their order.
    newest: VecDeque<u64>,
    median_ms: u64,
    longest_ms: u64,
    /// The newest that were measured. What comes back into the line after a discard took no longer than it did.
    measured: VecDeque<CandidateId>,
}

impl Way {
    /// A candidate has its last signature.
    fn signed(&mut self, one: &Waiter, now_ms: u64) {
        if self.measured.contains(&one.id) {
            return;
        }
        self.measured.push_back(one.id);
        if self.measured.len() > MEASURED {
            self.measured.pop_front();
        }
        self.newest.push_back(now_ms.saturating_sub(one.begun_ms));
        if self.newest.len() > WAYS {
            self.newest.pop_front();
        }
        let mut sorted: Vec<u64> = self.newest.iter().copied().collect();
        sorted.sort_unstable();
        self.median_ms = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        self.longest_ms = sorted.last().copied().unwrap_or_default();
    }

    /// How long before its place a block is begun, where relay blocks are so far apart.
    fn ahead_ms(&self, block_ms: u64) -> u64 {
        let least_ms = self.longest_ms.checked_div(SPARE_SHARE).unwrap_or_default();
        let most_ms = block_ms.checked_div(SPARE_BLOCK_SHARE).unwrap_or_default();
        let spread_ms = self.longest_ms.saturating_sub(self.median_ms);
        let spare_ms = spread_ms.saturating_mul(2).max(least_ms);
        let spare_ms = spare_ms.saturating_add(SPARE_MS).min(most_ms.max(SPARE_MS));
        self.median_ms.saturating_add(spare_ms)
    }
}

/// What relay blocks that were missed have taught.
#[derive(Clone, Debug, Default)]
struct Margin {
    microseconds: u64,
    /// The relay block before took a candidate.
    took: bool,
    /// Time of a relay block that took none after one that did.
    untaken_ms: Option<u64>,
}

impl Margin {
    /// A relay block came, and so the number of the shard's newest block moved. Where it falls, candidates were
    /// discarded: what comes back into the line was begun long ago, and missed nothing.
    fn see(&mut self, at_ms: u64, moved: Ordering) {
        if moved.is_gt() {
            let less = self.microseconds.div_ceil(MARGIN_SHARE);
            self.microseconds = self.microseconds.saturating_sub(less);
        }
        self.untaken_ms = (self.took && moved.is_eq()).then_some(at_ms);
        self.took = moved.is_gt();
    }

    /// What waits in line, with relay blocks so far apart. What was begun before a relay block was meant for it.
    fn watch(&mut self, line: &[Waiter], block_ms: u64) {
        let missed = |at_ms: &u64| line.iter().any(|one| one.begun_ms < *at_ms);
        if let Some(at_ms) = self.untaken_ms.filter(missed) {
            self.untaken_ms = None;
            tracing::debug!(
                at_ms,
                margin_ms = self.ms(block_ms),
                ?line,
                "a relay block was missed"
            );
            let block = block_ms.saturating_mul(1_000);
            let step = block.checked_div(STEP_SHARE).unwrap_or_default();
            let most = block.saturating_mul(MARGIN_BLOCKS);
            self.microseconds = self.microseconds.saturating_add(step).min(most);
        }
    }

    /// With relay blocks so far apart, which may be closer than when it grew.
    fn ms(&self, block_ms: u64) -> u64 {
        let ms = self.microseconds.checked_div(1_000).unwrap_or_default();
        ms.min(block_ms.saturating_mul(MARGIN_BLOCKS))
    }
}

/// What a collator has seen of relay blocks, and of its shard's candidates on their way there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    newest: Option<SeenBlock>,
    intervals: VecDeque<u64>,
    way: Way,
    margin: Margin,
    /// Those in line that are signed, and since when.
    signed: BTreeMap<CandidateId, u64>,
}

impl Pace {
    /// A relay block is the newest.
    pub(crate) fn see(&mut self, block: SeenBlock) {
        let Some(before) = self.newest else {
            self.newest = Some(block);
            return;
        };
        let passed = block.height.saturating_sub(before.height);
        if passed == 0 {
            return;
        }
        self.newest = Some(block);
        let moved = block.number.cmp(&before.number);
        self.margin.see(block.at_ms, moved);
        let interval = block.at_ms.saturating_sub(before.at_ms);
        // A chain at rest says nothing about how soon it would come if there were something to take.
        if let Some(each_ms) = interval.checked_div(passed).filter(|_| before.busy) {
            self.intervals.push_back(each_ms);
            if self.intervals.len() > INTERVALS {
                self.intervals.pop_front();
            }
        }
    }

    /// What waits in line, parents first.
    pub(crate) fn watch(&mut self, line: &[Waiter], now_ms: u64) {
        self.signed
            .retain(|id, _| line.iter().any(|one| one.id == *id && one.signed));
        for one in line.iter().filter(|one| one.signed) {
            if self.signed.contains_key(&one.id) {
                continue;
            }
            self.signed.insert(one.id, now_ms);
            self.way.signed(one, now_ms);
        }
        if let Some(block_ms) = self.block_ms() {
            self.margin.watch(line, block_ms);
        }
    }

    /// Time between relay blocks.
    fn block_ms(&self) -> Option<u64> {
        self.intervals.iter().min().map(|least| (*least).max(1))
    }

    /// When to begin the block that follows such a line on so many cores.
    pub(crate) fn begins_ms(&self, line: &[Waiter], cores: usize, now_ms: u64) -> u64 {
        let (Some(newest), Some(block_ms)) = (self.newest, self.block_ms()) else {
            return now_ms;
        };
        let rests_ms = newest
            .seen_ms
            .saturating_add(block_ms.saturating_mul(RESTS_AFTER));
        if now_ms > rests_ms {
            return now_ms;
        }
        let cores = u64::try_from(cores).unwrap_or(u64::MAX).max(1);
        let mut place = Place { after: 1, taken: 0 };
        for one in line {
            let signed_ms = self.signed.get(&one.id).copied();
            let expected_ms = one.begun_ms.saturating_add(self.way.median_ms).max(now_ms);
            let signed_ms = signed_ms.unwrap_or(expected_ms);
            let since_ms = signed_ms.saturating_sub(newest.at_ms);
            place.take(since_ms.div_ceil(block_ms), cores);
        }
        place.settle(cores);
        // One builder builds for all cores, and a candidate whose core is taken holds up those behind it.
        let ahead_ms = block_ms.saturating_mul(cores.saturating_sub(1));
        newest
            .at_ms
            .saturating_add(place.after.saturating_mul(block_ms))
            .saturating_sub(self.way.ahead_ms(block_ms))
            .saturating_sub(self.margin.ms(block_ms))
            .saturating_sub(ahead_ms)
    }
}

impl Duties {
    /// When to begin the block that follows this line. Under synchronous rules, where a parent has to be included
    /// first, at once.
    pub(crate) fn begins_ms(&mut self, segment: &Segment, line: &[CandidateId]) -> u64 {
        let waiters = line.iter().filter_map(|id| {
            let entry = self.shelf.get(id)?;
            Some(Waiter {
                id: *id,
                begun_ms: entry.descriptor.timestamp_ms,
                signed: self.statements.is_backable(id) && self.is_alive(entry.schedule),
            })
        });
        let waiters: Vec<Waiter> = waiters.collect();
        let (now_ms, ledger) = (self.now_ms, self.ledger());
        let block = SeenBlock {
            height: ledger.height(),
            at_ms: ledger.timestamp_ms(),
            seen_ms: now_ms,
            busy: ledger.pending().next().is_some(),
            number: segment.newest().number,
        };
        let cores = ledger.cores_of(segment.shard);
        let at_once = ledger.rules().core_depth < 2;
        let Some(line) = self.lines.get_mut(&segment.shard).filter(|_| !at_once) else {
            return now_ms;
        };
        line.pace.see(block);
        line.pace.watch(&waiters, now_ms);
        line.pace.begins_ms(&waiters, cores, now_ms)
    }
}

/// Places that relay blocks have for a shard: so many blocks after the newest, and how many of them are taken in it.
#[derive(Clone, Copy, Debug)]
struct Place {
    after: u64,
    taken: u64,
}

impl Place {
    /// Takes the first that is free, not before such a block.
    fn take(&mut self, earliest: u64, cores: u64) {
        self.settle(cores);
        if earliest > self.after {
            (self.after, self.taken) = (earliest, 0);
        }
        self.taken = self.taken.saturating_add(1);
    }

    /// Goes on to the next block where all are taken.
    const fn settle(&mut self, cores: u64) {
        if self.taken >= cores {
            (self.after, self.taken) = (self.after.saturating_add(1), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, SPARE_MS, SeenBlock, Waiter};
    use alloy_primitives::B256;
    use primitives::shard::CandidateId;

    /// Relay blocks each 100 ms, the newest at 1,000 and seen at 1,030; candidates take 80 ms.
    fn pace() -> Pace {
        let mut pace = Pace::default();
        for height in 1..=10 {
            pace.see(SeenBlock {
                height,
                at_ms: height * 100,
                seen_ms: height * 100 + 30,
                busy: true,
                number: 0,
            });
        }
        pace.watch(&[waiter(0, 870, true)], 950);
        assert_eq!(pace.way.longest_ms, 80);
        pace
    }

    fn waiter(id: u8, begun_ms: u64, signed: bool) -> Waiter {
        Waiter {
            id: CandidateId(B256::repeat_byte(id)),
            begun_ms,
            signed,
        }
    }

    const BLOCK_MS: u64 = 100;
    const WAY_MS: u64 = 80 + BLOCK_MS / 2;

    #[test]
    fn a_block_is_begun_for_the_first_place_that_nobody_in_front_of_it_has() {
        let mut pace = pace();
        assert_eq!(pace.begins_ms(&[], 1, 1_030), 1_100 - WAY_MS);
        let ready = waiter(0, 870, true);
        // It was ready in time for the newest and passed over: it has the next.
        assert_eq!(pace.begins_ms(&[ready], 1, 1_030), 1_200 - WAY_MS);
        // Signed after the next one was proposed: the one after that.
        let late = waiter(1, 1_030, true);
        pace.watch(&[ready, late], 1_110);
        assert_eq!(pace.begins_ms(&[ready, late], 1, 1_115), 1_300 - WAY_MS);
        assert_eq!(pace.begins_ms(&[late], 1, 1_115), 1_300 - WAY_MS);
        // Not signed yet: when it is expected to be.
        let young = waiter(2, 1_100, false);
        assert_eq!(pace.begins_ms(&[ready, young], 1, 1_115), 1_300 - WAY_MS);
    }

    #[test]
    fn several_cores_have_as_many_places_and_are_worked_for_ahead() {
        let pace = pace();
        let ready = waiter(0, 870, true);
        let ahead_ms = 100;
        let begins_ms = |line: &[Waiter]| pace.begins_ms(line, 2, 1_030) + WAY_MS + ahead_ms;
        assert_eq!(begins_ms(&[]), 1_100);
        assert_eq!(begins_ms(&[ready]), 1_100);
        assert_eq!(begins_ms(&[ready, ready]), 1_200);
    }

    #[test]
    fn nobody_waits_for_a_chain_at_rest() {
        let mut pace = pace();
        let seen = |height, at_ms, busy| SeenBlock {
            height,
            at_ms,
            seen_ms: at_ms + 30,
            busy,
            number: 0,
        };
        assert_eq!(pace.begins_ms(&[], 1, 1_231), 1_231);
        pace.see(seen(11, 1_100, false));
        pace.see(seen(12, 9_000, false));
        // A heartbeat is no measure of what comes when there is something to take.
        assert_eq!(pace.begins_ms(&[], 1, 9_030), 9_100 - WAY_MS);
        assert_eq!(pace.begins_ms(&[], 1, 9_231), 9_231);
        assert_eq!(Pace::default().begins_ms(&[], 1, 7), 7);
    }

    #[test]
    fn a_slow_candidate_is_feared_until_it_is_long_ago_and_expected_by_nobody() {
        let mut pace = pace();
        for (id, took_ms) in [(1, 80), (2, 200), (3, 80)] {
            let begun_ms = 1_000 + u64::from(id);
            pace.watch(&[waiter(id, begun_ms, true)], begun_ms + took_ms);
        }
        // It is looked at again and was ready before.
        pace.watch(&[waiter(3, 1_003, true)], 1_900);
        assert_eq!(pace.way.ahead_ms(1_000), 80 + 2 * (200 - 80) + SPARE_MS);
        assert_eq!(pace.way.ahead_ms(100), 80 + 100 / 2);
        // One that is begun now will be ready after 80 ms as ever, in time for the next.
        let young = waiter(4, 1_010, false);
        let begins_ms = pace.begins_ms(&[young], 1, 1_015);
        assert_eq!(begins_ms, 1_200 - pace.way.ahead_ms(100));
        for id in 5..4 + super::WAYS {
            let begun_ms = 1_000 + u64::try_from(id).unwrap();
            let id = u8::try_from(id).unwrap();
            pace.watch(&[waiter(id, begun_ms, true)], begun_ms + 80);
        }
        assert_eq!(pace.way.ahead_ms(100), WAY_MS);
        // What was discarded and is back took no longer than it did.
        pace.watch(&[waiter(0, 870, true)], 9_000);
        assert_eq!(pace.way.ahead_ms(100), WAY_MS);
    }

    #[test]
    fn the_margin_grows_with_each_miss_and_shrinks_slowly() {
        let mut pace = pace();
        let mut height = 10;
        let mut number = 0;
        let mut next = |pace: &mut Pace, takes: bool, line: &[Waiter]| {
            height += 1;
            number += u64::from(takes);
            pace.see(SeenBlock {
                height,
                at_ms: height * 100,
                seen_ms: height * 100 + 30,
                busy: true,
                number,
            });
            pace.watch(line, height * 100 + 30);
            pace.margin.ms(BLOCK_MS)
        };
        let late = |begun_ms| [waiter(9, begun_ms, false)];
        // Nothing was taken before: work has only just come.
        assert_eq!(next(&mut pace, false, &late(1_050)), 0);
        assert_eq!(next(&mut pace, true, &[]), 0);
        // What is in line was begun after this one.
        assert_eq!(next(&mut pace, false, &late(1_310)), 0);
        assert_eq!(next(&mut pace, true, &[]), 0);
        let before_ms = pace.begins_ms(&[], 1, 1_430);
        assert_eq!(next(&mut pace, false, &late(1_450)), 25);
        assert_eq!(pace.begins_ms(&[], 1, 1_530), before_ms + 100 - 25);
        // Once for each.
        assert_eq!(next(&mut pace, false, &late(1_450)), 25);
        for _ in 0..10 {
            next(&mut pace, true, &[]);
            let begun_ms = pace.newest.unwrap().at_ms + 50;
            next(&mut pace, false, &late(begun_ms));
        }
        // A relay block's time at most, also if that gets shorter.
        assert_eq!(next(&mut pace, true, &[]), 99);
        assert_eq!(pace.margin.ms(40), 40);
        for _ in 0..super::MARGIN_SHARE {
            next(&mut pace, true, &[]);
        }
        assert!(
            (30..40).contains(&pace.margin.ms(BLOCK_MS)),
            "{:?}",
            pace.margin
        );
    }

    #[test]
    fn what_a_discard_gives_back_was_not_missed() {
        let mut pace = pace();
        let mut next = |height: u64, number| {
            pace.see(SeenBlock {
                height,
                at_ms: height * 100,
                seen_ms: height * 100 + 30,
                busy: true,
                number,
            });
            pace.watch(&[waiter(9, height * 100 - 50, false)], height * 100 + 30);
            pace.margin.ms(BLOCK_MS)
        };
        assert_eq!(next(11, 5), 0);
        assert_eq!(next(12, 3), 0);
        // Nor is the next one, which takes nothing after nothing was taken.
        assert_eq!(next(13, 3), 0);
        assert_eq!(next(14, 4), 0);
        assert_eq!(next(15, 4), 25);
    }
}
