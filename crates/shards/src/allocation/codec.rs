//! The allocation's bytes in the ledger: one encoding for one state.
//!
//! ```text
//! shards u16 │ per shard, ascending: number u32 │ level u64 │ trend i64 │ idle u8 │ credit i32 │
//!                                    cores u16 │ core u16, ascending …
//! ```
//! Rules are not in it: they are the chain's, and reading asks for them. Read are at most [`SHARDS_MAX`] shards
//! and the cores of the rules, none of them twice.

use super::{AllocationRules, Allocator, SHARDS_MAX, fair::CREDIT_MAX, track::Track};
use bytes::BufMut;
use commonware_codec::{Buf, EncodeSize, Error, FixedSize, Read, ReadExt, Write};
use primitives::shard::ShardId;
use std::collections::{BTreeMap, BTreeSet};

impl Write for Allocator {
    fn write(&self, buf: &mut impl BufMut) {
        count(self.tracks.len()).write(buf);
        for (shard, track) in &self.tracks {
            shard.write(buf);
            track.level.write(buf);
            track.trend.write(buf);
            track.idle.write(buf);
            track.credit.write(buf);
            count(track.cores.len()).write(buf);
            for core in &track.cores {
                core.write(buf);
            }
        }
    }
}

/// Bytes of a shard without its cores.
const TRACK_BYTES: usize = ShardId::SIZE + u64::SIZE + i64::SIZE + u8::SIZE + i32::SIZE + u16::SIZE;

impl EncodeSize for Allocator {
    fn encode_size(&self) -> usize {
        let cores = self.tracks.values().map(|track| track.cores.len());
        let cores = cores.fold(0, usize::saturating_add);
        let tracks = self.tracks.len().saturating_mul(TRACK_BYTES);
        u16::SIZE
            .saturating_add(tracks)
            .saturating_add(cores.saturating_mul(u16::SIZE))
    }
}

impl Read for Allocator {
    type Cfg = AllocationRules;
    fn read_cfg(buf: &mut impl Buf, rules: &AllocationRules) -> Result<Self, Error> {
        let invalid = |why| Error::Invalid("Allocator", why);
        rules.check().map_err(|_| invalid("rules"))?;
        let shards = usize::from(u16::read(buf)?);
        if shards > SHARDS_MAX {
            return Err(Error::InvalidLength(shards));
        }
        let (mut tracks, mut taken) = (BTreeMap::new(), BTreeSet::new());
        for _ in 0..shards {
            let shard = ShardId::read(buf)?;
            if tracks
                .last_key_value()
                .is_some_and(|(last, _)| *last >= shard)
            {
                return Err(invalid("shards do not ascend"));
            }
            let track = read_track(buf, rules.cores)?;
            if !track.cores.iter().all(|core| taken.insert(*core)) {
                return Err(invalid("a core is held twice"));
            }
            tracks.insert(shard, track);
        }
        Ok(Self {
            rules: *rules,
            tracks,
        })
    }
}

fn read_track(buf: &mut impl Buf, cores_max: u16) -> Result<Track, Error> {
    let (level, trend) = (u64::read(buf)?, i64::read(buf)?);
    let (idle, credit) = (u8::read(buf)?, i32::read(buf)?);
    if credit.unsigned_abs() > CREDIT_MAX.unsigned_abs() {
        return Err(Error::Invalid("Allocator", "credit"));
    }
    let held = u16::read(buf)?;
    if held > cores_max {
        return Err(Error::InvalidLength(usize::from(held)));
    }
    let cores = (0..held)
        .map(|_| u16::read(buf))
        .collect::<Result<Vec<_>, _>>()?;
    let ascend = cores.is_sorted_by(|one, next| one < next);
    if !ascend || cores.last().is_some_and(|core| *core >= cores_max) {
        return Err(Error::Invalid("Allocator", "cores do not ascend"));
    }
    Ok(Track {
        level,
        trend,
        idle,
        credit,
        cores,
        target: held,
    })
}

fn count(length: usize) -> u16 {
    u16::try_from(length).expect("shards and cores are at most 1,024")
}
