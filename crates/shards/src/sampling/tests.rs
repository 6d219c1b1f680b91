//! Chances against known values, counting and identities; choices against what they promise.

use super::{
    Attack, Draw, Groups, POPULATION_MAX, SamplingReport, checkers, corrupt_max, days_to_first,
    enough_checkers, fewest_against, fewest_checkers, fewest_drawn_from, fewest_of_fewest_against,
    group_has_corrupt, no_honest_checker, no_honest_checker_of_fewest, smallest_committee,
    too_few_online, two_thirds,
};
use crate::ledger::Penalties;
use alloy_primitives::B256;
use primitives::shard::{Bits, CandidateId};
use proptest::prelude::*;
use std::{fs, path::PathBuf};

const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->\n";

/// Two figures agree if they do to so many digits.
fn assert_near(found: Option<f64>, expected: f64, digits: i32) {
    let found = found.unwrap();
    let error = (found / expected - 1.0).abs();
    assert!(
        error < 0.5 * 10_f64.powi(1 - digits),
        "{found:e} {expected:e}"
    );
}

#[test]
fn backing_groups_have_the_known_chances() {
    for (size, quorum, expected, digits) in [
        (5, 2, 0.54, 2),
        (5, 3, 0.20, 2),
        (7, 4, 0.16, 2),
        (16, 11, 1.6e-3, 2),
        (32, 22, 3.7e-7, 2),
        (48, 33, 3.7e-15, 2),
        (10, 10, 5.4e-6, 2),
    ] {
        assert_near(group_has_corrupt(100, size, quorum), expected, digits);
    }
}

#[test]
fn checkers_and_committees_have_the_known_sizes() {
    let targets = [1e-6, 1e-9, 1e-12];
    let fewest = |validators| targets.map(|target| fewest_checkers(validators, target).unwrap());
    assert_eq!(fewest(100), [12, 16, 21]);
    assert_eq!(fewest(1_000), [13, 19, 25]);
    // An attacker that may try seeds needs no luck with the first one.
    let against =
        |tries| [40, 100, 256].map(|validators| fewest_against(validators, tries).unwrap());
    assert_eq!(against(0), [10, 12, 13]);
    assert_eq!(against(40), [14, 27, 34]);
    assert_eq!(against(60), [14, 32, 43]);
    assert_eq!(enough_checkers(100), Some(32));
    let smallest =
        |validators| targets.map(|target| smallest_committee(validators, target).unwrap());
    assert_eq!(smallest(100), [34, 43, 49]);
    assert_eq!(smallest(300), [43, 61, 76]);
    assert_eq!(smallest(1_000), [49, 73, 97]);
}

/// What is drawn from is what the ledger leaves when it sets as many aside as it ever does.
#[test]
fn who_is_set_aside_leaves_fewer_to_draw_from() {
    for validators in [4_u16, 40, 100, 255, 256] {
        let mut struck = Penalties::default();
        struck.strike_once(&Bits::below(usize::from(validators)), 0);
        let all = Bits::below(usize::from(validators));
        let left = all.without(&struck.set_aside(&all, 1)).count();
        assert_eq!(usize::from(fewest_drawn_from(validators)), left);
    }
    assert_near(no_honest_checker(100, 32), 2.3e-25, 2);
    assert_near(no_honest_checker_of_fewest(100, 32), 2.5e-18, 2);
    // It takes more of them for the same chance.
    for validators in [40, 100, 256, 1_000] {
        let with_all = fewest_against(validators, 60);
        assert!(fewest_of_fewest_against(validators, 60) >= with_all);
    }
    assert_eq!(fewest_of_fewest_against(40, 60), Some(14));
}

#[test]
fn offline_members_have_the_known_chances() {
    for (size, quorum, expected) in [
        (5, 4, 0.077),
        (7, 5, 0.021),
        (16, 11, 0.0010),
        (5, 3, 0.0066),
    ] {
        assert_near(too_few_online(100, 10, size, quorum), expected, 2);
    }
}

#[test]
fn an_attacker_runs_out_of_validators() {
    let attack = Attack::new(100, 20, 2).unwrap();
    assert_near(Some(attack.tries), 1e12, 1);
    assert_eq!(attack.affordable, 16);
    // Only with at least 20 corrupt validators left is there a chance, and each try lowers it.
    assert!(attack.ever > attack.chance && attack.ever < 16.0 * attack.chance);
    let certain = Attack::new(100, 0, 2).unwrap();
    assert_eq!((certain.chance, certain.ever), (1.0, 1.0));
    assert_eq!(Attack::new(100, 34, 2).unwrap().ever, 0.0);
    assert_eq!(Attack::new(100, 5, 0), None);
}

#[test]
fn committees_that_are_drawn_often_go_wrong() {
    let chance = group_has_corrupt(200, 50, two_thirds(50)).unwrap();
    let years = |seconds| days_to_first(chance, 4, seconds) / 365.25;
    assert!((1.5..2.8).contains(&years(1.0)), "{}", years(1.0));
    assert!((100.0..160.0).contains(&years(60.0)), "{}", years(60.0));
    let chance = group_has_corrupt(300, 37, two_thirds(37)).unwrap();
    let days = days_to_first(chance, 8, 60.0);
    assert!((15.0..25.0).contains(&days), "{days}");
}

#[test]
fn chances_are_those_of_counting() {
    for all in 0..=11_u16 {
        for marked in 0..=all {
            (0..=all).for_each(|drawn| assert_counted(all, marked, drawn));
        }
    }
}

/// Asserts the chances against every group that can be drawn.
fn assert_counted(all: u16, marked: u16, drawn: u16) {
    let draw = Draw::new(all, marked, drawn).unwrap();
    let mut counts = vec![0_u32; usize::from(all) + 2];
    for group in (0_u32..1 << all).filter(|group| group.count_ones() == u32::from(drawn)) {
        let hits = group & ((1 << marked) - 1);
        counts[hits.count_ones() as usize] += 1;
    }
    let total: u32 = counts.iter().sum();
    for hits in 0..=all + 1 {
        let at = usize::from(hits);
        let of = |counts: &[u32]| f64::from(counts.iter().sum::<u32>()) / f64::from(total);
        assert_eq!(draw.exactly(hits), of(&counts[at..=at]));
        assert_eq!(draw.at_least(hits), of(&counts[at..]));
        assert_eq!(draw.fewer_than(hits), of(&counts[..at]));
    }
}

#[test]
fn the_smallest_chance_is_a_float() {
    let draw = Draw::new(POPULATION_MAX, 500, 500).unwrap();
    // 1 / C(1000, 500)
    assert_near(Some(draw.exactly(500)), 1.0 / 2.702_882_409_454_366e299, 14);
    assert_eq!(draw.exactly(500), draw.exactly(0));
    assert_eq!(draw.exactly(501), 0.0);
    assert_eq!(Draw::new(POPULATION_MAX + 1, 1, 1), None);
    assert_eq!(Draw::new(5, 6, 1), None);
    assert_eq!(Draw::new(5, 1, 6), None);
}

#[test]
fn thresholds_are_those_of_consensus() {
    for (all, corrupt, quorum) in [(0, 0, 0), (1, 0, 1), (3, 0, 3), (4, 1, 3), (100, 33, 67)] {
        assert_eq!((corrupt_max(all), two_thirds(all)), (corrupt, quorum));
    }
    assert_eq!(no_honest_checker(4, 2), Some(0.0));
    assert_eq!(no_honest_checker(4, 1), Some(0.25));
    assert_eq!(fewest_checkers(4, 1e-12), Some(2));
}

fn draws() -> impl Strategy<Value = Draw> {
    (0..=POPULATION_MAX).prop_flat_map(|all| {
        (0..=all, 0..=all.min(60))
            .prop_map(move |(marked, drawn)| Draw::new(all, marked, drawn).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn chances_are_chances(draw in draws(), hits in 0..60_u16) {
        prop_assert_eq!(draw.at_least(0), 1.0);
        let sum = draw.at_least(hits) + draw.fewer_than(hits);
        prop_assert!((sum - 1.0).abs() < 1e-15, "{}", sum);
        prop_assert!(draw.at_least(hits + 1) <= draw.at_least(hits));
    }

    #[test]
    fn marking_and_drawing_can_be_exchanged(all in 0..200_u16, a in 0..200_u16, b in 0..200_u16, hits in 0..200_u16) {
        if let (Some(one), Some(other)) = (Draw::new(all, a, b), Draw::new(all, b, a)) {
            let (one, other) = (one.exactly(hits), other.exactly(hits));
            prop_assert!((one - other).abs() <= one * 1e-15, "{one:e} {other:e}");
        }
    }
}

// ---- choices

fn candidate(byte: u8) -> CandidateId {
    CandidateId(B256::repeat_byte(byte))
}

#[test]
fn a_choice_is_part_of_the_protocol() {
    let chosen = checkers(&B256::repeat_byte(1), &candidate(2), 20);
    let first: Bits = chosen.into_iter().take(4).collect();
    assert_eq!(first.iter().collect::<Vec<_>>(), [0, 5, 8, 15]);
    let groups = Groups {
        seed: B256::repeat_byte(3),
        epoch: 7,
        validators: 10,
        cores: 2,
        size: 3,
    };
    assert_eq!(groups.group(1, 5).iter().collect::<Vec<_>>(), [1, 4, 8]);
}

#[test]
fn everybody_is_chosen_as_often() {
    const SEEDS: u32 = 20_000;
    let mut counts = [0_u32; 10];
    let mut pairs = [0_u32; 100];
    for seed in 0..SEEDS {
        let seed = B256::left_padding_from(&seed.to_be_bytes());
        let mut chosen = checkers(&seed, &candidate(0), 10);
        chosen.truncate(3);
        for one in &chosen {
            counts[*one] += 1;
            for other in chosen.iter().filter(|other| *other > one) {
                pairs[one * 10 + other] += 1;
            }
        }
    }
    // The statistic has the mean of its degrees of freedom; five times the spread above is no chance.
    let squares = |counts: &mut dyn Iterator<Item = u32>, expected: f64| -> f64 {
        counts
            .map(|count| (f64::from(count) - expected).powi(2) / expected)
            .sum()
    };
    let single = squares(&mut counts.iter().copied(), f64::from(SEEDS) * 0.3);
    assert!(single < 9.0 + 5.0 * 18_f64.sqrt(), "{single}");
    let pairs = pairs.iter().copied().enumerate();
    let mut ordered = pairs
        .filter(|(at, _)| at % 10 > at / 10)
        .map(|(_, count)| count);
    let double = squares(&mut ordered, f64::from(SEEDS) / 15.0);
    assert!(double < 44.0 + 5.0 * 88_f64.sqrt(), "{double}");
}

proptest! {
    #[test]
    fn everybody_is_asked_at_last_and_once(seed: [u8; 32], n in 0..300_u16) {
        let order = checkers(&B256::from(seed), &candidate(9), n);
        let all = usize::from(n).min(256);
        prop_assert_eq!(order.len(), all);
        prop_assert_eq!(order.into_iter().collect::<Bits>(), Bits::below(all));
    }

    #[test]
    fn everybody_serves_equally_often_in_a_cycle(
        seed: [u8; 32], n in 1..60_u16, cores in 1..12_u16, size in 1..12_u16, cycle in 0..3_u64,
    ) {
        let groups = Groups { seed: B256::from(seed), epoch: 1, validators: n, cores, size };
        let members = size.min(n);
        let mut counts = vec![0_u32; usize::from(n)];
        let length = groups.cycle();
        prop_assert!(length <= u64::from(n));
        for rotation in cycle * length..(cycle + 1) * length {
            let before = counts.clone();
            for core in 0..cores {
                let group = groups.group(core, rotation);
                prop_assert_eq!(group.count(), usize::from(members));
                for member in group.iter() {
                    counts[member] += 1;
                }
            }
            // Nor does a rotation load anybody with more than one group more than anybody else.
            let added = || counts.iter().zip(&before).map(|(now, before)| now - before);
            prop_assert!(added().max().unwrap() - added().min().unwrap() <= 1);
        }
        prop_assert!(counts.iter().all(|count| *count == counts[0]));
        prop_assert_eq!(groups.group(cores, 0), Bits::EMPTY);
        // Whichever ring is at hand, the group is the same.
        let at_hand = groups.ring(length * cycle);
        for rotation in (cycle * length).saturating_sub(2)..(cycle + 1) * length + 2 {
            prop_assert_eq!(groups.group_on(&at_hand, 0, rotation), groups.group(0, rotation));
        }
    }
}

#[test]
fn groups_change_with_everything_that_names_them() {
    let groups = Groups {
        seed: B256::ZERO,
        epoch: 0,
        validators: 200,
        cores: 8,
        size: 20,
    };
    let first = groups.group(0, 0);
    assert_ne!(groups.group(1, 0), first);
    assert_ne!(groups.group(0, 1), first);
    assert_ne!(groups.group(0, groups.cycle()), first);
    assert_ne!(Groups { epoch: 1, ..groups }.group(0, 0), first);
    let seed = B256::repeat_byte(1);
    assert_ne!(Groups { seed, ..groups }.group(0, 0), first);
    let none = Groups {
        validators: 0,
        ..groups
    };
    assert_eq!((none.group(0, 0), none.cycle()), (Bits::EMPTY, 1));
    let idle = Groups { size: 0, ..groups };
    assert_eq!((idle.group(0, 3), idle.cycle()), (Bits::EMPTY, 1));
}

// ---- the page

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/shards-sampling.md")
}

fn with_table(document: &str) -> String {
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let table = SamplingReport::new().table();
    format!("{before}{BEGIN}\n{table}\n{END}{after}")
}

#[test]
fn the_table_of_the_page_is_what_is_computed() {
    let document = fs::read_to_string(document()).unwrap();
    assert!(
        with_table(&document) == document,
        "docs/shards-sampling.md is out of date; write it anew: cargo test -p shards --lib -- --ignored rewrite_the_table"
    );
}

#[test]
#[ignore = "it writes docs/shards-sampling.md"]
fn rewrite_the_table() {
    let text = fs::read_to_string(document()).unwrap();
    fs::write(document(), with_table(&text)).unwrap();
}
