//! The manifest: which runs there are, at one moment.
//!
//! ```text
//!   MANIFEST.new ─ append, sync, sync_directory ─ rename ─▶ MANIFEST ─ sync_directory
//!   magic, version │ next id, marker, history │ per family: number of runs, runs │ checksum
//! ```
//!
//! The first sync of the directory makes the names of the new runs durable before a manifest tells
//! of them; the second makes the manifest count. A new store writes an empty manifest before its
//! first run, so runs without a manifest are damage, not a new store.

use super::codec::{Unread, narrow, short, wide};
use super::error::{RunsError, corrupt, unreadable};
use super::hash::hash;
use super::rows::{Family, Heights};
use super::run::{Run, RunEntry, is_run};
use crate::disk::{Disk, File};
use std::sync::Arc;

/// The version of all files that this program writes and reads.
pub(super) const VERSION: u32 = 2;
const MAGIC: [u8; 8] = *b"HWRUNS\r\n";
/// The file's name.
pub(super) const NAME: &str = "MANIFEST";
/// Its name until it counts.
const DRAFT: &str = "MANIFEST.new";
/// Bytes of the longest manifest: half a million runs.
const BYTES_MAX: u64 = 32 << 20;
/// Bytes of the longest marker.
pub(super) const MARKER_BYTES_MAX: usize = 1 << 20;

/// What the store has at one moment. It never changes; the next moment is another one.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub(super) marker: Vec<u8>,
    pub(super) history: History,
    /// The runs of each family, from oldest to newest.
    pub(super) runs: [Vec<Arc<Run>>; Family::COUNT],
}

/// Which heights the history is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    /// It is complete for the heights after `low`, up to and with `high`.
    pub(super) heights: Heights,
    /// Whether some of it was there ever; until then the heights mean nothing.
    pub(super) begun: bool,
    /// What is not needed any more; `None` if all of it always will be.
    pub(super) drop_below: Option<u64>,
}

impl Lists {
    pub(super) fn of(&self, family: Family) -> &[Arc<Run>] {
        &self.runs[family as usize]
    }

    pub(super) fn of_mut(&mut self, family: Family) -> &mut Vec<Arc<Run>> {
        &mut self.runs[family as usize]
    }

    fn encode(&self, next_id: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(next_id.to_le_bytes());
        bytes.extend(short(self.marker.len()).to_le_bytes());
        bytes.extend_from_slice(&self.marker);
        let history = &self.history;
        put_heights(&mut bytes, history.heights);
        bytes.push(u8::from(history.begun));
        bytes.push(u8::from(history.drop_below.is_some()));
        bytes.extend(history.drop_below.unwrap_or_default().to_le_bytes());
        for runs in &self.runs {
            bytes.extend(short(runs.len()).to_le_bytes());
            runs.iter()
                .for_each(|run| put_entry(&mut bytes, &run.entry));
        }
        bytes.extend(hash(&bytes).to_le_bytes());
        bytes
    }
}

fn put_heights(bytes: &mut Vec<u8>, heights: Heights) {
    bytes.extend(heights.low.to_le_bytes());
    bytes.extend(heights.high.to_le_bytes());
}

fn put_entry(bytes: &mut Vec<u8>, entry: &RunEntry) {
    bytes.push(entry.tier);
    for number in [entry.id, entry.rows, entry.bytes] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(entry.footer_offset.to_le_bytes());
    bytes.extend(entry.footer_checksum.to_le_bytes());
    put_heights(bytes, entry.heights);
}

/// Makes the lists count, durably. Nobody else may write a manifest meanwhile.
pub(super) fn store(disk: &Disk, lists: &Lists, next_id: u64) -> Result<(), RunsError> {
    let mut draft = disk.create(DRAFT)?;
    draft.append(&lists.encode(next_id))?;
    draft.sync()?;
    disk.sync_directory()?;
    disk.rename(DRAFT, NAME)?;
    disk.sync_directory()?;
    Ok(())
}

/// Makes the store one of nothing, durably; no id is given again. The files go when it is opened next.
pub(super) fn forget(disk: &Disk) -> Result<(), RunsError> {
    let (_, next_id) = load(disk)?;
    store(disk, &Lists::default(), next_id)
}

/// What the manifest says, and the first id that no run ever had.
pub(super) fn load(disk: &Disk) -> Result<(Lists, u64), RunsError> {
    let names = disk.list()?;
    if !names.iter().any(|name| name == NAME) {
        if names.iter().any(|name| is_run(name)) {
            return Err(corrupt(NAME, 0, "the file is missing"));
        }
        let lists = Lists::default();
        store(disk, &lists, 0)?;
        return Ok((lists, 0));
    }
    let told = Told::decode(&read(disk)?)?;
    let mut lists = Lists {
        marker: told.marker,
        history: told.history,
        ..Lists::default()
    };
    for (family, entries) in Family::ALL.into_iter().zip(told.entries) {
        let runs = entries
            .into_iter()
            .map(|entry| Run::open(disk, family, entry));
        let runs: Result<Vec<_>, _> = runs.map(|run| run.map(Arc::new)).collect();
        *lists.of_mut(family) = runs?;
    }
    sweep(disk, &names, &lists)?;
    Ok((lists, told.next_id))
}

/// Deletes what a commit or a merge that did not end left behind.
fn sweep(disk: &Disk, names: &[String], lists: &Lists) -> Result<(), RunsError> {
    let runs = lists.runs.iter().flatten();
    let used: std::collections::HashSet<_> = runs.map(|run| run.name()).collect();
    for name in names {
        if name == DRAFT || is_run(name) && !used.contains(&name[..]) {
            disk.delete(name)?;
        }
    }
    Ok(())
}

fn read(disk: &Disk) -> Result<Vec<u8>, RunsError> {
    let read_file = |file: File| {
        let len = file.len()?;
        let mut bytes = vec![0; narrow(len.min(BYTES_MAX + 1))];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    };
    let bytes = disk.open(NAME).and_then(read_file);
    let bytes = bytes.map_err(|error| unreadable(NAME, 0, error))?;
    if wide(bytes.len()) > BYTES_MAX {
        return Err(corrupt(NAME, BYTES_MAX, "the file is too long"));
    }
    Ok(bytes)
}

/// What a manifest says.
struct Told {
    next_id: u64,
    marker: Vec<u8>,
    history: History,
    entries: [Vec<RunEntry>; Family::COUNT],
}

impl Told {
    fn decode(bytes: &[u8]) -> Result<Self, RunsError> {
        let mut unread = Unread(bytes);
        if unread.take(MAGIC.len()) != Some(&MAGIC) {
            return Err(corrupt(NAME, 0, "this is no manifest"));
        }
        let ends_early = || corrupt(NAME, wide(bytes.len()), "the file ends early");
        let version = unread.u32().ok_or_else(ends_early)?;
        if version != VERSION {
            return Err(RunsError::WrongVersion {
                stored: version,
                supported: VERSION,
            });
        }
        let (body, checksum) = unread.0.split_last_chunk().ok_or_else(ends_early)?;
        let (covered, _) = bytes.split_at(bytes.len() - checksum.len());
        if hash(covered) != u64::from_le_bytes(*checksum) {
            return Err(corrupt(NAME, 0, "wrong checksum"));
        }
        let mut unread = Unread(body);
        let told = Self::decode_body(&mut unread);
        let told = told.filter(|_| unread.0.is_empty());
        told.ok_or_else(|| corrupt(NAME, 12, "it makes no sense"))
    }

    fn decode_body(unread: &mut Unread<'_>) -> Option<Self> {
        let next_id = unread.u64()?;
        let marker = usize::try_from(unread.u32()?).ok()?;
        let marker = unread.take(marker)?.to_vec();
        let heights = read_heights(unread)?;
        let begun = unread.u8()? == 1;
        let drops = unread.u8()? == 1;
        let drop_below = Some(unread.u64()?).filter(|_| drops);
        let mut entries = <[Vec<RunEntry>; Family::COUNT]>::default();
        for entries in &mut entries {
            let runs = 0..unread.u32()?;
            *entries = runs.map(|_| read_entry(unread)).collect::<Option<_>>()?;
        }
        let known = entries.iter().flatten().all(|entry| entry.id < next_id);
        known.then_some(Self {
            next_id,
            marker,
            history: History {
                heights,
                begun,
                drop_below,
            },
            entries,
        })
    }
}

fn read_heights(unread: &mut Unread<'_>) -> Option<Heights> {
    Some(Heights {
        low: unread.u64()?,
        high: unread.u64()?,
    })
}

fn read_entry(unread: &mut Unread<'_>) -> Option<RunEntry> {
    Some(RunEntry {
        tier: unread.u8()?,
        id: unread.u64()?,
        rows: unread.u64()?,
        bytes: unread.u64()?,
        footer_offset: unread.u64()?,
        footer_checksum: unread.u64()?,
        heights: read_heights(unread)?,
    })
}
