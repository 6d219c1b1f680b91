//! Why an anchor is refused.

use crate::crypto::BlockDigest;
use alloy_primitives::B256;

/// Why an anchor proves nothing. Whoever sent it is faulty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// There is nothing to begin at below the first block.
    #[error("anchor at genesis")]
    Genesis,
    /// The headers do not begin where they have to.
    #[error("headers begin at the wrong height: first={first:?} expected={expected}")]
    Range {
        /// Height of the first, if there is one.
        first: Option<u64>,
        /// Where they have to begin.
        expected: u64,
    },
    /// A header that is not the child of the one before it.
    #[error("header does not follow the one before: height={height}")]
    Link {
        /// Where it should be.
        height: u64,
    },
    /// The headers end below the anchor, or too far above it.
    #[error("headers end at the wrong height: last={last} anchor={anchor}")]
    End {
        /// Height of the last.
        last: u64,
        /// Height of the anchor.
        anchor: u64,
    },
    /// The history does not begin with this chain's genesis.
    #[error("history of another genesis: hash={hash}")]
    OtherGenesis {
        /// What it begins with.
        hash: B256,
    },
    /// The last header is not the one that was signed.
    #[error("last header is not the certified one: height={height} hash={hash}")]
    NotCertified {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: B256,
    },
    /// The result is not signed by 2f+1 validators.
    #[error("certificate without 2f+1 valid signatures: height={height}")]
    Certificate {
        /// Height of the result.
        height: u64,
    },
    /// The ordering block is not finalized by 2f+1 validators.
    #[error("finalization without 2f+1 valid signatures: view={view}")]
    Finalization {
        /// Its view.
        view: u64,
    },
    /// An ordering block that was not asked for.
    #[error("another ordering block: digest={digest} expected={expected}")]
    Order {
        /// What came.
        digest: BlockDigest,
        /// What has to come.
        expected: BlockDigest,
    },
    /// An ordering block at a height where it does not help.
    #[error("ordering block at the wrong height: height={height} anchor={anchor}")]
    OrderHeight {
        /// Its height.
        height: u64,
        /// Height of the anchor.
        anchor: u64,
    },
    /// An ordering block that the Ethereum header of its height does not name.
    #[error("ordering block is not the executed one: height={height}")]
    OrderExecuted {
        /// Its height.
        height: u64,
    },
    /// Ordering blocks are missing.
    #[error("ordering block is missing: digest={expected}")]
    OrderMissing {
        /// Its digest.
        expected: BlockDigest,
    },
}
