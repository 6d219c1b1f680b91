//! What the allocation remembers, as bytes in the ledger: one encoding for one state.
//!
//! ```text
//! shards u16 │ per shard, ascending: number u32 │ level u64 │ trend i64 │ idle u8 │ credit i32
//! ```
//! Rules are not in it: they are the chain's, and reading asks for them. Read are at most [`SHARDS_MAX`] shards.

use super::{AllocationRules, Allocator, SHARDS_MAX, fair::CREDIT_MAX, track::Track};
use bytes::BufMut;
use commonware_codec::{Buf, EncodeSize, Error, FixedSize, Read, ReadExt, Write};
use primitives::shard::ShardId;
use std::collections::BTreeMap;

impl Write for Allocator {
    fn write(&self, buf: &mut impl BufMut) {
        u16::try_from(self.tracks.len())
            .expect("a chain has few shards")
            .write(buf);
        for (shard, track) in &self.tracks {
            shard.write(buf);
            track.level.write(buf);
            track.trend.write(buf);
            track.idle.write(buf);
            track.credit.write(buf);
        }
    }
}

/// Bytes of a shard.
const TRACK_BYTES: usize = ShardId::SIZE + u64::SIZE + i64::SIZE + u8::SIZE + i32::SIZE;

impl EncodeSize for Allocator {
    fn encode_size(&self) -> usize {
        u16::SIZE.saturating_add(self.tracks.len().saturating_mul(TRACK_BYTES))
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
        let mut tracks = BTreeMap::new();
        for _ in 0..shards {
            let shard = ShardId::read(buf)?;
            let last = tracks.last_key_value();
            if last.is_some_and(|(last, _)| *last >= shard) {
                return Err(invalid("shards do not ascend"));
            }
            tracks.insert(shard, read_track(buf)?);
        }
        Ok(Self {
            rules: *rules,
            tracks,
        })
    }
}

fn read_track(buf: &mut impl Buf) -> Result<Track, Error> {
    let (level, trend) = (u64::read(buf)?, i64::read(buf)?);
    let (idle, credit) = (u8::read(buf)?, i32::read(buf)?);
    if credit.unsigned_abs() > CREDIT_MAX.unsigned_abs() {
        return Err(Error::Invalid("Allocator", "credit"));
    }
    Ok(Track {
        level,
        trend,
        idle,
        credit,
    })
}
