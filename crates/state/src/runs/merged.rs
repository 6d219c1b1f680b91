//! Walking over a run, or over several as if they were one.
//!
//! ```text
//!   cursor  b──────d──f───────▶   sorted by next key, newer run first
//!   cursor   b───c──────f─────▶
//!   cursor     ?──────────────▶   not read yet: before its first key nothing of it is needed
//! ```
//!
//! Of rows with the same key, the newest run's counts. A cursor reads some blocks ahead: one at
//! first, then more and more up to [`READ_BYTES_MAX`]. Each block is checked before it is used.

use super::block::{Malformed, Place};
use super::codec::narrow;
use super::error::RunsError;
use super::rows::{Order, Row};
use super::run::Run;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read at once by a long walk.
pub(super) const READ_BYTES_MAX: u64 = 256 << 10;

/// A place in a run.
#[derive(Debug)]
struct Cursor {
    run: Arc<Run>,
    /// Whether the place is at a row; if not, its key is one that no row to come is before.
    started: bool,
    place: Place,
    /// The block that the place is in.
    block: usize,
    /// Where that block is in the window.
    block_range: Range<usize>,
    /// Some blocks, as read from the file.
    window: Vec<u8>,
    window_blocks: Range<usize>,
    /// Bytes to read at once next time.
    ahead_bytes: u64,
}

impl Cursor {
    fn new(run: Arc<Run>, from: &[u8], ahead_bytes: u64) -> Self {
        let first = run.first();
        let before = run.order().compare(first, from).is_lt();
        let key = if before { from } else { first }.to_vec();
        Self {
            started: false,
            place: Place::before(key),
            block: 0,
            block_range: 0..0,
            window: Vec::new(),
            window_blocks: 0..0,
            ahead_bytes,
            run,
        }
    }

    fn row(&self) -> Row<'_> {
        let block = &self.window[self.block_range.clone()];
        let value = self.place.value.clone();
        (&self.place.key, value.map(|range| &block[range]))
    }

    /// Goes to the first row not before the key it is waiting at; false if there is none.
    fn start(&mut self) -> Result<bool, RunsError> {
        self.started = true;
        let from = std::mem::take(&mut self.place.key);
        self.enter(self.run.index().find(self.run.order(), &from))?;
        let block = &self.window[self.block_range.clone()];
        let found = self.place.seek(block, self.run.order(), &from);
        if found.map_err(|Malformed| self.run.malformed(self.block))? {
            return Ok(true);
        }
        self.advance()
    }

    /// Goes to the next row; false if there is none.
    fn advance(&mut self) -> Result<bool, RunsError> {
        loop {
            let block = &self.window[self.block_range.clone()];
            let stepped = self.place.step(block);
            if stepped.map_err(|Malformed| self.run.malformed(self.block))? {
                return Ok(true);
            }
            if self.block + 1 >= self.run.index().len() {
                return Ok(false);
            }
            self.enter(self.block + 1)?;
        }
    }

    /// Goes before the first row of a block.
    fn enter(&mut self, block: usize) -> Result<(), RunsError> {
        if !self.window_blocks.contains(&block) {
            self.load(block)?;
        }
        let index = self.run.index();
        let (place, window) = (index.place(block), index.place(self.window_blocks.start));
        self.block_range = narrow(place.start - window.start)..narrow(place.end - window.start);
        self.block = block;
        let bytes = &self.window[self.block_range.clone()];
        self.run.check(block, bytes)?;
        let entered = self.place.enter(bytes);
        entered.map_err(|Malformed| self.run.malformed(block))
    }

    /// Reads the block and some after it.
    fn load(&mut self, first: usize) -> Result<(), RunsError> {
        let index = self.run.index();
        let start = index.place(first).start;
        let mut end = first + 1;
        while end < index.len() && index.place(end).end - start <= self.ahead_bytes {
            end += 1;
        }
        self.ahead_bytes = (self.ahead_bytes * 4).clamp(1 << 14, READ_BYTES_MAX);
        let len = narrow(index.place(end - 1).end - start);
        self.window.resize(len, 0);
        self.window_blocks = first..end;
        self.run.read(start, &mut self.window)
    }
}

/// Several runs as one: rows in order, each key's newest one.
#[derive(Debug)]
pub(super) struct Merged {
    order: Order,
    /// From the oldest run's to the newest one's.
    cursors: Vec<Cursor>,
    /// Those that have rows left, by their next key; of the same key, the newest first.
    turns: Vec<Turn>,
    /// Whether the first cursor's row is one that was gone to.
    seen: bool,
}

/// A cursor that has rows left.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Of the cursor's key; most comparisons need no more.
    prefix: u64,
    cursor: usize,
}

impl Merged {
    /// The rows of some runs, from oldest to newest, that are not before `from`.
    pub(super) fn new<'a>(
        order: Order,
        runs: impl IntoIterator<Item = &'a Arc<Run>>,
        from: &[u8],
        ahead_bytes: u64,
    ) -> Self {
        let runs = runs.into_iter();
        let runs = runs.filter(|run| order.compare(run.last(), from).is_ge());
        let cursors = runs.map(|run| Cursor::new(Arc::clone(run), from, ahead_bytes));
        let mut merged = Self {
            order,
            cursors: cursors.collect(),
            turns: Vec::new(),
            seen: false,
        };
        let mut turns: Vec<_> = (0..merged.cursors.len())
            .map(|cursor| merged.turn(cursor))
            .collect();
        turns.sort_by(|a, b| merged.compare(a, b));
        merged.turns = turns;
        merged
    }

    /// The row that was gone to; `None` at the end.
    pub(super) fn row(&self) -> Option<Row<'_>> {
        let turn = self.turns.first()?;
        Some(self.cursors[turn.cursor].row())
    }

    /// Goes to the next row, also if it is deleted. After an error there are no more.
    pub(super) fn pass(&mut self) -> Result<(), RunsError> {
        let gone = self.go_on();
        if gone.is_err() {
            self.turns.clear();
        }
        gone
    }

    /// Goes to the next row that is not deleted.
    pub(super) fn pass_deleted(&mut self) -> Result<(), RunsError> {
        self.pass()?;
        while matches!(self.row(), Some((_, None))) {
            self.pass()?;
        }
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), RunsError> {
        if self.turns.is_empty() {
            return Ok(());
        }
        if std::mem::replace(&mut self.seen, true) {
            self.pass_overridden()?;
            self.advance(0)?;
        }
        while let Some(first) = self.turns.first()
            && !self.cursors[first.cursor].started
        {
            self.advance(0)?;
        }
        Ok(())
    }

    /// Passes the rows of older runs that the first cursor's row overrides.
    fn pass_overridden(&mut self) -> Result<(), RunsError> {
        while let [first, second, ..] = self.turns[..]
            && first.prefix == second.prefix
            && self.key(first) == self.key(second)
        {
            self.advance(1)?;
        }
        Ok(())
    }

    /// Lets a cursor go to its next row, and puts it where it belongs among those after it.
    fn advance(&mut self, index: usize) -> Result<(), RunsError> {
        let number = self.turns[index].cursor;
        let cursor = &mut self.cursors[number];
        let more = if cursor.started {
            cursor.advance()?
        } else {
            cursor.start()?
        };
        if !more {
            cursor.window = Vec::new();
            self.turns.remove(index);
            return Ok(());
        }
        let turn = self.turn(number);
        let mut at = index;
        while let Some(next) = self.turns.get(at + 1).copied()
            && self.compare(&turn, &next).is_gt()
        {
            self.turns[at] = next;
            at += 1;
        }
        self.turns[at] = turn;
        Ok(())
    }

    fn turn(&self, cursor: usize) -> Turn {
        let key = &self.cursors[cursor].place.key;
        Turn {
            prefix: self.order.prefix(key),
            cursor,
        }
    }

    fn key(&self, turn: Turn) -> &[u8] {
        &self.cursors[turn.cursor].place.key
    }

    fn compare(&self, a: &Turn, b: &Turn) -> Ordering {
        let prefixes = a.prefix.cmp(&b.prefix);
        prefixes.then_with(|| {
            let keys = self.order.compare(self.key(*a), self.key(*b));
            keys.then(b.cursor.cmp(&a.cursor))
        })
    }
}
