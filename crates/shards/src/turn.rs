//! Whose turn it is to build a shard's next block.
//!
//! ```text
//!   numbers   8 ……………… 15   16 ……………… 23   24 …
//!   collator  A             B               C          the next one takes over when nothing came for a while,
//!                              └ silent: C builds 16, and goes on to 23
//! ```
//! Turns change every [`RUN_BLOCKS`] numbers; within a run, whoever built the parent goes on. What follows is
//! the same for everybody who sees the same parent, up to when they saw it: the last quarter of a turn is
//! nobody's, so that two collators build for one number only when one saw the parent much later than the other.
//! Then the backers take what comes first.

use crate::ledger::Segment;
use primitives::{crypto::PublicKey, shard::Charter};

/// Blocks in a row that one collator builds.
pub const RUN_BLOCKS: u64 = 8;

/// Heartbeats of a shard after which its next collator takes the turn: an idle shard has a block at each, so a
/// collator is late when several are missed.
const HEARTBEATS_MISSED: u64 = 3;

/// After how long the turn passes on in a shard, in milliseconds, by its charter at a relay height: the same for all its
/// collators. None where the charter can't be read.
pub(crate) fn patience_ms(segment: &Segment, height: u64) -> Option<u64> {
    let charter = segment.charter(&segment.rules_at(height))?;
    let protocol = Charter::read(charter).ok()?.chain.protocol;
    Some(protocol.heartbeat_ms.saturating_mul(HEARTBEATS_MISSED))
}

/// What a turn depends on.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Those who may build.
    pub collators: &'a [PublicKey],
    /// The number of the block to be built.
    pub number: u64,
    /// Who built its parent, if that is known.
    pub parent: Option<&'a PublicKey>,
    /// How long nothing has come, in milliseconds.
    pub waited_ms: u64,
    /// After how long the turn passes on.
    pub patience_ms: u64,
}

/// The collator whose turn it is; nobody's if there are none, or if the turn is about to pass to another.
#[must_use]
pub fn turn<'a>(of: &Turn<'a>) -> Option<&'a PublicKey> {
    let count = u64::try_from(of.collators.len()).ok()?;
    let goes_on = of.number.checked_rem(RUN_BLOCKS) != Some(0);
    let builder = of.parent.filter(|_| goes_on);
    let place = builder.and_then(|key| of.collators.iter().position(|one| one == key));
    let rotation = of.number.checked_div(RUN_BLOCKS)?;
    let first = match place {
        Some(place) => u64::try_from(place).ok()?,
        None => rotation.checked_rem(count)?,
    };
    let patience_ms = of.patience_ms.max(1);
    let passed = of.waited_ms.checked_div(patience_ms)?;
    let into_ms = of.waited_ms.checked_rem(patience_ms)?;
    let last_quarter_ms = patience_ms.saturating_sub(patience_ms.checked_div(4)?);
    if count > 1 && into_ms >= last_quarter_ms {
        return None;
    }
    let index = first.saturating_add(passed.checked_rem(count)?);
    let index = usize::try_from(index.checked_rem(count)?).ok()?;
    of.collators.get(index)
}

#[cfg(test)]
mod tests {
    use super::{RUN_BLOCKS, Turn, patience_ms, turn};
    use crate::ledger::{Segment, ShardTerms, rules::CORES_UNLIMITED};
    use alloy_primitives::B256;
    use commonware_cryptography::Signer as _;
    use primitives::{
        ChainConfig,
        chain::Protocol,
        crypto::{PrivateKey, PublicKey},
        shard::{Charter, ShardId, charter::digest},
    };
    use std::sync::Arc;

    fn keys(count: u64) -> Vec<PublicKey> {
        (0..count)
            .map(|seed| PrivateKey::from_seed(seed).public_key())
            .collect()
    }

    #[test]
    fn runs_rotate_and_every_number_has_one_builder() {
        let keys = keys(3);
        let of = |number| Turn {
            collators: &keys,
            number,
            parent: None,
            waited_ms: 0,
            patience_ms: 100,
        };
        for number in 0..10 * RUN_BLOCKS {
            let place = usize::try_from(number / RUN_BLOCKS).unwrap() % keys.len();
            assert_eq!(turn(&of(number)), keys.get(place));
        }
        assert_eq!(
            turn(&Turn {
                collators: &[],
                ..of(1)
            }),
            None
        );
    }

    #[test]
    fn a_turn_passes_on_and_the_one_who_took_it_keeps_the_run() {
        let keys = keys(3);
        let mut of = Turn {
            collators: &keys,
            number: RUN_BLOCKS,
            parent: Some(&keys[0]),
            waited_ms: 0,
            patience_ms: 100,
        };
        assert_eq!(turn(&of), Some(&keys[1]));
        of.waited_ms = 100;
        assert_eq!(turn(&of), Some(&keys[2]));
        of.waited_ms = 274;
        assert_eq!(turn(&of), Some(&keys[0]));
        // About to pass: whoever saw the parent later may think that it has not begun.
        of.waited_ms = 299;
        assert_eq!(turn(&of), None);
        let next = Turn {
            number: RUN_BLOCKS + 1,
            parent: Some(&keys[2]),
            waited_ms: 0,
            ..of
        };
        assert_eq!(turn(&next), Some(&keys[2]));
    }

    /// Another shard's heartbeats, or what a node knows of other shards, are nothing to it.
    #[test]
    fn each_shard_has_the_patience_of_its_charter() {
        let patience = |heartbeat_ms: u64| {
            let protocol = Protocol {
                heartbeat_ms,
                ..Protocol::default()
            };
            let charter = Charter {
                chain: ChainConfig {
                    chain_id: 7,
                    gas_limit: 30_000_000,
                    protocol,
                },
                genesis_rules: B256::ZERO,
            };
            let charter = charter.to_bytes();
            let terms = ShardTerms {
                genesis_hash: B256::ZERO,
                genesis_root: B256::ZERO,
                genesis_ms: 0,
                rules: digest(&charter),
                gas_limit: 30_000_000,
                collators: Vec::new(),
                charter,
                cores_max: CORES_UNLIMITED,
            };
            patience_ms(&Segment::new(ShardId(1), Arc::new(terms)), 9)
        };
        assert_eq!(patience(200), Some(600));
        assert_eq!(patience(60_000), Some(180_000));
        assert_eq!(patience(0), None, "no chain has such a charter");
    }
}
