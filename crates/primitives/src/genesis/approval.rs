//! Who checks candidates of shards, as the genesis file says it.

use super::{Backing, GenesisError};
use crate::limits::{CHECKERS_MIN, SAMPLED_VALIDATORS_MIN};
use serde::{Deserialize, Serialize};

/// Who checks a candidate of a shard before it is final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Approval {
    /// Every validator.
    #[default]
    All,
    /// A few that nobody can foresee, and every validator if somebody objects or too many are silent.
    #[serde(rename_all = "camelCase")]
    Sampled {
        /// How many.
        checkers: u16,
    },
}

impl Approval {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether so few validators may check instead of so many.
    pub(super) fn check(self, backing: Backing, validators: usize) -> Result<(), GenesisError> {
        let Self::Sampled { checkers } = self else {
            return Ok(());
        };
        let problem = if backing == Backing::Synchronous {
            "the synchronous baseline has everybody check; leave out headway.backing or headway.approval"
                .to_owned()
        } else if validators < SAMPLED_VALIDATORS_MIN {
            format!(
                "a few are no safe choice of {validators} validators; write \"all\", or have at least {SAMPLED_VALIDATORS_MIN}"
            )
        } else if usize::from(checkers) < CHECKERS_MIN || usize::from(checkers) > validators {
            format!("write {CHECKERS_MIN} to {validators} checkers, or \"all\"")
        } else {
            return Ok(());
        };
        Err(GenesisError::OutOfRange {
            field: "headway.approval",
            problem,
        })
    }
}
