//! The store against maps in memory: the same answers at every moment, whatever happens between.

mod crash;
mod damage;
mod faults;
mod model;
mod scenario;

use super::{Batch, Config, Family, Heights, Merge, Rows, Runs, RunsError, View};
use crate::disk::Disk;
use crate::disk::memory::MemoryDisk;
use std::collections::BTreeMap;

type Key = Vec<u8>;
type Table = BTreeMap<Key, Vec<u8>>;
type History = BTreeMap<(Key, u64), Vec<u8>>;
type Changes = BTreeMap<Key, Option<Vec<u8>>>;

/// What a store must have at a moment.
#[derive(Clone, Debug, Default)]
struct Model {
    marker: Vec<u8>,
    state: Table,
    blocks: Table,
    index: Table,
    history: History,
    /// Where the history begins.
    low: u64,
    height: u64,
    drop_below: u64,
}

impl Model {
    fn table(&self, family: Family) -> Option<&Table> {
        match family {
            Family::State => Some(&self.state),
            Family::Blocks => Some(&self.blocks),
            Family::Index => Some(&self.index),
            Family::History => None,
        }
    }

    fn before(&self, key: &[u8], after: u64) -> Option<&Vec<u8>> {
        let from = (key.to_vec(), after + 1);
        let next = self.history.range(from..).next();
        next.filter(|((found, _), _)| found == key)
            .map(|(_, before)| before)
    }
}

/// Numbers that look like chance, from a seed.
#[derive(Clone, Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 29)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn len(&mut self, end: u64) -> usize {
        usize::try_from(self.below(end)).expect("small")
    }

    /// A key: some share beginnings, some are another's beginning, one is empty.
    fn key(&mut self) -> Vec<u8> {
        let account = [b"account", &[self.next().to_le_bytes()[0] % 8][..]].concat();
        match self.below(8) {
            0 => vec![0; self.len(3)],
            1 => account,
            // The slots of an account that look like heights.
            2 => [&account[..], &self.below(40).to_be_bytes()].concat(),
            3 => [&account[..], &[0xff; 200][..self.len(200)]].concat(),
            _ => [&account[..], &self.below(30).to_le_bytes(), &[7; 20]].concat(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.below(40) {
            0 => 1000 + self.len(5000),
            1..10 => 0,
            _ => self.len(80),
        };
        vec![self.next().to_le_bytes()[0]; len]
    }
}

/// A random next batch, and what the store must have after it.
fn next_batch(model: &Model, chance: &mut Chance, updates: u64) -> (Batch, Model) {
    let mut next = model.clone();
    next.marker = chance.next().to_le_bytes()[..chance.len(8)].to_vec();
    let mut batch = Batch::new(next.marker.clone());
    let (low, high) = (model.height, model.height + chance.below(4));
    let mut state = BTreeMap::new();
    let mut history = BTreeMap::new();
    for height in low + 1..=high {
        next.blocks
            .insert([&height.to_be_bytes()[..], b"b"].concat(), chance.value());
        next.blocks
            .insert([&height.to_be_bytes()[..], b"h"].concat(), chance.value());
        for _ in 0..chance.below(updates) {
            let (key, value) = (chance.key(), chance.value());
            let value = (chance.below(4) > 0).then_some(value);
            let before = match &value {
                Some(value) => next.state.insert(key.clone(), value.clone()),
                None => next.state.remove(&key),
            };
            let at = (key.clone(), height);
            history.entry(at).or_insert(before.unwrap_or_default());
            state.insert(key, value);
        }
    }
    let mut index = BTreeMap::new();
    for _ in 0..chance.below(updates) {
        let value = (chance.below(3) > 0).then(|| chance.value());
        index.insert(chance.key(), value);
    }
    fill(batch.rows(Family::State), &state);
    fill(batch.rows(Family::Index), &index);
    for (key, value) in index {
        match value {
            Some(value) => drop(next.index.insert(key, value)),
            None => drop(next.index.remove(&key)),
        }
    }
    let blocks = batch.rows(Family::Blocks);
    for (key, value) in next.blocks.range([&(low + 1).to_be_bytes()[..]].concat()..) {
        blocks.put(key, value).expect("in order");
    }
    let rows = batch.rows(Family::History);
    for ((key, height), before) in &history {
        rows.put_before(key, *height, before).expect("in order");
    }
    next.history.append(&mut history);
    next.height = high;
    batch.set_history(Heights { low, high });
    if chance.below(3) == 0 {
        next.drop_below = next.drop_below.max(high.saturating_sub(chance.below(12)));
        batch.drop_history_below(next.drop_below);
    }
    (batch, next)
}

fn fill(rows: &mut Rows, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => rows.put(key, value).expect("in order"),
            None => rows.delete(key).expect("in order"),
        }
    }
}

/// Everything a view has, by way of its ranges; an error if any of it is damaged.
fn scan(view: &View) -> Result<Model, RunsError> {
    let table = |family| view.range(family, &[], None).collect::<Result<Table, _>>();
    let mut history = History::new();
    if let Some(low) = view.oldest_history() {
        let rows = view.history_rows(low)?;
        let rows = rows.map(|row| row.map(|(key, height, before)| ((key, height), before)));
        history = rows.collect::<Result<_, _>>()?;
    } else {
        let refused = view.history(b"account", 0);
        assert!(matches!(refused, Err(RunsError::NoHistory { .. })));
    }
    Ok(Model {
        marker: view.marker().to_vec(),
        state: table(Family::State)?,
        blocks: table(Family::Blocks)?,
        index: table(Family::Index)?,
        history,
        low: view.oldest_history().unwrap_or_default(),
        ..Model::default()
    })
}

/// Whether a scan found what must be there.
fn agrees(found: &Model, model: &Model) -> bool {
    let needed = model
        .history
        .iter()
        .filter(|((_, height), _)| *height > found.low);
    let tables = found.state == model.state && found.index == model.index;
    tables
        && found.marker == model.marker
        && found.blocks == model.blocks
        && found.history.iter().eq(needed)
        && found.low <= model.drop_below.max(model.low)
}

/// Compares all answers of a view.
fn check(view: &View, model: &Model, chance: &mut Chance) {
    let found = scan(view).expect("sound");
    assert!(agrees(&found, model), "{found:?}\n{model:?}");
    for family in Family::ALL {
        check_gets(view, family, model, chance);
    }
    if view.oldest_history().is_some() {
        check_history(view, model, chance);
    }
}

fn check_history(view: &View, model: &Model, chance: &mut Chance) {
    let low = view.oldest_history().expect("some");
    for _ in 0..20 {
        let (key, known) = (chance.key(), model.state.keys().nth(chance.len(50)));
        let key = known.unwrap_or(&key);
        for after in low..=model.height {
            let before = view.history(key, after).expect("sound");
            assert_eq!(before.as_ref(), model.before(key, after), "{after} {key:?}");
        }
    }
    if let Some(gone) = low.checked_sub(1) {
        let refused = view.history(b"account", gone);
        assert!(matches!(refused, Err(RunsError::NoHistory { .. })));
    }
    let after = low + chance.below(model.height + 1 - low.min(model.height));
    let rows = view.history_rows(after).expect("known");
    let rows: Vec<_> = rows.map(|row| row.expect("sound")).collect();
    let needed = model
        .history
        .iter()
        .filter(|((_, height), _)| *height > after);
    let needed = needed.map(|((key, height), before)| (key.clone(), *height, before.clone()));
    assert_eq!(rows, needed.collect::<Vec<_>>());
}

fn check_gets(view: &View, family: Family, model: &Model, chance: &mut Chance) {
    let Some(table) = model.table(family) else {
        return;
    };
    for (key, value) in table {
        assert_eq!(view.get(family, key).expect("sound").as_ref(), Some(value));
    }
    for _ in 0..10 {
        let (a, b) = (chance.key(), chance.key());
        assert_eq!(view.get(family, &a).expect("sound").as_ref(), table.get(&a));
        let (from, to) = (a.clone().min(b.clone()), a.max(b));
        let rows = view.range(family, &from, Some(&to));
        let rows: Vec<_> = rows.map(|row| row.expect("sound")).collect();
        let expected = table.range(from..to);
        let expected: Vec<_> = expected.map(|(k, v)| (k.clone(), v.clone())).collect();
        assert_eq!(rows, expected);
    }
}

fn open(disk: &MemoryDisk, config: Config) -> Result<(Runs, View), RunsError> {
    Runs::open(Disk::memory(disk)?, config)
}
