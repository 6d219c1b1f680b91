//! The field, points and sums against big integers and the library's keys.

use super::*;
use crate::signature::hinted::element::fold;
use crate::signature::hinted::point::{Jacobian, add_pairs};
use alloy_primitives::Uint;

/// Numbers below 2^256 at the edges of words, of p and of 2^256 - p, and between.
fn edge(random: &mut Random) -> U256 {
    let word = random.word();
    let small = U256::from(random.word() % 5);
    match word % 8 {
        0 => small,
        1 => PRIME - small,
        2 => PRIME + small,
        3 => U256::MAX - small,
        4 => U256::MAX - PRIME + small,
        5 => U256::from_limbs(std::array::from_fn(|place| {
            match word >> (8 + 2 * place) & 3 {
                0 => 0,
                1 => u64::MAX,
                2 => u64::MAX - 0x1_0000_03d1,
                _ => random.word(),
            }
        })),
        _ => random.number(),
    }
}

fn element(number: U256) -> Element {
    Element::new(number.into_limbs())
}

#[track_caller]
fn assert_is(element: Element, expected: U256) {
    assert_eq!(U256::from_limbs(element.canonical()), expected % PRIME);
}

#[test]
fn the_field_computes_as_big_integers_do() {
    let mut random = Random(40);
    for _ in 0..200_000 {
        let (a, b) = (edge(&mut random), edge(&mut random));
        let (x, y) = (element(a), element(b));
        let minus_b = PRIME - b % PRIME;
        assert_is(x.mul(&y), a.mul_mod(b, PRIME));
        assert_is(x.square(), a.mul_mod(a, PRIME));
        assert_is(x.add(&y), a.add_mod(b, PRIME));
        assert_is(x.sub(&y), a.add_mod(minus_b, PRIME));
        assert_is(y.negate(), minus_b);
        assert_is(x.double(), a.add_mod(a, PRIME));
        assert_eq!(x.is_zero(), (a % PRIME).is_zero());
        assert_eq!(x.is_odd(), (a % PRIME).bit(0));
        assert_eq!(x.sub(&y).is_zero(), a % PRIME == b % PRIME);
    }
}

/// The carries that random numbers never reach: sums that leave 2^256 a second time.
#[test]
fn a_second_carry_is_not_lost() {
    let top = U256::MAX;
    for a in 0..64_u64 {
        for b in 0..64 {
            let (a, b) = (top - U256::from(a), top - U256::from(b));
            assert_is(element(a).add(&element(b)), a.add_mod(b, PRIME));
            assert_is(element(a).mul(&element(b)), a.mul_mod(b, PRIME));
        }
    }
}

/// What is left after the second carry of a fold is so near the end of its word that the last c carries too.
#[test]
fn a_carry_after_the_second_is_not_lost() {
    type Wide = Uint<576, 9>;
    let mut random = Random(41);
    let wide = |number: U256| Wide::from(number);
    let c = wide(U256::MAX - PRIME) + Wide::from(1);
    let mut reached = 0;
    for step in 0..2_000_u64 {
        let high = wide(random.number() | U256::MAX << 230);
        let carry: Wide = (high * c) >> 256;
        let left = Wide::from(u64::MAX - step % 64);
        let middle: Wide = (Wide::from(1) << 256) + left - carry * c;
        let rest: Wide = (high * c) - (carry << 256);
        if middle < rest || (middle >> 256) > Wide::ZERO {
            continue;
        }
        let number: Wide = (high << 256) + (middle - rest);
        let words = std::array::from_fn(|place| number.as_limbs()[place]);
        let expected = number % wide(PRIME);
        assert_is(fold(&words), U256::from(expected));
        reached += 1;
    }
    assert!(reached > 1_000);
}

#[test]
fn inverses_and_roots_multiply_back() {
    let mut random = Random(42);
    let (mut roots, mut others) = (0, 0);
    for _ in 0..2_000 {
        let number = element(edge(&mut random));
        let expected = U256::from(u8::from(!number.is_zero()));
        assert_is(number.mul(&number.invert()), expected);
        let square = number.square();
        let [root, same, other] = square_roots(&[square, square, number]);
        assert_is(root.square(), U256::from_limbs(square.canonical()));
        assert_is(same, U256::from_limbs(root.canonical()));
        match other.square().sub(&number).is_zero() {
            true => roots += 1,
            false => others += 1,
        }
    }
    assert!(roots > 500 && others > 500);
}

#[test]
fn bytes_of_p_or_more_are_no_number() {
    let bytes = |number: U256| Element::from_bytes(&number.to_be_bytes());
    for step in 0..3 {
        assert_is(
            bytes(PRIME - U256::from(step + 1)).unwrap(),
            PRIME - U256::from(step + 1),
        );
        assert!(bytes(PRIME + U256::from(step)).is_none());
        assert!(bytes(U256::MAX - U256::from(step)).is_none());
    }
    let number = U256::from(0x0102_0304_0506_0708_u64) << 100;
    assert_is(bytes(number).unwrap(), number);
}

/// k times the generator; infinity for zero.
fn multiple_of(k: U256) -> Point {
    if k.is_zero() {
        return Point::INFINITY;
    }
    let signer = PrivateKeySigner::from_bytes(&B256::from(k)).unwrap();
    Point::from_key(&SenderKey::new(signer.public_key().0)).unwrap()
}

fn is_same(a: &Point, b: &Point) -> bool {
    a.x.sub(&b.x).is_zero() && a.y.sub(&b.y).is_zero() && a.is_infinity() == b.is_infinity()
}

fn is_point(sum: &Jacobian, point: &Point) -> bool {
    sum.add(&Jacobian::new(&point.negate_if(true)))
        .is_infinity()
}

#[test]
fn points_are_summed_in_every_case() {
    let numbers: Vec<_> = [0, 1, 2, 3, 5].map(U256::from).to_vec();
    let numbers: Vec<_> = numbers
        .iter()
        .chain(&numbers)
        .enumerate()
        .map(|(place, k)| if place < 5 { *k } else { (ORDER - k) % ORDER })
        .collect();
    let (mut points, mut pairs, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for a in &numbers {
        for b in &numbers {
            let place = u32::try_from(points.len()).unwrap();
            pairs.push((place, place + 1));
            points.extend([multiple_of(*a), multiple_of(*b)]);
            expected.push(multiple_of(a.add_mod(*b, ORDER)));
        }
    }
    for (pair, expected) in points.chunks(2).zip(&expected) {
        let sum = Jacobian::new(&pair[0]).add(&Jacobian::new(&pair[1]));
        assert!(is_point(&sum, expected));
        // With another third coordinate on either side.
        let two = Jacobian::new(&pair[1])
            .double()
            .add(&Jacobian::new(&pair[1].negate_if(true)));
        assert!(is_point(&Jacobian::new(&pair[0]).add(&two), expected));
        assert!(is_point(&two.add(&Jacobian::new(&pair[0])), expected));
    }
    add_pairs(&mut points, &pairs, &mut Vec::new());
    for ((place, _), expected) in pairs.iter().zip(&expected) {
        assert!(is_same(&points[*place as usize], expected));
    }
    add_pairs(&mut points, &[], &mut Vec::new());
}

#[test]
fn the_endomorphism_multiplies_by_lambda() {
    let lambda = crate::signature::tests::LAMBDA;
    for k in 1..6 {
        let k = U256::from(k);
        let point = multiple_of(k).endomorphism();
        assert!(is_same(&point, &multiple_of(k.mul_mod(lambda, ORDER))));
    }
}

#[test]
fn keys_that_are_no_points_have_none() {
    let good = *key(3).as_bytes();
    assert!(Point::from_key(&SenderKey::new(good)).is_some());
    for place in 0..64 {
        let mut bytes = good;
        bytes[place] ^= 1;
        assert!(Point::from_key(&SenderKey::new(bytes)).is_none());
    }
    assert!(Point::from_key(&SenderKey::new([0; 64])).is_none());
    // A point whose x is small: the same with p added is another encoding, which hashes to another address.
    let x = U256::ONE;
    let y = square_roots(&[right_side(&element(x))])[0].canonical();
    let encoded = |x: U256| {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&x.to_be_bytes::<32>());
        bytes[32..].copy_from_slice(&U256::from_limbs(y).to_be_bytes::<32>());
        SenderKey::new(bytes)
    };
    assert!(Point::from_key(&encoded(x)).is_some());
    assert!(Point::from_key(&encoded(x + PRIME)).is_none());
}

/// A short number, and as a residue.
fn short(random: &mut Random) -> (Short, U256) {
    let wide = random.number();
    let [a, b, ..] = match random.word() % 4 {
        0 => U256::from(random.word() % 3).into_limbs(),
        1 => U256::MAX.into_limbs(),
        _ => wide.into_limbs(),
    };
    let number = [a | 1, b, 0];
    let residue = U256::from_limbs([number[0], number[1], 0, 0]);
    (scalar::digits(number), residue)
}

#[test]
fn sums_of_any_length_are_those_of_the_library() {
    let mut random = Random(43);
    for count in (0..40).chain([100, 257, 1_000, 3_000]) {
        let mut expected = U256::ZERO;
        let terms: Vec<_> = (0..count)
            .map(|_| {
                // Few points: equal and opposite ones meet in every bucket.
                let k = [U256::ONE, U256::from(2), ORDER - U256::ONE][(random.word() % 3) as usize];
                let (number, residue) = short(&mut random);
                expected = expected.add_mod(k.mul_mod(residue, ORDER), ORDER);
                let point = multiple_of(k);
                Term { point, number }
            })
            .collect();
        let sum = sum::sum(&terms);
        assert!(is_point(&sum, &multiple_of(expected)), "count={count}");
    }
}

#[test]
fn split_numbers_multiply_as_the_whole() {
    let mut random = Random(44);
    for _ in 0..50 {
        let (k, number) = (random.number() % ORDER, random.number() % ORDER);
        let point = multiple_of(k);
        let parts = scalar::split_own(number.as_limbs());
        let terms: Vec<_> = [point, point.endomorphism()]
            .into_iter()
            .zip(parts)
            .map(|(point, number)| Term { point, number })
            .collect();
        assert!(is_point(
            &sum::sum(&terms),
            &multiple_of(k.mul_mod(number, ORDER))
        ));
    }
}
