//! Random schedules of all that can happen, against the invariants: leaders that try whatever comes, honest votes
//! that are late, up to f liars, clocks that jump, orders and epochs.
//!
//! ```text
//! one number per block ─▶ dice ─▶ orders, evidence, votes that are due, candidates of many kinds
//!                                   │ tried on a Draft, which a refused item must not change
//!                                   ▼
//!                      the section ─▶ applied twice ─▶ the draft's ledger, and Watch's opinion
//! ```

use super::{
    watch::Watch,
    world::{BAD, BLOCK_MS, GAS_LIMIT, GONE, GOOD, RULES, World, carried, charter_of, terms},
};
use crate::ledger::{Approval, Draft, Ledger, LedgerEvent, LedgerRules, ShardOrder};
use primitives::shard::{Bits, Envelope, ShardId, ShardSection, ShardVote, Votes};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use rand::{SeedableRng as _, rngs::StdRng};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

const SIZES: [u16; 6] = [1, 2, 3, 4, 7, 10];
/// Blocks that a vote is on its way at most.
const LATE: u64 = 3;

/// What must have happened in some schedule, or the model is too tame.
const PATHS: [&str; 28] = [
    "Backed",
    "Included",
    "Final",
    "Unavailable",
    "Undecided",
    "Invalid",
    "Invalid, backed",
    "Invalid, included",
    "Descendant",
    "Epoch",
    "Retired",
    "Equivocation",
    "BackedInvalid",
    "ApprovedInvalid",
    "Contradiction",
    "Create",
    "Pause",
    "Resume",
    "Retire",
    "Upgrade",
    "Collators",
    "Refused",
    "again",
    "late vote",
    "refused candidate",
    "Moved",
    "Moved, pending",
    "Backed, its core moved",
];

/// And in some where a few check for all.
const SAMPLED_PATHS: [&str; 7] = [
    "Final by a few",
    "Final by corrupt few",
    "Objection",
    "NoShows",
    "FalseObjection",
    "ignored objection",
    "Undecided",
];

struct Model {
    world: World,
    watch: Watch,
    /// Validators below this lie when they like.
    liars: u16,
    /// How likely an honest validator has executed what it holds.
    diligence: f64,
    /// Shards with much to do.
    busy: BTreeSet<ShardId>,
    queue: Vec<(u64, ShardVote)>,
    dropped: Vec<Envelope>,
}

impl Model {
    fn new(seed: u64, sampled: bool) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let validators = SIZES[dice.random_range(0..SIZES.len())];
        let approval = match sampled {
            true => Approval::Sampled {
                checkers: match dice.random_bool(0.6) {
                    true => 1,
                    false => dice.random_range(1..=validators),
                },
                seed_blocks: dice.random_range(1..=2),
                no_show_ms: 400,
            },
            false => Approval::All,
        };
        let rules = LedgerRules {
            anchor_window: 12,
            schedule_window: 3,
            deadline_blocks: 4,
            rotation_blocks: 5,
            approval_ms: 4_000,
            allocation_blocks: 6,
            approval,
            ..LedgerRules::asynchronous(validators)
        };
        let shards = dice.random_range(1..=3);
        let cores: Vec<u16> = (0..shards).map(|_| dice.random_range(1..=3)).collect();
        let all = cores.iter().sum::<u16>() + dice.random_range(0..=3);
        let rules = LedgerRules {
            cores: dice.random_bool(0.6).then_some(all),
            ..rules
        };
        let world = World::new(rules, &cores);
        let liars = u16::try_from(world.ledger.rules().faulty_max()).unwrap();
        let liars = dice.random_range(0..=liars);
        let mut watch = Watch::new(&world.ledger, Bits::below(usize::from(liars)));
        watch.block(&world.ledger, &ShardSection::default(), &world.ledger, &[]);
        Self {
            world,
            watch,
            liars,
            diligence: [0.6, 0.6, 0.1][dice.random_range(0..3)],
            busy: BTreeSet::new(),
            queue: Vec::new(),
            dropped: Vec::new(),
        }
    }

    fn note(&mut self, path: &str) {
        *self.watch.paths.entry(path.to_owned()).or_default() += 1;
    }

    fn block(&mut self, choice: u64) {
        let mut dice = StdRng::seed_from_u64(choice);
        if dice.random_bool(0.02) {
            self.begin_epoch();
        }
        let ms = match dice.random_range(0..40) {
            0 => 5_000,
            1 => 0,
            2..6 => 1_000,
            _ => BLOCK_MS,
        };
        self.speak(&mut dice);
        let orders = self.orders(&mut dice);
        let mut draft = self.world.draft_in(ms);
        let height = draft.ledger().height();
        draft.carry(&carried(&orders, height), height).unwrap();
        let mut section = ShardSection::default();
        self.accuse(&mut dice, &mut draft, &mut section);
        self.count(&mut draft, &mut section);
        draft.settle();
        self.back(&mut dice, &mut draft, &mut section);
        self.take(section, &orders, ms, draft);
    }

    /// R8: two that apply the same block come to the same, and it is what its leader came to.
    fn take(&mut self, section: ShardSection, orders: &[ShardOrder], ms: u64, draft: Draft) {
        let first = self.world.outcome(section.clone(), orders, ms).unwrap();
        let second = self.world.outcome(section.clone(), orders, ms).unwrap();
        assert_eq!(first, second, "R8");
        assert_eq!(first, draft.finish(), "R8");
        let (after, events) = first;
        for event in &events {
            if let LedgerEvent::Discarded(named, _) = event
                && let Some(pending) = self
                    .world
                    .ledger
                    .pending()
                    .find(|one| one.sequence == named.sequence)
            {
                self.dropped.push(pending.envelope.clone());
            }
        }
        self.watch
            .block(&self.world.ledger, &section, &after, &events);
        self.world.take(after);
    }

    fn begin_epoch(&mut self) {
        let before = self.world.ledger.clone();
        let (after, events) = before.begin_epoch(before.rules().validators).unwrap();
        for one in before.pending().filter(|one| !one.is_included()) {
            self.dropped.push(one.envelope.clone());
        }
        self.watch.epoch(&before, &after, &events);
        self.world.ledger = after;
        // Votes about the old epoch's ledgers come too late.
        self.queue.clear();
    }

    /// Everybody says something now, which leaders hear some blocks later, or never.
    fn speak(&mut self, dice: &mut StdRng) {
        let height = self.world.ledger.height();
        for validator in self.world.all() {
            let due = height + dice.random_range(0..=LATE);
            if validator < self.liars && dice.random_bool(0.5) {
                let lie = self.lie(dice);
                self.queue.push((due, self.world.vote(validator, lie)));
            } else if dice.random_bool(0.7) {
                let judges = dice.random_bool(self.diligence);
                let vote = self.world.honest(validator, judges);
                self.queue.push((due, vote));
            }
        }
    }

    fn lie(&self, dice: &mut StdRng) -> Votes {
        // Where a few decide, it is worth while to praise everything.
        let sampled = self.world.ledger.rules().approval != Approval::All;
        if sampled && dice.random_bool(0.5) {
            return Votes {
                height: self.world.ledger.height(),
                held: Bits::EMPTY,
                valid: Bits::below(16),
                invalid: Bits::EMPTY,
            };
        }
        let mut some =
            |likely: f64| -> Bits { (0..16_usize).filter(|_| dice.random_bool(likely)).collect() };
        let (held, valid) = (some(0.8), some(0.5));
        Votes {
            height: self.world.ledger.height(),
            held,
            valid,
            invalid: some(0.5).without(&valid),
        }
    }

    fn orders(&self, dice: &mut StdRng) -> Vec<ShardOrder> {
        if !dice.random_bool(0.1) {
            return Vec::new();
        }
        let shard = ShardId(dice.random_range(1..=4));
        let height = self.world.ledger.height() + dice.random_range(10..30);
        let order = match dice.random_range(0..12) {
            0..3 => ShardOrder::Create {
                shard,
                terms: terms(),
                cores: dice.random_range(0..=3),
            },
            3 | 4 => ShardOrder::Pause(shard),
            5..9 => ShardOrder::Resume(shard),
            9 => ShardOrder::Retire(shard),
            10 => ShardOrder::Upgrade {
                shard,
                charter: charter_of(dice.random_range(3..5)),
                gas_limit: GAS_LIMIT,
                height,
            },
            _ => ShardOrder::Collators {
                shard,
                collators: Vec::new(),
            },
        };
        vec![order]
    }

    fn accuse(&mut self, dice: &mut StdRng, draft: &mut Draft, section: &mut ShardSection) {
        if self.liars == 0 || !dice.random_bool(0.05) {
            return;
        }
        let liar = dice.random_range(0..self.liars);
        let one = self.world.candidate(1, 0, GOOD);
        let mut two = one.clone();
        two.descriptor.gas_used += 1;
        let evidence = self.world.equivocation(liar, one, two);
        let before = draft.ledger().clone();
        match draft.convict(&evidence) {
            Ok(()) => section.equivocations.push(evidence),
            Err(_) => assert_eq!(draft.ledger(), &before),
        }
    }

    fn count(&mut self, draft: &mut Draft, section: &mut ShardSection) {
        let height = draft.ledger().height();
        let (due, queue) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|(due, _)| *due < height);
        self.queue = queue;
        let due: Vec<(u64, ShardVote)> = due;
        for (_, vote) in due {
            let before = draft.ledger().clone();
            let Ok(()) = draft.count(&vote) else {
                assert_eq!(draft.ledger(), &before);
                continue;
            };
            if vote.votes.height + 1 < height {
                self.note("late vote");
            }
            section.votes.push(vote);
        }
    }

    fn back(&mut self, dice: &mut StdRng, draft: &mut Draft, section: &mut ShardSection) {
        let flips = ShardId(dice.random_range(1..=4));
        if dice.random_bool(0.1) && !self.busy.remove(&flips) {
            self.busy.insert(flips);
        }
        let cores = u16::try_from(self.world.ledger.cores().len()).unwrap();
        for core in 0..cores {
            // Some are scheduled later than others hear of it, on a core that may have moved since.
            let height = self.world.ledger.height();
            let height = height.saturating_sub([0, 0, 0, 1, 2][dice.random_range(0..5)]);
            let owner = self.world.ledger.core_owner(core, height);
            let likely = |shard: &ShardId| if self.busy.contains(shard) { 0.9 } else { 0.5 };
            let Some(shard) = owner.filter(|shard| dice.random_bool(likely(shard))) else {
                continue;
            };
            if draft.ledger().shard(shard).is_none() {
                continue;
            }
            let (mut envelope, again) = self.envelope(dice, draft.ledger(), shard, core);
            envelope.schedule.height = envelope.schedule.height.min(height);
            let next = draft.ledger().height();
            let quota = draft.ledger().quota(shard, &envelope.schedule, next);
            let quota = quota.expect("it has a core");
            let backers = quota.allowed.iter().take(quota.min);
            let backed = self.world.backed_by(envelope, backers.collect());
            let before = draft.ledger().clone();
            if draft.back(&backed).is_err() {
                self.note("refused candidate");
                assert_eq!(draft.ledger(), &before);
                continue;
            }
            section.backed.push(backed);
            if again {
                self.note("again");
            }
        }
    }

    /// A candidate of some kind, and whether it was there before.
    fn envelope(
        &self,
        dice: &mut StdRng,
        ledger: &Ledger,
        shard: ShardId,
        core: u16,
    ) -> (Envelope, bool) {
        let fits = |one: &&Envelope| {
            let newest = ledger.shard(shard).map(|one| one.newest().hash);
            one.descriptor.shard == shard && newest == Some(one.descriptor.parent)
        };
        if dice.random_bool(0.5)
            && let Some(old) = self.dropped.iter().rev().find(fits)
        {
            return (self.world.again(old, core), true);
        }
        let truth = match dice.random_range(0..60) {
            0..3 => BAD,
            3..5 => GONE,
            _ => GOOD,
        };
        let mut envelope = self.world.candidate_on(ledger, shard.0, core, truth);
        let segment = ledger.shard(shard).expect("it has a core");
        envelope.descriptor.rules = segment.rules_at(envelope.descriptor.anchor.height);
        if self.busy.contains(&shard) {
            envelope.descriptor.gas_used = segment.terms().gas_limit;
        }
        match dice.random_range(0..40) {
            0 => envelope.descriptor.parent = *RULES,
            1 => envelope.descriptor.anchor = self.world.anchor(0),
            2 => envelope.schedule.height = envelope.schedule.height.saturating_sub(4),
            3 => envelope.descriptor.number += 1,
            4 => envelope.descriptor.timestamp_ms = u64::MAX,
            _ => {}
        }
        (envelope, false)
    }
}

/// What is asked of many schedules together needs the same ones every time.
fn explore(cases: u32, blocks: usize, sampled: bool, expected: &[&str]) {
    let paths: RefCell<BTreeMap<String, usize>> = RefCell::default();
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let schedule = (any::<u64>(), vec(any::<u64>(), blocks / 2..blocks));
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        .run(&schedule, |(seed, choices)| {
            let mut model = Model::new(seed, sampled);
            for choice in choices {
                model.block(choice);
            }
            let mut paths = paths.borrow_mut();
            for (path, times) in model.watch.paths {
                *paths.entry(path).or_default() += times;
            }
            Ok(())
        })
        .unwrap();
    let paths = paths.into_inner();
    println!("{paths:?}");
    for path in expected {
        assert!(paths.contains_key(*path), "never seen: {path}; {paths:?}");
    }
}

#[test]
fn random_schedules_keep_the_invariants() {
    explore(64, 120, false, &PATHS);
}

#[test]
fn random_schedules_with_few_checkers_keep_them() {
    explore(96, 120, true, &SAMPLED_PATHS);
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn many_random_schedules_slow() {
    explore(2_000, 300, false, &PATHS);
    explore(2_000, 300, true, &SAMPLED_PATHS);
}
