//! Every fault of a section by its name: a good one, changed in one thing.

use super::world::{BLOCK_MS, GOOD, World, terms};
use crate::ledger::{
    BackedFault, CheckedSection, CountFault, Ledger, LedgerRules, RelayStep, SectionFault,
    ShardOrder,
};
use alloy_primitives::B256;
use commonware_cryptography::Signer as _;
use primitives::{
    crypto::PrivateKey,
    shard::{BackedEnvelope, Bits, Envelope, ShardId, ShardSection, VoteFault, Votes},
};
use rand::{SeedableRng as _, rngs::StdRng};

/// Two shards on two cores each, some blocks after genesis.
fn world() -> World {
    World::after(LedgerRules::asynchronous(4), &[2, 2], 10)
}

/// What is wrong with a good candidate once this is done to it; the draft is as it was.
fn backed(world: &World, change: impl FnOnce(&mut BackedEnvelope)) -> BackedFault {
    let mut draft = world.draft();
    draft.settle();
    let mut one = world.backed(world.candidate(1, 0, GOOD));
    assert_eq!(draft.clone().back(&one), Ok(()));
    change(&mut one);
    let before = draft.ledger().clone();
    let fault = draft.back(&one).unwrap_err();
    assert_eq!(draft.ledger(), &before);
    assert_eq!(draft.finish().1, []);
    fault
}

fn envelope(change: impl FnOnce(&World, &mut Envelope)) -> BackedFault {
    let world = world();
    backed(&world, |one| change(&world, &mut one.envelope))
}

#[test]
fn r1_shard() {
    let fault = envelope(|_, one| one.descriptor.shard = ShardId(9));
    assert_eq!(fault, BackedFault::Shard(ShardId(9)));
}

#[test]
fn r1_resting() {
    for order in [
        ShardOrder::Pause(ShardId(1)),
        ShardOrder::Retire(ShardId(1)),
    ] {
        let mut world = world();
        let one = world.backed(world.candidate(1, 0, GOOD));
        world
            .step_with(ShardSection::default(), &[order], BLOCK_MS)
            .unwrap();
        let mut draft = world.draft();
        assert_eq!(draft.back(&one), Err(BackedFault::Resting(ShardId(1))));
    }
}

#[test]
fn r1_parent() {
    let fault = BackedFault::Parent {
        number: 1,
        expected: 1,
    };
    assert_eq!(envelope(|_, one| one.descriptor.parent = B256::ZERO), fault);
    let fault = BackedFault::Parent {
        number: 2,
        expected: 1,
    };
    assert_eq!(envelope(|_, one| one.descriptor.number = 2), fault);
}

#[test]
fn r1_anchor() {
    let fault = |height| BackedFault::Anchor {
        height,
        from: 0,
        to: 10,
    };
    let wrong = envelope(|_, one| one.descriptor.anchor.digest = B256::ZERO);
    assert_eq!(wrong, fault(10));
    let ahead = envelope(|_, one| one.descriptor.anchor.height = 11);
    assert_eq!(ahead, fault(11));
    let huge = envelope(|_, one| one.descriptor.anchor.height = u64::MAX);
    assert_eq!(huge, fault(u64::MAX));
}

#[test]
fn r1_anchor_is_in_the_window_and_not_before_the_parents() {
    let rules = LedgerRules {
        anchor_window: 4,
        ..LedgerRules::asynchronous(4)
    };
    let mut world = World::after(rules, &[1], 10);
    let old = backed(&world, |one| {
        one.envelope.descriptor.anchor = world.anchor(6);
    });
    let fault = BackedFault::Anchor {
        height: 6,
        from: 7,
        to: 10,
    };
    assert_eq!(old, fault);
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    let back = backed(&world, |one| {
        one.envelope.descriptor.anchor = world.anchor(9);
    });
    let fault = BackedFault::Anchor {
        height: 9,
        from: 10,
        to: 11,
    };
    assert_eq!(back, fault);
}

#[test]
fn r1_timestamp() {
    let most = 11 * BLOCK_MS + LedgerRules::asynchronous(4).clock_drift_ms;
    let fault = |got| BackedFault::Timestamp {
        got,
        after: 0,
        most,
    };
    assert_eq!(envelope(|_, one| one.descriptor.timestamp_ms = 0), fault(0));
    let late = envelope(|_, one| one.descriptor.timestamp_ms = most + 1);
    assert_eq!(late, fault(most + 1));
}

#[test]
fn r1_segment_full() {
    let rules = LedgerRules {
        core_depth: 4,
        ..LedgerRules::asynchronous(4)
    };
    let mut world = World::after(rules, &[1], 1);
    for _ in 0..4 {
        world.back(world.candidate(1, 0, GOOD)).unwrap();
    }
    let fault = BackedFault::SegmentFull { pending: 4, max: 4 };
    let error = world.back(world.candidate(1, 0, GOOD)).unwrap_err();
    assert_eq!(error, SectionFault::Backed { index: 0, fault });
}

#[test]
fn r1_pipeline_full() {
    let rules = LedgerRules {
        deadline_blocks: 1_024,
        ..LedgerRules::asynchronous(4)
    };
    let mut world = World::after(rules, &[64], 1);
    // Held by all, approved by nobody: cores are free, and the segment fills up.
    for core in 0..256 {
        world.back(world.candidate(1, core % 64, GOOD)).unwrap();
        let votes = world.all().map(|one| world.honest(one, false)).collect();
        let section = ShardSection {
            votes,
            ..ShardSection::default()
        };
        world.step(section, 0).unwrap();
    }
    assert_eq!(world.ledger.pending().count(), 256);
    // Cores that change hands are the only way to more than there are places.
    world.ledger.rules = std::sync::Arc::new(LedgerRules {
        segment_max: 5,
        ..world.ledger.rules().clone()
    });
    let error = world.back(world.candidate(1, 0, GOOD)).unwrap_err();
    let fault = BackedFault::PipelineFull { pending: 256 };
    assert_eq!(error, SectionFault::Backed { index: 0, fault });
}

#[test]
fn r1_core() {
    let other = envelope(|_, one| one.schedule.core = 2);
    assert_eq!(other, BackedFault::Core(2));
    let none = envelope(|_, one| one.schedule.core = u16::MAX);
    assert_eq!(none, BackedFault::Core(u16::MAX));
}

#[test]
fn r1_occupied_by_another_of_the_block() {
    let world = world();
    let mut draft = world.draft();
    draft
        .back(&world.backed(world.candidate(1, 0, GOOD)))
        .unwrap();
    let next = |core| world.backed(world.candidate_on(draft.ledger(), 1, core, GOOD));
    let (same, other) = (next(0), next(1));
    assert_eq!(draft.back(&same), Err(BackedFault::Occupied(0)));
    assert_eq!(draft.back(&other), Ok(()));
}

#[test]
fn r1_occupied_by_those_that_wait_for_chunks() {
    let mut world = world();
    for _ in 0..3 {
        world.back(world.candidate(1, 0, GOOD)).unwrap();
    }
    let one = world.backed(world.candidate(1, 0, GOOD));
    let fault = BackedFault::Occupied(0);
    assert_eq!(world.draft().back(&one), Err(fault));
    let held = world.all().map(|one| world.honest(one, false)).collect();
    let section = ShardSection {
        votes: held,
        ..ShardSection::default()
    };
    world.step(section, BLOCK_MS).unwrap();
    world.back(world.candidate(1, 0, GOOD)).unwrap();
}

#[test]
fn r1_schedule() {
    let fault = |height| BackedFault::Schedule {
        height,
        from: 7,
        to: 10,
    };
    assert_eq!(envelope(|_, one| one.schedule.height = 6), fault(6));
    assert_eq!(envelope(|_, one| one.schedule.height = 11), fault(11));
}

#[test]
fn r1_coding() {
    let fault = BackedFault::Coding { epoch: 0 };
    assert_eq!(envelope(|_, one| one.coding.epoch = 1), fault);
    assert_eq!(envelope(|_, one| one.coding.total = 5), fault);
    assert_eq!(envelope(|_, one| one.coding.minimum = 1), fault);
}

#[test]
fn r1_rules() {
    let fault = envelope(|_, one| one.descriptor.rules = B256::ZERO);
    assert_eq!(fault, BackedFault::Rules);
}

#[test]
fn r1_collator() {
    let mut world = world();
    let collators = vec![world.keys[0].public_key()];
    let order = ShardOrder::Collators {
        shard: ShardId(1),
        collators,
    };
    world
        .step_with(ShardSection::default(), &[order], BLOCK_MS)
        .unwrap();
    let fault = backed(&world, |one| {
        one.envelope.descriptor.collator = PrivateKey::from_seed(77).public_key();
    });
    assert_eq!(fault, BackedFault::Collator);
}

#[test]
fn r1_limits() {
    let gas = envelope(|_, one| one.descriptor.gas_used = 30_000_001);
    let fault = |field, got, max| BackedFault::Limit { field, got, max };
    assert_eq!(gas, fault("gas_used", 30_000_001, 30_000_000));
    let bytes = envelope(|_, one| one.descriptor.collation_bytes = 4_194_305);
    assert_eq!(bytes, fault("collation_bytes", 4_194_305, 4_194_304));
}

#[test]
fn r1_backers() {
    let world = world();
    let few = backed(&world, |one| one.backers = Bits::below(1));
    let fault = |backers, strangers| BackedFault::Backers {
        backers,
        min: 2,
        strangers,
    };
    assert_eq!(few, fault(1, 0));
    let strange = backed(&world, |one| one.backers = Bits::below(5));
    assert_eq!(strange, fault(4, 1));
    let none = backed(&world, |one| one.backers = Bits::EMPTY);
    assert_eq!(none, fault(0, 0));
}

fn count(world: &World, validator: u16, votes: Votes) -> CountFault {
    let mut draft = world.draft();
    let before = draft.ledger().clone();
    let fault = draft.count(&world.vote(validator, votes)).unwrap_err();
    assert_eq!(draft.ledger(), &before);
    assert_eq!(draft.finish().1, []);
    fault
}

#[test]
fn votes_that_may_not_be_counted() {
    let mut world = world();
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    let good = world.honest(1, true).votes;
    assert_eq!(world.draft().count(&world.vote(1, good)), Ok(()));
    assert_eq!(count(&world, 4, good), CountFault::Validator(4));
    let empty = Votes {
        height: good.height,
        ..Votes::default()
    };
    assert_eq!(count(&world, 1, empty), VoteFault::Empty.into());
    let both = Votes {
        invalid: good.valid,
        ..good
    };
    assert_eq!(count(&world, 1, both), VoteFault::Contradiction.into());
    let ahead = Votes { height: 12, ..good };
    let fault = |height, from, to| CountFault::Height { height, from, to };
    assert_eq!(count(&world, 1, ahead), fault(12, 0, 11));
    // The ledger that is named did not have it yet.
    let before = Votes { height: 10, ..good };
    assert_eq!(count(&world, 1, before), CountFault::Stale);
    let elsewhere = Votes {
        held: [7].into_iter().collect(),
        height: good.height,
        ..Votes::default()
    };
    assert_eq!(count(&world, 1, elsewhere), CountFault::Stale);
    world.step(world.votes([1]), BLOCK_MS).unwrap();
    assert_eq!(count(&world, 1, good), CountFault::Stale);
}

#[test]
fn votes_name_a_ledger_of_the_window() {
    let rules = LedgerRules {
        vote_window: 3,
        deadline_blocks: 100,
        ..LedgerRules::asynchronous(4)
    };
    let mut world = World::after(rules, &[1], 1);
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    let vote = world.honest(1, true);
    world.step(ShardSection::default(), BLOCK_MS).unwrap();
    world.step(ShardSection::default(), BLOCK_MS).unwrap();
    assert_eq!(world.draft().count(&vote), Ok(()));
    world.step(ShardSection::default(), BLOCK_MS).unwrap();
    let fault = CountFault::Height {
        height: 2,
        from: 3,
        to: 5,
    };
    assert_eq!(world.draft().count(&vote), Err(fault));
    assert_eq!(
        world.authority.check_vote(&vote, &world.ledger),
        Err(CountFault::Signature)
    );
    world.step(ShardSection::default(), BLOCK_MS).unwrap();
    let fault = CountFault::Height {
        height: 2,
        from: 4,
        to: 6,
    };
    assert_eq!(world.authority.check_vote(&vote, &world.ledger), Err(fault));
}

#[test]
fn a_block_follows_in_height_and_time() {
    let world = world();
    let step = |height, timestamp_ms, section: &CheckedSection| {
        let step = RelayStep {
            height,
            parent_digest: B256::ZERO,
            timestamp_ms,
            executed_height: 10,
            section,
        };
        world.ledger.apply(&step).map(drop)
    };
    let none = CheckedSection::default();
    let now = world.ledger.timestamp_ms();
    assert_eq!(step(11, now, &none), Ok(()));
    for height in [0, 10, 12, u64::MAX] {
        let ledger = 10;
        let fault = SectionFault::Height { height, ledger };
        assert_eq!(step(height, now, &none), Err(fault));
    }
    let fault = SectionFault::Time {
        got: now - 1,
        ledger: now,
    };
    assert_eq!(step(11, now - 1, &none), Err(fault));
    let section = ShardSection {
        backed: vec![world.backed(world.candidate(1, 0, GOOD))],
        ..ShardSection::default()
    };
    let elsewhere = World::new(LedgerRules::asynchronous(4), &[1]);
    let section = CheckedSection::unchecked(section, &elsewhere.ledger);
    assert_eq!(step(11, now, &section), Err(SectionFault::Unrelated));
}

#[test]
fn signatures_are_of_whom_they_say() {
    let mut world = world();
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    let (namespace, digest) = (&world.authority.namespace, world.ledger.digest());
    let votes = world.honest(1, true).votes;
    let section = ShardSection {
        backed: vec![
            world.signed(world.candidate(1, 0, GOOD)),
            world.signed(world.candidate(2, 2, GOOD)),
        ],
        votes: (0..4)
            .map(|one| votes.sign(one, &digest, namespace, &world.keys[usize::from(one)]))
            .collect(),
        ..ShardSection::default()
    };
    let check = |section: &ShardSection| {
        let random = &mut StdRng::seed_from_u64(1);
        CheckedSection::check(section.clone(), &world.ledger, &world.authority, random)
    };
    let checked = check(&section).unwrap();
    assert_eq!(checked.section(), &section);
    let step = RelayStep {
        height: 12,
        parent_digest: world.relay[11],
        timestamp_ms: world.ledger.timestamp_ms(),
        executed_height: 11,
        section: &checked,
    };
    assert!(world.ledger.apply(&step).is_ok());

    let vote = |index, fault| Err(SectionFault::Vote { index, fault });
    let mut forged = section.clone();
    forged.votes[2].validator = 3;
    assert_eq!(check(&forged), vote(2, CountFault::Signature));
    let mut forged = section.clone();
    forged.votes[3].votes.held.insert(9);
    assert_eq!(check(&forged), vote(3, CountFault::Signature));
    // What was said about one ledger is not said about another.
    let mut forged = section.clone();
    forged.votes[1].votes.height -= 1;
    assert_eq!(check(&forged), vote(1, CountFault::Signature));
    let mut forged = section.clone();
    forged.votes[0].validator = 4;
    assert_eq!(check(&forged), vote(0, CountFault::Validator(4)));

    let back = |index, fault| Err(SectionFault::Backed { index, fault });
    let mut forged = section.clone();
    forged.backed[1].signatures.swap(0, 1);
    assert_eq!(check(&forged), back(1, BackedFault::Signature));
    let mut forged = section.clone();
    forged.backed[0].envelope.coding.root = B256::repeat_byte(1);
    assert_eq!(check(&forged), back(0, BackedFault::Signature));
    let mut forged = section.clone();
    forged.backed[0].signatures.pop();
    assert_eq!(check(&forged), back(0, BackedFault::Signature));
    // Nobody's signature is checked in vain.
    let mut forged = section;
    forged.backed[0].backers = Bits::below(256);
    let fault = BackedFault::Backers {
        backers: 256,
        min: 2,
        strangers: 252,
    };
    assert_eq!(check(&forged), back(0, fault));
}

#[test]
fn genesis_is_checked() {
    let genesis = |rules, shards: Vec<(u32, u16)>| {
        let shards = shards
            .into_iter()
            .map(|(shard, cores)| (ShardId(shard), terms(), cores));
        Ledger::genesis(rules, 0, shards).map(drop)
    };
    let rules = LedgerRules::asynchronous(4);
    assert_eq!(genesis(rules.clone(), vec![(1, 64)]), Ok(()));
    assert!(genesis(rules.clone(), vec![(1, 1), (1, 1)]).is_err());
    assert!(genesis(rules.clone(), vec![(1, 65)]).is_err());
    let long = LedgerRules {
        segment_max: 5,
        ..LedgerRules::asynchronous(4)
    };
    assert!(genesis(long.clone(), vec![(1, 51)]).is_ok());
    assert!(genesis(long, vec![(1, 52)]).is_err());
    let hasty = LedgerRules {
        deadline_blocks: 3,
        ..rules
    };
    assert_eq!(
        genesis(hasty, vec![(1, 1)]).unwrap_err().field,
        "deadline_blocks"
    );
}
