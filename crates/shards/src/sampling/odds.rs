//! The chances of drawing without replacement, exactly.
//!
//! ```text
//!            C(marked, i) · C(all − marked, drawn − i)
//! P(i hits) = ─────────────────────────────────────────     sums over i are sums of integers
//!                        C(all, drawn)
//! ```
//! Numerator and denominator are whole numbers of at most 1,024 bits, summed without rounding and divided once
//! to 64 bits and more; only that quotient is rounded. So a chance is within one part in 2^52 of the true one
//! however small it is: the smallest, 1 / C(1000, 500), is above 1e-300.

#![expect(
    clippy::float_arithmetic,
    reason = "chances are for people and tables; nothing that validators agree on is computed with them"
)]

use alloy_primitives::Uint;

/// Validators that chances are computed for at most: C(1000, 500) · 500, the largest number on the way, has
/// 1,004 bits.
pub const POPULATION_MAX: u16 = 1_000;

type Natural = Uint<1_024, 16>;
/// Room for a numerator that is shifted before it is divided.
type Wide = Uint<2_048, 32>;
/// Bits of a quotient that is rounded to the 53 of a float.
const QUOTIENT_BITS: usize = 64;

/// Members drawn from a population of which some are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    all: u16,
    marked: u16,
    drawn: u16,
}

impl Draw {
    /// `drawn` of `all`, of whom `marked` are marked; none where there are too few of them, or more than
    /// [`POPULATION_MAX`].
    #[must_use]
    pub fn new(all: u16, marked: u16, drawn: u16) -> Option<Self> {
        (all <= POPULATION_MAX && marked <= all && drawn <= all).then_some(Self {
            all,
            marked,
            drawn,
        })
    }

    /// The chance that so many of the drawn are marked.
    #[must_use]
    pub fn exactly(&self, hits: u16) -> f64 {
        self.chance(self.ways(hits))
    }

    /// The chance that so many of the drawn, or more, are marked.
    #[must_use]
    pub fn at_least(&self, hits: u16) -> f64 {
        self.sum(hits, self.drawn.saturating_add(1))
    }

    /// The chance that fewer of the drawn are marked.
    #[must_use]
    pub fn fewer_than(&self, hits: u16) -> f64 {
        self.sum(0, hits)
    }

    /// The chance that at least `from` and fewer than `to` are marked.
    fn sum(&self, from: u16, to: u16) -> f64 {
        let ways = (from..to.min(self.drawn.saturating_add(1))).map(|hits| self.ways(hits));
        self.chance(ways.fold(Natural::ZERO, Natural::saturating_add))
    }

    /// In how many ways so many of the drawn are marked; zero if that can't be.
    fn ways(&self, hits: u16) -> Natural {
        let Some(others) = self.drawn.checked_sub(hits) else {
            return Natural::ZERO;
        };
        choose(self.marked, hits).saturating_mul(choose(self.unmarked(), others))
    }

    const fn unmarked(&self) -> u16 {
        self.all.saturating_sub(self.marked)
    }

    fn chance(&self, ways: Natural) -> f64 {
        quotient(&ways, &choose(self.all, self.drawn))
    }
}

/// In how many ways `few` can be chosen of `many`.
fn choose(many: u16, few: u16) -> Natural {
    if few > many {
        return Natural::ZERO;
    }
    let few = few.min(many.saturating_sub(few));
    let mut ways = Natural::ONE;
    for (taken, left) in (1..=few).zip((0..=many).rev()) {
        let product = ways.saturating_mul(Natural::from(left));
        ways = product
            .checked_div(Natural::from(taken))
            .unwrap_or(Natural::ZERO);
    }
    ways
}

/// A fraction between 0 and 1 as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "this is the one place where a chance is rounded"
)]
fn quotient(numerator: &Natural, denominator: &Natural) -> f64 {
    if numerator.is_zero() {
        return 0.0;
    }
    let shift = QUOTIENT_BITS
        .saturating_add(denominator.bit_len())
        .saturating_sub(numerator.bit_len());
    let shifted = Wide::from(*numerator).checked_shl(shift);
    let whole = shifted.and_then(|shifted| shifted.checked_div(Wide::from(*denominator)));
    let whole: u128 = whole.unwrap_or(Wide::ZERO).saturating_to();
    // In two steps, because 2^-shift alone may be too small for a float.
    let rest = shift.saturating_sub(QUOTIENT_BITS);
    whole as f64 * halved(QUOTIENT_BITS) * halved(rest)
}

/// 2^-times, without rounding.
fn halved(times: usize) -> f64 {
    0.5_f64.powi(i32::try_from(times).unwrap_or(i32::MAX))
}

/// How many of so many validators may be corrupt while the chain is safe.
#[must_use]
pub const fn corrupt_max(validators: u16) -> u16 {
    validators.saturating_sub(1) / 3
}

/// The smallest number that is more than two thirds of a group.
#[must_use]
pub const fn two_thirds(size: u16) -> u16 {
    size.saturating_sub(size.saturating_sub(1) / 3)
}

/// The chance that a random group has at least `quorum` corrupt members, as many being corrupt as may be.
#[must_use]
pub fn group_has_corrupt(validators: u16, size: u16, quorum: u16) -> Option<f64> {
    let draw = Draw::new(validators, corrupt_max(validators), size)?;
    Some(draw.at_least(quorum))
}

/// The chance that no checker is honest: then a bad candidate is called valid and nobody objects.
#[must_use]
pub fn no_honest_checker(validators: u16, checkers: u16) -> Option<f64> {
    group_has_corrupt(validators, checkers, checkers)
}

/// The validators that checkers are drawn from when as many as may be are set aside, because they were asked and did
/// not answer: at worst none of those is corrupt.
#[must_use]
pub const fn fewest_drawn_from(validators: u16) -> u16 {
    validators.saturating_sub(validators / 3)
}

/// The chance that no checker is honest, where as many honest validators as may be are set aside.
#[must_use]
pub fn no_honest_checker_of_fewest(validators: u16, checkers: u16) -> Option<f64> {
    let all = fewest_drawn_from(validators);
    let draw = Draw::new(all, corrupt_max(validators), checkers.min(all))?;
    Some(draw.at_least(checkers))
}

/// The chance that fewer than `quorum` members of a random group are online.
#[must_use]
pub fn too_few_online(validators: u16, offline: u16, size: u16, quorum: u16) -> Option<f64> {
    let online = validators.checked_sub(offline)?;
    Some(Draw::new(validators, online, size)?.fewer_than(quorum))
}

/// The fewest checkers among whom no honest one is, with a smaller chance than `target`.
#[must_use]
pub fn fewest_checkers(validators: u16, target: f64) -> Option<u16> {
    (1..=validators)
        .find(|count| no_honest_checker(validators, *count).is_some_and(|chance| chance < target))
}

/// The chance that an attacker is to be left with who has tried [`SEED_TRIES_BITS`] bits of seeds.
pub const GRINDING_TARGET: f64 = 1e-6;
/// The seeds that an attacker may try in all, as a power of two: a year of tens of thousands of cores.
pub const SEED_TRIES_BITS: u16 = 60;

/// The fewest checkers for which an attacker fails, but for [`GRINDING_TARGET`], that tries 2^`tries` seeds.
#[must_use]
pub fn fewest_against(validators: u16, tries: u16) -> Option<u16> {
    fewest_checkers(validators, GRINDING_TARGET * halved(tries.into()))
}

/// The same where as many honest validators as may be are set aside.
#[must_use]
pub fn fewest_of_fewest_against(validators: u16, tries: u16) -> Option<u16> {
    let target = GRINDING_TARGET * halved(tries.into());
    (1..=validators).find(|count| {
        let chance = no_honest_checker_of_fewest(validators, *count);
        chance.is_some_and(|chance| chance < target)
    })
}

/// The fewest checkers for which an attacker fails whatever it can try.
#[must_use]
pub fn enough_checkers(validators: u16) -> Option<u16> {
    fewest_against(validators, SEED_TRIES_BITS)
}

/// The smallest committee of 3m+1 of which more than two thirds are corrupt with a smaller chance than
/// `target`.
#[must_use]
pub fn smallest_committee(validators: u16, target: f64) -> Option<u16> {
    (1..=validators).step_by(3).find(|size| {
        let chance = group_has_corrupt(validators, *size, two_thirds(*size));
        chance.is_some_and(|chance| chance < target)
    })
}

/// How many draws it takes on average until one succeeds; infinite if none can.
#[must_use]
pub fn draws_until(chance: f64) -> f64 {
    1.0 / chance
}

/// Days until the first bad group is drawn, on average, where `groups` groups are drawn anew every so many
/// seconds.
#[must_use]
pub fn days_to_first(chance: f64, groups: u16, seconds: f64) -> f64 {
    const SECONDS_PER_DAY: f64 = 86_400.0;
    draws_until(chance) / f64::from(groups) * seconds / SECONDS_PER_DAY
}

/// What an attacker with every corrupt validator can hope for.
///
/// A try is a bad candidate that `quorum` corrupt backers sign. It succeeds if no checker is honest; otherwise
/// those backers are found out and lose their stake and their place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// The chance of the first try.
    pub chance: f64,
    /// Tries until one succeeds, on average, if lost validators were replaced for ever.
    pub tries: f64,
    /// Stakes of one validator that these tries cost.
    pub stakes: f64,
    /// Tries that there are validators for.
    pub affordable: u16,
    /// The chance that one of these succeeds.
    pub ever: f64,
}

impl Attack {
    /// On `checkers` checkers, at a price of `quorum` backers a try.
    #[must_use]
    pub fn new(validators: u16, checkers: u16, quorum: u16) -> Option<Self> {
        let chance = no_honest_checker(validators, checkers)?;
        let affordable = corrupt_max(validators).checked_div(quorum)?;
        let mut failing = 0.0_f64;
        for attempt in 0..affordable {
            let lost = attempt.saturating_mul(quorum);
            let corrupt = corrupt_max(validators).saturating_sub(lost);
            let draw = Draw::new(validators.saturating_sub(lost), corrupt, checkers)?;
            failing += (-draw.at_least(checkers)).ln_1p();
        }
        let tries = draws_until(chance);
        Some(Self {
            chance,
            tries,
            stakes: tries * f64::from(quorum),
            affordable,
            ever: -failing.exp_m1(),
        })
    }
}
