//! Whose the cores are, at every height that a schedule may name, and what moves them.
//!
//! ```text
//! a window's blocks ─▶ Seen, by shard ─▶ Observation ─▶ Allocator ─▶ the newest assignment
//!   height   … 28    29    30    31 │ 32    33    34 …
//!   core 1    ── shard A ────────── │ ── shard B ────
//!                     └ scheduled here: backed until 33, though the core is B's     (schedule window: 4)
//! ```
//! An assignment holds for the schedules of its heights, whenever their candidates are backed. A core that changes
//! hands keeps what is pending on it, and that counts against its limits until it is final or gone. So a core never
//! has more pending than its limits allow, whoever's they are, and all together never more than there are places.
//!
//! On a chain that names no number of cores, every shard keeps those that it was created with.
//!
//! Limits: one assignment for each height that a schedule may name, at most; [`CORES_MAX`] cores in each.

use super::{
    Ledger, LedgerEvent, LedgerRules, Segment, Status,
    rules::{CORES_MAX, SHARDS_MAX},
};
use crate::allocation::{AllocationRules, Allocator, Observation};
use bytes::BufMut;
use commonware_codec::{Buf, Error, Read, ReadExt, Write};
use primitives::shard::ShardId;
use std::collections::{BTreeMap, VecDeque};

/// Whose each core is, from one height on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Assignment {
    since: u64,
    owners: Vec<Option<ShardId>>,
}

/// What a window's blocks have said of a shard so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    gas_used: u64,
    gas_limit: u64,
    backed: u32,
    possible: u32,
    missed: u32,
}

/// Whose the cores are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    /// By height, the newest last; never empty.
    assignments: VecDeque<Assignment>,
    /// None where cores stay.
    allocator: Option<Allocator>,
    seen: BTreeMap<ShardId, Seen>,
}

fn allocation(rules: &LedgerRules) -> Option<AllocationRules> {
    rules.cores.map(AllocationRules::standard)
}

impl Cores {
    pub(super) fn new(rules: &LedgerRules) -> Self {
        let allocator = allocation(rules).and_then(|rules| Allocator::new(rules).ok());
        let owners = vec![None; rules.cores.map_or(0, usize::from)];
        Self {
            assignments: [Assignment { since: 0, owners }].into(),
            allocator,
            seen: BTreeMap::new(),
        }
    }

    /// Whose each core is now.
    pub(super) fn owners(&self) -> &[Option<ShardId>] {
        self.assignments.back().map_or(&[], |one| &one.owners)
    }

    /// Whose each core was for schedules of a height; of one that is forgotten, those of the oldest that is not.
    pub(super) fn at(&self, height: u64) -> &[Option<ShardId>] {
        let mut newest_first = self.assignments.iter().rev();
        let then = newest_first.find(|one| one.since <= height);
        let then = then.or_else(|| self.assignments.front());
        then.map_or(&[], |one| &one.owners)
    }

    /// Whose a core was for schedules of a height.
    pub(super) fn owner(&self, core: u16, height: u64) -> Option<ShardId> {
        self.at(height).get(usize::from(core)).copied().flatten()
    }

    /// How many a shard has now.
    pub(super) fn count(&self, shard: ShardId) -> usize {
        let owned = self.owners().iter().flatten();
        owned.filter(|owner| **owner == shard).count()
    }

    /// What is remembered of loads.
    #[cfg(test)]
    pub(super) fn memory(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(allocator) = &self.allocator {
            allocator.write(&mut bytes);
        }
        for (shard, seen) in &self.seen {
            shard.write(&mut bytes);
            seen.write(&mut bytes);
        }
        bytes
    }

    /// From this height on they are these shards'.
    pub(super) fn assign(&mut self, since: u64, owners: Vec<Option<ShardId>>) {
        if owners == self.owners() {
            return;
        }
        self.assignments.retain(|one| one.since != since);
        self.assignments.push_back(Assignment { since, owners });
    }

    /// Makes a shard's cores free from a height on.
    pub(super) fn free(&mut self, since: u64, shard: ShardId) {
        let keep = |owner: &Option<ShardId>| owner.filter(|one| *one != shard);
        let owners = self.owners().iter().map(keep).collect();
        self.assign(since, owners);
        self.seen.remove(&shard);
    }

    /// Forgets what no schedule of this height or a later one needs.
    fn forget(&mut self, oldest: u64) {
        while self
            .assignments
            .get(1)
            .is_some_and(|next| next.since <= oldest)
        {
            self.assignments.pop_front();
        }
    }

    /// A candidate was backed.
    pub(super) fn saw_backed(&mut self, shard: ShardId, gas_used: u64, gas_limit: u64) {
        if self.allocator.is_none() {
            return;
        }
        let seen = self.seen.entry(shard).or_default();
        seen.backed = seen.backed.saturating_add(1);
        seen.gas_used = seen.gas_used.saturating_add(gas_used);
        seen.gas_limit = seen.gas_limit.saturating_add(gas_limit);
    }

    fn saw_events<'a>(&mut self, events: impl Iterator<Item = &'a LedgerEvent>) {
        for event in events {
            if let LedgerEvent::Discarded(named, _) = event {
                let seen = self.seen.entry(named.shard).or_default();
                seen.missed = seen.missed.saturating_add(1);
            }
        }
    }
}

impl Ledger {
    /// Whose a core is for schedules of a height that candidates may still name.
    #[must_use]
    pub fn core_owner(&self, core: u16, height: u64) -> Option<ShardId> {
        self.cores.owner(core, height)
    }

    /// How many cores a shard has now.
    #[must_use]
    pub fn cores_of(&self, shard: ShardId) -> usize {
        self.cores.count(shard)
    }

    /// Notes what a block's votes and time did to candidates, and what could be backed after that.
    pub(super) fn observe<'a>(&mut self, events: impl Iterator<Item = &'a LedgerEvent>) {
        if self.cores.allocator.is_none() {
            return;
        }
        self.cores.saw_events(events);
        let possible: Vec<(ShardId, u32)> = self
            .shards
            .values()
            .filter(|segment| segment.status == Status::Active)
            .map(|segment| (segment.shard, self.possible(segment)))
            .collect();
        for (shard, possible) in possible {
            let seen = self.cores.seen.entry(shard).or_default();
            seen.possible = seen.possible.saturating_add(possible);
        }
    }

    /// Candidates of a shard that could be backed now. A core counts once every legal schedule may name it.
    fn possible(&self, segment: &Segment) -> u32 {
        let oldest = self.height.saturating_sub(self.rules.schedule_window);
        let shard = Some(segment.shard);
        let cores = (0_u16..).zip(self.cores.owners());
        let free = cores.filter(|(core, owner)| {
            **owner == shard && self.cores.owner(*core, oldest) == shard && !self.is_full(*core)
        });
        let room = self.room(segment).saturating_sub(segment.pending.len());
        u32::try_from(free.count().min(room)).unwrap_or(u32::MAX)
    }

    /// Most candidates of a shard that may be pending, by the cores that it has now.
    pub(super) fn room(&self, segment: &Segment) -> usize {
        let cores = self.cores.count(segment.shard);
        usize::from(self.rules.segment_max).saturating_mul(cores)
    }

    /// Whether a core has as many candidates as it may, whoever's they are: of those that wait for their chunks, or
    /// of all.
    pub(super) fn is_full(&self, core: u16) -> bool {
        let (mut waiting, mut all) = (0_usize, 0_usize);
        for pending in self.pending() {
            if pending.envelope.schedule.core == core {
                all = all.saturating_add(1);
                waiting = waiting.saturating_add(usize::from(!pending.is_included()));
            }
        }
        waiting >= usize::from(self.rules.core_depth) || all >= usize::from(self.rules.segment_max)
    }

    /// The end of a relay block: at the end of a window cores go where the load is.
    pub(super) fn allocate(&mut self) -> Vec<LedgerEvent> {
        let oldest = self.height.saturating_sub(self.rules.schedule_window);
        self.cores.forget(oldest);
        let ends = self.height.checked_rem(self.rules.allocation_blocks) == Some(0);
        let Some(allocator) = self.cores.allocator.as_mut().filter(|_| ends) else {
            return Vec::new();
        };
        let blocks = self.rules.allocation_blocks;
        let living = self.shards.values();
        let living = living.filter(|segment| segment.status != Status::Retired);
        let observations: Vec<(ShardId, Observation)> = living
            .map(|segment| {
                let seen = self.cores.seen.get(&segment.shard).copied();
                let at = (self.height, blocks);
                (segment.shard, seen.unwrap_or_default().of(segment, at))
            })
            .collect();
        let before = match self.cores.assignments.back() {
            Some(newest) => newest.owners.clone(),
            None => Vec::new(),
        };
        let after = allocator.window(&before, &observations);
        self.cores.seen.clear();
        let moves = (0_u16..).zip(before.iter().zip(&after));
        let moves = moves.filter(|(_, (from, to))| from != to);
        let moves = moves.map(|(core, (from, to))| LedgerEvent::Moved {
            core,
            from: *from,
            to: *to,
        });
        let moves = moves.collect();
        self.cores.assign(self.height, after);
        moves
    }
}

impl Seen {
    /// What it says to the allocation, of a shard in a window of so many blocks that ends at a height.
    fn of(self, segment: &Segment, (height, blocks): (u64, u64)) -> Observation {
        let terms = &segment.terms;
        Observation {
            cores_max: match segment.status {
                Status::Active => terms.cores_max,
                Status::Paused | Status::Retired => 0,
            },
            core_gas: segment.gas_limit_at(height).saturating_mul(blocks),
            gas_used: self.gas_used,
            gas_limit: self.gas_limit,
            backed: self.backed,
            possible: self.possible,
            missed: self.missed,
        }
    }
}

fn write_length(length: usize, buf: &mut impl BufMut) {
    u16::try_from(length)
        .expect("there are few cores, shards and heights that schedules may name")
        .write(buf);
}

fn read_length(buf: &mut impl Buf, max: usize) -> Result<usize, Error> {
    let length = usize::from(u16::read(buf)?);
    if length > max {
        return Err(Error::InvalidLength(length));
    }
    Ok(length)
}

impl Write for Assignment {
    fn write(&self, buf: &mut impl BufMut) {
        self.since.write(buf);
        write_length(self.owners.len(), buf);
        for owner in &self.owners {
            owner.write(buf);
        }
    }
}

impl Read for Assignment {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let since = u64::read(buf)?;
        let count = read_length(buf, CORES_MAX)?;
        let owners = (0..count).map(|_| Option::<ShardId>::read(buf));
        Ok(Self {
            since,
            owners: owners.collect::<Result<_, _>>()?,
        })
    }
}

impl Write for Seen {
    fn write(&self, buf: &mut impl BufMut) {
        self.gas_used.write(buf);
        self.gas_limit.write(buf);
        self.backed.write(buf);
        self.possible.write(buf);
        self.missed.write(buf);
    }
}

impl Read for Seen {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            gas_used: u64::read(buf)?,
            gas_limit: u64::read(buf)?,
            backed: u32::read(buf)?,
            possible: u32::read(buf)?,
            missed: u32::read(buf)?,
        })
    }
}

impl Write for Cores {
    fn write(&self, buf: &mut impl BufMut) {
        write_length(self.assignments.len(), buf);
        for assignment in &self.assignments {
            assignment.write(buf);
        }
        if let Some(allocator) = &self.allocator {
            allocator.write(buf);
            write_length(self.seen.len(), buf);
            for (shard, seen) in &self.seen {
                shard.write(buf);
                seen.write(buf);
            }
        }
    }
}

impl Read for Cores {
    type Cfg = LedgerRules;
    fn read_cfg(buf: &mut impl Buf, rules: &LedgerRules) -> Result<Self, Error> {
        let invalid = |why| Err(Error::Invalid("Cores", why));
        // Those of the legal heights, and the one in force at the first of them.
        let heights = usize::try_from(rules.schedule_window).unwrap_or(usize::MAX);
        let count = read_length(buf, heights.saturating_add(2))?;
        let assignments = (0..count).map(|_| Assignment::read(buf));
        let assignments: VecDeque<Assignment> = assignments.collect::<Result<_, _>>()?;
        let mut pairs = assignments.iter().zip(assignments.iter().skip(1));
        if assignments.is_empty() || !pairs.all(|(one, next)| one.since < next.since) {
            return invalid("assignments do not follow each other");
        }
        let mut cores = Self {
            assignments,
            allocator: None,
            seen: BTreeMap::new(),
        };
        let Some(allocation) = allocation(rules) else {
            return Ok(cores);
        };
        let mut lengths = cores.assignments.iter().map(|one| one.owners.len());
        if !lengths.all(|length| length == usize::from(allocation.cores)) {
            return invalid("there are other cores than the chain's");
        }
        cores.allocator = Some(Allocator::read_cfg(buf, &allocation)?);
        for _ in 0..read_length(buf, SHARDS_MAX)? {
            let shard = ShardId::read(buf)?;
            let last = cores.seen.last_key_value();
            if last.is_some_and(|(last, _)| *last >= shard) {
                return invalid("shards are out of order");
            }
            cores.seen.insert(shard, Seen::read(buf)?);
        }
        Ok(cores)
    }
}
