//! What is remembered of candidates on their way, and of relay blocks that a shard missed.

use super::world::{BLOCK_MS, GONE, GOOD, World};
use crate::{
    feed::{LedgerFeed, RelayUpdate},
    ledger::{Discard, LedgerEvent, LedgerRules, Moment},
    passage::{CHANCES_MAX, Chance, Observer, PASSAGES_MAX, Passage, Tally, WORK_BLOCKS},
};
use primitives::shard::{Envelope, ShardId, ShardSection};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

const SHARD: ShardId = ShardId(1);

/// A ledger, and a feed that is told of each of its blocks.
struct Told {
    world: World,
    feed: LedgerFeed,
}

impl Told {
    fn new() -> Self {
        let world = World::after(LedgerRules::asynchronous(4), &[1, 1], 2);
        let feed = LedgerFeed::new(update(&world, Vec::new()));
        Self { world, feed }
    }

    fn tell(&self, events: Vec<LedgerEvent>) {
        self.feed.publish(update(&self.world, events));
    }

    fn back(&mut self, envelope: Envelope) {
        let events = self.world.back(envelope).unwrap();
        self.tell(events);
    }

    /// A block in which all validators say what they found.
    fn vote(&mut self) {
        let votes = self.world.votes(self.world.all());
        let events = self.world.step(votes, BLOCK_MS).unwrap();
        self.tell(events);
    }

    /// A block that says nothing.
    fn rest(&mut self) {
        let events = self.world.step(ShardSection::default(), BLOCK_MS).unwrap();
        self.tell(events);
    }

    fn passages(&self) -> Vec<Passage> {
        self.feed
            .passages(|passages| passages.of(SHARD).copied().collect())
    }

    fn tally(&self) -> Tally {
        self.feed.passages(|passages| passages.tally(SHARD))
    }

    fn chances(&self) -> Vec<Chance> {
        self.feed.passages(|passages| {
            let chances = passages.chances(SHARD);
            chances.map(|(_, chance)| chance).collect()
        })
    }
}

fn update(world: &World, events: Vec<LedgerEvent>) -> RelayUpdate {
    let height = world.ledger.height();
    RelayUpdate {
        height,
        digest: world.anchor(height).digest,
        ledger: Arc::new(world.ledger.clone()),
        authority: Arc::new(world.authority.clone()),
        events,
    }
}

#[test]
fn a_candidate_is_followed_from_collated_to_final() {
    let mut told = Told::new();
    let candidate = told.world.candidate(1, 0, GOOD);
    let descriptor = candidate.descriptor.clone();
    told.back(candidate);
    let moment = |height: u64| Moment {
        height,
        ms: height * BLOCK_MS,
    };
    let [passage] = told.passages()[..] else {
        panic!("one candidate");
    };
    assert_eq!(passage.hash, descriptor.head);
    assert_eq!((passage.number, passage.core), (1, 0));
    assert_eq!(passage.collated_ms, descriptor.timestamp_ms);
    assert_eq!(passage.anchor_height, 2);
    assert_eq!(passage.backed, moment(3));
    assert_eq!((passage.included, passage.finalized), (None, None));
    told.vote();
    let [passage] = told.passages()[..] else {
        panic!("one candidate");
    };
    assert_eq!(passage.included, Some(moment(4)));
    assert_eq!(passage.finalized, Some(moment(4)));
    assert_eq!(passage.discarded, None);
    let other = told
        .feed
        .passages(|passages| passages.of(ShardId(2)).count());
    assert_eq!(other, 0, "nothing of another shard");
}

#[test]
fn what_is_put_forward_again_is_another_passage() {
    let mut told = Told::new();
    let candidate = told.world.candidate(1, 0, GONE);
    told.back(candidate.clone());
    while told.passages()[0].discarded.is_none() {
        told.rest();
    }
    let height = told.world.ledger.height();
    let (moment, why) = told.passages()[0].discarded.unwrap();
    assert_eq!((moment.height, why), (height, Discard::Unavailable));
    let again = told.world.again(&candidate, 0);
    told.back(again);
    let passages = told.passages();
    assert_eq!(passages.len(), 2);
    assert_eq!(passages[0].candidate, passages[1].candidate);
    let newest = told
        .feed
        .passages(|passages| passages.of_block(SHARD, &candidate.descriptor.head));
    assert_eq!(newest, Some(passages[1]));
    assert_eq!(passages[1].discarded, None);
}

#[test]
fn a_relay_block_is_missed_when_work_waited_for_it() {
    let mut told = Told::new();
    told.rest();
    assert!(!told.tally().is_observed, "nobody here knows of work");
    let (work, now_ms) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(7)),
    );
    let (seen, clock) = (Arc::clone(&work), Arc::clone(&now_ms));
    told.feed.observe(Observer {
        now_ms: Box::new(move || clock.load(Relaxed)),
        has_work: Box::new(move |shard, _| (shard == SHARD).then(|| seen.load(Relaxed))),
    });
    told.rest();
    work.store(true, Relaxed);
    for _ in 0..WORK_BLOCKS {
        told.rest();
    }
    assert_eq!(told.tally().missed, 0, "it came a moment ago");
    told.rest();
    now_ms.store(9, Relaxed);
    let candidate = told.world.candidate(1, 0, GOOD);
    told.back(candidate);
    assert_eq!(told.passages()[0].backed.ms, 9, "as it was seen here");
    work.store(false, Relaxed);
    told.rest();
    told.rest();
    let expected = [
        vec![Chance::Idle; 4],
        vec![Chance::Missed, Chance::Taken, Chance::Missed, Chance::Idle],
    ];
    assert_eq!(told.chances(), expected.concat());
    let tally = told.tally();
    assert_eq!((tally.taken, tally.missed, tally.idle), (1, 2, 5));
    assert!(tally.is_observed);
    let other = told.feed.passages(|passages| passages.tally(ShardId(2)));
    assert_eq!((other.missed, other.idle, other.is_observed), (0, 8, false));
}

#[test]
fn only_the_newest_are_kept() {
    let mut told = Told::new();
    let rounds = u64::try_from(CHANCES_MAX / 2 + 10).unwrap();
    for _ in 0..rounds {
        let candidate = told.world.candidate(1, 0, GOOD);
        told.back(candidate);
        told.vote();
    }
    let passages = told.passages();
    assert_eq!(passages.len(), PASSAGES_MAX);
    assert_eq!(passages.last().unwrap().number, rounds);
    assert_eq!(told.chances().len(), CHANCES_MAX);
    assert_eq!(told.tally().taken, rounds);
}
