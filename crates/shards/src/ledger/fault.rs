//! Why a relay block's shard section is wrong. Any of these makes the block invalid, on every node alike.

use primitives::shard::{ShardId, VoteFault};

/// What is wrong with a section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionFault {
    /// The block does not follow the ledger's.
    #[error("ledger is at another height: height={height} ledger={ledger}")]
    Height {
        /// The block's height.
        height: u64,
        /// The ledger's.
        ledger: u64,
    },
    /// The block's time lies before the ledger's.
    #[error("time goes back: timestamp_ms={got} ledger={ledger}")]
    Time {
        /// The block's time.
        got: u64,
        /// The ledger's.
        ledger: u64,
    },
    /// The section's signatures were checked for another ledger.
    #[error("section was checked against another ledger")]
    Unrelated,
    /// Orders of heights that were carried before, or that the block's certified result does not cover.
    #[error("orders up to height={height} are not of heights from {from} to {to}")]
    Orders {
        /// Up to where they are said to be all.
        height: u64,
        /// The lowest height that is legal.
        from: u64,
        /// The highest.
        to: u64,
    },
    /// A backed envelope that may not enter.
    #[error("backed envelope index={index}: {fault}")]
    Backed {
        /// Its index.
        index: usize,
        /// Why.
        fault: BackedFault,
    },
    /// A vote that may not be counted.
    #[error("vote index={index}: {fault}")]
    Vote {
        /// Its index.
        index: usize,
        /// Why.
        fault: CountFault,
    },
    /// Evidence that proves nothing.
    #[error("equivocation index={index}: {fault}")]
    Equivocation {
        /// Its index.
        index: usize,
        /// Why.
        fault: EvidenceFault,
    },
}

/// Why a candidate may not enter (rule R1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackedFault {
    /// No such shard.
    #[error("no such shard: shard={0}")]
    Shard(ShardId),
    /// The shard is paused or retired.
    #[error("shard takes no candidates: shard={0}")]
    Resting(ShardId),
    /// It does not follow the shard's newest block.
    #[error("parent is not the newest block of its shard: number={number} expected={expected}")]
    Parent {
        /// Its number.
        number: u64,
        /// What would follow.
        expected: u64,
    },
    /// Its anchor is no relay block of the window, or lies before its parent's.
    #[error("anchor height={height} is not a relay block from {from} to {to}")]
    Anchor {
        /// Its anchor.
        height: u64,
        /// The first that is legal.
        from: u64,
        /// The last that is legal.
        to: u64,
    },
    /// Its time does not rise, or runs ahead of the relay block's.
    #[error("timestamp_ms={got} is not above {after} and at most {most}")]
    Timestamp {
        /// Its time.
        got: u64,
        /// Its parent's.
        after: u64,
        /// The most that is legal.
        most: u64,
    },
    /// The shard has as many candidates in the pipeline as its cores allow.
    #[error("segment is full: pending={pending} max={max}")]
    SegmentFull {
        /// How many.
        pending: usize,
        /// How many may be.
        max: usize,
    },
    /// The pipeline has as many candidates as votes can name.
    #[error("pipeline is full: pending={pending}")]
    PipelineFull {
        /// How many.
        pending: usize,
    },
    /// The core was another shard's at the height of the schedule, or nobody's.
    #[error("core is not the shard's: core={0}")]
    Core(u16),
    /// The core has taken a candidate in this block, or as many wait for their chunks or their approval as may.
    #[error("core is occupied: core={0}")]
    Occupied(u16),
    /// The schedule is of another time.
    #[error("schedule height={height} is not from {from} to {to}")]
    Schedule {
        /// Its height.
        height: u64,
        /// The first that is legal.
        from: u64,
        /// The last that is legal.
        to: u64,
    },
    /// Chunks for other validators, or another number of them.
    #[error("coding is not for the validators of epoch {epoch}")]
    Coding {
        /// The epoch whose validators hold chunks.
        epoch: u64,
    },
    /// Executed under other rules than the shard's at its anchor.
    #[error("rules are not the shard's at the anchor")]
    Rules,
    /// Built by somebody who may not.
    #[error("collator is not one of the shard's")]
    Collator,
    /// Over a limit of the shard.
    #[error("over the limit: {field}={got} max={max}")]
    Limit {
        /// Of what.
        field: &'static str,
        /// Its value.
        got: u64,
        /// The most that is legal.
        max: u64,
    },
    /// Too few of the group, somebody else, or somebody who may not back now.
    #[error(
        "backers are not enough of the group: backers={backers} min={min} strangers={strangers}"
    )]
    Backers {
        /// How many of the group.
        backers: usize,
        /// How many it takes.
        min: usize,
        /// How many others.
        strangers: usize,
    },
    /// A signature is wrong.
    #[error("a backer's signature is wrong")]
    Signature,
}

/// Why a vote may not be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountFault {
    /// No such validator.
    #[error("no such validator: validator={0}")]
    Validator(u16),
    /// Wrong in itself.
    #[error(transparent)]
    Form(#[from] VoteFault),
    /// It names a ledger that is too old or not there yet.
    #[error("vote names the ledger at height={height}, which is not from {from} to {to}")]
    Height {
        /// The height it names.
        height: u64,
        /// The first that is legal.
        from: u64,
        /// The last that is legal.
        to: u64,
    },
    /// Nothing in it is new.
    #[error("vote adds nothing")]
    Stale,
    /// The signature is wrong.
    #[error("the voter's signature is wrong")]
    Signature,
}

/// Why two statements prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFault {
    /// Not two candidates for one place, by one validator of this epoch.
    #[error("statements do not contradict each other")]
    Harmless,
    /// The offence is noted already.
    #[error("offence is known: validator={0}")]
    Known(u16),
    /// Too old to be judged.
    #[error("statements are of height={0}, which is too old")]
    Old(u64),
    /// A signature is wrong.
    #[error("a signature is wrong")]
    Signature,
}
