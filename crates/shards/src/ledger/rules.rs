//! The parameters of the ledger: part of the relay chain's genesis, the same for all validators.

use alloy_primitives::{B256, Bytes};
use primitives::{crypto::PublicKey, shard::BITS_MAX};

/// What one shard's candidates are held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardTerms {
    /// Hash of the shard's Ethereum header at number 0.
    pub genesis_hash: B256,
    /// Root of the state at number 0.
    pub genesis_root: B256,
    /// When it begins, in milliseconds since the Unix epoch.
    pub genesis_ms: u64,
    /// Digest of the rules its blocks are executed under.
    pub rules: B256,
    /// Block gas limit.
    pub gas_limit: u64,
    /// Who may build its blocks; anybody if empty.
    pub collators: Vec<PublicKey>,
    /// What `rules` is the digest of, for whoever checks.
    pub charter: Bytes,
    /// Most cores that its load may bring it, where cores follow load.
    pub cores_max: u16,
}

/// Whose word makes an included candidate final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// That of 2f+1 of all, who all check it.
    All,
    /// That of a few that are drawn when it is included, as long as nobody objects; then that of 2f+1 of all.
    Sampled {
        /// How many are drawn.
        checkers: u16,
        /// The relay block whose digest they are drawn by lies so many after that in which it was included.
        seed_blocks: u64,
        /// How long they may take to answer before others are asked, in milliseconds of relay time.
        no_show_ms: u64,
    },
}

/// The parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRules {
    /// Validators of the relay chain.
    pub validators: u16,
    /// Validators that back the candidates of one core.
    pub group_size: u16,
    /// Cores of the chain, which go where the load is. None: every shard keeps those it was created with.
    pub cores: Option<u16>,
    /// Relay blocks after which cores are given anew, by what those blocks said.
    pub allocation_blocks: u64,
    /// Relay blocks after which groups move on.
    pub rotation_blocks: u64,
    /// Most candidates of a shard that are backed and not final, for each of its cores.
    pub segment_max: u16,
    /// Most candidates of one core that are backed and not included.
    pub core_depth: u16,
    /// How many relay blocks back an anchor may lie.
    pub anchor_window: u64,
    /// How many relay blocks back the height of a schedule may lie.
    pub schedule_window: u64,
    /// Relay blocks for which a vote may name its ledger.
    pub vote_window: u64,
    /// How long a backed candidate may wait for its chunks, in milliseconds of relay time.
    pub availability_ms: u64,
    /// How long an included candidate may wait for its approval, in milliseconds of relay time.
    pub approval_ms: u64,
    /// Relay blocks that either wait lasts at least, whatever their times say: several leaders have to have had the
    /// chance to bring the votes.
    pub deadline_blocks: u64,
    /// How far a candidate's time may lie ahead of the relay block's, in milliseconds.
    pub clock_drift_ms: u64,
    /// Largest collation, in bytes.
    pub collation_bytes_max: u32,
    /// Who checks candidates.
    pub approval: Approval,
}

/// Why there is no ledger with such rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard rules are out of range: field={field} must be {must}")]
pub struct RulesError {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub must: &'static str,
}

pub use primitives::limits::{COLLATORS_MAX, CORES_MAX, SHARDS_MAX};

/// That load may bring a shard all cores of its chain.
pub const CORES_UNLIMITED: u16 = u16::MAX;
/// Bytes of the largest collation that any rules allow.
pub const COLLATION_BYTES_MAX: u32 = 8 * 1024 * 1024;
/// Most relay blocks that any window spans.
pub const WINDOW_MAX: u64 = 1_024;
/// Most candidates that may be pending, over all shards: as many as a vote can name.
pub const PENDING_MAX: usize = BITS_MAX;

impl LedgerRules {
    /// Rules of asynchronous backing for so many validators.
    #[must_use]
    pub const fn asynchronous(validators: u16) -> Self {
        Self {
            validators,
            group_size: 5,
            cores: None,
            allocation_blocks: 16,
            rotation_blocks: 64,
            segment_max: 4,
            core_depth: 3,
            anchor_window: 128,
            schedule_window: 4,
            vote_window: 64,
            availability_ms: 2_000,
            approval_ms: 20_000,
            deadline_blocks: 8,
            clock_drift_ms: 1_000,
            collation_bytes_max: 4 * 1024 * 1024,
            approval: Approval::All,
        }
    }

    /// Rules of asynchronous backing where so many drawn validators approve a candidate. It takes some relay blocks
    /// longer, so more candidates may wait.
    #[must_use]
    pub const fn sampled(validators: u16, checkers: u16) -> Self {
        Self {
            segment_max: 12,
            approval: Approval::Sampled {
                checkers,
                seed_blocks: 2,
                no_show_ms: 2_000,
            },
            ..Self::asynchronous(validators)
        }
    }

    /// Rules of synchronous backing: one candidate at a time, built on an included parent and against the newest
    /// relay block. The baseline that asynchronous backing is compared with.
    #[must_use]
    pub const fn synchronous(validators: u16) -> Self {
        Self {
            core_depth: 1,
            anchor_window: 1,
            schedule_window: 1,
            ..Self::asynchronous(validators)
        }
    }

    /// Whether the ledger can work with them.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub const fn check(&self) -> Result<(), RulesError> {
        const fn refuse(field: &'static str, must: &'static str) -> Result<(), RulesError> {
            Err(RulesError { field, must })
        }
        if self.validators == 0 || self.validators as usize > BITS_MAX {
            return refuse("validators", "1 to 256");
        }
        if self.group_size == 0 {
            return refuse("group_size", "at least 1");
        }
        if self.allocation_blocks == 0 || self.allocation_blocks > WINDOW_MAX {
            return refuse("allocation_blocks", "1 to 1024");
        }
        if self.rotation_blocks == 0 {
            return refuse("rotation_blocks", "at least 1");
        }
        if self.segment_max == 0 || self.segment_max as usize > PENDING_MAX {
            return refuse("segment_max", "1 to 256");
        }
        if self.core_depth == 0 || self.core_depth > self.segment_max {
            return refuse("core_depth", "1 to segment_max");
        }
        if self.anchor_window == 0 || self.anchor_window > WINDOW_MAX {
            return refuse("anchor_window", "1 to 1024");
        }
        if let Some(cores) = self.cores
            && (cores == 0 || !self.has_room(cores as usize))
        {
            return refuse("cores", "1 to 64, with at most 256 candidates");
        }
        if self.schedule_window == 0 || self.schedule_window > WINDOW_MAX {
            return refuse("schedule_window", "1 to 1024");
        }
        if self.vote_window == 0 || self.vote_window > WINDOW_MAX {
            return refuse("vote_window", "1 to 1024");
        }
        // Who signed an envelope that came to nothing is not struck for it again: it is too old by then.
        if self.deadline_blocks < self.schedule_window || self.deadline_blocks > WINDOW_MAX {
            return refuse("deadline_blocks", "schedule_window to 1024");
        }
        if let Approval::Sampled {
            checkers,
            seed_blocks,
            ..
        } = self.approval
        {
            if checkers == 0 || checkers > self.validators {
                return refuse("checkers", "1 to validators");
            }
            if seed_blocks == 0 || seed_blocks > WINDOW_MAX {
                return refuse("seed_blocks", "1 to 1024");
            }
        }
        if self.collation_bytes_max == 0 || self.collation_bytes_max > COLLATION_BYTES_MAX {
            return refuse("collation_bytes_max", "1 to 8388608");
        }
        Ok(())
    }

    /// The most validators that may be faulty: f of 3f+1.
    #[must_use]
    pub const fn faulty_max(&self) -> usize {
        (self.validators as usize).saturating_sub(1) / 3
    }

    /// How many validators are enough for a verdict: 2f+1 of 3f+1.
    #[must_use]
    pub const fn quorum(&self) -> usize {
        (self.validators as usize).saturating_sub(self.faulty_max())
    }

    /// How many chunks give a collation back, and how many *invalid* votes discard a candidate: f+1.
    #[must_use]
    pub const fn witnesses(&self) -> usize {
        self.faulty_max().saturating_add(1)
    }

    /// Relay blocks in which a checker may answer at least: of so many leaders in turn one is honest.
    #[must_use]
    pub fn no_show_blocks(&self) -> u64 {
        let leaders = u64::try_from(self.witnesses()).unwrap_or(u64::MAX);
        leaders.max(self.deadline_blocks)
    }

    /// Whether candidates on so many cores always find a place.
    #[must_use]
    pub const fn has_room(&self, cores: usize) -> bool {
        let pending = cores.saturating_mul(self.segment_max as usize);
        cores <= CORES_MAX && pending <= PENDING_MAX
    }
}
