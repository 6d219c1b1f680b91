//! Tables of odd multiples, and the points that digits name in them.
//!
//! A point is packed into the 64 bytes of one register, x before y. Eight lanes look up eight points with
//! eight loads and a transposition, which is faster than gathering ten limbs.
//!
//! ```text
//! own table    16 odd multiples of each lane's point:         row = index * 8 + lane
//! fixed table  512 odd multiples of G, and of 2^128 G:        row = index
//! ```
//! The second number of a signature multiplies lambda times the point, whose multiples are those of the
//! point with x times beta.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "lanes and limbs are counted by constants; the tests run with overflow checks"
)]

use super::affine::{Affine, odd_multiples, share_inversion};
use super::field::{Field, Limbs};
use super::lanes::{enter, words};
use super::layout::{limbs_from_words, transpose, words_from_limbs};
use super::scalar::{DIGIT_BITS, FIXED_DIGIT_BITS};
use std::arch::x86_64::*;
use std::sync::OnceLock;

/// Odd multiples in a lane's own table.
pub(super) const OWN_POINTS: usize = 1 << (DIGIT_BITS - 1);
/// Odd multiples in a fixed table.
const FIXED_POINTS: usize = 1 << (FIXED_DIGIT_BITS - 1);

/// The generator.
pub(super) const GENERATOR: [[u64; 4]; 2] = [
    [
        0x59f2_815b_16f8_1798,
        0x029b_fcdb_2dce_28d9,
        0x55a0_6295_ce87_0b07,
        0x79be_667e_f9dc_bbac,
    ],
    [
        0x9c47_d08f_fb10_d4b8,
        0xfd17_b448_a685_5419,
        0x5da4_fbfc_0e11_08a8,
        0x483a_da77_26a3_c465,
    ],
];

/// The cube root of one that multiplies x when lambda multiplies the point.
pub(super) const BETA: [u64; 4] = [
    0xc139_6c28_7195_01ee,
    0x9cf0_4975_12f5_8995,
    0x6e64_479e_ac34_34e9,
    0x7ae9_6a2b_657c_0710,
];

/// Odd multiples of G and of 2^128 G, packed.
#[derive(Debug)]
pub(super) struct FixedTable {
    rows: [Vec<__m512i>; 2],
}

/// The odd multiples of eight points, packed.
pub(super) type OwnTable = [__m512i; OWN_POINTS * 8];

/// The table of the generator, built at its first use.
pub(super) fn fixed_table() -> Option<&'static FixedTable> {
    static TABLE: OnceLock<Option<FixedTable>> = OnceLock::new();
    TABLE.get_or_init(|| enter(FixedTable::build, ())).as_ref()
}

impl FixedTable {
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    fn build((): ()) -> Self {
        let generator = Affine::<1> {
            x: Field::splat(GENERATOR[0]),
            y: Field::splat(GENERATOR[1]),
        };
        let mut shifted = generator;
        for _ in 0..128 {
            share_inversion(
                &mut shifted,
                1,
                &mut Vec::new(),
                |point, _| point.double_denominator(),
                |point, _, inverse| point.double(inverse),
            );
        }
        // Lane 0 is the generator's, lane 1 the shifted one's.
        let base = Affine {
            x: generator.x.select([2], &shifted.x),
            y: generator.y.select([2], &shifted.y),
        };
        let mut points = vec![base; FIXED_POINTS];
        odd_multiples(&mut points, FIXED_POINTS, &mut Vec::new());
        let mut rows = [Vec::new(), Vec::new()];
        for point in &points {
            let packed = pack(point, 0);
            rows[0].push(packed[0]);
            rows[1].push(packed[1]);
        }
        Self { rows }
    }

    /// The points that digits name in one of the two tables.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline(never)]
    pub(super) fn look_up<const W: usize>(
        &self,
        table: usize,
        names: &[Name; W],
        out: &mut Affine<W>,
    ) {
        let rows = &self.rows[table][..FIXED_POINTS];
        for w in 0..W {
            let mut found = [_mm512_setzero_si512(); 8];
            for (row, index) in found.iter_mut().zip(names[w].indices) {
                *row = rows[to_usize(index) % FIXED_POINTS];
            }
            (out.x.0[w], out.y.0[w]) = unpack(found, names[w].negative);
        }
    }
}

/// Packs a row of odd multiples for each register.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn pack_own<const W: usize>(points: &[Affine<W>], tables: &mut [OwnTable; W]) {
    for (w, table) in tables.iter_mut().enumerate() {
        for (rows, point) in table.chunks_exact_mut(8).zip(points) {
            rows.copy_from_slice(&pack(point, w));
        }
    }
}

/// The points that digits name in the lanes' own tables.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline(never)]
pub(super) fn look_up_own<const W: usize>(
    tables: &[OwnTable; W],
    names: &[Name; W],
    out: &mut Affine<W>,
) {
    for w in 0..W {
        let mut found = [_mm512_setzero_si512(); 8];
        for lane in 0..8 {
            let index = to_usize(names[w].indices[lane]) % OWN_POINTS;
            found[lane] = tables[w][index * 8 + lane];
        }
        (out.x.0[w], out.y.0[w]) = unpack(found, names[w].negative);
    }
}

/// The odd multiples that one digit of eight numbers names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Name {
    indices: [u64; 8],
    negative: __mmask8,
}

impl Name {
    /// Digit `digit` of `BITS` bits. The digit b stands for 2 b - (2^BITS - 1).
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    #[inline]
    pub(super) fn new<const BITS: u32>(number: &[__m512i; 3], digit: usize) -> Self {
        let position = digit * BITS as usize;
        let (word, shift) = (position / 64, _mm512_set1_epi64((position % 64) as i64));
        let upper = if word < 2 {
            number[word + 1]
        } else {
            _mm512_setzero_si512()
        };
        let half = 1 << (BITS - 1);
        let bits = _mm512_and_si512(
            _mm512_shrdv_epi64(number[word], upper, shift),
            _mm512_set1_epi64(2 * half - 1),
        );
        let half = _mm512_set1_epi64(half);
        let negative = _mm512_cmplt_epi64_mask(bits, half);
        let above = _mm512_sub_epi64(bits, half);
        // half - 1 - b = !(b - half)
        let ones = _mm512_set1_epi64(-1);
        Self {
            indices: words(_mm512_mask_xor_epi64(above, negative, above, ones)),
            negative,
        }
    }
}

/// A point of each lane in one register.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn pack<const W: usize>(point: &Affine<W>, w: usize) -> [__m512i; 8] {
    let x = words_from_limbs(&point.x.settle().0[w]);
    let y = words_from_limbs(&point.y.settle().0[w]);
    transpose([x[0], x[1], x[2], x[3], y[0], y[1], y[2], y[3]])
}

/// The limbs of eight packed points, negated in the lanes of the mask: those y are signed.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn unpack(packed: [__m512i; 8], negative: __mmask8) -> (Limbs, Limbs) {
    let [a, b, c, d, e, f, g, h] = transpose(packed);
    let mut y = limbs_from_words([e, f, g, h]);
    for limb in &mut y {
        *limb = _mm512_mask_sub_epi64(*limb, negative, _mm512_setzero_si512(), *limb);
    }
    (limbs_from_words([a, b, c, d]), y)
}

#[expect(clippy::cast_possible_truncation, reason = "an index is below 2^16")]
const fn to_usize(index: u64) -> usize {
    index as usize
}
