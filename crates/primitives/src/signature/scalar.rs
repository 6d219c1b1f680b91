//! Numbers modulo the group order n, and the digits that the point multiplication takes them in.
//!
//! ```text
//! z, r, s ─▶ u1 = -z / r   ─▶ low + high 2^128, both odd    ─▶ 2 numbers in signed odd digits of 10 bits
//!            u2 =  s / r   ─▶ k1 + k2 lambda, both odd      ─▶ 2 numbers in signed odd digits of 5 bits
//! ```
//! An odd number k with |k| < 2^m has the digits `2 b_i - (2^w - 1)`, where `b_i` are the plain digits of
//! `b = (k + 2^m - 1) / 2`. None of them is zero, so all lanes add a point at every digit, and the
//! numbers handed on are these b.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "lanes and limbs are counted by constants; the tests run with overflow checks"
)]

use super::Request;
use super::inverse::Modulus;
use alloy_primitives::U256;

/// The group order.
pub(super) const ORDER: [u64; 4] = [
    0xbfd2_5e8c_d036_4141,
    0xbaae_dce6_af48_a03b,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];

/// Bits of a digit of the numbers that multiply the signature's own point.
pub(super) const DIGIT_BITS: u32 = 5;
/// Digits of such a number: it is below 2^130.
pub(super) const DIGITS: usize = 26;
/// Bits of a digit of the numbers that multiply the generator, a multiple of [`DIGIT_BITS`].
pub(super) const FIXED_DIGIT_BITS: u32 = 10;
/// Digits of such a number: it is below 2^130 as well.
pub(super) const FIXED_DIGITS: usize = 13;

/// -1/n modulo 2^64.
const NEGATED_INVERSE: u64 = {
    let mut inverse = ORDER[0];
    let mut bits = 3;
    while bits < 64 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(ORDER[0].wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse.wrapping_neg()
};
/// 2^512 mod n.
const MONTGOMERY_SQUARE: [u64; 4] = [
    0x896c_f214_67d7_d140,
    0x7414_96c2_0e7c_f878,
    0xe697_f5e4_5bcd_07c6,
    0x9d67_1cd5_81c6_9bc5,
];
const MODULUS: Modulus = Modulus::new(ORDER);

const _: () = assert!(DIGIT_BITS as usize * DIGITS == 130);
const _: () = assert!(FIXED_DIGIT_BITS as usize * FIXED_DIGITS == 130);

/// A number of 130 bits, or one of fewer in two's complement.
pub(super) type Short = [u64; 3];

/// One signature in the form that the lanes work on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// The x of the signature's point, in words.
    pub(super) x: [u64; 4],
    /// Whether its y is odd.
    pub(super) is_odd: bool,
    /// The numbers that multiply that point and lambda times it.
    pub(super) own: [Short; 2],
    /// The numbers that multiply the generator and 2^128 times it.
    pub(super) fixed: [Short; 2],
}

/// Whether r and s are in [1, n).
pub(super) fn is_valid(request: &Request) -> bool {
    let order = U256::from_limbs(ORDER);
    let is_in_range = |number: &U256| !number.is_zero() && *number < order;
    is_in_range(&request.r) && is_in_range(&request.s)
}

/// The parts of valid signatures.
pub(super) fn parts(requests: &[&Request]) -> Vec<Parts> {
    let numbers: Vec<_> = requests
        .iter()
        .map(|request| *request.r.as_limbs())
        .collect();
    let inverses = invert_all(&numbers);
    requests
        .iter()
        .zip(&inverses)
        .map(|(request, inverse)| split(request, inverse))
        .collect()
}

/// The inverses of numbers in [1, n), times 2^256, all for one inversion.
pub(super) fn invert_all(numbers: &[[u64; 4]]) -> Vec<[u64; 4]> {
    let mut product = [1, 0, 0, 0];
    let mut out = Vec::with_capacity(numbers.len());
    for number in numbers {
        out.push(product);
        product = multiply(&product, number);
    }
    // The products carry powers of 2^256 that cancel in pairs below, whatever they are.
    let mut inverse = multiply(&MODULUS.invert(product), &MONTGOMERY_SQUARE);
    for (number, before) in numbers.iter().zip(&mut out).rev() {
        *before = multiply(&inverse, before);
        inverse = multiply(&inverse, number);
    }
    out
}

/// The parts of a signature whose r has the given inverse times 2^256.
fn split(request: &Request, inverse: &[u64; 4]) -> Parts {
    let z = reduce_once(*U256::from_be_bytes(request.hash.0).as_limbs());
    let minus_z = subtract(&ORDER, &z).0;
    // Zero becomes n, which is in order: nothing below asks for less.
    let u1 = multiply(&minus_z, inverse);
    let u2 = multiply(request.s.as_limbs(), inverse);
    Parts {
        x: *request.r.as_limbs(),
        is_odd: request.is_odd,
        own: split_own(&u2),
        fixed: split_fixed(&u1),
    }
}

/// `a * b / 2^256` modulo n, for a and b at most n.
pub(super) fn multiply(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut t = [0_u64; 6];
    for word in b {
        let mut carry = 0;
        for i in 0..4 {
            (t[i], carry) = multiply_add(a[i], *word, t[i], carry);
        }
        let (sum, over) = t[4].overflowing_add(carry);
        t[4] = sum;
        t[5] = u64::from(over);
        let m = t[0].wrapping_mul(NEGATED_INVERSE);
        (_, carry) = multiply_add(m, ORDER[0], t[0], 0);
        for i in 1..4 {
            (t[i - 1], carry) = multiply_add(m, ORDER[i], t[i], carry);
        }
        let (sum, over) = t[4].overflowing_add(carry);
        t[3] = sum;
        t[4] = t[5] + u64::from(over);
    }
    let low = [t[0], t[1], t[2], t[3]];
    let (less, borrow) = subtract(&low, &ORDER);
    if t[4] != 0 || !borrow { less } else { low }
}

/// `number * inverse`, times 2^256, for a number of two words and an inverse of [`invert_all`].
pub(super) fn weigh(number: Short, inverse: &[u64; 4]) -> [u64; 4] {
    let product = multiply(&[number[0], number[1], 0, 0], inverse);
    multiply(&product, &MONTGOMERY_SQUARE)
}

/// `a + b` modulo n, both below n.
pub(super) fn add_mod(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let (sum, over) = add(a, b);
    let (less, borrow) = subtract(&sum, &ORDER);
    if over == 1 || !borrow { less } else { sum }
}

/// A number below 2^256 modulo n.
pub(super) fn reduce_once(number: [u64; 4]) -> [u64; 4] {
    let (less, borrow) = subtract(&number, &ORDER);
    if borrow { number } else { less }
}

/// `low + high 2^128 = u` modulo n with both odd; the digits of both.
pub(super) fn split_fixed(u: &[u64; 4]) -> [Short; 2] {
    // n is odd, so one of u and u + n is.
    let (sum, over) = if u[0] & 1 == 1 {
        (*u, 0)
    } else {
        add(u, &ORDER)
    };
    let mut low = [sum[0], sum[1], 0];
    let mut high = [sum[2], sum[3], over];
    if high[0] & 1 == 0 {
        high[0] |= 1;
        low[2] = u64::MAX;
    }
    [low, high].map(digits)
}

/// `k1 + k2 lambda = u` modulo n with both odd and below 2^130; the digits of both.
///
/// The nearest vector of the lattice of all (k1, k2) that give zero is subtracted; a vector with the
/// right parities is added.
pub(super) fn split_own(u: &[u64; 4]) -> [Short; 2] {
    /// (A1, -B1) and (A2, B2) span the lattice; A1 = B2.
    const A1: [u64; 2] = [0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd];
    const MINUS_B1: [u64; 2] = [0x6f54_7fa9_0abf_e4c3, 0xe443_7ed6_010e_8828];
    const A2: Short = [0x57c1_108d_9d44_cfd8, 0x14ca_50f7_a8e2_f3f6, 1];
    /// 2^384 B2 / n and -2^384 B1 / n.
    const G1: [u64; 4] = [
        0xe893_209a_45db_b031,
        0x3daa_8a14_71e8_ca7f,
        0xe86c_90e4_9284_eb15,
        0x3086_d221_a7d4_6bcd,
    ];
    const G2: [u64; 4] = [
        0x1571_b4ae_8ac4_7f71,
        0x2212_08ac_9df5_06c6,
        0x6f54_7fa9_0abf_e4c3,
        0xe443_7ed6_010e_8828,
    ];
    let mut c1 = scaled(u, &G1);
    let mut c2 = scaled(u, &G2);
    let parities = |c1: &[u64; 2], c2: &[u64; 2]| {
        // A1, B1 and B2 are odd, A2 is even.
        ((u[0] ^ c1[0]) & 1, (c1[0] ^ c2[0]) & 1)
    };
    // Taking one less of the first vector flips both parities, of the second only k2's.
    let (odd1, _) = parities(&c1, &c2);
    if odd1 == 0 {
        c1 = decrement(c1);
    }
    let (_, odd2) = parities(&c1, &c2);
    if odd2 == 0 {
        c2 = decrement(c2);
    }
    let wide_c2 = extend(c2);
    let k1 = subtract_short(
        &subtract_short(&[u[0], u[1], u[2]], &multiply_short(&extend(c1), &A1)),
        &multiply_short(&wide_c2, &[A2[0], A2[1]]),
    );
    // A2's third word is one: what it multiplies moves up by two words.
    let k1 = [k1[0], k1[1], k1[2].wrapping_sub(wide_c2[0])];
    let k2 = subtract_short(
        &multiply_short(&extend(c1), &MINUS_B1),
        &multiply_short(&wide_c2, &A1),
    );
    [digits(k1), digits(k2)]
}

/// `(k + 2^130 - 1) / 2`, for an odd k of either sign.
pub(super) fn digits(k: Short) -> Short {
    // k - 1 is k with its lowest bit cleared.
    let top = k[2].wrapping_add(1 << 2);
    [k[0] >> 1 | k[1] << 63, k[1] >> 1 | top << 63, top >> 1]
}

/// `a * b / 2^384`, rounded: below 2^128.
fn scaled(a: &[u64; 4], b: &[u64; 4]) -> [u64; 2] {
    let mut t = [0_u64; 8];
    for i in 0..4 {
        let mut carry = 0;
        for j in 0..4 {
            (t[i + j], carry) = multiply_add(a[i], b[j], t[i + j], carry);
        }
        t[i + 4] = carry;
    }
    let (low, over) = t[6].overflowing_add(t[5] >> 63);
    [low, t[7] + u64::from(over)]
}

/// One less; below zero it is the two's complement, see [`extend`].
fn decrement(c: [u64; 2]) -> [u64; 2] {
    let (low, borrow) = c[0].overflowing_sub(1);
    [low, c[1].wrapping_sub(u64::from(borrow))]
}

/// A third word: ones for -1, the only negative number that a coefficient may be.
fn extend(c: [u64; 2]) -> Short {
    let minus_one = c == [u64::MAX; 2];
    [c[0], c[1], if minus_one { u64::MAX } else { 0 }]
}

/// `a * b` modulo 2^192.
fn multiply_short(a: &Short, b: &[u64; 2]) -> Short {
    let (t0, carry) = multiply_add(a[0], b[0], 0, 0);
    let (t1, upper) = multiply_add(a[1], b[0], 0, carry);
    let (t1, carry) = multiply_add(a[0], b[1], t1, 0);
    let t2 = upper
        .wrapping_add(carry)
        .wrapping_add(a[1].wrapping_mul(b[1]))
        .wrapping_add(a[2].wrapping_mul(b[0]));
    [t0, t1, t2]
}

/// `a - b` modulo 2^192.
fn subtract_short(a: &Short, b: &Short) -> Short {
    let mut out = [0; 3];
    let mut borrow = false;
    for i in 0..3 {
        let (difference, first) = a[i].overflowing_sub(b[i]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        out[i] = difference;
        borrow = first | second;
    }
    out
}

fn subtract(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], bool) {
    let mut out = [0; 4];
    let mut borrow = false;
    for i in 0..4 {
        let (difference, first) = a[i].overflowing_sub(b[i]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        out[i] = difference;
        borrow = first | second;
    }
    (out, borrow)
}

fn add(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u64) {
    let mut out = [0; 4];
    let mut carry = 0;
    for i in 0..4 {
        (out[i], carry) = multiply_add(a[i], 1, b[i], carry);
    }
    (out, carry)
}

/// `a * b + c + d`, low and high word.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low and the high word are meant"
)]
const fn multiply_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let sum = (a as u128)
        .wrapping_mul(b as u128)
        .wrapping_add(c as u128)
        .wrapping_add(d as u128);
    (sum as u64, (sum >> 64) as u64)
}
