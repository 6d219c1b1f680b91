//! A shard whose blocks are lists of numbers: 0, 1, 2, … each in one block, in order. What a block says of itself
//! can be checked by anybody; whether it is poisoned too.

use super::relay::Archive;
use crate::{
    agent::{BuildOrder, Builder, Built, Checker, Cutter, Finding, Restored, backing::hash_of},
    arrears::{Arrears, FinalCandidate, RelayGap, Trail},
};
use alloy_primitives::B256;
use bytes::Bytes;
use primitives::{
    crypto::PublicKey,
    shard::{Coding, Descriptor, ShardId},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Numbers in one block.
pub(super) const EACH: u64 = 3;
/// Gas that it takes when it is full.
pub(super) const GAS_LIMIT: u64 = 30_000_000;
/// What a block is filled up with.
const PADDING: usize = 1_000;

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToyBlock {
    pub(super) number: u64,
    pub(super) parent: B256,
    /// Its first number, and how many there are.
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) poisoned: bool,
}

impl ToyBlock {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        for word in [self.number, self.first, self.count] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(self.parent.0);
        bytes.push(u8::from(self.poisoned));
        bytes.extend([0; PADDING]);
        bytes.into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let eight = bytes.get(at..at + 8)?;
            Some(u64::from_be_bytes(eight.try_into().ok()?))
        };
        Some(Self {
            number: word(0)?,
            first: word(8)?,
            count: word(16)?,
            parent: B256::from_slice(bytes.get(24..56)?),
            poisoned: *bytes.get(56)? != 0,
        })
    }

    pub(super) fn describe(&self, order: &BuildOrder, collator: &PublicKey) -> Built {
        let collation = self.encode();
        let head = hash_of(&collation);
        let descriptor = Descriptor {
            shard: order.shard,
            number: self.number,
            parent: self.parent,
            head,
            state_root: head,
            anchor: order.anchor,
            rules: B256::repeat_byte(3),
            collation_hash: head,
            collation_bytes: u32::try_from(collation.len()).unwrap(),
            gas_used: self.count.min(EACH) * (GAS_LIMIT / EACH),
            timestamp_ms: order.now_ms.max(order.parent.timestamp_ms + 1),
            collator: collator.clone(),
        };
        Built {
            descriptor,
            collation,
        }
    }
}

/// Tells the truth, or finds everything valid, or nothing for a while; and counts.
#[derive(Debug)]
pub(super) struct ToyChecker {
    pub(super) lies: bool,
    pub(super) doubts: Arc<AtomicBool>,
    pub(super) checks: Arc<AtomicU64>,
    /// A shard whose candidates take so many milliseconds.
    pub(super) slow: Option<(ShardId, u64)>,
    /// How long the one takes that was checked last.
    pub(super) owed_ms: AtomicU64,
}

impl Checker for ToyChecker {
    fn check(&self, descriptor: &Descriptor, collation: &Bytes, _: &AtomicBool) -> Finding {
        self.checks.fetch_add(1, Relaxed);
        if let Some((_, ms)) = self.slow.filter(|(shard, _)| *shard == descriptor.shard) {
            self.owed_ms.store(ms, Relaxed);
        }
        if self.lies {
            return Finding::Valid;
        }
        match self.doubts.load(Relaxed) {
            true => Finding::Undecided,
            false => truth(descriptor, collation),
        }
    }

    fn remaining(&self) -> Duration {
        Duration::from_millis(self.owed_ms.swap(0, Relaxed))
    }
}

fn truth(descriptor: &Descriptor, collation: &Bytes) -> Finding {
    let right = ToyBlock::decode(collation).is_some_and(|block| {
        !block.poisoned
            && block.number == descriptor.number
            && block.parent == descriptor.parent
            && hash_of(collation) == descriptor.head
    });
    match right {
        true => Finding::Valid,
        false => Finding::Invalid,
    }
}

/// How a cutter misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cutting {
    Honest,
    /// It makes no chunks that it could send.
    Withheld,
    /// The chunks are not what the root commits to.
    WrongProofs,
    /// The root commits to another collation.
    WrongCoding,
}

/// Every chunk is the whole collation, with its place before it; the root is a hash.
#[derive(Debug)]
pub(super) struct ToyCutter(pub(super) Cutting);

impl Cutter for ToyCutter {
    fn cut(&self, collation: &Bytes, validators: u16, epoch: u64) -> Option<(Coding, Vec<Bytes>)> {
        let bytes = match self.0 {
            Cutting::WrongCoding => Bytes::from([b"other ", collation.as_ref()].concat()),
            Cutting::Honest | Cutting::Withheld | Cutting::WrongProofs => collation.clone(),
        };
        let coding = Coding {
            epoch,
            total: validators,
            minimum: validators.saturating_sub(1) / 3 + 1,
            root: hash_of(&[b"root".as_slice(), &bytes].concat()),
        };
        let chunk = |index: u16| match self.0 {
            Cutting::WrongProofs => Bytes::from_static(b"nothing"),
            Cutting::Honest | Cutting::Withheld | Cutting::WrongCoding => {
                Bytes::from([&index.to_be_bytes(), bytes.as_ref()].concat())
            }
        };
        let chunks = match self.0 {
            Cutting::Withheld => Vec::new(),
            Cutting::Honest | Cutting::WrongProofs | Cutting::WrongCoding => {
                (0..validators).map(chunk).collect()
            }
        };
        Some((coding, chunks))
    }

    fn check(&self, coding: &Coding, index: u16, chunk: &Bytes) -> bool {
        chunk.get(..2) == Some(&index.to_be_bytes())
            && hash_of(&[b"root".as_slice(), &chunk[2..]].concat()) == coding.root
    }

    fn restore(&self, coding: &Coding, chunks: &[(u16, Bytes)]) -> Restored {
        if chunks.len() < usize::from(coding.minimum) {
            return Restored::TooFew;
        }
        Restored::Collation(chunks[0].1.slice(2..))
    }
}

/// The number that comes after each block.
type Heads = BTreeMap<(ShardId, B256), u64>;

/// Number and hash.
type Newest = BTreeMap<ShardId, (u64, B256)>;

/// Builds blocks of numbers.
#[derive(Clone, Debug)]
pub(super) struct ToyBuilder {
    key: PublicKey,
    /// The number that comes next after each head that it has.
    heads: Arc<Mutex<Heads>>,
    /// The block that it made or followed last, in each shard.
    newest: Arc<Mutex<Newest>>,
    /// The number of each block that it made or followed.
    numbers: Arc<Mutex<BTreeMap<B256, u64>>>,
    /// Numbers that may be put into blocks: those below.
    pub(super) supply: Arc<AtomicU64>,
    /// Its files have nothing above this number.
    pub(super) durable_max: Arc<AtomicU64>,
    /// It poisons what it builds.
    pub(super) poisons: Arc<AtomicBool>,
    archive: Archive,
}

impl ToyBuilder {
    pub(super) fn new(
        key: PublicKey,
        genesis: impl Iterator<Item = (ShardId, B256)>,
        supply: Arc<AtomicU64>,
        archive: Archive,
    ) -> Self {
        let heads: BTreeMap<_, _> = genesis.map(|place| (place, 0)).collect();
        let newest = heads.keys().map(|(shard, head)| (*shard, (0, *head)));
        Self {
            key,
            newest: Arc::new(Mutex::new(newest.collect())),
            numbers: Arc::default(),
            heads: Arc::new(Mutex::new(heads)),
            supply,
            durable_max: Arc::new(AtomicU64::new(u64::MAX)),
            poisons: Arc::default(),
            archive,
        }
    }
}

impl Builder for ToyBuilder {
    async fn build(&self, order: BuildOrder) -> Option<Built> {
        let mut heads = self.heads.lock().unwrap();
        let first = *heads.get(&(order.shard, order.parent.hash))?;
        let count = self.supply.load(Relaxed).saturating_sub(first).min(EACH);
        if count == 0 {
            return None;
        }
        let block = ToyBlock {
            number: order.parent.number + 1,
            parent: order.parent.hash,
            first,
            count,
            poisoned: self.poisons.load(Relaxed),
        };
        let built = block.describe(&order, &self.key);
        heads.insert((order.shard, built.descriptor.head), first + count);
        self.made(&built.descriptor);
        Some(built)
    }

    fn newest(&self, shard: ShardId) -> Option<(u64, B256)> {
        self.newest.lock().unwrap().get(&shard).copied()
    }

    fn durable(&self, shard: ShardId) -> u64 {
        let newest = self.newest(shard).map_or(0, |(number, _)| number);
        newest.min(self.durable_max.load(Relaxed))
    }

    async fn follow(&self, descriptor: Descriptor, collation: Bytes) -> Finding {
        let finding = truth(&descriptor, &collation);
        let Some(block) = ToyBlock::decode(&collation).filter(|_| finding == Finding::Valid) else {
            return Finding::Invalid;
        };
        let mut heads = self.heads.lock().unwrap();
        let Some(next) = heads.get(&(descriptor.shard, block.parent)) else {
            return Finding::Undecided;
        };
        if *next != block.first {
            return Finding::Invalid;
        }
        heads.insert(
            (descriptor.shard, descriptor.head),
            block.first + block.count,
        );
        self.made(&descriptor);
        Finding::Valid
    }

    async fn name(&self, arrears: Arrears) -> Result<Vec<FinalCandidate>, RelayGap> {
        let archive = self.archive.lock().unwrap();
        let mut trail = Trail::new(&arrears);
        let mut height = arrears.height;
        while !trail.is_over() {
            trail.pass(archive.get(&height).ok_or(RelayGap { height })?);
            height -= 1;
        }
        Ok(trail.named())
    }
}

impl ToyBuilder {
    fn made(&self, descriptor: &Descriptor) {
        let newest = (descriptor.number, descriptor.head);
        let mut numbers = self.numbers.lock().unwrap();
        numbers.insert(descriptor.head, descriptor.number);
        drop(numbers);
        self.newest.lock().unwrap().insert(descriptor.shard, newest);
    }

    /// Loses every block above a number, as a power failure does with what is not on disk.
    pub(super) fn lose(&self, shard: ShardId, number: u64, head: B256) {
        let keeps = |lost: u64| lost <= number;
        let mut numbers = self.numbers.lock().unwrap();
        let mut heads = self.heads.lock().unwrap();
        heads.retain(|(of, head), _| {
            *of != shard || numbers.get(head).is_none_or(|number| keeps(*number))
        });
        numbers.retain(|_, number| keeps(*number));
        drop((heads, numbers));
        self.newest.lock().unwrap().insert(shard, (number, head));
    }

    /// The number that comes after a block, if the builder has it.
    pub(super) fn next(&self, shard: ShardId, head: B256) -> Option<u64> {
        self.heads.lock().unwrap().get(&(shard, head)).copied()
    }
}
