//! Numbers modulo the field prime p = 2^256 - c, c = 2^32 + 977, in four words.
//!
//! ```text
//! product, 512 bits ─▶ low + c high, 290 bits ─▶ low + c high ─▶ below 2^256
//! ```
//! A number is any of its representatives below 2^256: zero is also p, and the c smallest numbers have two
//! representatives. What compares numbers or takes a parity asks for the [`canonical`](Element::canonical)
//! one. A carry out of the last word stands for c and is added at the low end, which may carry out once more,
//! but then leaves hardly anything: the second c always has room.
//!
//! This works on every processor, and nothing in it takes constant time.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "words are counted by constants; the tests run with overflow checks"
)]

use super::super::inverse::Modulus;

/// 2^256 - p.
const C: u64 = 0x1_0000_03d1;
/// p in words.
const PRIME: [u64; 4] = [C.wrapping_neg(), u64::MAX, u64::MAX, u64::MAX];
const MODULUS: Modulus = Modulus::new(PRIME);

/// A number modulo p.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Element([u64; 4]);

impl Element {
    pub(super) const ZERO: Self = Self([0; 4]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0]);

    /// A number from its words, least significant first.
    pub(super) const fn new(words: [u64; 4]) -> Self {
        Self(words)
    }

    /// A number from 32 big-endian bytes; none if it is p or more.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().rev().zip(bytes.as_chunks().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        let is_below = words[0] < PRIME[0] || words[1..] != PRIME[1..];
        is_below.then_some(Self(words))
    }

    /// The words of the representative in [0, p).
    pub(super) fn canonical(&self) -> [u64; 4] {
        if self.0[0] >= PRIME[0] && self.0[1..] == PRIME[1..] {
            [self.0[0] - PRIME[0], 0, 0, 0]
        } else {
            self.0
        }
    }

    #[inline(always)]
    pub(super) fn is_zero(&self) -> bool {
        self.0 == [0; 4] || self.0 == PRIME
    }

    pub(super) fn is_odd(&self) -> bool {
        self.canonical()[0] & 1 == 1
    }

    #[inline(always)]
    pub(super) fn add(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let (w0, carry) = add_carry(a[0], b[0], 0);
        let (w1, carry) = add_carry(a[1], b[1], carry);
        let (w2, carry) = add_carry(a[2], b[2], carry);
        let (w3, carry) = add_carry(a[3], b[3], carry);
        add_word([w0, w1, w2, w3], carry * C)
    }

    #[inline(always)]
    pub(super) fn sub(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let (w0, borrow) = sub_borrow(a[0], b[0], 0);
        let (w1, borrow) = sub_borrow(a[1], b[1], borrow);
        let (w2, borrow) = sub_borrow(a[2], b[2], borrow);
        let (w3, borrow) = sub_borrow(a[3], b[3], borrow);
        // A borrow stands for -c.
        let (w0, borrow) = sub_borrow(w0, borrow * C, 0);
        let (w1, borrow) = sub_borrow(w1, 0, borrow);
        let (w2, borrow) = sub_borrow(w2, 0, borrow);
        let (w3, borrow) = sub_borrow(w3, 0, borrow);
        // Borrowed again, all words but the lowest are full, and that one is above 2^64 - c.
        Self([w0.wrapping_sub(borrow * C), w1, w2, w3])
    }

    #[inline(always)]
    pub(super) fn negate(&self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline(always)]
    pub(super) fn double(&self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let mut t = [0; 8];
        for i in 0..4 {
            let mut carry = 0;
            for j in 0..4 {
                (t[i + j], carry) = multiply_add(a[j], b[i], t[i + j], carry);
            }
            t[i + 4] = carry;
        }
        fold(&t)
    }

    #[inline(always)]
    pub(super) fn square(&self) -> Self {
        let a = &self.0;
        // What is off the diagonal, once.
        let (t1, carry) = multiply_add(a[0], a[1], 0, 0);
        let (t2, carry) = multiply_add(a[0], a[2], 0, carry);
        let (t3, t4) = multiply_add(a[0], a[3], 0, carry);
        let (t3, carry) = multiply_add(a[1], a[2], t3, 0);
        let (t4, t5) = multiply_add(a[1], a[3], t4, carry);
        let (t5, t6) = multiply_add(a[2], a[3], t5, 0);
        let t7 = t6 >> 63;
        let t6 = t6 << 1 | t5 >> 63;
        let t5 = t5 << 1 | t4 >> 63;
        let t4 = t4 << 1 | t3 >> 63;
        let t3 = t3 << 1 | t2 >> 63;
        let t2 = t2 << 1 | t1 >> 63;
        let t1 = t1 << 1;
        let (t0, carry) = multiply_add(a[0], a[0], 0, 0);
        let (t1, carry) = add_carry(t1, carry, 0);
        let (t2, carry) = multiply_add(a[1], a[1], t2, carry);
        let (t3, carry) = add_carry(t3, carry, 0);
        let (t4, carry) = multiply_add(a[2], a[2], t4, carry);
        let (t5, carry) = add_carry(t5, carry, 0);
        let (t6, carry) = multiply_add(a[3], a[3], t6, carry);
        let t7 = t7.wrapping_add(carry);
        fold(&[t0, t1, t2, t3, t4, t5, t6, t7])
    }

    /// The inverse; of zero, zero.
    pub(super) fn invert(&self) -> Self {
        Self(MODULUS.invert(self.canonical()))
    }
}

/// Square roots of several numbers, for those that have one; side by side, because the processor
/// multiplies several numbers in hardly more time than one.
///
/// Each is its number to the power (p + 1) / 4, whose binary digits are runs of 223, 22 and 2 ones.
pub(super) fn square_roots<const N: usize>(x: &[Element; N]) -> [Element; N] {
    let x2 = power(x, 1, x);
    let x3 = power(&x2, 1, x);
    let x6 = power(&x3, 3, &x3);
    let x9 = power(&x6, 3, &x3);
    let x11 = power(&x9, 2, &x2);
    let x22 = power(&x11, 11, &x11);
    let x44 = power(&x22, 22, &x22);
    let x88 = power(&x44, 44, &x44);
    let x176 = power(&x88, 88, &x88);
    let x220 = power(&x176, 44, &x44);
    let x223 = power(&x220, 3, &x3);
    let upper = power(&x223, 23, &x22);
    power(&upper, 6, &x2).map(|root| root.square().square())
}

/// `x` squared `count` times, times `factor`.
fn power<const N: usize>(x: &[Element; N], count: u32, factor: &[Element; N]) -> [Element; N] {
    let mut out = *x;
    for _ in 0..count {
        for number in &mut out {
            *number = number.square();
        }
    }
    for (number, factor) in out.iter_mut().zip(factor) {
        *number = number.mul(factor);
    }
    out
}

/// Eight words to four.
#[inline(always)]
pub(super) fn fold(t: &[u64; 8]) -> Element {
    let (w0, carry) = multiply_add(t[4], C, t[0], 0);
    let (w1, carry) = multiply_add(t[5], C, t[1], carry);
    let (w2, carry) = multiply_add(t[6], C, t[2], carry);
    let (w3, carry) = multiply_add(t[7], C, t[3], carry);
    // The carry is at most c, its product with c below 2^67.
    let (w0, carry) = multiply_add(carry, C, w0, 0);
    let (w1, carry) = add_carry(w1, carry, 0);
    let (w2, carry) = add_carry(w2, 0, carry);
    let (w3, carry) = add_carry(w3, 0, carry);
    // Carried once more, what is left is below that product, so the second word has room.
    let (w0, carry) = add_carry(w0, carry * C, 0);
    Element([w0, w1.wrapping_add(carry), w2, w3])
}

/// Adds a word of at most c. Carried once more, what is left is below c.
#[inline(always)]
fn add_word(w: [u64; 4], word: u64) -> Element {
    let (w0, carry) = add_carry(w[0], word, 0);
    let (w1, carry) = add_carry(w[1], 0, carry);
    let (w2, carry) = add_carry(w[2], 0, carry);
    let (w3, carry) = add_carry(w[3], 0, carry);
    Element([w0.wrapping_add(carry * C), w1, w2, w3])
}

/// `a + b + carry`, and the carry out of it, 0 or 1 as the one into it.
#[inline(always)]
const fn add_carry(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(carry);
    (sum, (first | second) as u64)
}

/// `a - b - borrow`, and the borrow out of it, 0 or 1 as the one into it.
#[inline(always)]
const fn sub_borrow(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(borrow);
    (difference, (first | second) as u64)
}

/// `a * b + c + d`, low and high word.
#[inline(always)]
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
