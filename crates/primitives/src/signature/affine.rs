//! Points as (x, y), many additions sharing one inversion.
//!
//! ```text
//! all denominators of a step ─▶ product ─▶ product of its lanes ─▶ one inverse ─▶ inverse of each
//! ```
//! An addition then costs five multiplications and a squaring, against eleven and three without shared
//! inversions, and its result needs no third coordinate. A denominator of zero (equal or opposite
//! points) is reported with its lane and stands for one, so it spoils no other lane.

use super::field::Field;
use super::inverse::Modulus;
use super::lanes::{vector, words};
use std::arch::x86_64::*;

const MODULUS: Modulus = Modulus::new([
    0xffff_fffe_ffff_fc2f,
    u64::MAX,
    u64::MAX,
    u64::MAX,
]);

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

    /// What [`Self::add`] wants the inverse of.
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
        self.follow(&other.x, slope);
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
        self.follow(&x, slope);
    }

    /// The third point on the line of this slope through this point and another, reflected.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    fn follow(&mut self, other_x: &Field<W>, slope: Field<W>) {
        let x = slope.sqr_sub_both(&self.x, other_x);
        self.x = self.x.sub::<2>(&x);
        self.y = slope.mul_sub::<3>(&self.x, &self.y);
        self.x = x;
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
    before.resize(count, Field::unset());
    let mut product = Field::splat([1, 0, 0, 0]);
    for (index, before) in before.iter_mut().enumerate() {
        *before = product;
        product.mul_assign(&denominator(state, index));
    }
    let mut zeros = Zeros::default();
    if product.zero_lanes() != [0; W] {
        product = Field::splat([1, 0, 0, 0]);
        for (index, before) in before.iter_mut().enumerate() {
            let mut number = denominator(state, index);
            zeros.replace(&mut number);
            *before = product;
            product.mul_assign(&number);
        }
    }
    let mut inverse = invert_lanes(&product);
    for (index, before) in before.iter_mut().enumerate().rev() {
        let mut number = denominator(state, index);
        zeros.replace_again(index, &mut number);
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
    fn replace(&mut self, number: &mut Field<W>) {
        let lanes = number.zero_lanes();
        self.0.push(lanes);
        *number = number.select(lanes, &Field::splat([1, 0, 0, 0]));
    }

    /// Puts the same ones in place again.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    fn replace_again(&self, index: usize, number: &mut Field<W>) {
        if let Some(lanes) = self.0.get(index) {
            *number = number.select(*lanes, &Field::splat([1, 0, 0, 0]));
        }
    }
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
pub(super) fn odd_multiples<const W: usize>(points: &mut [Affine<W>], row: usize) {
    let mut before = Vec::new();
    // The even multiple that takes the known half of a row to the next: 2, 4, 8 and so on.
    let mut steps: Vec<_> = points.chunks(row).map(|own| own[0]).collect();
    let units = steps.len();
    share_inversion(
        &mut steps,
        units,
        &mut before,
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
            &mut before,
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

/// The lanes of a mask as a register's comparison gives them, from booleans.
pub(super) fn mask(lanes: [bool; 8]) -> __mmask8 {
    lanes
        .iter()
        .rev()
        .fold(0, |mask, lane| mask << 1 | u8::from(*lane))
}

/// Eight registers of eight lanes with rows and columns exchanged.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
pub(super) fn transpose(r: [__m512i; 8]) -> [__m512i; 8] {
    let mut pairs = r;
    for i in [0, 2, 4, 6] {
        pairs[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
    }
    let mut fours = pairs;
    for i in [0, 1, 4, 5] {
        fours[i] = _mm512_shuffle_i64x2::<0b10_00_10_00>(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm512_shuffle_i64x2::<0b11_01_11_01>(pairs[i], pairs[i + 2]);
    }
    let mut out = fours;
    for i in 0..4 {
        out[i] = _mm512_shuffle_i64x2::<0b10_00_10_00>(fours[i], fours[i + 4]);
        out[i + 4] = _mm512_shuffle_i64x2::<0b11_01_11_01>(fours[i], fours[i + 4]);
    }
    out
}

/// One register per lane from arrays of words per lane.
pub(super) fn columns<const N: usize>(lanes: [[u64; N]; 8]) -> [__m512i; N] {
    std::array::from_fn(|i| vector(lanes.map(|words| words[i])))
}

/// Arrays of words per lane from one register per word.
pub(super) fn rows<const N: usize>(columns: [__m512i; N]) -> [[u64; N]; 8] {
    let columns = columns.map(words);
    std::array::from_fn(|lane| columns.map(|column| column[lane]))
}
