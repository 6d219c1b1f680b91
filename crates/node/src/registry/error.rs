//! Why a shard could not be ordered, in one line with what to do.

use crate::load::LoadError;
use alloy_primitives::{B256, keccak256};
use std::path::PathBuf;

/// The registry's errors, and what they say to an owner.
const REFUSALS: [(&str, &str); 7] = [
    (
        "NotOwner()",
        "the shard is not yours; was it created with another key, or not at all? Those of the genesis are the governor's, the first `--fund` account, and without one nobody's",
    ),
    ("Retired()", "the shard is retired"),
    (
        "TooLittle(uint256)",
        "the deposit is too small; leave --deposit out for the least",
    ),
    ("TooLong()", "too many collators, or too long a charter"),
    (
        "UnknownVersion(uint32)",
        "the governor has not allowed charters of this version",
    ),
    (
        "Busy()",
        "the block has as many orders as it may; try again",
    ),
    ("Unpaid()", "the owner takes no coins back"),
];

/// What the registry says by the output of a call that reverted.
pub(super) fn refusal(output: &[u8]) -> Option<&'static str> {
    let selector = output.get(..4)?;
    let mut known = REFUSALS.iter();
    let found = known.find(|(error, _)| keccak256(error).starts_with(selector));
    found.map(|(_, said)| *said)
}

/// Why a shard could not be ordered.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The node could not be asked.
    #[error(transparent)]
    Node(#[from] LoadError),
    /// The key file gives no key.
    #[error(
        "key {path}: {problem}; it has to hold the 32 bytes of an account's private key in hex"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The chain has no ledger of shards.
    #[error("the chain at {0} can't have shards: its genesis has no `headway.shards`")]
    NoLedger(String),
    /// There is no such shard.
    #[error("there is no shard {0}; `headway shard list` says which there are")]
    NoShard(u32),
    /// The chain's answer has no log of the registry.
    #[error("the registry said nothing: transaction={0}; does the chain's genesis have it?")]
    NoEvent(B256),
    /// The registry does not take the call.
    #[error("the registry refused: {0}")]
    Refused(&'static str),
    /// The ledger does not do it.
    #[error(
        "the ledger refused it, and nothing changed: transaction={hash}; if it was to create shard {shard}, `headway shard retire {shard}` gives the deposit back"
    )]
    LedgerRefused {
        /// The shard.
        shard: u32,
        /// The transaction.
        hash: B256,
    },
    /// A shard was retired that the ledger never had.
    #[error("the ledger never had shard {0}; its deposit is back")]
    NeverThere(u32),
    /// The transaction failed.
    #[error("the registry refused: transaction={0}")]
    Reverted(B256),
    /// The transaction, or the ledger's answer to it, did not come.
    #[error("{what} after {seconds} s: transaction={hash}")]
    Late {
        /// What did not happen.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// The transaction.
        hash: B256,
    },
    /// A charter can't be read, so it can't be changed either.
    #[error(transparent)]
    Charter(#[from] primitives::shard::CharterError),
    /// Another chain's rules.
    #[error("the genesis has chainId {found} and the shard {expected}; an upgrade keeps it")]
    ChainId {
        /// The file's.
        found: u64,
        /// The shard's.
        expected: u64,
    },
    /// The relay chain or another shard has this chain id.
    #[error(
        "another chain here has chainId {0}, and could be sent what was signed for this one; choose another"
    )]
    ChainIdTaken(u64),
    /// It could not be signed.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// The operating system gave no runtime.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
}

impl RegistryError {
    /// 2 for a mistake in an option or a file, 1 for what the node or the chain says.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Key { .. } | Self::ChainId { .. } | Self::ChainIdTaken(_) => 2,
            Self::Node(error) => error.exit_code(),
            Self::NoLedger(_)
            | Self::NoShard(_)
            | Self::NoEvent(_)
            | Self::Refused(_)
            | Self::LedgerRefused { .. }
            | Self::NeverThere(_)
            | Self::Reverted(_)
            | Self::Late { .. }
            | Self::Charter(_)
            | Self::Signing(_)
            | Self::Runtime(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::refusal;
    use alloy_primitives::hex;

    #[test]
    fn the_registrys_errors_are_told() {
        let not_owner = hex!("30cd7471");
        assert!(refusal(&not_owner).unwrap().contains("not yours"));
        assert_eq!(refusal(&hex!("deadbeef")), None);
        assert_eq!(refusal(&[]), None);
    }
}
