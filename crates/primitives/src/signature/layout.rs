//! How numbers lie in lanes: words of each lane to registers and back, and 64-bit words to limbs of 52 bits.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "lanes and limbs are counted by constants; the tests run with overflow checks"
)]

use super::field::{LIMB_MASK, Limbs};
use super::lanes::{vector, words};
use std::arch::x86_64::*;

/// Limbs of a number given in four 64-bit words. Carried.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
pub(super) fn limbs_from_words(w: [__m512i; 4]) -> Limbs {
    let mask = _mm512_set1_epi64(LIMB_MASK);
    [
        _mm512_and_si512(w[0], mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<52>(w[0], w[1]), mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<40>(w[1], w[2]), mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<28>(w[2], w[3]), mask),
        _mm512_srli_epi64::<16>(w[3]),
    ]
}

/// Four 64-bit words of a carried number below 2^256.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
pub(super) fn words_from_limbs(v: &Limbs) -> [__m512i; 4] {
    [
        _mm512_or_si512(v[0], _mm512_slli_epi64::<52>(v[1])),
        _mm512_or_si512(_mm512_srli_epi64::<12>(v[1]), _mm512_slli_epi64::<40>(v[2])),
        _mm512_or_si512(_mm512_srli_epi64::<24>(v[2]), _mm512_slli_epi64::<28>(v[3])),
        _mm512_or_si512(_mm512_srli_epi64::<36>(v[3]), _mm512_slli_epi64::<16>(v[4])),
    ]
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
