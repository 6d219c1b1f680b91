//! What the relay chain says of its shards.

use crate::{args::Args, backend::Backend, error::RpcError, shard};
use alloy_primitives::{B256, Bytes, U64, hex};
use serde::Serialize;
use shards::ledger::{Ledger, Offence, OffenceKind, Pending, Segment, ShardHead};

/// The shard ledger after the newest finalized relay block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcShards {
    /// The relay block's height.
    pub(crate) height: U64,
    /// Digest of the ledger, which the relay block's header names.
    pub(crate) ledger_digest: B256,
    /// How many relay blocks ahead an upgrade has to be ordered.
    pub(crate) anchor_window: U64,
    /// Validators that make a verdict.
    pub(crate) quorum: usize,
    /// Whose the cores are: numbers of shards.
    pub(crate) cores: Vec<Option<u32>>,
    /// By their numbers.
    pub(crate) shards: Vec<RpcShard>,
    /// What validators have done wrong, newest last.
    pub(crate) offences: Vec<RpcOffence>,
}

/// One shard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcShard {
    /// Its number.
    pub(crate) id: u32,
    /// `active`, `paused` or `retired`.
    pub(crate) status: &'static str,
    /// Public keys of those who may build its blocks.
    pub(crate) collators: Vec<String>,
    /// Hash of its block at number 0.
    pub(crate) genesis_hash: B256,
    /// What its blocks are executed under, in bytes, and their digest.
    pub(crate) charter: Bytes,
    pub(crate) rules: B256,
    /// Rules that follow, if others are ordered.
    pub(crate) upgrade: Option<RpcUpgrade>,
    /// Its cores now.
    pub(crate) cores: Vec<usize>,
    /// The most that its load may bring it; null where cores stay.
    pub(crate) cores_max: Option<u16>,
    /// Its newest final block.
    pub(crate) finalized: RpcShardHead,
    /// When that block was collated, in Unix milliseconds.
    pub(crate) finalized_ms: u64,
    /// Its newest block whose collation is available.
    pub(crate) included: RpcShardHead,
    /// Candidates that are not final, oldest first.
    pub(crate) pending: Vec<RpcPending>,
}

/// Rules that a shard has from a relay height on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcUpgrade {
    /// The first anchor height at which they hold.
    pub(crate) height: U64,
    /// Digest of the charter.
    pub(crate) rules: B256,
    /// Block gas limit.
    pub(crate) gas_limit: U64,
}

/// A block of a shard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcShardHead {
    /// Its number.
    pub(crate) number: U64,
    /// Hash of its Ethereum header.
    pub(crate) hash: B256,
    /// Root of the state after it.
    pub(crate) state_root: B256,
}

/// A candidate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcPending {
    /// The shard's block.
    #[serde(flatten)]
    pub(crate) head: RpcShardHead,
    /// Its identity, whenever and however often it is put forward.
    pub(crate) candidate: B256,
    /// `backed` or `included`.
    pub(crate) stage: &'static str,
    /// The core that it came by.
    pub(crate) core: u16,
    /// The relay block it is built against.
    pub(crate) anchor_height: U64,
    /// The relay block that noted it.
    pub(crate) backed_height: U64,
    /// Validators that backed it, hold their chunk, found it valid, found it invalid.
    pub(crate) backers: usize,
    pub(crate) held: usize,
    pub(crate) valid: usize,
    pub(crate) invalid: usize,
}

/// What a validator has done wrong.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcOffence {
    /// Its index.
    pub(crate) validator: u16,
    /// What it did.
    pub(crate) kind: &'static str,
    /// About which candidate.
    pub(crate) candidate: B256,
    /// The relay height at which it was noted.
    pub(crate) height: U64,
}

impl From<&ShardHead> for RpcShardHead {
    fn from(head: &ShardHead) -> Self {
        Self {
            number: U64::from(head.number),
            hash: head.hash,
            state_root: head.state_root,
        }
    }
}

impl From<&Pending> for RpcPending {
    fn from(pending: &Pending) -> Self {
        Self {
            head: RpcShardHead::from(&pending.head()),
            candidate: pending.candidate.0,
            stage: match pending.is_included() {
                true => "included",
                false => "backed",
            },
            core: pending.envelope.schedule.core,
            anchor_height: U64::from(pending.envelope.descriptor.anchor.height),
            backed_height: U64::from(pending.backed.height),
            backers: pending.backers.count(),
            held: pending.held.count(),
            valid: pending.valid.count(),
            invalid: pending.invalid.count(),
        }
    }
}

impl RpcShard {
    fn new(id: u32, segment: &Segment, ledger: &Ledger) -> Self {
        let height = ledger.height();
        let collators = segment.terms().collators.iter();
        let owners = ledger.cores().iter().enumerate();
        let own = owners.filter(|(_, owner)| owner.is_some_and(|shard| shard.0 == id));
        let rules = segment.rules_at(height);
        let upgrade = segment.upgrade().filter(|upgrade| upgrade.height > height);
        Self {
            id,
            status: shard::name(segment.status()),
            collators: collators.map(hex::encode_prefixed).collect(),
            genesis_hash: segment.terms().genesis_hash,
            charter: segment.charter(&rules).cloned().unwrap_or_default(),
            rules,
            upgrade: upgrade.map(|upgrade| RpcUpgrade {
                height: U64::from(upgrade.height),
                rules: upgrade.rules,
                gas_limit: U64::from(upgrade.gas_limit),
            }),
            cores: own.map(|(core, _)| core).collect(),
            cores_max: ledger
                .rules()
                .cores
                .map(|all| all.min(segment.terms().cores_max)),
            finalized: segment.finalized().into(),
            finalized_ms: segment.finalized().timestamp_ms,
            included: (&segment.included()).into(),
            pending: segment.pending().map(RpcPending::from).collect(),
        }
    }
}

impl From<&Offence> for RpcOffence {
    fn from(offence: &Offence) -> Self {
        Self {
            validator: offence.validator,
            kind: match offence.kind {
                OffenceKind::Equivocation => "equivocation",
                OffenceKind::BackedInvalid => "backedInvalid",
                OffenceKind::ApprovedInvalid => "approvedInvalid",
                OffenceKind::Contradiction => "contradiction",
                OffenceKind::FalseObjection => "falseObjection",
            },
            candidate: offence.candidate.0,
            height: U64::from(offence.height),
        }
    }
}

impl From<&Ledger> for RpcShards {
    fn from(ledger: &Ledger) -> Self {
        let cores = ledger.cores().iter();
        let shards = ledger.shards();
        Self {
            height: U64::from(ledger.height()),
            ledger_digest: ledger.digest(),
            anchor_window: U64::from(ledger.rules().anchor_window),
            quorum: ledger.rules().quorum(),
            cores: cores.map(|core| core.map(|shard| shard.0)).collect(),
            shards: shards
                .map(|(shard, segment)| RpcShard::new(shard.0, segment, ledger))
                .collect(),
            offences: ledger.offences().map(RpcOffence::from).collect(),
        }
    }
}

pub(super) fn shards(backend: &Backend, args: &Args) -> Result<Option<RpcShards>, RpcError> {
    args.none()?;
    Ok(backend
        .shards
        .as_ref()
        .map(|feed| RpcShards::from(feed.newest().ledger.as_ref())))
}
