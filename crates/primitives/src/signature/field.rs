//! Numbers modulo the field prime p = 2^256 - 2^32 - 977, eight to a register, `W` registers side by side.
//!
//! A number is five limbs of 52 bits, because the processor multiplies 52-bit integers eight at a time
//! (`vpmadd52luq`, `vpmadd52huq`). The multiplier ignores what is above bit 52 of a limb, therefore:
//!
//! ```text
//! carried  every limb in [0, 2^52): what may be multiplied. Its value may be up to 15 p.
//! reduced  carried, and the value below 2^256 + 2^252: what a multiplication returns ("one p").
//! signed   limbs of any sign: only sums may be formed of it, and carried afterwards
//! ```
//! Every linear function takes `K`, the multiple of p that it adds to keep its result positive, and says
//! what the caller must know of its operands in units of p. Two registers side by side (`W` = 2) give the
//! processor two independent chains of instructions, which hides the latency of the multiplier.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "lanes and limbs are counted by constants; the tests run with overflow checks"
)]

use super::lanes::{vector, words};
use super::layout::{limbs_from_words, words_from_limbs};
use std::arch::x86_64::*;

/// One number in each of eight lanes: five limbs, least significant first.
pub(super) type Limbs = [__m512i; 5];

/// Bits of a limb.
const LIMB_BITS: u32 = 52;
pub(super) const LIMB_MASK: i64 = (1 << LIMB_BITS) - 1;
/// Bits of p in its top limb.
const TOP_BITS: u32 = 48;
const TOP_MASK: i64 = (1 << TOP_BITS) - 1;
/// 2^256 mod p.
const FOLD: i64 = 0x1_0000_03d1;
/// 2^260 mod p.
const FOLD_LIMBS: i64 = FOLD << 4;
/// p in limbs.
const PRIME: [i64; 5] = [
    LIMB_MASK - FOLD + 1,
    LIMB_MASK,
    LIMB_MASK,
    LIMB_MASK,
    TOP_MASK,
];

/// Eight times `W` numbers modulo p.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<const W: usize>(pub(super) [Limbs; W]);

impl<const W: usize> Field<W> {
    /// Zeros, to be overwritten.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn unset() -> Self {
        Self([[_mm512_setzero_si512(); 5]; W])
    }

    /// The same number in every lane, from its 64-bit words.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn splat(number: [u64; 4]) -> Self {
        Self([limbs_from_words(number.map(|word| vector([word; 8]))); W])
    }

    /// `self * other`; both carried. Reduced.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            let mut columns = [_mm512_setzero_si512(); 10];
            multiply(&mut columns, &self.0[w], &other.0[w]);
            out.0[w] = reduce_columns(columns);
        }
        out
    }

    /// `self * other - less + K p`, where `less` is at most `K` p or signed; the others carried. Reduced.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn mul_sub<const K: i64>(&self, other: &Self, less: &Self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            let mut columns = [_mm512_setzero_si512(); 10];
            multiply(&mut columns, &self.0[w], &other.0[w]);
            for i in 0..5 {
                columns[i] = _mm512_add_epi64(columns[i], prime_limb::<K>(i));
                columns[i] = _mm512_sub_epi64(columns[i], less.0[w][i]);
            }
            out.0[w] = reduce_columns(columns);
        }
        out
    }

    /// `self = a * b - self + K p`, as [`Self::mul_sub`].
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn set_mul_sub<const K: i64>(&mut self, a: &Self, b: &Self) {
        for w in 0..W {
            let mut columns = [_mm512_setzero_si512(); 10];
            multiply(&mut columns, &a.0[w], &b.0[w]);
            for i in 0..5 {
                columns[i] = _mm512_add_epi64(columns[i], prime_limb::<K>(i));
                columns[i] = _mm512_sub_epi64(columns[i], self.0[w][i]);
            }
            self.0[w] = reduce_columns(columns);
        }
    }

    /// `self = a * a - b - c + 4 p`, where `b + c` is at most 4 p; a carried. Reduced.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn set_sqr_sub(&mut self, a: &Self, b: &Self, c: &Self) {
        for w in 0..W {
            let mut columns = square(&a.0[w]);
            for i in 0..5 {
                let less = _mm512_add_epi64(b.0[w][i], c.0[w][i]);
                columns[i] = _mm512_add_epi64(columns[i], prime_limb::<4>(i));
                columns[i] = _mm512_sub_epi64(columns[i], less);
            }
            self.0[w] = reduce_columns(columns);
        }
    }

    /// `3 self * self`; carried. Reduced.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn sqr_triple(&self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            let mut columns = square(&self.0[w]);
            fold_last(&mut columns);
            let mut sum = fold_columns(columns);
            for limb in &mut sum {
                *limb = _mm512_add_epi64(*limb, _mm512_add_epi64(*limb, *limb));
            }
            out.0[w] = reduce(sum);
        }
        out
    }

    /// `self * self`; carried. Reduced.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn sqr(&self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            out.0[w] = reduce_columns(square(&self.0[w]));
        }
        out
    }

    /// `self` squared `count` times; carried. Reduced.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn sqr_many(&self, count: u32) -> Self {
        let mut out = *self;
        for _ in 0..count {
            for w in 0..W {
                out.0[w] = reduce_columns(square(&out.0[w]));
            }
        }
        out
    }

    /// `self *= other`, as [`Self::mul`].
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn mul_assign(&mut self, other: &Self) {
        for (out, other) in self.0.iter_mut().zip(&other.0) {
            let mut columns = [_mm512_setzero_si512(); 10];
            multiply(&mut columns, out, other);
            *out = reduce_columns(columns);
        }
    }

    /// `self = a * b`, as [`Self::mul`], without a copy of the result.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn set_product(&mut self, a: &Self, b: &Self) {
        for w in 0..W {
            let mut columns = [_mm512_setzero_si512(); 10];
            multiply(&mut columns, &a.0[w], &b.0[w]);
            self.0[w] = reduce_columns(columns);
        }
    }

    /// `self = a * b + self * c` with one reduction; all carried, and the product of a's and b's sizes plus
    /// that of c's and self's at most 200. Reduced.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn set_mul_sum(&mut self, a: &Self, b: &Self, c: &Self) {
        for w in 0..W {
            let mut columns = [_mm512_setzero_si512(); 10];
            multiply(&mut columns, &a.0[w], &b.0[w]);
            multiply(&mut columns, &self.0[w], &c.0[w]);
            self.0[w] = reduce_columns(columns);
        }
    }

    /// `self = a * b + c * c`, as [`Self::set_mul_sum`].
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn set_mul_sqr_sum(&mut self, a: &Self, b: &Self, c: &Self) {
        for w in 0..W {
            let mut columns = square(&c.0[w]);
            multiply(&mut columns, &a.0[w], &b.0[w]);
            self.0[w] = reduce_columns(columns);
        }
    }

    /// `self - other + K p`, where `other` is at most `K` p. Carried.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn sub<const K: i64>(&self, other: &Self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            let (a, b) = (&self.0[w], &other.0[w]);
            let mut sum = *a;
            for i in 0..5 {
                sum[i] = _mm512_add_epi64(_mm512_sub_epi64(a[i], b[i]), prime_limb::<K>(i));
            }
            out.0[w] = carry(sum);
        }
        out
    }

    /// `2 (self - other) + K p`, where twice `other` is at most `K` p. Carried.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn sub_double<const K: i64>(&self, other: &Self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            let (a, b) = (&self.0[w], &other.0[w]);
            let mut sum = *a;
            for i in 0..5 {
                let difference = _mm512_sub_epi64(a[i], b[i]);
                let twice = _mm512_add_epi64(difference, difference);
                sum[i] = _mm512_add_epi64(twice, prime_limb::<K>(i));
            }
            out.0[w] = carry(sum);
        }
        out
    }

    /// `self + other`; both non-negative, together at most 15 p. Carried.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn add(&self, other: &Self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            let mut sum = self.0[w];
            for i in 0..5 {
                sum[i] = _mm512_add_epi64(sum[i], other.0[w][i]);
            }
            out.0[w] = carry(sum);
        }
        out
    }

    /// `2 self + other`, at most 15 p. Carried.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn double_add(&self, other: &Self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            let mut sum = self.0[w];
            for i in 0..5 {
                let twice = _mm512_add_epi64(sum[i], sum[i]);
                sum[i] = _mm512_add_epi64(twice, other.0[w][i]);
            }
            out.0[w] = carry(sum);
        }
        out
    }

    /// `self + other`, limb by limb; only to be subtracted.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn add_limbs(&self, other: &Self) -> Self {
        let mut out = *self;
        for w in 0..W {
            for i in 0..5 {
                out.0[w][i] = _mm512_add_epi64(self.0[w][i], other.0[w][i]);
            }
        }
        out
    }

    /// `2 self`, at most 15 p. Reduced.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn double_reduced(&self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            let mut sum = self.0[w];
            for limb in &mut sum {
                *limb = _mm512_add_epi64(*limb, *limb);
            }
            out.0[w] = reduce(sum);
        }
        out
    }

    /// `other` in the lanes of the mask, `self` elsewhere.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn select(&self, lanes: [__mmask8; W], other: &Self) -> Self {
        let mut out = Self::unset();
        for w in 0..W {
            for i in 0..5 {
                out.0[w][i] = _mm512_mask_mov_epi64(self.0[w][i], lanes[w], other.0[w][i]);
            }
        }
        out
    }

    /// Brings a reduced number below 2^256.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn settle(&self) -> Self {
        Self(self.0.map(|number| reduce(number)))
    }

    /// The one representative in [0, p); carried.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn canonical(&self) -> Self {
        Self(self.0.map(|number| canonical(number)))
    }

    /// The lanes whose number is zero modulo p; carried.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn zero_lanes(&self) -> [__mmask8; W] {
        let mut lanes = [0; W];
        for w in 0..W {
            let number = canonical(self.0[w]);
            let mut any = number[0];
            for limb in &number[1..] {
                any = _mm512_or_si512(any, *limb);
            }
            lanes[w] = _mm512_testn_epi64_mask(any, any);
        }
        lanes
    }

    /// A square root of every number that has one; carried. Reduced.
    ///
    /// The number to the power (p + 1) / 4, whose binary digits are runs of 223, 22 and 2 ones: 254
    /// squarings and 13 multiplications.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn sqrt(&self) -> Self {
        let x2 = self.sqr().mul(self);
        let x3 = x2.sqr().mul(self);
        let x6 = x3.sqr_many(3).mul(&x3);
        let x9 = x6.sqr_many(3).mul(&x3);
        let x11 = x9.sqr_many(2).mul(&x2);
        let x22 = x11.sqr_many(11).mul(&x11);
        let x44 = x22.sqr_many(22).mul(&x22);
        let x88 = x44.sqr_many(44).mul(&x44);
        let x176 = x88.sqr_many(88).mul(&x88);
        let x220 = x176.sqr_many(44).mul(&x44);
        let x223 = x220.sqr_many(3).mul(&x3);
        let upper = x223.sqr_many(23).mul(&x22);
        upper.sqr_many(6).mul(&x2).sqr_many(2)
    }
}

impl Field<1> {
    /// Lane 0 in 64-bit words; any carried number.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn first_words(&self) -> [u64; 4] {
        words_from_limbs(&canonical(self.0[0])).map(|lanes| words(lanes)[0])
    }
}

/// Limb `i` of `K` p.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn prime_limb<const K: i64>(i: usize) -> __m512i {
    _mm512_set1_epi64(K * PRIME[i])
}

/// Adds `a * b` to ten columns.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn multiply(columns: &mut [__m512i; 10], a: &Limbs, b: &Limbs) {
    for i in 0..5 {
        for j in 0..5 {
            columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], b[j]);
        }
        for j in 0..5 {
            columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], b[j]);
        }
    }
}

/// `a * a` in ten columns: what is off the diagonal once, doubled.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn square(a: &Limbs) -> [__m512i; 10] {
    let mut columns = [_mm512_setzero_si512(); 10];
    for i in 0..5 {
        for j in i + 1..5 {
            columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], a[j]);
            columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], a[j]);
        }
    }
    for column in &mut columns[1..9] {
        *column = _mm512_add_epi64(*column, *column);
    }
    for i in 0..5 {
        columns[2 * i] = _mm512_madd52lo_epu64(columns[2 * i], a[i], a[i]);
        columns[2 * i + 1] = _mm512_madd52hi_epu64(columns[2 * i + 1], a[i], a[i]);
    }
    columns
}

/// Folds ten columns, each below 2^58 and the last below 2^52, into five limbs. Reduced.
///
/// What lies above 2^256 goes first, so that it takes part in the carries of the rest. What the other
/// folds add to the top limb afterwards is below 2^44, for which it has room.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn reduce_columns(mut c: [__m512i; 10]) -> Limbs {
    fold_last(&mut c);
    let above = _mm512_srli_epi64::<TOP_BITS>(c[4]);
    c[4] = _mm512_and_si512(c[4], _mm512_set1_epi64(TOP_MASK));
    c[0] = _mm512_madd52lo_epu64(c[0], above, _mm512_set1_epi64(FOLD));
    carry(fold_columns(c))
}

/// Folds the last of ten columns.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn fold_last(c: &mut [__m512i; 10]) {
    let fold = _mm512_set1_epi64(FOLD_LIMBS);
    c[4] = _mm512_madd52lo_epu64(c[4], c[9], fold);
    c[5] = _mm512_madd52hi_epu64(c[5], c[9], fold);
}

/// Folds the other upper columns; five limbs are left to carry.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn fold_columns(mut c: [__m512i; 10]) -> Limbs {
    let fold = _mm512_set1_epi64(FOLD_LIMBS);
    for i in 5..8 {
        c[i + 1] = _mm512_add_epi64(c[i + 1], _mm512_srli_epi64::<LIMB_BITS>(c[i]));
    }
    let rest = _mm512_srli_epi64::<LIMB_BITS>(c[8]);
    c[4] = _mm512_madd52lo_epu64(c[4], rest, fold);
    // The multiplier ignores what the carries left above bit 52.
    for i in 0..4 {
        c[i] = _mm512_madd52lo_epu64(c[i], c[i + 5], fold);
        c[i + 1] = _mm512_madd52hi_epu64(c[i + 1], c[i + 5], fold);
    }
    [c[0], c[1], c[2], c[3], c[4]]
}

/// Brings a non-negative sum of limbs, the top one below 2^60, below 2^256 + 2^214.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn reduce(mut v: Limbs) -> Limbs {
    let above = _mm512_srli_epi64::<TOP_BITS>(v[4]);
    v[4] = _mm512_and_si512(v[4], _mm512_set1_epi64(TOP_MASK));
    v[0] = _mm512_madd52lo_epu64(v[0], above, _mm512_set1_epi64(FOLD));
    carry(v)
}

/// Carries signed limbs whose sum is non-negative and below 2^260.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn carry(mut v: Limbs) -> Limbs {
    let mask = _mm512_set1_epi64(LIMB_MASK);
    for i in 0..4 {
        v[i + 1] = _mm512_add_epi64(v[i + 1], _mm512_srai_epi64::<LIMB_BITS>(v[i]));
        v[i] = _mm512_and_si512(v[i], mask);
    }
    v
}

/// The representative in [0, p) of a carried number.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn canonical(number: Limbs) -> Limbs {
    // Twice, because the first fold may leave a little above 2^256.
    let number = reduce(reduce(number));
    let mut over = number;
    over[0] = _mm512_add_epi64(over[0], _mm512_set1_epi64(FOLD));
    over = carry(over);
    let bit = _mm512_srli_epi64::<TOP_BITS>(over[4]);
    let above = _mm512_test_epi64_mask(bit, bit);
    over[4] = _mm512_and_si512(over[4], _mm512_set1_epi64(TOP_MASK));
    let mut out = number;
    for i in 0..5 {
        out[i] = _mm512_mask_mov_epi64(number[i], above, over[i]);
    }
    out
}
