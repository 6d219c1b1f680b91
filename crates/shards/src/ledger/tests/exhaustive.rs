//! Every schedule of a small world: four validators, the last of which lies, two shards on a core each.
//!
//! ```text
//! block = { back: nothing, good, bad } for each shard × { silence, hold, hold and approve, and the liar too }
//!         × { a moment, longer than all deadlines }
//! ```
//! Breadth first. States that differ only in heights, times and hashes are one state.

use super::{
    watch::Watch,
    world::{BAD, GOOD, Truth, World, carried},
};
use crate::ledger::LedgerRules;
use primitives::shard::{Bits, ShardSection, Votes};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const LIAR: u16 = 3;
const LONG_MS: u64 = 30_000;

#[derive(Clone, Copy, Debug)]
enum Said {
    Nothing,
    Held,
    Judged,
    /// The honest judge, and the liar says the opposite.
    Disputed,
}

#[derive(Clone, Copy, Debug)]
struct Action {
    back: [Option<Truth>; 2],
    said: Said,
    ms: u64,
}

fn alphabet() -> Vec<Action> {
    let kinds = [None, Some(GOOD), Some(BAD)];
    let said = [Said::Nothing, Said::Held, Said::Judged, Said::Disputed];
    let backs = kinds
        .into_iter()
        .flat_map(|one| kinds.map(|two| [one, two]));
    backs
        .flat_map(|back| said.map(|said| (back, said)))
        .flat_map(|(back, said)| [1, LONG_MS].map(|ms| Action { back, said, ms }))
        .collect()
}

#[derive(Clone)]
struct State {
    world: World,
    watch: Watch,
}

fn begin() -> State {
    let rules = LedgerRules {
        core_depth: 2,
        segment_max: 2,
        schedule_window: 1,
        deadline_blocks: 1,
        ..LedgerRules::asynchronous(4)
    };
    let world = World::after(rules, &[1, 1], 1);
    let mut watch = Watch::new(&world.ledger, [usize::from(LIAR)].into_iter().collect());
    watch.block(&world.ledger, &ShardSection::default(), &world.ledger, &[]);
    State { world, watch }
}

impl State {
    fn after(&self, action: Action) -> Self {
        let mut next = self.clone();
        let mut draft = self.world.draft_in(action.ms);
        let height = self.world.ledger.height() + 1;
        draft.carry(&carried(&[], height), height).unwrap();
        let mut section = ShardSection::default();
        for vote in self.votes(action.said) {
            if draft.count(&vote).is_ok() {
                section.votes.push(vote);
            }
        }
        draft.settle();
        for (core, truth) in (0_u16..).zip(action.back) {
            let Some(truth) = truth else {
                continue;
            };
            let shard = u32::from(core) + 1;
            let one = self.world.candidate_on(draft.ledger(), shard, core, truth);
            let one = self.world.backed(one);
            if draft.back(&one).is_ok() {
                section.backed.push(one);
            }
        }
        let (after, events) = self
            .world
            .outcome(section.clone(), &[], action.ms)
            .expect("what was tried is legal");
        assert_eq!(draft.finish().0.digest(), after.digest(), "R8");
        next.watch
            .block(&self.world.ledger, &section, &after, &events);
        next.world.take(after);
        next
    }

    fn votes(&self, said: Said) -> Vec<primitives::shard::ShardVote> {
        let judges = !matches!(said, Said::Held);
        let mut votes: Vec<_> = match said {
            Said::Nothing => Vec::new(),
            Said::Held | Said::Judged | Said::Disputed => (0..LIAR)
                .map(|one| self.world.honest(one, judges))
                .collect(),
        };
        if matches!(said, Said::Disputed) {
            let truth = self.world.honest(LIAR, true).votes;
            let lie = Votes {
                valid: truth.invalid,
                invalid: truth.valid,
                ..truth
            };
            votes.push(self.world.vote(LIAR, lie));
        }
        votes
    }

    /// All that the future depends on: what is pending, how old, who said what, who is banned or struck.
    fn key(&self) -> Vec<u64> {
        let ledger = &self.world.ledger;
        let word = |bits: &Bits| bits.iter().fold(0_u64, |sum, bit| sum | (1 << bit));
        let mut key = vec![word(&ledger.banned())];
        for (_, segment) in ledger.shards() {
            key.push(u64::try_from(segment.pending().len()).unwrap());
            for one in segment.pending() {
                let since = one.included.unwrap_or(one.backed);
                key.extend([
                    u64::from(Truth::of(&one.head().hash).valid),
                    u64::from(one.is_included()),
                    u64::from(ledger.timestamp_ms() - since.ms >= LONG_MS),
                    (ledger.height() - since.height).min(1),
                    word(&one.backers),
                    word(&one.held),
                    word(&one.valid),
                    word(&one.invalid),
                ]);
            }
            for (validator, penalty) in segment.penalties() {
                let left = penalty.until.saturating_sub(ledger.height());
                key.extend([u64::from(validator), u64::from(penalty.strikes), left]);
            }
        }
        key.extend(
            ledger
                .offences()
                .map(|one| u64::from(one.validator) * 4 + one.kind as u64),
        );
        key
    }
}

/// States and transitions seen, and how often what happened.
fn explore(depth: usize) -> (usize, usize, BTreeMap<String, usize>) {
    let first = begin();
    let mut seen = BTreeSet::from([first.key()]);
    let mut frontier = VecDeque::from([(0, first)]);
    let (mut transitions, mut paths) = (0, BTreeMap::new());
    let alphabet = alphabet();
    while let Some((at, mut state)) = frontier.pop_front() {
        state.watch.paths.clear();
        for action in &alphabet {
            let next = state.after(*action);
            transitions += 1;
            for (path, times) in &next.watch.paths {
                *paths.entry(path.clone()).or_default() += times;
            }
            if seen.insert(next.key()) && at + 1 < depth {
                frontier.push_back((at + 1, next));
            }
        }
    }
    (seen.len(), transitions, paths)
}

#[test]
fn every_schedule_of_a_small_world() {
    let (states, transitions, paths) = explore(4);
    println!("states={states} transitions={transitions} {paths:?}");
    let expected = [
        "Final",
        "Invalid, backed",
        "Invalid, included",
        "Unavailable",
        "Undecided",
        "Descendant",
        "ApprovedInvalid",
    ];
    for path in expected {
        assert!(paths.contains_key(path), "never seen: {path}");
    }
    assert_eq!((states, transitions), (2_798, 68_472));
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn every_longer_schedule_of_a_small_world_slow() {
    let (states, transitions, paths) = explore(5);
    println!("states={states} transitions={transitions} {paths:?}");
    assert!(states > 10_000 && paths.contains_key("Undecided"));
}
