//! A validator that is honest but for the blocks that it gives to others: its real messages, with one thing wrong.

use super::{Cluster, liar::penniless, lying::Subject};
use bytes::Bytes;
use commonware_codec::{Copying, Decode as _, Encode as _};
use commonware_cryptography::Digest as _;
use consensus::relay::{Compact, Message};
use primitives::{BlockLimits, crypto::BlockDigest};

/// What is wrong with the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockLie {
    /// Compact blocks name their transactions in another order.
    Order,
    /// They name one fewer.
    Fewer,
    /// They name one more.
    More,
    /// They name one twice, in the place of another.
    Twice,
    /// Other transactions than those that were asked for.
    Other,
    /// Questions for transactions that a block does not have.
    Index,
    /// Bytes that are no message, in the place of transactions.
    Garbage,
    /// Silence, in the place of transactions and whole blocks.
    Silent,
    /// Questions for whole blocks only, in the place of every message but blocks.
    Greedy,
}

/// All of them.
pub const BLOCK_LIES: [BlockLie; 9] = [
    BlockLie::Order,
    BlockLie::Fewer,
    BlockLie::More,
    BlockLie::Twice,
    BlockLie::Other,
    BlockLie::Index,
    BlockLie::Garbage,
    BlockLie::Silent,
    BlockLie::Greedy,
];

impl BlockLie {
    /// Whether others can prove that it is one.
    #[must_use]
    pub const fn is_provable(self) -> bool {
        !matches!(self, Self::Silent | Self::Greedy)
    }

    /// The message that goes out in the place of a true one.
    pub(super) fn tell(self, message: Bytes, limits: &BlockLimits) -> Bytes {
        match Message::decode_cfg(Copying(&message), limits) {
            Ok(Message::Compact(compact)) => {
                Message::Compact(Box::new(self.name(*compact))).encode()
            }
            Ok(Message::Transactions { digest, mut placed }) => {
                match (self, placed.first_mut()) {
                    (Self::Other, Some(first)) => first.transaction = penniless(),
                    (Self::Garbage, _) => return Bytes::from_static(b"garbage"),
                    (Self::Silent, _) => return nothing(),
                    _ => {}
                }
                Message::Transactions { digest, placed }.encode()
            }
            Ok(Message::Missing {
                digest,
                mut indices,
            }) => {
                match self {
                    Self::Index => indices.push(u16::MAX),
                    Self::Greedy => return Message::GetWhole { digest }.encode(),
                    _ => {}
                }
                Message::Missing { digest, indices }.encode()
            }
            // Small ones are not answers.
            Ok(Message::Whole(block)) if self == Self::Silent && block.body_size() > 1_024 => {
                nothing()
            }
            _ => message,
        }
    }

    fn name(self, mut compact: Compact) -> Compact {
        let names = &mut compact.names;
        match self {
            Self::Order => names.reverse(),
            Self::Fewer => drop(names.pop()),
            Self::More => names.extend(names.first().copied()),
            Self::Twice if names.len() > 1 => names[1] = names[0],
            _ => {}
        }
        compact
    }
}

/// A question that nobody can answer.
fn nothing() -> Bytes {
    let digest = BlockDigest::EMPTY;
    Message::GetWhole { digest }.encode()
}

impl Cluster {
    /// Makes a node that does not run tell others something wrong about blocks from now on.
    ///
    /// # Panics
    /// If it runs.
    pub fn lie_about_blocks(&mut self, index: usize, lie: BlockLie) {
        self.lie(index, Subject::Block(lie));
    }

    /// Who has banned whom.
    ///
    /// # Panics
    /// If the network has ended.
    pub async fn banned(&self) -> Vec<(usize, usize)> {
        let banned = self.links.blocked().await;
        let banned = banned.expect("the network runs as long as the simulation");
        let index = |key| self.indices().find(|index| self.public_key(*index) == key);
        let pairs = banned
            .into_iter()
            .filter_map(|(by, peer)| Some((index(by)?, index(peer)?)));
        pairs.collect()
    }

    /// What the dissemination of blocks has counted on one node, in all its lives.
    #[must_use]
    pub fn relay_count(&self, index: usize, counter: &str) -> u64 {
        let (name, label) = (
            format!("relay_{counter}_total{{"),
            format!("index=\"{index}\""),
        );
        let text = commonware_runtime::Metrics::encode(&self.runtime);
        let samples = text
            .lines()
            .filter(|line| line.contains(&name) && line.contains(&label));
        let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        values.sum()
    }
}
