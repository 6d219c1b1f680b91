//! A batch of signatures through the lanes, step by step.
//!
//! ```text
//! unit = 8 W signatures in lock-step; block = the units that share inversions; a chunk of them at a time
//!
//! scalars ─▶ lift: y of the signature's point ─▶ tables of its odd multiples
//!         ─▶ addends: the points that equal digits name, summed in (x, y) before anything is doubled
//!         ─▶ sum: 125 doublings, 25 additions in coordinates without inversion ─▶ (x, y) ─▶ address
//! ```
//! Lanes are independent. One whose point does not exist, or that would add equal or opposite points
//! (only a signature made for that does), goes on with a substitute and is marked.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "lanes and limbs are counted by constants; the tests run with overflow checks"
)]

use super::affine::{Affine, odd_multiples, share_inversion};
use super::field::{Field, Limbs};
use super::jacobian::Jacobian;
use super::keccak::addresses;
use super::layout::{columns, limbs_from_words, mask, rows, words_from_limbs};
use super::scalar::{self, DIGIT_BITS, DIGITS, FIXED_DIGIT_BITS, FIXED_DIGITS, Parts, Short};
use super::table::{BETA, FixedTable, Name, OWN_POINTS, OwnTable, look_up_own, pack_own};
use super::{Recovered, Request, SenderKey};
use std::arch::x86_64::*;
use std::ops::Range;

/// Units whose addends are summed together: enough to share an inversion, few enough for the cache.
const CHUNK_UNITS: usize = 4;
/// Points that a unit sums in (x, y): one for each digit, of its own point and of the generator.
const ADDENDS: usize = DIGITS + FIXED_DIGITS;
/// A digit of the generator's numbers stands at every second of the point's.
const FIXED_STRIDE: usize = (FIXED_DIGIT_BITS / DIGIT_BITS) as usize;

/// Signatures that share the other inversions: those of r, of the tables and of the sums.
const BLOCK_SIGNATURES: usize = 128;

/// What came of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The signer.
    Recovered(Recovered),
    /// r or s is out of range, or no point has this r as its x.
    Invalid,
    /// Equal or opposite points were to be added: another way must decide.
    Exceptional,
}

/// Signatures and the generator's table.
pub(super) type Task<'a> = (&'a [Request], &'a FixedTable);

/// What came of each signature.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn recover((requests, fixed): Task<'_>) -> Vec<Lane> {
    let mut out = Vec::with_capacity(requests.len());
    let mut wide = Block::<2>::new(fixed);
    let (mut lanes, mut valid) = (Vec::new(), Vec::new());
    for block in requests.chunks(BLOCK_SIGNATURES) {
        valid.clear();
        valid.extend(block.iter().filter(|request| scalar::is_valid(request)));
        let parts = scalar::parts(&valid);
        // What fits into one register goes through alone: it takes half the time of two.
        let rest = match parts.len() % 16 {
            rest @ 1..=8 => rest,
            _ => 0,
        };
        let (whole, rest) = parts.split_at(parts.len() - rest);
        lanes.clear();
        if !whole.is_empty() {
            wide.recover(whole, &mut lanes);
        }
        if !rest.is_empty() {
            Block::<1>::new(fixed).recover(rest, &mut lanes);
        }
        let mut lanes = lanes.iter();
        out.extend(block.iter().map(|request| {
            let lane = scalar::is_valid(request).then(|| lanes.next());
            lane.flatten().copied().unwrap_or(Lane::Invalid)
        }));
    }
    out
}

/// The numbers of one unit in lanes.
#[derive(Clone, Copy, Debug)]
struct Numbers<const W: usize> {
    own: [[[__m512i; 3]; W]; 2],
    fixed: [[[__m512i; 3]; W]; 2],
    no_point: [__mmask8; W],
    exceptional: [__mmask8; W],
}

/// What is kept for the units of a block; the allocations serve all blocks of a batch.
struct Block<'a, const W: usize> {
    fixed: &'a FixedTable,
    numbers: Vec<Numbers<W>>,
    multiples: Vec<Affine<W>>,
    tables: Vec<[OwnTable; W]>,
    addends: Vec<Affine<W>>,
    others: Vec<Affine<W>>,
    sums: Vec<Jacobian<W>>,
    before: Vec<Field<W>>,
}

impl<'a, const W: usize> Block<'a, W> {
    fn new(fixed: &'a FixedTable) -> Self {
        Self {
            fixed,
            numbers: Vec::new(),
            multiples: Vec::new(),
            tables: Vec::new(),
            addends: Vec::new(),
            others: Vec::new(),
            sums: Vec::new(),
            before: Vec::new(),
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    fn recover(&mut self, signatures: &[Parts], out: &mut Vec<Lane>) {
        self.numbers.clear();
        self.sums.clear();
        let units = signatures.len().div_ceil(8 * W);
        self.multiples.resize(units * OWN_POINTS, Affine::unset());
        let empty = [[_mm512_setzero_si512(); OWN_POINTS * 8]; W];
        self.tables.resize(units, empty);
        for (index, unit) in signatures.chunks(8 * W).enumerate() {
            self.lift(index, unit);
        }
        odd_multiples(&mut self.multiples, OWN_POINTS, &mut self.before);
        for (points, tables) in self.multiples.chunks(OWN_POINTS).zip(&mut self.tables) {
            pack_own(points, tables);
        }
        for first in (0..units).step_by(CHUNK_UNITS) {
            let chunk = first..units.min(first + CHUNK_UNITS);
            self.addends.resize(chunk.len() * ADDENDS, Affine::unset());
            self.others.resize(chunk.len() * ADDENDS, Affine::unset());
            self.sum_addends(chunk.clone());
            self.merge_fixed(chunk);
            for addends in self.addends.chunks(ADDENDS) {
                self.sums.push(accumulate(&addends[..DIGITS]));
            }
        }
        self.finish(signatures.len(), out);
    }

    /// Takes a unit in: its numbers into lanes, its points from x.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    fn lift(&mut self, index: usize, unit: &[Parts]) {
        let part = |w: usize, lane: usize| unit.get(w * 8 + lane).unwrap_or(&unit[0]);
        let mut x = Field([[_mm512_setzero_si512(); 5]; W]);
        let mut odd = [0; W];
        for w in 0..W {
            x.0[w] = limbs_from_words(columns(std::array::from_fn(|lane| part(w, lane).x)));
            odd[w] = mask(std::array::from_fn(|lane| part(w, lane).is_odd));
        }
        let numbers = |pick: fn(&Parts) -> &Short| {
            std::array::from_fn(|w| columns(std::array::from_fn(|lane| *pick(part(w, lane)))))
        };
        let (base, no_point) = lift_x(&x, odd);
        self.numbers.push(Numbers {
            own: [numbers(|part| &part.own[0]), numbers(|part| &part.own[1])],
            fixed: [
                numbers(|part| &part.fixed[0]),
                numbers(|part| &part.fixed[1]),
            ],
            no_point,
            exceptional: [0; W],
        });
        self.multiples[index * OWN_POINTS] = base;
    }

    /// For every digit, the sum of the two points that a pair of numbers names.
    ///
    /// These are small odd multiples of a point and of lambda times it, or of G and of 2^128 G: different
    /// points and no opposites.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    fn sum_addends(&mut self, units: Range<usize>) {
        let mut names = Names {
            numbers: &self.numbers[units.clone()],
            tables: &self.tables[units],
            fixed: self.fixed,
            beta: Field::splat(BETA),
            names: [[[Name::default(); W]; 2]; ADDENDS],
        };
        let (mut known, count) = (0, self.addends.len());
        share_inversion(
            &mut (&mut self.addends, &mut self.others),
            count,
            &mut self.before,
            |(addends, others), index| {
                let (addend, other) = (&mut addends[index], &mut others[index]);
                if index == known {
                    known += 1;
                    names.look_up(index, addend, other);
                }
                addend.add_denominator(other)
            },
            |(addends, others), index, inverse| addends[index].add_assign(&others[index], inverse),
        );
    }

    /// Adds the generator's sums to the point's at the same place.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    fn merge_fixed(&mut self, units: Range<usize>) {
        let places = |index: usize| {
            let (unit, digit) = (index / FIXED_DIGITS * ADDENDS, index % FIXED_DIGITS);
            (unit + digit * FIXED_STRIDE, unit + DIGITS + digit)
        };
        let zeros = share_inversion(
            &mut self.addends,
            units.len() * FIXED_DIGITS,
            &mut self.before,
            |addends, index| {
                let (own, fixed) = places(index);
                addends[own].add_denominator(&addends[fixed])
            },
            |addends, index, inverse| {
                let (own, fixed) = places(index);
                let (below, above) = addends.split_at_mut(fixed);
                below[own].add_assign(&above[0], inverse);
            },
        );
        for (index, lanes) in zeros.iter() {
            self.numbers[units.start + index / FIXED_DIGITS].mark(lanes);
        }
    }

    /// Brings the sums back to (x, y).
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    fn finish(&mut self, count: usize, out: &mut Vec<Lane>) {
        let zeros = share_inversion(
            &mut self.sums,
            self.numbers.len(),
            &mut self.before,
            |sums, unit| sums[unit].z,
            |sums, unit, inverse| sums[unit].normalize(inverse),
        );
        for (unit, lanes) in zeros.iter() {
            self.numbers[unit].mark(lanes);
        }
        let end = out.len() + count;
        for (sum, numbers) in self.sums.iter().zip(&self.numbers) {
            for w in 0..W {
                out.extend(numbers.lanes(w, sum.x.0[w], sum.y2.0[w]));
            }
        }
        out.truncate(end);
    }
}

impl<const W: usize> Numbers<W> {
    fn mark(&mut self, lanes: [__mmask8; W]) {
        for (mark, lanes) in self.exceptional.iter_mut().zip(lanes) {
            *mark |= lanes;
        }
    }

    /// The verdicts of one register, given the recovered keys in canonical form.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    fn lanes(&self, w: usize, x: Limbs, y: Limbs) -> [Lane; 8] {
        let (x, y) = (words_from_limbs(&x), words_from_limbs(&y));
        let addresses = addresses(x, y);
        let keys = rows([x[3], x[2], x[1], x[0], y[3], y[2], y[1], y[0]]);
        std::array::from_fn(|lane| {
            if self.no_point[w] >> lane & 1 == 1 {
                Lane::Invalid
            } else if self.exceptional[w] >> lane & 1 == 1 {
                Lane::Exceptional
            } else {
                Lane::Recovered(Recovered {
                    key: SenderKey::from_words(keys[lane]),
                    address: addresses[lane],
                })
            }
        })
    }
}

/// Looks up the pairs of points that are summed for the addends, in their order.
struct Names<'a, const W: usize> {
    numbers: &'a [Numbers<W>],
    tables: &'a [[OwnTable; W]],
    fixed: &'a FixedTable,
    beta: Field<W>,
    /// Of the present unit, all at once: a digit's register is long written when its lanes are read.
    names: [[[Name; W]; 2]; ADDENDS],
}

impl<const W: usize> Names<'_, W> {
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    fn look_up(&mut self, index: usize, addend: &mut Affine<W>, other: &mut Affine<W>) {
        let (unit, digit) = (index / ADDENDS, index % ADDENDS);
        if digit == 0 {
            self.name(unit);
        }
        let [first, second] = &self.names[digit];
        if digit < DIGITS {
            look_up_own(&self.tables[unit], first, addend);
            look_up_own(&self.tables[unit], second, other);
            other.x.mul_assign(&self.beta);
        } else {
            self.fixed.look_up(0, first, addend);
            self.fixed.look_up(1, second, other);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    fn name(&mut self, unit: usize) {
        let numbers = &self.numbers[unit];
        for (addend, names) in self.names.iter_mut().enumerate() {
            for (place, name) in names.as_flattened_mut().iter_mut().enumerate() {
                let (half, w) = (place / W, place % W);
                *name = match addend.checked_sub(DIGITS) {
                    None => Name::new::<DIGIT_BITS>(&numbers.own[half][w], addend),
                    Some(digit) => Name::new::<FIXED_DIGIT_BITS>(&numbers.fixed[half][w], digit),
                };
            }
        }
    }
}

/// The points with these x and y of this parity; a substitute where there is none, and its lanes.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn lift_x<const W: usize>(x: &Field<W>, odd: [__mmask8; W]) -> (Affine<W>, [__mmask8; W]) {
    let right = |x: &Field<W>| x.sqr().mul(x).add(&Field::splat([7, 0, 0, 0]));
    let square = right(x);
    let mut y = square.sqrt();
    let mut no_point = y.sqr().sub::<3>(&square).zero_lanes();
    let mut x = *x;
    for lanes in &mut no_point {
        *lanes = !*lanes;
    }
    if no_point != [0; W] {
        let one = Field::splat([1, 0, 0, 0]);
        x = x.select(no_point, &one);
        y = y.select(no_point, &right(&one).sqrt());
    }
    y = y.canonical();
    let negated = Field::splat([0; 4]).sub::<1>(&y);
    let mut other = [0; W];
    for w in 0..W {
        let is_odd = _mm512_test_epi64_mask(y.0[w][0], _mm512_set1_epi64(1));
        other[w] = is_odd ^ odd[w];
    }
    y = y.select(other, &negated);
    (Affine { x, y }, no_point)
}

/// The sum of the addends, each 32 times the weight of the one before.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn accumulate<const W: usize>(addends: &[Affine<W>]) -> Jacobian<W> {
    let (last, rest) = addends.split_last().expect("a number has digits");
    let mut sum = Jacobian::new(last);
    for addend in rest.iter().rev() {
        // Five negations and a sixth.
        for _ in 0..DIGIT_BITS {
            sum.double_negated();
        }
        sum.subtract_negated(addend);
    }
    sum
}
