//! The addresses of eight public keys at a time.
//!
//! An address is the tail of keccak-256 of the key's 64 bytes: one block, one permutation, with one lane
//! of each register to a key.

use alloy_primitives::Address;
use std::arch::x86_64::*;

use super::affine::rows;

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

/// How far each word is rotated before it moves to [`TARGETS`].
const ROTATIONS: [i64; 25] = [
    0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14,
];

/// Where the word at x + 5 y moves: y + 5 (2 x + 3 y mod 5).
const TARGETS: [usize; 25] = {
    let mut targets = [0; 25];
    let mut i = 0;
    while i < 25 {
        let (x, y) = (i % 5, i / 5);
        targets[i] = y + 5 * ((2 * x + 3 * y) % 5);
        i += 1;
    }
    targets
};

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
    let mut moved = *state;
    for i in 0..25 {
        let x = i % 5;
        let right = _mm512_rol_epi64::<1>(parities[(x + 1) % 5]);
        let mixed = xor3(state[i], parities[(x + 4) % 5], right);
        moved[TARGETS[i]] = _mm512_rolv_epi64(mixed, _mm512_set1_epi64(ROTATIONS[i]));
    }
    let mut out = moved;
    for row in [0, 5, 10, 15, 20] {
        for x in 0..5 {
            let (a, b, c) = (moved[row + x], moved[row + (x + 1) % 5], moved[row + (x + 2) % 5]);
            // a ^ (!b & c)
            out[row + x] = _mm512_ternarylogic_epi64::<0b1101_0010>(a, b, c);
        }
    }
    out[0] = _mm512_xor_si512(out[0], _mm512_set1_epi64(constant.cast_signed()));
    out
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
