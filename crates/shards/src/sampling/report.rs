//! The table of docs/shards-sampling.md: what `headway bench sampling` prints.
//!
//! ```text
//! odds ─▶ SamplingReport ─┬▶ JSON
//!                         └▶ tables of Markdown ─test─ docs/shards-sampling.md
//! ```
//! Every figure is computed when it is asked for; nothing in it is measured, so it is the same on all machines.

#![expect(
    clippy::float_arithmetic,
    reason = "figures for people; nothing that validators agree on is computed with them"
)]

use super::odds::{
    Attack, SEED_TRIES_BITS, days_to_first, enough_checkers, fewest_against, fewest_checkers,
    fewest_drawn_from, fewest_of_fewest_against, group_has_corrupt, no_honest_checker,
    no_honest_checker_of_fewest, smallest_committee, too_few_online, two_thirds,
};
use serde::Serialize;
use std::fmt::Write as _;

/// Numbers of validators with a column.
const POPULATIONS: [u16; 4] = [40, 100, 256, 1_000];
/// Groups with a row: members, and how many of them have to sign.
const GROUPS: [(u16, u16); 7] = [
    (5, 2),
    (5, 3),
    (7, 4),
    (10, 10),
    (16, 11),
    (32, 22),
    (48, 33),
];
/// Chances that should not be exceeded.
const TARGETS: [f64; 3] = [1e-6, 1e-9, 1e-12];
/// Seeds that the last leader may try, as powers of two: none but its own, a view's work of much hardware, and a year's.
const TRIES: [u16; 3] = [0, 40, SEED_TRIES_BITS];
/// Members of the backing group, where its cost is counted.
const BACKERS: u16 = 5;
/// Backers who lose their stake when a bad candidate is found out.
const QUORUM: u16 = 2;
/// Checkers of 100 that an attacker is up against.
const CHECKERS: [u16; 6] = [4, 8, 12, 16, 20, 24];
/// Validators, groups, their members, and seconds between two draws.
const RESHUFFLES: [(u16, u16, u16, f64); 3] =
    [(200, 4, 50, 1.0), (200, 4, 50, 60.0), (300, 8, 37, 60.0)];

/// What sampling buys and what it risks, as many validators being corrupt as may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SamplingReport {
    /// Numbers of validators that rows with one figure for each have them for.
    pub validators: [u16; POPULATIONS.len()],
    /// Backing groups alone.
    pub groups: Vec<GroupRow>,
    /// How many random checkers are enough.
    pub checkers: Vec<CheckersRow>,
    /// How many are enough where somebody may try seeds.
    pub grinding: Vec<GrindingRow>,
    /// What is left of both where honest validators are set aside.
    pub aside: Vec<AsideRow>,
    /// How large a committee has to be that decides alone.
    pub committees: Vec<CommitteeRow>,
    /// An attacker against checkers.
    pub attacks: Vec<AttackRow>,
    /// Groups that can't act because members are offline, of 100 validators.
    pub online: Vec<OnlineRow>,
    /// Committees that are drawn again and again.
    pub reshuffles: Vec<ReshuffleRow>,
}

/// A backing group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupRow {
    /// Members.
    pub size: u16,
    /// How many have to sign.
    pub quorum: u16,
    /// The chance that so many are corrupt, for each number of validators.
    pub bad: [Option<f64>; POPULATIONS.len()],
}

/// Random checkers, of whom one honest one is enough.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckersRow {
    /// Validators.
    pub validators: u16,
    /// The chance that there is to be no honest checker.
    pub target: f64,
    /// The fewest checkers for it.
    pub checkers: Option<u16>,
    /// The chance with so many.
    pub chance: Option<f64>,
    /// Candidates that are checked at once for each validator's worth of work, with groups of five.
    pub scaling: Option<f64>,
}

/// Random checkers that are enough although an attacker may try seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GrindingRow {
    /// How many seeds, as a power of two.
    pub tries: u16,
    /// The fewest checkers for which it fails all the same, for each number of validators.
    pub checkers: [Option<u16>; POPULATIONS.len()],
}

/// Random checkers where as many honest validators as may be are set aside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AsideRow {
    /// Validators.
    pub validators: u16,
    /// How many of them checkers are drawn from.
    pub drawn_from: u16,
    /// Checkers: as many as are enough where nobody is set aside.
    pub checkers: Option<u16>,
    /// The chance that none of them is honest while nobody is set aside.
    pub chance: Option<f64>,
    /// The same while as many honest ones as may be are.
    pub aside: Option<f64>,
    /// Checkers that are enough then, for each number of seeds that an attacker may try.
    pub enough: [Option<u16>; TRIES.len()],
}

/// A committee whose two thirds decide.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommitteeRow {
    /// The chance that more than two thirds are to be corrupt.
    pub target: f64,
    /// Its members, for each number of validators.
    pub size: [Option<u16>; POPULATIONS.len()],
}

/// An attacker with 33 of 100 validators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttackRow {
    /// Checkers of a candidate.
    pub checkers: u16,
    /// The chance that the first try succeeds.
    pub chance: f64,
    /// Tries until one does, on average.
    pub tries: f64,
    /// What they cost, in stakes of one validator.
    pub stakes: f64,
    /// Tries for which there are corrupt validators.
    pub affordable: u16,
    /// The chance that one of those succeeds.
    pub ever: f64,
}

/// A group of 100 validators of whom some are offline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnlineRow {
    /// Members.
    pub size: u16,
    /// How many have to sign.
    pub quorum: u16,
    /// The chance that fewer are online, with 10, 20 and 33 of 100 offline.
    pub stuck: [Option<f64>; 3],
}

/// Committees that are drawn again and again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReshuffleRow {
    /// Validators.
    pub validators: u16,
    /// Committees.
    pub groups: u16,
    /// Members of each.
    pub size: u16,
    /// Seconds between two draws.
    pub seconds: f64,
    /// Days until the first committee of which more than two thirds are corrupt, on average.
    pub days: Option<f64>,
}

impl SamplingReport {
    /// Computes it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            validators: POPULATIONS,
            groups: GROUPS.into_iter().map(group).collect(),
            checkers: POPULATIONS
                .into_iter()
                .flat_map(|validators| TARGETS.map(|target| checkers(validators, target)))
                .collect(),
            grinding: TRIES.into_iter().map(grinding).collect(),
            aside: POPULATIONS.into_iter().map(aside).collect(),
            committees: TARGETS.into_iter().map(committee).collect(),
            attacks: CHECKERS.into_iter().filter_map(attack).collect(),
            online: GROUPS.into_iter().map(online).collect(),
            reshuffles: RESHUFFLES.into_iter().map(reshuffle).collect(),
        }
    }

    /// Tables of Markdown, with a heading each.
    #[must_use]
    pub fn table(&self) -> String {
        let populations = POPULATIONS.map(|validators| format!("N={validators}"));
        let with = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned());
            names.chain(populations.clone()).collect::<Vec<_>>()
        };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        [
            section(
                "A backing group alone: the chance that its quorum is corrupt",
                with(&["quorum"]),
                self.groups.iter().map(GroupRow::cells),
            ),
            section(
                "Checkers of whom one honest one is enough: how many it takes",
                owned(&["N", "chance below", "checkers", "chance", "scaling"]),
                self.checkers.iter().map(CheckersRow::cells),
            ),
            section(
                "Checkers that are enough, at one in a million, where an attacker may try many seeds",
                with(&["seeds"]),
                self.grinding.iter().map(GrindingRow::cells),
            ),
            section(
                "The same while a third of the validators is set aside, all of them honest",
                owned(&[
                    "N", "drawn from", "checkers", "chance", "a third aside", "enough for 2^0", "2^40", "2^60",
                ]),
                self.aside.iter().map(AsideRow::cells),
            ),
            section(
                "A committee that decides by two thirds: how large it has to be",
                with(&["chance below"]),
                self.committees.iter().map(CommitteeRow::cells),
            ),
            section(
                "An attacker with 33 of 100 validators, losing two for every failed try",
                owned(&["checkers", "first try", "tries", "stakes", "it has", "ever"]),
                self.attacks.iter().map(AttackRow::cells),
            ),
            section(
                "Offline members, N=100: the chance that a group can't reach its quorum",
                owned(&["quorum", "10 offline", "20 offline", "33 offline"]),
                self.online.iter().map(OnlineRow::cells),
            ),
            section(
                "Committees that decide by two thirds, drawn again and again",
                owned(&["N", "committees", "drawn every", "first bad one after"]),
                self.reshuffles.iter().map(ReshuffleRow::cells),
            ),
        ]
        .join("\n")
    }
}

impl Default for SamplingReport {
    fn default() -> Self {
        Self::new()
    }
}

impl GroupRow {
    fn cells(&self) -> Vec<String> {
        let name = format!("{} of {}", self.quorum, self.size);
        [name].into_iter().chain(self.bad.map(chance)).collect()
    }
}

impl CheckersRow {
    fn cells(&self) -> Vec<String> {
        vec![
            self.validators.to_string(),
            chance(Some(self.target)),
            count(self.checkers),
            chance(self.chance),
            self.scaling
                .map_or_else(none, |scaling| format!("{scaling:.1}")),
        ]
    }
}

impl GrindingRow {
    fn cells(&self) -> Vec<String> {
        let name = format!("2^{}", self.tries);
        [name].into_iter().chain(self.checkers.map(count)).collect()
    }
}

impl AsideRow {
    fn cells(&self) -> Vec<String> {
        let cells = [
            self.validators.to_string(),
            self.drawn_from.to_string(),
            count(self.checkers),
            chance(self.chance),
            chance(self.aside),
        ];
        cells.into_iter().chain(self.enough.map(count)).collect()
    }
}

impl CommitteeRow {
    fn cells(&self) -> Vec<String> {
        let target = chance(Some(self.target));
        [target].into_iter().chain(self.size.map(count)).collect()
    }
}

impl AttackRow {
    fn cells(&self) -> Vec<String> {
        vec![
            self.checkers.to_string(),
            chance(Some(self.chance)),
            format!("{:.1e}", self.tries),
            format!("{:.1e}", self.stakes),
            self.affordable.to_string(),
            chance(Some(self.ever)),
        ]
    }
}

impl OnlineRow {
    fn cells(&self) -> Vec<String> {
        let name = format!("{} of {}", self.quorum, self.size);
        [name].into_iter().chain(self.stuck.map(chance)).collect()
    }
}

impl ReshuffleRow {
    fn cells(&self) -> Vec<String> {
        vec![
            self.validators.to_string(),
            format!("{} of {}", self.groups, self.size),
            format!("{} s", self.seconds),
            self.days
                .map_or_else(none, |days| format!("{days:.0} days")),
        ]
    }
}

fn group((size, quorum): (u16, u16)) -> GroupRow {
    GroupRow {
        size,
        quorum,
        bad: POPULATIONS.map(|validators| group_has_corrupt(validators, size, quorum)),
    }
}

fn checkers(validators: u16, target: f64) -> CheckersRow {
    let checkers = fewest_checkers(validators, target);
    CheckersRow {
        validators,
        target,
        checkers,
        chance: checkers.and_then(|checkers| no_honest_checker(validators, checkers)),
        scaling: checkers
            .map(|checkers| f64::from(validators) / f64::from(checkers.saturating_add(BACKERS))),
    }
}

fn grinding(tries: u16) -> GrindingRow {
    GrindingRow {
        tries,
        checkers: POPULATIONS.map(|validators| fewest_against(validators, tries)),
    }
}

fn aside(validators: u16) -> AsideRow {
    let checkers = enough_checkers(validators);
    let chance_of = |chance: fn(u16, u16) -> Option<f64>| {
        checkers.and_then(|checkers| chance(validators, checkers))
    };
    AsideRow {
        validators,
        drawn_from: fewest_drawn_from(validators),
        checkers,
        chance: chance_of(no_honest_checker),
        aside: chance_of(no_honest_checker_of_fewest),
        enough: TRIES.map(|tries| fewest_of_fewest_against(validators, tries)),
    }
}

fn committee(target: f64) -> CommitteeRow {
    CommitteeRow {
        target,
        size: POPULATIONS.map(|validators| smallest_committee(validators, target)),
    }
}

fn attack(checkers: u16) -> Option<AttackRow> {
    let attack = Attack::new(100, checkers, QUORUM)?;
    Some(AttackRow {
        checkers,
        chance: attack.chance,
        tries: attack.tries,
        stakes: attack.stakes,
        affordable: attack.affordable,
        ever: attack.ever,
    })
}

fn online((size, quorum): (u16, u16)) -> OnlineRow {
    OnlineRow {
        size,
        quorum,
        stuck: [10, 20, 33].map(|offline| too_few_online(100, offline, size, quorum)),
    }
}

fn reshuffle((validators, groups, size, seconds): (u16, u16, u16, f64)) -> ReshuffleRow {
    let chance = group_has_corrupt(validators, size, two_thirds(size));
    ReshuffleRow {
        validators,
        groups,
        size,
        seconds,
        days: chance.map(|chance| days_to_first(chance, groups, seconds)),
    }
}

fn section(title: &str, heads: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("### {title}\n\n| {} |\n|", heads.join(" | "));
    for _ in &heads {
        text.push_str("---:|");
    }
    text.push('\n');
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).ok();
    }
    text
}

/// Per cent where that is readable.
fn chance(chance: Option<f64>) -> String {
    match chance {
        None => none(),
        Some(0.0) => "0".to_owned(),
        Some(chance) if chance >= 0.001 => format!("{:.2} %", chance * 100.0),
        Some(chance) => format!("{chance:.1e}"),
    }
}

fn count(count: Option<u16>) -> String {
    count.map_or_else(none, |count| count.to_string())
}

fn none() -> String {
    "-".to_owned()
}
