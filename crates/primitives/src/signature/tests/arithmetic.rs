//! Field, scalars, inverses and hashes against big integers and the library's hash.

use super::{LAMBDA, ORDER, PRIME, Random, SHIFT, digits, negated};
use crate::signature::field::Field;
use crate::signature::inverse::Modulus;
use crate::signature::keccak::addresses;
use crate::signature::lanes::{self, vector};
use crate::signature::layout::{columns, rows, words_from_limbs};
use crate::signature::scalar::{self, DIGIT_BITS, DIGITS, FIXED_DIGIT_BITS, FIXED_DIGITS};
use alloy_primitives::{Address, B256, U256, Uint, keccak256};

const LIMB_MASK: u64 = (1 << 52) - 1;

/// A carried number: five limbs of 52 bits.
type Raw = [u64; 5];

fn value(raw: &Raw) -> U256 {
    let wide = raw.iter().rev().fold(Uint::<320, 5>::ZERO, |sum, limb| {
        (sum << 52) + Uint::<320, 5>::from(*limb)
    });
    let [a, b, c, d, _] = *(wide % Uint::<320, 5>::from(PRIME)).as_limbs();
    U256::from_limbs([a, b, c, d])
}

/// Numbers at the edges of limbs and of p, below 15 p if `large`, else below 2^256 + 2^252.
fn edges(random: &mut Random, large: bool) -> Raw {
    let word = random.word();
    let mut raw = [0; 5];
    for (place, limb) in raw.iter_mut().enumerate() {
        *limb = match (word >> (4 * place)) & 7 {
            0 => 0,
            1 => 1,
            2 | 3 => LIMB_MASK,
            4 => LIMB_MASK - 0x1_0000_03d0,
            5 => 1 << (random.word() % 52),
            _ => random.word() & LIMB_MASK,
        };
    }
    let top = 1 << 48;
    raw[4] = match (word >> 32) & 7 {
        0 | 1 => top - 1,
        2 if large => 15 * top - 1,
        3 if large => raw[4] % (15 * top),
        4 => top + (1 << 44) - 1,
        _ => raw[4] % top,
    };
    raw
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn load<const W: usize>(raw: &[Raw]) -> Field<W> {
    let mut out = Field::unset();
    for w in 0..W {
        out.0[w] = columns(std::array::from_fn(|lane| raw[w * 8 + lane]));
    }
    out
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn store<const W: usize>(number: &Field<W>) -> Vec<U256> {
    let number = number.canonical();
    let mut out = Vec::new();
    for limbs in &number.0 {
        out.extend(rows(words_from_limbs(limbs)).map(U256::from_limbs));
    }
    assert!(out.iter().all(|number| *number < PRIME));
    out
}

fn plus(a: U256, b: U256) -> U256 {
    a.add_mod(b, PRIME)
}

fn minus(a: U256, b: U256) -> U256 {
    a.add_mod(PRIME - b, PRIME)
}

fn times(a: U256, b: U256) -> U256 {
    a.mul_mod(b, PRIME)
}

type Operands = [Vec<Raw>; 4];

/// a is large, the others as a multiplication returns them.
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn check_field<const W: usize>([a, b, c, d]: Operands) {
    let [fa, fb, fc, fd] = [&a, &b, &c, &d].map(|raw| load::<W>(raw));
    let mut product = fa;
    product.mul_assign(&fb);
    let mut sum = fd;
    sum.set_mul_sum(&fa, &fb, &fc);
    let mut square_sum = fd;
    square_sum.set_mul_sqr_sum(&fa, &fb, &fc);
    let (mut square_less, mut product_less) = (fd, fd);
    square_less.set_sqr_sub(&fa, &fb, &fc);
    product_less.set_mul_sub::<2>(&fb, &fc);
    let results = [
        store(&fa.mul(&fb)),
        store(&product),
        store(&fa.sqr()),
        store(&fb.mul_sub::<2>(&fc, &fd)),
        store(&square_less),
        store(&product_less),
        store(&fb.sqr_triple()),
        store(&fa.sqr_many(3)),
        store(&sum),
        store(&square_sum),
        store(&fb.sub::<2>(&fc)),
        store(&fb.sub_double::<4>(&fc)),
        store(&fb.add(&fc)),
        store(&fb.double_add(&fc)),
        store(&fb.double_reduced()),
        store(&fb.settle()),
        store(&fa),
    ];
    for lane in 0..8 * W {
        let [a, b, c, d] = [&a, &b, &c, &d].map(|raw| value(&raw[lane]));
        let square = times(a, a);
        let fourth = times(square, square);
        let expected = [
            times(a, b),
            times(a, b),
            square,
            minus(times(b, c), d),
            minus(minus(square, b), c),
            minus(times(b, c), d),
            times(U256::from(3), times(b, b)),
            times(fourth, fourth),
            plus(times(a, b), times(c, d)),
            plus(times(a, b), times(c, c)),
            minus(b, c),
            plus(minus(b, c), minus(b, c)),
            plus(b, c),
            plus(plus(b, b), c),
            plus(b, b),
            b,
            a,
        ];
        for (index, (result, expected)) in results.iter().zip(expected).enumerate() {
            assert_eq!(result[lane], expected, "operation {index} of lane {lane}");
        }
    }
    // The zeros, and the square roots of squares.
    let zeros = fb.sub::<2>(&fb).zero_lanes();
    assert_eq!(zeros, [0xff; W]);
    let root = fa.sqr().sqrt();
    let difference = root.sqr().sub::<2>(&fa.sqr());
    assert_eq!(difference.zero_lanes(), [0xff; W]);
}

fn operands(random: &mut Random) -> Operands {
    [true, false, false, false].map(|large| (0..16).map(|_| edges(random, large)).collect())
}

#[test]
fn the_field_computes_as_big_integers_do() {
    let mut random = Random(11);
    for _ in 0..100 {
        lanes::enter(check_field::<1>, operands(&mut random));
        lanes::enter(check_field::<2>, operands(&mut random));
    }
}

#[test]
fn the_field_computes_as_big_integers_do_for_millions_of_operands_slow() {
    let mut random = Random(12);
    for _ in 0..100_000 {
        lanes::enter(check_field::<2>, operands(&mut random));
    }
}

fn interesting(random: &mut Random) -> Vec<U256> {
    let mut numbers: Vec<_> = (0..300).map(|_| random.number() % ORDER).collect();
    for small in (0..40).map(U256::from) {
        numbers.extend([small, negated(small), (ORDER >> 1) + small, SHIFT * small]);
        numbers.extend([
            LAMBDA.mul_mod(small, ORDER),
            LAMBDA.mul_mod(negated(small), ORDER),
        ]);
    }
    numbers.extend((0..256).map(|bit| (U256::ONE << bit) % ORDER));
    numbers
}

#[test]
fn inverses_are_those_of_big_integers() {
    let mut random = Random(13);
    for modulus in [ORDER, PRIME] {
        let steps = Modulus::new(*modulus.as_limbs());
        for number in interesting(&mut random) {
            let expected = number.inv_mod(modulus).unwrap_or_default();
            assert_eq!(U256::from_limbs(steps.invert(*number.as_limbs())), expected);
        }
        assert!(steps.invert([0; 4]) == [0; 4]);
    }
}

#[test]
fn scalars_multiply_and_invert_as_big_integers_do() {
    let mut random = Random(14);
    let mut numbers = interesting(&mut random);
    let radix = (U256::MAX % ORDER).add_mod(U256::ONE, ORDER);
    for pair in numbers.windows(2) {
        let product = scalar::multiply(pair[0].as_limbs(), pair[1].as_limbs());
        let product = U256::from_limbs(product).mul_mod(radix, ORDER);
        assert_eq!(product, pair[0].mul_mod(pair[1], ORDER));
    }
    numbers.retain(|number| !number.is_zero());
    let words: Vec<_> = numbers.iter().map(|number| *number.as_limbs()).collect();
    for (number, inverse) in numbers.iter().zip(scalar::invert_all(&words)) {
        assert_eq!(U256::from_limbs(inverse).mul_mod(*number, ORDER), radix);
    }
}

#[test]
fn split_numbers_stand_for_the_whole() {
    let weigh = |digits: &[U256], bits: u32| {
        let weight = U256::ONE << bits;
        let fold = |sum: U256, digit: &U256| sum.mul_mod(weight, ORDER).add_mod(*digit, ORDER);
        digits.iter().rev().fold(U256::ZERO, fold)
    };
    for number in interesting(&mut Random(15)) {
        let own = scalar::split_own(number.as_limbs());
        let [k1, k2] = own.map(|half| weigh(&digits(half, DIGIT_BITS, DIGITS), DIGIT_BITS));
        assert_eq!(k1.add_mod(k2.mul_mod(LAMBDA, ORDER), ORDER), number);
        let fixed = scalar::split_fixed(number.as_limbs());
        let [low, high] = fixed.map(|half| {
            weigh(
                &digits(half, FIXED_DIGIT_BITS, FIXED_DIGITS),
                FIXED_DIGIT_BITS,
            )
        });
        assert_eq!(low.add_mod(high.mul_mod(SHIFT, ORDER), ORDER), number);
        // Nothing lies above the last digit.
        assert!(own.iter().chain(&fixed).all(|half| half[2] < 4));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn check_addresses(keys: [[u64; 8]; 8]) {
    let words: [_; 8] = std::array::from_fn(|word| vector(keys.map(|key| key[word])));
    let [a, b, c, d, e, f, g, h] = words;
    for (signer, key) in addresses([a, b, c, d], [e, f, g, h]).iter().zip(keys) {
        let x = U256::from_limbs([key[0], key[1], key[2], key[3]]);
        let y = U256::from_limbs([key[4], key[5], key[6], key[7]]);
        let hash = keccak256([B256::from(x).0, B256::from(y).0].concat());
        assert_eq!(*signer, Address::from_slice(&hash[12..]));
    }
}

#[test]
fn addresses_are_tails_of_the_library_hash() {
    let mut random = Random(16);
    for _ in 0..20 {
        let keys = std::array::from_fn(|_| std::array::from_fn(|_| random.word()));
        lanes::enter(check_addresses, keys);
    }
}
