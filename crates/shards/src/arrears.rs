//! Which final blocks a collator lacks, read off the relay chain backward.
//!
//! ```text
//!  relay blocks, oldest first   … │ backs F+1 │ F+2, F+3 │        │ backs F+4 │ … the newest
//!                                      ▲── parent ──┘ ▲─── parent ──────┘ ▲
//!  builder's F, for ever               └ the end                          └ the ledger's newest final block
//! ```
//! The ledger knows only the newest final block of a shard; the blocks before it are named by what they were backed as.
//! A candidate of a number is backed after all others of that number came to nothing, or it would not be final. So what
//! a walk from the newest relay block meets first that leads to the wanted head is the final candidate, as it was cut
//! last; its parent is wanted next.
//!
//! Limit: a walk names at most as many as there are numbers between the two, which whoever asks keeps small.

use crate::ledger::ShardHead;
use alloy_primitives::B256;
use primitives::shard::{BackedEnvelope, Coding, Descriptor, ShardId};

/// The final blocks of a shard that its builder lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrears {
    /// The shard.
    pub shard: ShardId,
    /// The number of the newest block that the builder has for ever.
    pub newest: u64,
    /// The newest final block.
    pub head: ShardHead,
    /// A relay height at which that is so.
    pub height: u64,
}

/// Why they can't be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not have the relay block of a height: height={height}")]
pub struct RelayGap {
    /// The relay height.
    pub height: u64,
}

/// A final candidate, and how it was cut.
pub type FinalCandidate = (Descriptor, Coding);

/// A walk through relay blocks, the newest first.
#[derive(Clone, Debug)]
pub struct Trail {
    shard: ShardId,
    newest: u64,
    /// The block that is wanted next.
    number: u64,
    hash: B256,
    /// The newest first.
    named: Vec<FinalCandidate>,
}

impl Trail {
    /// Begins at the newest final block.
    #[must_use]
    pub const fn new(arrears: &Arrears) -> Self {
        Self {
            shard: arrears.shard,
            newest: arrears.newest,
            number: arrears.head.number,
            hash: arrears.head.hash,
            named: Vec::new(),
        }
    }

    /// Whether all are named.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.number <= self.newest
    }

    /// What the next relay block backs, in its order.
    pub fn pass(&mut self, backed: &[BackedEnvelope]) {
        for one in backed.iter().rev() {
            let (descriptor, coding) = (&one.envelope.descriptor, one.envelope.coding);
            let wanted = descriptor.shard == self.shard
                && descriptor.number == self.number
                && descriptor.head == self.hash;
            if wanted && !self.is_over() {
                self.named.push((descriptor.clone(), coding));
                self.hash = descriptor.parent;
                self.number = self.number.saturating_sub(1);
            }
        }
    }

    /// What was named, by number.
    #[must_use]
    pub fn named(mut self) -> Vec<FinalCandidate> {
        self.named.reverse();
        self.named
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrears, Trail};
    use crate::ledger::ShardHead;
    use alloy_primitives::B256;
    use commonware_cryptography::Signer as _;
    use primitives::{
        crypto::PrivateKey,
        shard::{
            BackedEnvelope, Bits, Coding, Descriptor, Envelope, RelayAnchor, Schedule, ShardId,
        },
    };

    const SHARD: ShardId = ShardId(1);

    fn hash(number: u64) -> B256 {
        B256::left_padding_from(&number.to_be_bytes())
    }

    /// A candidate of a number that leads to the right head; `cut` tells it from others that do.
    fn backed(shard: ShardId, number: u64, cut: u8) -> BackedEnvelope {
        let descriptor = Descriptor {
            shard,
            number,
            parent: hash(number.saturating_sub(1)),
            head: hash(number),
            state_root: B256::ZERO,
            anchor: RelayAnchor {
                height: 1,
                digest: B256::ZERO,
            },
            rules: B256::ZERO,
            collation_hash: B256::ZERO,
            collation_bytes: 1,
            gas_used: 0,
            timestamp_ms: 1,
            collator: PrivateKey::from_seed(1).public_key(),
        };
        BackedEnvelope {
            envelope: Envelope {
                descriptor,
                coding: Coding {
                    epoch: 0,
                    total: 4,
                    minimum: 2,
                    root: B256::repeat_byte(cut),
                },
                schedule: Schedule { core: 0, height: 1 },
            },
            backers: Bits::default(),
            signatures: Vec::new(),
        }
    }

    /// Numbers and cuts.
    type Named = Vec<(u64, u8)>;

    /// What is named of these relay blocks, and whether that is all.
    fn walk(newest: u64, head: u64, relay_blocks: &[Vec<BackedEnvelope>]) -> (Named, bool) {
        let mut trail = Trail::new(&Arrears {
            shard: SHARD,
            newest,
            head: ShardHead {
                number: head,
                hash: hash(head),
                state_root: B256::ZERO,
                timestamp_ms: 1,
                anchor_height: 1,
            },
            height: 9,
        });
        for block in relay_blocks.iter().rev() {
            trail.pass(block);
        }
        let is_over = trail.is_over();
        let named = trail.named().into_iter();
        let named = named.map(|(descriptor, coding)| (descriptor.number, coding.root.0[0]));
        (named.collect(), is_over)
    }

    #[test]
    fn the_last_that_was_backed_of_each_number_is_named() {
        let other = ShardId(2);
        let mut fork = backed(SHARD, 3, 9);
        fork.envelope.descriptor.head = B256::repeat_byte(9);
        let blocks = [
            vec![backed(SHARD, 1, 1), backed(other, 1, 1)],
            // It came to nothing, and was put forward again under another cut.
            vec![backed(SHARD, 2, 1), fork],
            vec![],
            vec![
                backed(SHARD, 2, 2),
                backed(SHARD, 3, 2),
                backed(other, 3, 7),
            ],
            vec![backed(SHARD, 4, 3)],
            // On its way.
            vec![backed(SHARD, 5, 4)],
        ];
        let all = vec![(1, 1), (2, 2), (3, 2), (4, 3)];
        assert_eq!(walk(0, 4, &blocks), (all.clone(), true));
        assert_eq!(walk(2, 4, &blocks), (all[2..].to_vec(), true));
        assert_eq!(walk(4, 4, &blocks), (vec![], true));
        assert_eq!(walk(0, 4, &blocks[1..]), (all[1..].to_vec(), false));
    }
}
