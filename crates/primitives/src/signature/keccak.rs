//! The addresses of eight public keys at a time.
//!
//! An address is the tail of keccak-256 of the key's 64 bytes: one block, one permutation, with one lane
//! of each register to a key.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "lanes and limbs are counted by constants; the tests run with overflow checks"
)]

use alloy_primitives::Address;
use std::arch::x86_64::*;

use super::layout::rows;

const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// The addresses of keys given by the words of x and of y, least significant first.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
pub(super) fn addresses(x: [__m512i; 4], y: [__m512i; 4]) -> [Address; 8] {
    let mut state = [_mm512_setzero_si512(); 25];
    for i in 0..4 {
        state[i] = swap_bytes(x[3 - i]);
        state[4 + i] = swap_bytes(y[3 - i]);
    }
    // The padding of a message of 64 bytes in a block of 136.
    state[8] = _mm512_set1_epi64(1);
    state[16] = _mm512_set1_epi64(i64::MIN);
    for constant in ROUND_CONSTANTS {
        state = round(&state, constant);
    }
    rows([state[1], state[2], state[3]]).map(|[a, b, c]| {
        let mut address = Address::ZERO;
        address[..4].copy_from_slice(&a.to_le_bytes()[4..]);
        address[4..12].copy_from_slice(&b.to_le_bytes());
        address[12..].copy_from_slice(&c.to_le_bytes());
        address
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn round(state: &[__m512i; 25], constant: u64) -> [__m512i; 25] {
    let mut parities = [_mm512_setzero_si512(); 5];
    for x in 0..5 {
        let three = xor3(state[x], state[x + 5], state[x + 10]);
        parities[x] = xor3(three, state[x + 15], state[x + 20]);
    }
    let mut mix = parities;
    for x in 0..5 {
        let right = _mm512_rol_epi64::<1>(parities[(x + 1) % 5]);
        mix[x] = _mm512_xor_si512(parities[(x + 4) % 5], right);
    }
    // In the order of where words move to.
    let moved = [
        moved::<0>(state[0], mix[0]),
        moved::<44>(state[6], mix[1]),
        moved::<43>(state[12], mix[2]),
        moved::<21>(state[18], mix[3]),
        moved::<14>(state[24], mix[4]),
        moved::<28>(state[3], mix[3]),
        moved::<20>(state[9], mix[4]),
        moved::<3>(state[10], mix[0]),
        moved::<45>(state[16], mix[1]),
        moved::<61>(state[22], mix[2]),
        moved::<1>(state[1], mix[1]),
        moved::<6>(state[7], mix[2]),
        moved::<25>(state[13], mix[3]),
        moved::<8>(state[19], mix[4]),
        moved::<18>(state[20], mix[0]),
        moved::<27>(state[4], mix[4]),
        moved::<36>(state[5], mix[0]),
        moved::<10>(state[11], mix[1]),
        moved::<15>(state[17], mix[2]),
        moved::<56>(state[23], mix[3]),
        moved::<62>(state[2], mix[2]),
        moved::<55>(state[8], mix[3]),
        moved::<39>(state[14], mix[4]),
        moved::<41>(state[15], mix[0]),
        moved::<2>(state[21], mix[1]),
    ];
    let mut out = moved;
    for row in [0, 5, 10, 15, 20] {
        for x in 0..5 {
            let (a, b, c) = (
                moved[row + x],
                moved[row + (x + 1) % 5],
                moved[row + (x + 2) % 5],
            );
            // a ^ (!b & c)
            out[row + x] = _mm512_ternarylogic_epi64::<0b1101_0010>(a, b, c);
        }
    }
    out[0] = _mm512_xor_si512(out[0], _mm512_set1_epi64(constant.cast_signed()));
    out
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn moved<const BY: i32>(word: __m512i, mix: __m512i) -> __m512i {
    _mm512_rol_epi64::<BY>(_mm512_xor_si512(word, mix))
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0b1001_0110>(a, b, c)
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
#[inline]
fn swap_bytes(words: __m512i) -> __m512i {
    let order = _mm512_set4_epi64(
        0x0809_0a0b_0c0d_0e0f,
        0x0001_0203_0405_0607,
        0x0809_0a0b_0c0d_0e0f,
        0x0001_0203_0405_0607,
    );
    _mm512_shuffle_epi8(words, order)
}
