//! Points as (x, y), many additions sharing one inversion.
//!
//! ```text
//! all denominators of a step ─▶ product ─▶ product of its lanes ─▶ one inverse ─▶ inverse of each
//! ```
//! An addition then costs five multiplications and a squaring, against eleven and three without shared
//! inversions, and its result needs no third coordinate. A denominator of zero (equal or opposite
//! points) is reported with its lane and stands for one, so it spoils no other lane.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "lanes and limbs are counted by constants; the tests run with overflow checks"
)]

use super::field::Field;
use super::inverse::Modulus;
use std::arch::x86_64::*;

const MODULUS: Modulus = Modulus::new([0xffff_fffe_ffff_fc2f, u64::MAX, u64::MAX, u64::MAX]);

/// Eight times `W` points, none of them infinity. x is reduced; y is reduced, or that negated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine<const W: usize> {
    pub(super) x: Field<W>,
    pub(super) y: Field<W>,
}

impl<const W: usize> Affine<W> {
    /// Zeros, to be overwritten.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn unset() -> Self {
        Self {
            x: Field::unset(),
            y: Field::unset(),
        }
    }

    /// What an addition wants the inverse of.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn add_denominator(&self, other: &Self) -> Field<W> {
        other.x.sub::<2>(&self.x)
    }

    /// `self += other`, given the inverse of the denominator.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn add_assign(&mut self, other: &Self, inverse: &Field<W>) {
        let mut slope = other.y.sub::<3>(&self.y);
        slope.mul_assign(inverse);
        self.follow(&other.x, &slope);
    }

    /// What [`Self::double`] wants the inverse of. Never zero: no point has order two.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn double_denominator(&self) -> Field<W> {
        self.y.add(&self.y)
    }

    /// `self += self`, given the inverse of the denominator.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn double(&mut self, inverse: &Field<W>) {
        let mut slope = self.x.sqr_triple();
        slope.mul_assign(inverse);
        let x = self.x;
        self.follow(&x, &slope);
    }

    /// The third point on the line of this slope through this point and another, reflected.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    fn follow(&mut self, other_x: &Field<W>, slope: &Field<W>) {
        let x = self.x;
        self.x.set_sqr_sub(slope, &x, other_x);
        self.y.set_mul_sub::<3>(slope, &x.sub::<2>(&self.x));
    }
}

/// Calls `apply` with the inverse of each of `count` denominators, from the last to the first.
///
/// `denominator` is called in ascending order first and gives the same answer when asked again; what
/// `apply` changes in `state` must not concern the denominators before it. A denominator of zero is
/// reported and counts as one. `before` is scratch.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn share_inversion<S, const W: usize>(
    state: &mut S,
    count: usize,
    before: &mut Vec<Field<W>>,
    mut denominator: impl FnMut(&mut S, usize) -> Field<W>,
    mut apply: impl FnMut(&mut S, usize, &Field<W>),
) -> Zeros<W> {
    let mut zeros = Zeros::default();
    let mut product = multiply_up(before, count, |index| denominator(state, index));
    if product.zero_lanes() != [0; W] {
        product = multiply_up(before, count, |index| {
            zeros.note_and_replace(denominator(state, index))
        });
    }
    let mut inverse = invert_lanes(&product);
    for (index, before) in before.iter_mut().enumerate().rev() {
        let number = zeros.replace(index, denominator(state, index));
        before.mul_assign(&inverse);
        inverse.mul_assign(&number);
        apply(state, index, before);
    }
    zeros
}

/// Where denominators were zero, one entry for each; none at all where no denominator was.
#[derive(Debug, Default)]
pub(super) struct Zeros<const W: usize>(Vec<[__mmask8; W]>);

impl<const W: usize> Zeros<W> {
    /// The indices and lanes where there was a zero.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, [__mmask8; W])> {
        let all = self.0.iter().copied().enumerate();
        all.filter(|(_, lanes)| *lanes != [0; W])
    }

    /// Notes the zeros of the next denominator and puts ones in their place.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    fn note_and_replace(&mut self, number: Field<W>) -> Field<W> {
        self.0.push(number.zero_lanes());
        self.replace(self.0.len() - 1, number)
    }

    /// Puts ones in the place of the zeros that were noted.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    fn replace(&self, index: usize, number: Field<W>) -> Field<W> {
        match self.0.get(index) {
            Some(lanes) => number.select(*lanes, &Field::splat([1, 0, 0, 0])),
            None => number,
        }
    }
}

/// The product of all numbers; `before` gets, for each of them, the product of those below it.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn multiply_up<const W: usize>(
    before: &mut Vec<Field<W>>,
    count: usize,
    mut number: impl FnMut(usize) -> Field<W>,
) -> Field<W> {
    before.resize(count + 1, Field::unset());
    before[0] = Field::splat([1, 0, 0, 0]);
    for index in 0..count {
        let (below, above) = before.split_at_mut(index + 1);
        above[0].set_product(&below[index], &number(index));
    }
    before.pop().expect("it has one more than numbers")
}

/// The inverse of every lane, none of them zero, for one inversion.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn invert_lanes<const W: usize>(number: &Field<W>) -> Field<W> {
    let mut product = Field([number.0[0]]);
    let mut below = [product; W];
    for w in 1..W {
        below[w] = product;
        product = product.mul(&Field([number.0[w]]));
    }
    // Lanes are multiplied with their neighbours at distances 4, 2 and 1: then each holds the product
    // of all, and the neighbours' factors are what takes a lane's own inverse out of it.
    let far = Field([product.0[0].map(|limb| swap_fours(limb))]);
    let fours = product.mul(&far);
    let middle = Field([fours.0[0].map(|limb| swap_pairs(limb))]);
    let pairs = fours.mul(&middle);
    let near = Field([pairs.0[0].map(|limb| swap_ones(limb))]);
    let all = pairs.mul(&near);
    let total = Field::<1>::splat(MODULUS.invert(all.first_words()));
    let mut inverse = total.mul(&near).mul(&middle).mul(&far);
    let mut out = *number;
    for w in (1..W).rev() {
        out.0[w] = inverse.mul(&below[w]).0[0];
        inverse = inverse.mul(&Field([number.0[w]]));
    }
    out.0[0] = inverse.0[0];
    out
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn swap_fours(v: __m512i) -> __m512i {
    _mm512_shuffle_i64x2::<0b01_00_11_10>(v, v)
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn swap_pairs(v: __m512i) -> __m512i {
    _mm512_shuffle_i64x2::<0b10_11_00_01>(v, v)
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn swap_ones(v: __m512i) -> __m512i {
    _mm512_shuffle_epi32::<0b01_00_11_10>(v)
}

/// Fills `points`, rows of `row` with a base point in each row's first place, with the odd multiples of
/// the bases: 1, 3, 5 and so on. `row` is a power of two.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn odd_multiples<const W: usize>(
    points: &mut [Affine<W>],
    row: usize,
    before: &mut Vec<Field<W>>,
) {
    // The even multiple that takes the known half of a row to the next: 2, 4, 8 and so on.
    let mut steps: Vec<_> = points.chunks(row).map(|own| own[0]).collect();
    let units = steps.len();
    share_inversion(
        &mut steps,
        units,
        before,
        |steps, unit| steps[unit].double_denominator(),
        |steps, unit, inverse| steps[unit].double(inverse),
    );
    let mut known = 1;
    while known < row {
        // For each unit the step and then what it takes further: the last is done first.
        let each = known + 1;
        share_inversion(
            &mut (&mut *points, &mut steps),
            units * each,
            before,
            |(points, steps), index| match (index / each, index % each) {
                (unit, 0) => steps[unit].double_denominator(),
                (unit, place) => points[unit * row + place - 1].add_denominator(&steps[unit]),
            },
            |(points, steps), index, inverse| match (index / each, index % each) {
                (unit, 0) => steps[unit].double(inverse),
                (unit, place) => {
                    let sum = unit * row + known + place - 1;
                    points[sum] = points[sum - known];
                    points[sum].add_assign(&steps[unit], inverse);
                }
            },
        );
        known *= 2;
    }
}
