//! What is chosen to be merged, and that what is chosen ends.

use super::super::rows::{Family, Heights};
use super::super::run::RunEntry;
use super::{Choice, Policy};

const POLICY: Policy = Policy {
    fan_in: 8,
    piece_bytes_max: 1000,
};

/// Tiers and bytes of some runs.
type Shapes = Vec<(u8, u64)>;

fn entries(runs: &[(u8, u64)]) -> Vec<RunEntry> {
    let entry = |(number, (tier, bytes)): (u64, &(u8, u64))| RunEntry {
        id: number,
        tier: *tier,
        rows: *bytes,
        bytes: *bytes,
        footer_offset: 0,
        footer_checksum: 0,
        heights: Heights {
            low: number * 10,
            high: number * 10 + 10,
        },
    };
    (0..).zip(runs).map(entry).collect()
}

fn choose(family: Family, runs: &[(u8, u64)]) -> Option<Choice> {
    POLICY.choose(family, (&entries(runs), 0), None)
}

/// Lets a store of this family take batches of these sizes, and merges as often as is chosen.
/// Returns the runs and the bytes written for each byte given.
fn simulate(family: Family, batches: &[u64], base: Option<u64>) -> (Shapes, u64) {
    let mut runs = Vec::new();
    let (mut written, given) = (0, batches.iter().sum::<u64>());
    for bytes in batches {
        runs.push((0, *bytes));
        written += bytes;
        while let Some(Choice { range, tier }) = choose(family, &runs) {
            assert!(range.len() > 1);
            let merged = runs[range.clone()].iter().map(|run| run.1).sum();
            // What overrides does not grow beyond what there is to override.
            let merged = base.map_or(merged, |base| base.min(merged));
            written += merged;
            runs.splice(range, [(tier, merged)]);
        }
    }
    (runs, written / given)
}

#[test]
fn neighbours_of_a_tier_are_merged_and_the_base_when_they_are_as_large() {
    let mut runs = vec![(3, 1000)];
    runs.extend([(0, 10); 7]);
    assert_eq!(choose(Family::State, &runs), None);
    runs.push((0, 10));
    let tier = Choice {
        range: 1..9,
        tier: 1,
    };
    assert_eq!(choose(Family::State, &runs), Some(tier));
    runs.push((0, 920));
    let base = Choice {
        range: 0..10,
        tier: 4,
    };
    assert_eq!(choose(Family::State, &runs), Some(base));
    assert_eq!(choose(Family::State, &[]), None);
    assert_eq!(choose(Family::State, &[(0, 10)]), None);
}

#[test]
fn runs_are_few_and_rows_are_rewritten_seldom() {
    let (runs, written) = simulate(Family::State, &[10; 5000], Some(2000));
    assert!(runs.len() < 20, "{runs:?}");
    assert!(written <= 4, "{written}");
    let (runs, written) = simulate(Family::Blocks, &[10; 5000], None);
    assert!(runs.len() <= 5000 * 10 / 500 + 16, "{}", runs.len());
    assert!(written <= 4, "{written}");
    assert!(runs.iter().all(|run| run.1 < 1500));
    let (runs, written) = simulate(Family::Blocks, &[1; 5000], None);
    assert!(runs.len() <= 5000 / 500 + 24, "{}", runs.len());
    assert!(written <= 5, "{written}");
    let (runs, written) = simulate(Family::Blocks, &[600, 10, 700], None);
    assert_eq!((runs.len(), written), (3, 1));
    let (runs, written) = simulate(Family::History, &[10; 5000], None);
    assert!(runs.len() < 32, "{}", runs.len());
    assert!(written <= 6, "{written}");
}

#[test]
fn history_is_merged_up_to_an_eighth_of_what_is_kept() {
    let runs = entries(&[(0, 10); 40]);
    let choose = |kept| {
        let kept = Heights { low: 0, high: kept };
        let choice = POLICY.choose(Family::History, (&runs, 0), Some(kept));
        choice.map(|choice| choice.range)
    };
    assert_eq!(choose(400), None);
    assert_eq!(choose(639), None);
    assert_eq!(choose(640), Some(0..8));
    assert_eq!(choose(800), Some(0..10));
    assert_eq!(choose(100_000), Some(0..32));
}

#[test]
fn what_is_busy_is_left_alone() {
    let mut runs = vec![(3, 100), (1, 200), (0, 10), (0, 10)];
    let choose = |runs: &[(u8, u64)], family, busy| {
        let choice = POLICY.choose(family, (&entries(runs), busy), None);
        choice.map(|choice| choice.range)
    };
    assert_eq!(choose(&runs, Family::State, 0), Some(0..4));
    assert_eq!(choose(&runs, Family::State, 2), None);
    runs.extend([(0, 10); 6]);
    assert_eq!(choose(&runs, Family::State, 2), Some(2..10));
    assert_eq!(choose(&runs, Family::History, 2), Some(2..10));
    assert_eq!(choose(&runs, Family::History, 3), None);
    assert_eq!(choose(&runs, Family::Blocks, 10), None);
    assert_eq!(choose(&runs, Family::State, 11), None);
}

#[test]
fn pieces_of_a_long_chain_are_few() {
    let (runs, written) = simulate(Family::Blocks, &[100; 20_000], None);
    assert!(runs.len() < 200, "{}", runs.len());
    assert!(written <= 6, "{written}");
}
