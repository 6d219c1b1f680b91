//! Small networks: the bounds that hold in them, what moves the figures, and that a broken chain would be noticed.

use super::{
    backing::{BackingSim, SimFault, run},
    costs::Costs,
    demand::Demand,
    execution::ExecutionSim,
    model::{Bound, Mode, Model},
    scaling::ScalingSim,
    seeds::SeedsSim,
    shard::{Journal, Made},
    svg::{draw_execution, draw_scaling},
    watch::{Broken, Figures, check_chains},
    world::{Setup, simulate},
};
use crate::bench::state::Progress;
use primitives::limits::SHARD_GAS_MAX;
use shards::ledger::LedgerEvent;

fn small() -> Model {
    Model {
        validators: 4,
        shards: 2,
        ..Model::default()
    }
}

fn setup(model: Model, mode: Mode, demand: Demand) -> Setup {
    Setup {
        seed: 7,
        model,
        mode,
        demand,
        transactions_max: None,
        ends_ms: u64::MAX,
    }
}

fn figures(model: Model, mode: Mode, demand: Demand) -> Figures {
    run(setup(model, mode, demand), 24).unwrap()
}

const fn quiet(_: Progress) {}

#[test]
fn asynchronous_backing_is_soon_final_and_carries_several_times_as_much() {
    let sim = BackingSim {
        model: small(),
        burst_blocks: 4,
        blocks: 32,
        seed: 1,
    };
    let report = sim.run(&quiet).unwrap();
    println!("{}", report.table());
    assert!(report.final_latency_blocks_p50 <= 4.0);
    assert_eq!(report.missed_turns, 0);
    assert!(report.latency_ratio >= 2.0 && report.latency_ratio < 50.0);
    // Of a light load, half waits for the next block in both modes: there is less to gain than in bursts.
    assert!(report.latency_ratio_steady > 1.3 && report.latency_ratio_steady < 2.0);
    assert!(report.blockspace_ratio >= 5.0 && report.blockspace_ratio < 50.0);
    let ahead = &report.asynchronous;
    assert_eq!((ahead.discarded, ahead.overflown), (0, 0));
    // One block for each relay block and shard, and both modes fill their blocks.
    assert!(ahead.final_blocks >= 62, "{}", ahead.final_blocks);
    let full = |figures: &Figures, most: u64| {
        let each = figures.transactions_per_second * 32.0 * 0.4 / figures.final_blocks as f64;
        assert!(each >= most as f64 * 0.9, "{each} of {most}");
    };
    full(ahead, report.budget_asynchronous.transactions);
    full(&report.synchronous, report.budget_synchronous.transactions);
    // Two windows for one block: backed, and seen to be included.
    assert!(report.block_interval_ratio >= 1.9);
}

#[test]
fn a_slower_network_makes_everything_later() {
    let delay = |hop_ms| {
        let model = Model { hop_ms, ..small() };
        let demand = Demand::Steady { per_second: 500 };
        let figures = figures(model, Mode::Asynchronous, demand);
        (
            figures.collated_to_final_ms.p50,
            figures.transaction_to_final_ms.unwrap().p50,
        )
    };
    let (near, far) = (delay(20), delay(120));
    println!("near {near:?} far {far:?}");
    assert!(far.0 > near.0 + 200.0 && far.1 > near.1 + 200.0);
}

#[test]
fn more_work_than_processors_is_seen() {
    let sim = |node_cores| ScalingSim {
        model: Model {
            node_cores,
            ..Model::default()
        },
        validators: vec![4],
        shards: vec![1, 4],
        blocks: 24,
        seed: 1,
    };
    let (enough, few) = (sim(16).run(&quiet).unwrap(), sim(3).run(&quiet).unwrap());
    println!("{}\n{}", enough.table(), few.table());
    let keeps_up = |report: &super::ScalingReport| -> Vec<bool> {
        report.rows.iter().map(|row| row.keeps_up).collect()
    };
    assert_eq!(keeps_up(&enough), [true, true]);
    assert!(!keeps_up(&few)[1]);
    assert!(few.rows[1].figures.usage.cpu_mean > 0.5);
    assert!(draw_scaling(&enough).contains("<polyline"));
}

#[test]
fn one_seed_gives_one_history_and_one_report() {
    let history = |seed| {
        let demand = Demand::Steady { per_second: 300 };
        let setup = Setup {
            seed,
            ..setup(small(), Mode::Asynchronous, demand)
        };
        simulate(setup, async |world| world.blocks(12).await)
            .unwrap()
            .1
    };
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
    let demand = Demand::Steady { per_second: 300 };
    let twice = [0, 1].map(|_| figures(small(), Mode::Synchronous, demand));
    assert_eq!(twice[0], twice[1]);
}

#[test]
fn a_fork_a_gap_and_a_stranger_are_noticed() {
    let demand = Demand::Steady { per_second: 300 };
    let setup = setup(small(), Mode::Asynchronous, demand);
    simulate(setup, async |world| {
        world.blocks(16).await?;
        let (seen, journal) = (world.relay.seen.clone(), world.journal.clone());
        check_chains(&seen, &journal).unwrap();
        let final_at = |one: &super::relay::Seen| matches!(one.event, LedgerEvent::Final(..));
        let finals: Vec<usize> = (0..seen.len()).filter(|at| final_at(&seen[*at])).collect();
        assert!(finals.len() >= 8);
        let mut missing = seen.clone();
        missing.remove(finals[0]);
        let found = check_chains(&missing, &journal);
        assert!(matches!(found, Err(Broken::Fork { .. })), "{found:?}");
        let mut twice = seen.clone();
        twice.insert(finals[3], seen[finals[3]]);
        let found = check_chains(&twice, &journal);
        assert!(matches!(found, Err(Broken::Fork { .. })), "{found:?}");
        let found = check_chains(&seen, &Journal::default());
        assert!(matches!(found, Err(Broken::Unknown { .. })), "{found:?}");
        let LedgerEvent::Final(named, head) = seen[finals[4]].event else {
            unreachable!("it was picked as one");
        };
        let made = journal.get(named.shard, head.hash).unwrap();
        let mut block = made.block;
        block.first += 1;
        journal.note(named.shard, head.hash, Made { block, ..made });
        let found = check_chains(&seen, &journal);
        assert!(matches!(found, Err(Broken::Gap { .. })), "{found:?}");
        block = made.block;
        block.parent = head.hash;
        journal.note(named.shard, head.hash, Made { block, ..made });
        let found = check_chains(&seen, &journal);
        assert!(matches!(found, Err(Broken::Fork { .. })), "{found:?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn networks_with_faults_lose_nothing() {
    let report = SeedsSim { first: 1, seeds: 4 }.run(&quiet).unwrap();
    println!("{}", report.table());
    assert_eq!(report.seeds, 4);
    assert!(report.transactions > 0 && report.cut_off > 0);
}

#[test]
fn a_network_that_never_heals_fails_and_says_with_which_seed() {
    // Transactions come faster than blocks take them: not all can be final.
    let model = Model {
        block_ms: 400,
        ..small()
    };
    let budget = model.budget(Mode::Asynchronous).transactions;
    let demand = Demand::Steady {
        per_second: budget * 4,
    };
    let figures = figures(model, Mode::Asynchronous, demand);
    let most = budget as f64 * 2.0 / 0.4;
    assert!(figures.transactions_per_second <= most);
    let fault = super::SeedFault {
        seed: 42,
        fault: SimFault::Broken(Broken::Lost {
            shard: primitives::shard::ShardId(1),
            got: 1,
            all: 2,
        }),
    };
    assert!(fault.to_string().starts_with("seed 42: "));
}

#[test]
fn budgets_follow_from_times_and_costs() {
    let model = Model::default();
    let (ahead, behind) = (
        model.budget(Mode::Asynchronous),
        model.budget(Mode::Synchronous),
    );
    assert_eq!(ahead.bound, Bound::Gas);
    assert_eq!(ahead.transactions, SHARD_GAS_MAX / model.costs.gas);
    let light = Model {
        costs: Costs {
            gas: 21_000,
            collation_bytes: 100,
            ..model.costs
        },
        ..Model::default()
    };
    let light = light.budget(Mode::Asynchronous);
    assert!(light.execution_ms * 100 >= model.block_ms * 90);
    assert_eq!(light.bound, Bound::BlockTime);
    assert_eq!(behind.window_blocks, 1);
    assert!(behind.execution_ms < model.block_ms / 3);
    let near = Model {
        hop_ms: 5,
        ..Model::default()
    };
    assert!(near.budget(Mode::Synchronous).transactions > behind.transactions);
    // A relay block is final after the next ones were proposed: the window grows by as many.
    let quick = Model {
        block_ms: 100,
        hop_ms: 40,
        ..Model::default()
    };
    assert!(quick.finality_ms() > quick.block_ms);
    assert!(quick.budget(Mode::Synchronous).window_blocks > 1);
    assert_eq!(quick.budget(Mode::Asynchronous).bound, Bound::Window);
    let patient = Model {
        synchronous_window_blocks: Some(3),
        ..Model::default()
    };
    let patient = patient.budget(Mode::Synchronous);
    assert!(patient.window_blocks == 3 && patient.transactions > 2 * behind.transactions);
    let heavy = Model {
        costs: Costs {
            collation_bytes: 4_096,
            ..model.costs
        },
        ..model
    };
    assert_eq!(heavy.budget(Mode::Asynchronous).bound, Bound::Bytes);
}

#[test]
fn a_longer_finality_than_block_time_still_backs_synchronously() {
    let model = Model {
        block_ms: 120,
        hop_ms: 40,
        ..small()
    };
    let figures = figures(model, Mode::Synchronous, Demand::Endless);
    println!("{figures:?}");
    assert!(figures.final_blocks >= 4);
    assert_eq!(figures.discarded, 0);
}

#[test]
fn execution_after_ordering_may_last_the_whole_block_time() {
    let sim = |hop_ms| ExecutionSim {
        model: Model {
            hop_ms,
            ..Model::default()
        },
        blocks: 120,
        seed: 1,
    };
    let (near, far) = (sim(20).run(&quiet), sim(80).run(&quiet));
    println!("{}\n{}", near.table(), far.table());
    for report in [&near, &far] {
        assert!(report.execution_budget_share > 0.9 && report.execution_budget_share <= 1.02);
        assert!(report.execution_budget_share_interleaved < 0.5);
        assert!(report.block_rate_async >= 2.4);
        assert!(report.block_rate_async > 1.5 * report.block_rate_interleaved);
    }
    assert!(near.execution_budget_share_interleaved > far.execution_budget_share_interleaved);
    assert_eq!(near, sim(20).run(&quiet));
    assert!(draw_execution(&near).contains("<polyline"));
}
