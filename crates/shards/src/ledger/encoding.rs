//! The encoding of a ledger: what its digest covers, what a node keeps across restarts, and what a joining node
//! takes from peers. Reading one proves nothing; its digest does.

use super::{
    Approval, Asked, Ledger, LedgerRules, Moment, OFFENCES_MAX, Offence, OffenceKind, Penalties,
    Pending, Segment, ShardHead, ShardTerms, Status, Upgrade, cores::Cores, rules,
};
use alloy_primitives::{B256, Bytes};
use bytes::BufMut;
use commonware_codec::{Buf, EncodeSize, Error, FixedSize as _, Read, ReadExt, Write};
use primitives::{
    codec,
    crypto::PublicKey,
    limits::CHARTER_BYTES_MAX,
    shard::{Bits, CandidateId, Envelope, ShardId},
};
use std::{collections::VecDeque, sync::Arc};

const VERSION: u8 = 4;

/// A list with its length in front.
fn write_list<'a, T: Write + 'a>(
    items: impl ExactSizeIterator<Item = &'a T>,
    buf: &mut impl BufMut,
) {
    write_length(items.len(), buf);
    for item in items {
        item.write(buf);
    }
}

pub(super) fn write_length(length: usize, buf: &mut impl BufMut) {
    u32::try_from(length)
        .expect("every list of a ledger has a small limit")
        .write(buf);
}

pub(super) fn read_length(buf: &mut impl Buf, max: usize) -> Result<usize, Error> {
    let length = usize::try_from(u32::read(buf)?).map_err(|_| Error::InvalidUsize)?;
    if length > max {
        return Err(Error::InvalidLength(length));
    }
    Ok(length)
}

fn read_list<T: Read<Cfg = ()>, C: FromIterator<T>>(
    buf: &mut impl Buf,
    max: usize,
) -> Result<C, Error> {
    let length = read_length(buf, max)?;
    (0..length).map(|_| T::read(buf)).collect()
}

fn write_charter(charter: &Bytes, buf: &mut impl BufMut) {
    write_length(charter.len(), buf);
    buf.put_slice(charter);
}

fn read_charter(buf: &mut impl Buf) -> Result<Bytes, Error> {
    let length = read_length(buf, CHARTER_BYTES_MAX)?;
    if buf.remaining() < length {
        return Err(Error::EndOfBuffer);
    }
    Ok(buf.copy_to_bytes(length).into())
}

/// A hash, as an item of a list.
struct Word(B256);

impl Write for Word {
    fn write(&self, buf: &mut impl BufMut) {
        codec::write_b256(&self.0, buf);
    }
}

impl Read for Word {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        codec::read_b256(buf).map(Self)
    }
}

fn write_ring(ring: &VecDeque<B256>, buf: &mut impl BufMut) {
    write_length(ring.len(), buf);
    for digest in ring {
        codec::write_b256(digest, buf);
    }
}

fn read_ring(buf: &mut impl Buf) -> Result<VecDeque<B256>, Error> {
    let max = usize::try_from(rules::WINDOW_MAX).unwrap_or(usize::MAX);
    let words: Vec<Word> = read_list(buf, max)?;
    Ok(words.into_iter().map(|word| word.0).collect())
}

impl Write for Approval {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::All => 0_u8.write(buf),
            Self::Sampled {
                checkers,
                seed_blocks,
                no_show_ms,
            } => {
                1_u8.write(buf);
                checkers.write(buf);
                seed_blocks.write(buf);
                no_show_ms.write(buf);
            }
        }
    }
}

impl Read for Approval {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        match u8::read(buf)? {
            0 => Ok(Self::All),
            1 => Ok(Self::Sampled {
                checkers: u16::read(buf)?,
                seed_blocks: u64::read(buf)?,
                no_show_ms: u64::read(buf)?,
            }),
            other => Err(Error::InvalidEnum(other)),
        }
    }
}

impl Write for LedgerRules {
    fn write(&self, buf: &mut impl BufMut) {
        self.validators.write(buf);
        self.group_size.write(buf);
        self.cores.write(buf);
        self.allocation_blocks.write(buf);
        self.rotation_blocks.write(buf);
        self.segment_max.write(buf);
        self.core_depth.write(buf);
        self.anchor_window.write(buf);
        self.schedule_window.write(buf);
        self.vote_window.write(buf);
        self.availability_ms.write(buf);
        self.approval_ms.write(buf);
        self.deadline_blocks.write(buf);
        self.clock_drift_ms.write(buf);
        self.collation_bytes_max.write(buf);
        self.approval.write(buf);
    }
}

impl Read for LedgerRules {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let rules = Self {
            validators: u16::read(buf)?,
            group_size: u16::read(buf)?,
            cores: Option::<u16>::read(buf)?,
            allocation_blocks: u64::read(buf)?,
            rotation_blocks: u64::read(buf)?,
            segment_max: u16::read(buf)?,
            core_depth: u16::read(buf)?,
            anchor_window: u64::read(buf)?,
            schedule_window: u64::read(buf)?,
            vote_window: u64::read(buf)?,
            availability_ms: u64::read(buf)?,
            approval_ms: u64::read(buf)?,
            deadline_blocks: u64::read(buf)?,
            clock_drift_ms: u64::read(buf)?,
            collation_bytes_max: u32::read(buf)?,
            approval: Approval::read(buf)?,
        };
        match rules.check() {
            Ok(()) => Ok(rules),
            Err(error) => Err(Error::Invalid("LedgerRules", error.must)),
        }
    }
}

impl Write for ShardTerms {
    fn write(&self, buf: &mut impl BufMut) {
        codec::write_b256(&self.genesis_hash, buf);
        codec::write_b256(&self.genesis_root, buf);
        self.genesis_ms.write(buf);
        codec::write_b256(&self.rules, buf);
        self.gas_limit.write(buf);
        write_list(self.collators.iter(), buf);
        write_charter(&self.charter, buf);
        self.cores_max.write(buf);
    }
}

impl Read for ShardTerms {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            genesis_hash: codec::read_b256(buf)?,
            genesis_root: codec::read_b256(buf)?,
            genesis_ms: u64::read(buf)?,
            rules: codec::read_b256(buf)?,
            gas_limit: u64::read(buf)?,
            collators: read_list::<PublicKey, _>(buf, rules::COLLATORS_MAX)?,
            charter: read_charter(buf)?,
            cores_max: u16::read(buf)?,
        })
    }
}

impl Write for ShardHead {
    fn write(&self, buf: &mut impl BufMut) {
        self.number.write(buf);
        codec::write_b256(&self.hash, buf);
        codec::write_b256(&self.state_root, buf);
        self.timestamp_ms.write(buf);
        self.anchor_height.write(buf);
    }
}

impl Read for ShardHead {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            number: u64::read(buf)?,
            hash: codec::read_b256(buf)?,
            state_root: codec::read_b256(buf)?,
            timestamp_ms: u64::read(buf)?,
            anchor_height: u64::read(buf)?,
        })
    }
}

impl Write for Moment {
    fn write(&self, buf: &mut impl BufMut) {
        self.height.write(buf);
        self.ms.write(buf);
    }
}

impl EncodeSize for Moment {
    fn encode_size(&self) -> usize {
        2 * u64::SIZE
    }
}

impl Read for Moment {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            height: u64::read(buf)?,
            ms: u64::read(buf)?,
        })
    }
}

impl Write for Pending {
    fn write(&self, buf: &mut impl BufMut) {
        self.sequence.write(buf);
        self.place.write(buf);
        self.envelope.write(buf);
        self.backers.write(buf);
        self.backed.write(buf);
        self.included.write(buf);
        self.held.write(buf);
        self.valid.write(buf);
        self.invalid.write(buf);
        self.asked.write(buf);
    }
}

impl Read for Pending {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let (sequence, place) = (u64::read(buf)?, u8::read(buf)?);
        let envelope = Envelope::read(buf)?;
        Ok(Self {
            sequence,
            place,
            candidate: envelope.descriptor.id(),
            envelope,
            backers: Bits::read(buf)?,
            backed: Moment::read(buf)?,
            included: Option::<Moment>::read(buf)?,
            held: Bits::read(buf)?,
            valid: Bits::read(buf)?,
            invalid: Bits::read(buf)?,
            asked: Asked::read(buf)?,
        })
    }
}

impl Write for Segment {
    fn write(&self, buf: &mut impl BufMut) {
        self.shard.write(buf);
        self.terms.write(buf);
        let status: u8 = match self.status {
            Status::Active => 0,
            Status::Paused => 1,
            Status::Retired => 2,
        };
        status.write(buf);
        self.upgrade.is_some().write(buf);
        if let Some(upgrade) = &self.upgrade {
            codec::write_b256(&upgrade.rules, buf);
            write_charter(&upgrade.charter, buf);
            upgrade.gas_limit.write(buf);
            upgrade.height.write(buf);
        }
        self.finalized.write(buf);
        write_list(self.pending.iter(), buf);
        self.penalties.write(buf);
    }
}

impl Read for Segment {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let shard = ShardId::read(buf)?;
        let terms = Arc::new(ShardTerms::read(buf)?);
        let status = match u8::read(buf)? {
            0 => Status::Active,
            1 => Status::Paused,
            2 => Status::Retired,
            other => return Err(Error::InvalidEnum(other)),
        };
        let upgrade = if bool::read(buf)? {
            Some(Upgrade {
                rules: codec::read_b256(buf)?,
                charter: read_charter(buf)?,
                gas_limit: u64::read(buf)?,
                height: u64::read(buf)?,
            })
        } else {
            None
        };
        let finalized = ShardHead::read(buf)?;
        let pending = read_list(buf, rules::PENDING_MAX)?;
        let penalties = Penalties::read(buf)?;
        Ok(Self {
            shard,
            terms,
            status,
            upgrade,
            finalized,
            pending,
            penalties,
        })
    }
}

impl Write for Offence {
    fn write(&self, buf: &mut impl BufMut) {
        self.epoch.write(buf);
        self.validator.write(buf);
        let kind: u8 = match self.kind {
            OffenceKind::Equivocation => 0,
            OffenceKind::BackedInvalid => 1,
            OffenceKind::ApprovedInvalid => 2,
            OffenceKind::Contradiction => 3,
            OffenceKind::FalseObjection => 4,
        };
        kind.write(buf);
        self.candidate.write(buf);
        self.height.write(buf);
    }
}

impl Read for Offence {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            epoch: u64::read(buf)?,
            validator: u16::read(buf)?,
            kind: match u8::read(buf)? {
                0 => OffenceKind::Equivocation,
                1 => OffenceKind::BackedInvalid,
                2 => OffenceKind::ApprovedInvalid,
                3 => OffenceKind::Contradiction,
                4 => OffenceKind::FalseObjection,
                other => return Err(Error::InvalidEnum(other)),
            },
            candidate: CandidateId::read(buf)?,
            height: u64::read(buf)?,
        })
    }
}

impl Write for Ledger {
    fn write(&self, buf: &mut impl BufMut) {
        VERSION.write(buf);
        self.rules.write(buf);
        self.epoch.write(buf);
        self.height.write(buf);
        self.timestamp_ms.write(buf);
        self.next_sequence.write(buf);
        self.orders_height.write(buf);
        write_ring(&self.anchors, buf);
        write_ring(&self.past, buf);
        codec::write_b256(&self.seed, buf);
        self.cores.write(buf);
        write_length(self.shards.len(), buf);
        for segment in self.shards.values() {
            segment.write(buf);
        }
        write_list(self.offences.iter(), buf);
        self.banned.write(buf);
        self.no_shows.write(buf);
    }
}

impl Read for Ledger {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        if u8::read(buf)? != VERSION {
            return Err(Error::Invalid("Ledger", "another version"));
        }
        let rules = Arc::new(LedgerRules::read(buf)?);
        let (epoch, height) = (u64::read(buf)?, u64::read(buf)?);
        let (timestamp_ms, next_sequence) = (u64::read(buf)?, u64::read(buf)?);
        let orders_height = u64::read(buf)?;
        let (anchors, past) = (read_ring(buf)?, read_ring(buf)?);
        let seed = codec::read_b256(buf)?;
        let cores = Cores::read_cfg(buf, &rules)?;
        let segments: Vec<Segment> = read_list(buf, rules::SHARDS_MAX)?;
        let rising = segments
            .iter()
            .zip(segments.iter().skip(1))
            .all(|(one, next)| one.shard < next.shard);
        if !rising {
            return Err(Error::Invalid("Ledger", "shards are out of order"));
        }
        let offences = read_list(buf, OFFENCES_MAX)?;
        let (banned, no_shows) = (Bits::read(buf)?, Penalties::read(buf)?);
        let mut ledger = Self {
            rules,
            epoch,
            height,
            timestamp_ms,
            next_sequence,
            orders_height,
            anchors,
            past,
            seed,
            cores,
            shards: segments.into_iter().map(|one| (one.shard, one)).collect(),
            offences,
            banned,
            no_shows,
            digest: B256::ZERO,
            ring: Arc::default(),
        };
        ledger.seal();
        Ok(ledger)
    }
}
