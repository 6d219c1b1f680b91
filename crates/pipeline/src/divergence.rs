//! The evidence of a divergence: this node computed something else than 2f+1 validators signed.

use alloy_primitives::B256;
use serde::Serialize;

/// What is known when own and certified result differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DivergenceReport {
    /// The height at which they differ.
    pub height: u64,
    /// Hash of the Ethereum header computed here.
    pub own_hash: B256,
    /// The hash 2f+1 validators signed.
    pub certified_hash: B256,
    /// Highest height at which own and certified result were seen equal.
    pub last_equal_height: u64,
    /// The header computed here, for a comparison with a peer's; filled in by the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_header: Option<serde_json::Value>,
    /// Hash, status and charged gas of each transaction as executed here.
    pub transactions: Vec<TransactionOutcome>,
}

/// How one transaction of the diverged block ended here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionOutcome {
    /// Its hash.
    pub hash: B256,
    /// Whether it succeeded.
    pub success: bool,
    /// Gas it was charged.
    pub gas_used: u64,
}

impl std::fmt::Display for DivergenceReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "diverged at height={}: own_hash={} certified_hash={} last_equal_height={}",
            self.height, self.own_hash, self.certified_hash, self.last_equal_height
        )
    }
}
