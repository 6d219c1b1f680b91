//! A node that does wrong about shards while a scenario tells it to: it says what it likes of candidates, and what it
//! sends about them has one thing wrong. In everything else it is the real node.
//!
//! ```text
//! its agent ── finding ──▶ bias: everything is valid
//!     └────── message ──▶ tell: to whom, and what instead ──▶ the others
//! ```

use super::{Cluster, lock};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_codec::{Copying, Decode as _, Encode as _};
use commonware_cryptography::{Hasher as _, Signer as _};
use consensus::network;
use node::sharding::Bias;
use pipeline::genesis_digest;
use primitives::{
    ChainConfig, Genesis,
    crypto::{BlockHasher, PrivateKey, PublicKey},
    shard::{Descriptor, RelayAnchor, ShardId, ShardNamespace},
};
use shards::{
    COLLATION_BYTES_MAX, Collation,
    agent::Finding,
    message::{CollationLimit, LargeMessage, Offered},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex},
};

/// What a node does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShardLie {
    /// As a validator, it finds everything valid.
    Credulous,
    /// As a collator, it says that its blocks lead to another state.
    StateRoot,
    /// As a collator, it shows nothing of the state that its blocks read.
    Witness,
    /// As a collator, it fills its collations up to more than is allowed.
    Oversize,
    /// As a collator, it names the first relay block that it has ever built against.
    StaleAnchor,
    /// As a collator, it makes two candidates of each block, and offers one to half of the others and one to the rest.
    Twice,
    /// Chunks that their root does not commit to.
    Chunk,
    /// It gives chunks and collations to its accomplices only.
    Withheld,
    /// With each message it sends an old one again.
    Replay,
}

/// Messages that are remembered, to be sent again.
const REPLAYED_MAX: usize = 256;
/// More than any collation may be.
const OVERSIZE_BYTES: usize = 5 << 20;
/// Each message is followed by the one so many before it.
const REPLAYED_BEFORE: usize = 40;

#[derive(Debug, Default)]
struct Conduct {
    lies: BTreeSet<ShardLie>,
    accomplices: BTreeSet<PublicKey>,
    /// The anchors of the first offer and of the newest.
    anchors: BTreeMap<ShardId, (RelayAnchor, RelayAnchor)>,
    /// By channel.
    said: BTreeMap<u64, VecDeque<Bytes>>,
}

/// What one node does wrong, if anything.
pub(crate) struct ShardLiar {
    key: PrivateKey,
    namespace: ShardNamespace,
    shards: BTreeMap<ShardId, ChainConfig>,
    conduct: Mutex<Conduct>,
}

impl fmt::Debug for ShardLiar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardLiar")
            .field("conduct", &self.conduct)
            .finish_non_exhaustive()
    }
}

/// Messages, and who gets them.
pub(crate) type Told = Vec<(Vec<PublicKey>, Bytes)>;

impl ShardLiar {
    pub(crate) fn new(genesis: &Genesis, key: PrivateKey) -> Self {
        let (_, block) = pipeline::genesis(genesis);
        let shards = genesis.shards.iter();
        Self {
            key,
            namespace: ShardNamespace::new(&genesis_digest(&block)),
            shards: shards
                .map(|shard| (shard.shard, shard.genesis.chain.clone()))
                .collect(),
            conduct: Mutex::default(),
        }
    }

    pub(crate) fn is_honest(&self) -> bool {
        lock(&self.conduct).lies.is_empty()
    }

    /// What the node says of candidates in the place of what it finds.
    pub(crate) fn bias(self: &Arc<Self>) -> Bias {
        let liar = Arc::clone(self);
        Bias::new(move |_, finding| match liar.does(ShardLie::Credulous) {
            true => Finding::Valid,
            false => finding,
        })
    }

    fn does(&self, lie: ShardLie) -> bool {
        lock(&self.conduct).lies.contains(&lie)
    }

    /// What goes out in the place of a true message.
    pub(crate) fn tell(&self, channel: u64, message: Bytes, to: Vec<PublicKey>) -> Told {
        let mut told = match channel {
            network::SHARD_COLLATIONS => self.large(message, to),
            _ => vec![(to, message)],
        };
        told.extend(self.again(channel, &told));
        told.retain(|(to, _)| !to.is_empty());
        told
    }

    fn large(&self, message: Bytes, to: Vec<PublicKey>) -> Told {
        let limit = CollationLimit(u32::try_from(COLLATION_BYTES_MAX).unwrap_or(u32::MAX));
        match LargeMessage::decode_cfg(Copying(&message), &limit) {
            Ok(LargeMessage::Offer(offered, collation)) => self.offer(*offered, collation, to),
            Ok(other @ (LargeMessage::Chunk { .. } | LargeMessage::Collation { .. })) => {
                vec![(self.among(to), self.answer(other))]
            }
            Err(_) => vec![(to, message)],
        }
    }

    fn answer(&self, mut answer: LargeMessage) -> Bytes {
        if let LargeMessage::Chunk { chunk, .. } = &mut answer
            && self.does(ShardLie::Chunk)
        {
            let changed = chunk.iter().map(|byte| byte ^ 1);
            *chunk = changed.collect();
        }
        answer.encode()
    }

    fn offer(&self, offered: Offered, collation: Bytes, to: Vec<PublicKey>) -> Told {
        let to = self.among(to);
        if offered.descriptor.collator != self.key.public_key() {
            return vec![(to, encode(offered, collation))];
        }
        let (first, last) = self.remember(&offered.descriptor);
        let (mut changed, mut bytes) = (offered.clone(), collation.clone());
        let descriptor = &mut changed.descriptor;
        if self.does(ShardLie::StateRoot) {
            descriptor.state_root = B256::repeat_byte(0xba);
        }
        if self.does(ShardLie::StaleAnchor) {
            descriptor.anchor = first;
        }
        if self.does(ShardLie::Witness) {
            bytes = self.without_witness(descriptor.shard, &bytes);
        }
        if self.does(ShardLie::Oversize) {
            let mut filled = bytes.to_vec();
            filled.resize(OVERSIZE_BYTES, 0);
            bytes = filled.into();
        }
        if self.does(ShardLie::Twice) {
            descriptor.anchor = last;
        }
        let descriptor = &mut changed.descriptor;
        descriptor.collation_hash = B256::from_slice(BlockHasher::hash(&[bytes.as_ref()]).as_ref());
        descriptor.collation_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        changed.signature = changed.descriptor.id().sign(&self.namespace, &self.key);
        if !self.does(ShardLie::Twice) {
            return vec![(to, encode(changed, bytes))];
        }
        let (some, others) = to.split_at(to.len() / 2);
        vec![
            (some.to_vec(), encode(offered, collation)),
            (others.to_vec(), encode(changed, bytes)),
        ]
    }

    /// The anchors of its first block and of the one before this.
    fn remember(&self, descriptor: &Descriptor) -> (RelayAnchor, RelayAnchor) {
        let anchors = &mut lock(&self.conduct).anchors;
        let known = anchors.entry(descriptor.shard);
        let (first, last) = known.or_insert((descriptor.anchor, descriptor.anchor));
        let before = (*first, *last);
        *last = descriptor.anchor;
        before
    }

    /// The collation with a witness that shows the root and nothing below it.
    fn without_witness(&self, shard: ShardId, encoded: &Bytes) -> Bytes {
        let encoded = encoded.clone().into();
        let collation = self.shards.get(&shard);
        let collation = collation.and_then(|chain| Collation::decode(&encoded, chain).ok());
        let mut collation = collation.expect("the node's own collation decodes");
        let root = collation.parent.header.state_root;
        let (version_and_hash, no_codes) = ([1, 0], [0; 4]);
        let witness = [version_and_hash.as_slice(), root.as_slice(), &no_codes];
        collation.witness = witness.concat().into();
        let encoded = collation.encode().expect("it is shorter than it was");
        encoded.into()
    }

    /// Those among whom it may get about.
    fn among(&self, to: Vec<PublicKey>) -> Vec<PublicKey> {
        let conduct = lock(&self.conduct);
        if !conduct.lies.contains(&ShardLie::Withheld) {
            return to;
        }
        let accomplice = |key: &PublicKey| conduct.accomplices.contains(key);
        to.into_iter().filter(accomplice).collect()
    }

    /// Old messages, to whom the new ones go.
    fn again(&self, channel: u64, told: &Told) -> Told {
        let mut conduct = lock(&self.conduct);
        if !conduct.lies.contains(&ShardLie::Replay) {
            return Told::new();
        }
        let mut again = Told::new();
        let said = conduct.said.entry(channel).or_default();
        for (to, message) in told {
            said.push_back(message.clone());
            if said.len() > REPLAYED_MAX {
                said.pop_front();
            }
            let place = said.len().checked_sub(REPLAYED_BEFORE);
            let old = place.and_then(|place| said.get(place));
            again.extend(old.map(|old| (to.clone(), old.clone())));
        }
        again
    }
}

fn encode(offered: Offered, collation: Bytes) -> Bytes {
    LargeMessage::Offer(Box::new(offered), collation).encode()
}

impl Cluster {
    /// Makes a node do these things wrong about shards from now on, and no others. What it withholds goes to the
    /// accomplices.
    pub fn misbehave(&self, index: usize, lies: &[ShardLie], accomplices: &[usize]) {
        let accomplices = accomplices.iter().map(|index| self.public_key(*index));
        let mut conduct = lock(&self.validators[index].liar.conduct);
        conduct.lies = lies.iter().copied().collect();
        conduct.accomplices = accomplices.collect();
    }
}
