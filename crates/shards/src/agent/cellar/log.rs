//! The files of a cellar: sections to which records are appended, the oldest of which goes once nothing in it is
//! worth its room.
//!
//! ```text
//!  section 4 │ section 5 │ … │ section 9 ◀─ append, sync
//!      │  └── what is still needed is appended again, a little at a time ──▲
//!      └─ removed, once that is on disk
//! ```
//! Invariants: a record that was synced is found until nobody needs it, whenever the power fails; half of the bytes
//! at most are not needed. What was not synced may be lost, and is cut off when the files are opened.
//!
//! Limits: [`SECTION_BYTES`] a section, [`CARRY_BYTES`] appended again at a time, and `bytes_max` in all but for
//! what must be kept.

use super::{
    CellarFault,
    record::{Label, Record, RecordLimit, Slip},
};
use commonware_runtime::{ReadOptions, buffer::paged::CacheRef};
use commonware_storage::{
    Context,
    journal::{
        Error,
        segmented::oversized::{Config, Oversized},
    },
};
use primitives::shard::ShardId;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU16, NonZeroUsize},
};

/// Bytes after which a section is full.
const SECTION_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes that are appended again at a time.
const CARRY_BYTES: u64 = 2 * 1024 * 1024;
const PAGE_BYTES: NonZeroU16 = NonZeroU16::new(4_096).expect("a page is not empty");
/// Pages of slips in memory: they are read once.
const PAGES_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("a named limit is not zero");
const BUFFER_BYTES: NonZeroUsize = NonZeroUsize::new(256 * 1024).expect("a buffer is not empty");

/// Where a log is, and how large it may be.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    /// Prefix of its files.
    pub(crate) partition: String,
    /// Longest chunk or collation.
    pub(crate) limit: RecordLimit,
    /// Bytes in all, but for what must be kept.
    pub(crate) bytes_max: u64,
    /// Bytes after which a section is full.
    pub(crate) section_bytes: u64,
}

impl LogConfig {
    pub(crate) const fn new(partition: String, limit: RecordLimit, bytes_max: u64) -> Self {
        Self {
            partition,
            limit,
            bytes_max,
            section_bytes: SECTION_BYTES,
        }
    }
}

/// Whether a record is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Somebody relies on it.
    Must,
    /// As long as there is room.
    May,
    /// Nobody needs it any more.
    No,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: ShardId,
    pub(crate) number: u64,
    section: u64,
    offset: u64,
    size: u32,
}

/// A section that is about to be removed.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    section: u64,
    /// There is no room: only what must be kept is.
    forced: bool,
}

/// Files of records.
pub(crate) struct Log<E: Context> {
    journal: Oversized<E, Slip, Record>,
    config: LogConfig,
    places: BTreeMap<Label, Place>,
    /// Bytes of each section, with those that are not needed.
    sections: BTreeMap<u64, u64>,
    newest: u64,
    /// Sections with what is not synced.
    unsynced: BTreeSet<u64>,
    leaving: Option<Leaving>,
    /// A section has been filled or removed since it was looked at what to remove.
    stirred: bool,
}

/// Counts what is appended to a section.
fn add(sections: &mut BTreeMap<u64, u64>, section: u64, size: u32) {
    let bytes = sections.entry(section).or_default();
    *bytes = bytes.saturating_add(u64::from(size));
}

fn unopened(error: &Error) -> CellarFault {
    CellarFault::Open {
        error: error.to_string(),
    }
}

fn unwritten(error: &Error) -> CellarFault {
    CellarFault::Write {
        error: error.to_string(),
    }
}

impl<E: Context> Log<E> {
    /// Opens the files, or makes them. What was not synced before is cut off.
    pub(crate) async fn open(runtime: E, config: LogConfig) -> Result<Self, CellarFault> {
        let partition = &config.partition;
        let files = Config {
            index_partition: format!("{partition}-slips"),
            value_partition: format!("{partition}-records"),
            index_page_cache: CacheRef::new(PAGE_BYTES, PAGES_MAX),
            index_write_buffer: BUFFER_BYTES,
            value_write_buffer: BUFFER_BYTES,
            replay_buffer: BUFFER_BYTES,
            compression: None,
            codec_config: config.limit,
        };
        let journal = Oversized::<E, Slip, Record>::init(runtime, files).await;
        let journal = journal.map_err(|error| unopened(&error))?;
        let replay = journal.replay(0, 0, BUFFER_BYTES, ReadOptions::default());
        let mut replay = replay.await.map_err(|error| unopened(&error))?;
        let (mut places, mut sections) = (BTreeMap::new(), BTreeMap::new());
        while let Some(next) = replay.next().await {
            let (section, _, slip) = next.map_err(|error| unopened(&error))?;
            add(&mut sections, section, slip.size);
            // What was appended again counts where it is now.
            places.insert(slip.label, place_in(section, &slip));
        }
        let journal = replay.finish().map_err(|error| unopened(&error))?;
        Ok(Self {
            newest: sections.keys().next_back().copied().unwrap_or_default(),
            journal,
            config,
            places,
            sections,
            unsynced: BTreeSet::new(),
            leaving: None,
            stirred: true,
        })
    }

    /// What there is.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&Label, &Place)> {
        self.places.iter()
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.sections.values().sum()
    }

    /// Adds a record, unless it is there. It is on disk after the next [`Self::sync`].
    pub(crate) async fn put(self, record: &Record) -> Result<Self, CellarFault> {
        let slip = Slip::of(record);
        match self.places.contains_key(&slip.label) {
            true => Ok(self),
            false => self.append(slip, record).await,
        }
    }

    async fn append(mut self, slip: Slip, record: &Record) -> Result<Self, CellarFault> {
        let filled = self.sections.get(&self.newest);
        if filled.is_some_and(|bytes| *bytes >= self.config.section_bytes) {
            self.newest = self.newest.saturating_add(1);
            self.stirred = true;
        }
        let section = self.newest;
        let appended = self.journal.append(section, slip.clone(), record).await;
        let (journal, _, offset, size) = appended.map_err(|error| unwritten(&error))?;
        self.journal = journal;
        let place = Place {
            shard: slip.shard,
            number: slip.number,
            section,
            offset,
            size,
        };
        self.places.insert(slip.label, place);
        add(&mut self.sections, section, size);
        self.unsynced.insert(section);
        Ok(self)
    }

    /// Has everything that was added on disk.
    pub(crate) async fn sync(mut self) -> Result<Self, CellarFault> {
        if self.unsynced.is_empty() {
            return Ok(self);
        }
        let synced = self.journal.sync(self.unsynced.clone()).await;
        self.journal = synced.map_err(|error| unwritten(&error))?;
        self.unsynced.clear();
        Ok(self)
    }

    /// Reads a record. One that can't be read is there no more.
    pub(crate) async fn get(&mut self, label: &Label) -> Option<Record> {
        let place = *self.places.get(label)?;
        let read = self
            .journal
            .get_value(place.section, place.offset, place.size);
        match read.await {
            Ok(record) if record.label() == *label => Some(record),
            Ok(_) => self.lose(label, &"another record is in its place"),
            Err(error) => self.lose(label, &error),
        }
    }

    fn lose(&mut self, label: &Label, error: &dyn std::fmt::Display) -> Option<Record> {
        let candidate = label.candidate;
        tracing::error!(%candidate, kind = ?label.kind, %error, "a record of shards on disk can't be read");
        self.places.remove(label);
        None
    }

    /// Goes a step towards removing the oldest section, if it is not worth its room.
    pub(crate) async fn prune(
        mut self,
        need: impl Fn(&Label, &Place) -> Need + Send + Sync,
    ) -> Result<Self, CellarFault> {
        if self.leaving.is_none() && self.stirred {
            self.stirred = false;
            self.leaving = self.worthless(&need);
        }
        let Some(leaving) = self.leaving else {
            return Ok(self);
        };
        let is_needed = |label: &Label, place: &Place| match need(label, place) {
            Need::Must => true,
            Need::May => !leaving.forced,
            Need::No => false,
        };
        let inside = self.places.iter();
        let inside: Vec<(Label, Place, bool)> = inside
            .filter(|(_, place)| place.section == leaving.section)
            .map(|(label, place)| (*label, *place, is_needed(label, place)))
            .collect();
        let mut carried = 0_u64;
        for (label, place, needed) in inside {
            if !needed {
                self.places.remove(&label);
                continue;
            }
            if carried >= CARRY_BYTES {
                return Ok(self);
            }
            carried = carried.saturating_add(u64::from(place.size));
            if let Some(record) = self.get(&label).await {
                self = self.append(Slip::of(&record), &record).await?;
            }
        }
        self.remove(leaving.section).await
    }

    /// Removes a section whose needed records have been appended again.
    async fn remove(mut self, section: u64) -> Result<Self, CellarFault> {
        self = self.sync().await?;
        let pruned = self.journal.prune(section.saturating_add(1)).await;
        let (journal, _) = pruned.map_err(|error| unwritten(&error))?;
        self.journal = journal;
        self.sections.remove(&section);
        self.leaving = None;
        self.stirred = true;
        Ok(self)
    }

    /// The oldest section, if all of them are too large, or half of them is not needed.
    fn worthless(&self, need: &impl Fn(&Label, &Place) -> Need) -> Option<Leaving> {
        let section = self.sections.keys().next().copied();
        let section = section.filter(|section| *section != self.newest)?;
        let total = self.bytes();
        let (mut needed, mut relied_on) = (0_u64, 0_u64);
        for (label, place) in &self.places {
            let bytes = u64::from(place.size);
            match need(label, place) {
                Need::Must => relied_on = relied_on.saturating_add(bytes),
                Need::May => needed = needed.saturating_add(bytes),
                Need::No => {}
            }
        }
        let needed = needed.saturating_add(relied_on);
        // Only if it pays: what is appended again takes as much room as before.
        let forced = total > self.config.bytes_max && relied_on.saturating_mul(2) < total;
        let idle = needed.saturating_mul(2) < total;
        (forced || idle).then_some(Leaving { section, forced })
    }
}

const fn place_in(section: u64, slip: &Slip) -> Place {
    Place {
        shard: slip.shard,
        number: slip.number,
        section,
        offset: slip.offset,
        size: slip.size,
    }
}
