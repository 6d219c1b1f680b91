//! Every schedule of a small world in which cores move: four validators, two shards, three cores, windows of two
//! blocks.
//!
//! ```text
//! block = { nothing, one empty candidate, full ones on all its cores } for each shard × { silence, hold and approve }
//! ```
//! Breadth first. States that differ only in heights, times and hashes are one state.

use super::{
    watch::Watch,
    world::{GOOD, World, carried},
};
use crate::ledger::LedgerRules;
use primitives::shard::{Bits, ShardId, ShardSection};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const SHARDS: [u32; 2] = [1, 2];
const FULL: u64 = 30_000_000;

/// What the collators of a shard do in a block.
#[derive(Clone, Copy, Debug)]
enum Load {
    None,
    Light,
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Action {
    loads: [Load; 2],
    votes: bool,
}

fn alphabet() -> Vec<Action> {
    let loads = [Load::None, Load::Light, Load::Full];
    let pairs = loads
        .into_iter()
        .flat_map(|one| loads.map(|two| [one, two]));
    pairs
        .flat_map(|loads| [false, true].map(|votes| Action { loads, votes }))
        .collect()
}

#[derive(Clone)]
struct State {
    world: World,
    watch: Watch,
}

fn begin() -> State {
    let rules = LedgerRules {
        cores: Some(3),
        allocation_blocks: 2,
        core_depth: 1,
        segment_max: 2,
        schedule_window: 2,
        deadline_blocks: 2,
        ..LedgerRules::asynchronous(4)
    };
    let world = World::new(rules, &[1, 1]);
    let mut watch = Watch::new(&world.ledger, Bits::EMPTY);
    watch.block(&world.ledger, &ShardSection::default(), &world.ledger, &[]);
    State { world, watch }
}

impl State {
    fn after(&self, action: Action) -> Self {
        let mut next = self.clone();
        let mut draft = self.world.draft_in(1);
        let height = self.world.ledger.height() + 1;
        draft.carry(&carried(&[], height), height).unwrap();
        let mut section = match action.votes {
            true => self.world.votes(0..4),
            false => ShardSection::default(),
        };
        section.votes.retain(|vote| draft.count(vote).is_ok());
        draft.settle();
        for (shard, load) in SHARDS.into_iter().zip(action.loads) {
            let gas_used = match load {
                Load::None => continue,
                Load::Light => 0,
                Load::Full => FULL,
            };
            let most = if matches!(load, Load::Light) {
                1
            } else {
                usize::MAX
            };
            let schedules = self.schedules(ShardId(shard)).into_iter();
            let backed = schedules.filter_map(|(core, height)| {
                let mut one = self.world.candidate_on(draft.ledger(), shard, core, GOOD);
                one.schedule.height = height;
                one.descriptor.gas_used = gas_used;
                let one = self.world.backed(one);
                draft.back(&one).is_ok().then_some(one)
            });
            section.backed.extend(backed.take(most));
        }
        let (after, events) = self
            .world
            .outcome(section.clone(), &[], 1)
            .expect("what was tried is legal");
        assert_eq!(draft.finish().0.digest(), after.digest(), "R8");
        next.watch
            .block(&self.world.ledger, &section, &after, &events);
        next.world.take(after);
        next
    }

    /// Every core that a shard has or had, with the newest height at which it did.
    fn schedules(&self, shard: ShardId) -> Vec<(u16, u64)> {
        let ledger = &self.world.ledger;
        let heights = (ledger.height().saturating_sub(1)..=ledger.height()).rev();
        let mut schedules = BTreeMap::new();
        for height in heights {
            let own = (0..3).filter(|core| ledger.core_owner(*core, height) == Some(shard));
            for core in own {
                schedules.entry(core).or_insert(height);
            }
        }
        schedules.into_iter().collect()
    }

    /// All that the future depends on: whose the cores are and were, what is remembered of loads, what is pending.
    fn key(&self) -> Vec<u64> {
        let ledger = &self.world.ledger;
        let height = ledger.height();
        let mut key = vec![height % 2, u64::from(height < 2)];
        for back in 0..2 {
            let owner = |core| ledger.core_owner(core, height.saturating_sub(back));
            key.extend((0..3).map(|core| owner(core).map_or(0, |one| u64::from(one.0))));
        }
        key.extend(ledger.cores.memory().into_iter().map(u64::from));
        for one in ledger.pending() {
            let since = one.included.unwrap_or(one.backed);
            let descriptor = &one.envelope.descriptor;
            key.extend([
                u64::from(descriptor.shard.0),
                u64::from(one.envelope.schedule.core),
                u64::from(one.is_included()),
                (height - since.height).min(2),
            ]);
        }
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
fn every_schedule_of_a_world_whose_cores_move() {
    let (states, transitions, paths) = explore(5);
    println!("states={states} transitions={transitions} {paths:?}");
    for path in ["Final", "Moved", "Moved, pending"] {
        assert!(paths.contains_key(path), "never seen: {path}");
    }
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn every_longer_schedule_of_a_world_whose_cores_move_slow() {
    let (states, transitions, paths) = explore(9);
    println!("states={states} transitions={transitions} {paths:?}");
    for path in ["Moved, pending", "Backed, its core moved"] {
        assert!(paths.contains_key(path), "never seen: {path}");
    }
}
