//! The simulation conserves gas, says the same for the same seed, and shows what it should.

use super::{
    CANDIDATE_GAS, CoresBench, CoresReport, Policy, PolicyRow, WINDOW_BLOCKS,
    curves::{self, Curve},
    play::play,
    recorded, svg,
};
use crate::process::TemporaryDirectory;
use std::fs;

const BLOCKS: u32 = 1_600;

fn run(seed: u64) -> CoresReport {
    let bench = CoresBench {
        blocks: BLOCKS,
        seed,
        recorded: None,
    };
    bench.run(&|_| ()).unwrap()
}

fn row(report: &CoresReport, curve: &str, policy: Policy) -> PolicyRow {
    let curve = report
        .curves
        .iter()
        .find(|found| found.name == curve)
        .unwrap();
    *curve.rows.iter().find(|row| row.policy == policy).unwrap()
}

#[test]
fn one_seed_is_one_report() {
    let json = |seed| serde_json::to_string(&run(seed)).unwrap();
    assert_eq!(json(1), json(1));
    assert_ne!(json(1), json(2));
}

#[test]
fn windows_are_the_ledgers() {
    let rules = shards::ledger::LedgerRules::asynchronous(4);
    assert_eq!(u64::try_from(WINDOW_BLOCKS), Ok(rules.allocation_blocks));
}

#[test]
fn no_gas_is_lost() {
    for curve in curves::all(BLOCKS.try_into().unwrap(), 3, &[5, 1, 3]) {
        for policy in Policy::ALL {
            let played = play(policy, &curve);
            let waiting = played.demanded - played.carried - played.turned_away;
            let shards = curve.demand.len() as u64;
            assert!(waiting <= shards * super::QUEUE_CANDIDATES * CANDIDATE_GAS);
            assert!(played.carried <= played.core_blocks * CANDIDATE_GAS);
            let (most, fixed) = (played.held.iter().max(), policy.name());
            let free = matches!(policy, Policy::One | Policy::Peak);
            assert!(
                free || *most.unwrap() <= curve.cores,
                "{} {fixed}",
                curve.name
            );
        }
    }
}

#[test]
fn following_costs_less_than_the_peak_and_carries_what_one_core_does_not() {
    let report = run(1);
    for curve in ["step", "ramp", "slow wave", "flash crowds"] {
        let [one, peak, level] =
            [Policy::One, Policy::Peak, Policy::Level].map(|policy| row(&report, curve, policy));
        assert!(level.core_hours < 0.75 * peak.core_hours, "{curve}");
        assert!(
            level.turned_away < 0.001 && one.turned_away > 0.0,
            "{curve}"
        );
        assert!(level.wait_mean < one.wait_mean / 10.0, "{curve}");
    }
}

#[test]
fn an_idle_shard_keeps_one_core() {
    let curve = Curve {
        name: "idle",
        what: "nothing",
        cores: 4,
        demand: vec![vec![0; 10 * WINDOW_BLOCKS]],
    };
    let played = play(Policy::Level, &curve);
    assert_eq!(played.held, [1; 10]);
    assert_eq!((played.changes, played.demanded), (0, 0));
}

#[test]
fn real_blocks_are_read_by_height_and_bad_ones_named() {
    let folder = TemporaryDirectory::create().unwrap();
    let blocks = folder.path().join("blocks");
    let fault = |what: &str| {
        let text = recorded::read(folder.path()).unwrap_err().to_string();
        assert!(text.contains(what), "{text}");
    };
    fault("no NUMBER.json");
    fs::create_dir(&blocks).unwrap();
    fault("blocks: no NUMBER.json");
    fs::write(
        blocks.join("20.json"),
        r#"{"block":{"gasUsed":"0x2"},"pre_state":{}}"#,
    )
    .unwrap();
    fs::write(blocks.join("9.json"), r#"{"block":{"gasUsed":"0x1"}}"#).unwrap();
    fs::write(blocks.join("codes.json"), "none of it").unwrap();
    assert_eq!(recorded::read(folder.path()).unwrap(), [1, 2]);
    assert_eq!(recorded::read(&blocks).unwrap(), [1, 2]);
    fs::write(blocks.join("10.json"), r#"{"block":{}}"#).unwrap();
    fault("10.json: missing field `gasUsed`");
}

#[test]
fn what_is_missing_is_said() {
    let report = run(1);
    assert!(report.table().starts_with("SKIPPED"));
    let drawing = svg::draw(&report);
    assert_eq!(drawing.matches("<polygon").count(), report.curves.len());
    assert!(drawing.ends_with("</svg>\n") && !drawing.contains("NaN"));
}
