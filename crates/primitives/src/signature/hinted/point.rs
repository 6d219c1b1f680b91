//! Points of the curve y^2 = x^3 + 7: as (x, y) where many additions share one inversion, and with a third
//! coordinate for the few that follow each other.
//!
//! ```text
//! pairs ─▶ denominators ─▶ product of all ─▶ one inverse ─▶ inverse of each ─▶ sums, in place
//! ```
//! An addition in (x, y) takes five multiplications and a squaring, three of them its part of the shared
//! inversion. Every case is handled: equal points, opposite points, infinity. Infinity is (0, 0), which is
//! no point of the curve; no point of it has y = 0, because its order is odd.

#![expect(
    clippy::indexing_slicing,
    reason = "pairs name points of the slice they come with"
)]

use super::super::SenderKey;
use super::element::Element;

/// The generator's coordinates.
const GENERATOR: Point = Point {
    x: Element::new([
        0x59f2_815b_16f8_1798,
        0x029b_fcdb_2dce_28d9,
        0x55a0_6295_ce87_0b07,
        0x79be_667e_f9dc_bbac,
    ]),
    y: Element::new([
        0x9c47_d08f_fb10_d4b8,
        0xfd17_b448_a685_5419,
        0x5da4_fbfc_0e11_08a8,
        0x483a_da77_26a3_c465,
    ]),
};
/// The cube root of one that multiplies x when lambda multiplies the point.
const BETA: Element = Element::new([
    0xc139_6c28_7195_01ee,
    0x9cf0_4975_12f5_8995,
    0x6e64_479e_ac34_34e9,
    0x7ae9_6a2b_657c_0710,
]);
const SEVEN: Element = Element::new([7, 0, 0, 0]);

/// A point as (x, y), or infinity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: Element,
    pub(super) y: Element,
}

impl Point {
    pub(super) const INFINITY: Self = Self {
        x: Element::ZERO,
        y: Element::ZERO,
    };
    pub(super) const GENERATOR: Self = GENERATOR;

    /// The point of a key; none if it is not on the curve.
    pub(super) fn from_key(key: &SenderKey) -> Option<Self> {
        let [x, y] = key.as_bytes().as_chunks().0 else {
            return None;
        };
        let point = Self {
            x: Element::from_bytes(x)?,
            y: Element::from_bytes(y)?,
        };
        let difference = point.y.square().sub(&right_side(&point.x));
        difference.is_zero().then_some(point)
    }

    pub(super) fn is_infinity(&self) -> bool {
        self.y.is_zero()
    }

    #[inline(always)]
    pub(super) fn negate_if(&self, is_negated: bool) -> Self {
        let y = if is_negated { self.y.negate() } else { self.y };
        Self { x: self.x, y }
    }

    /// Lambda times the point.
    pub(super) fn endomorphism(&self) -> Self {
        Self {
            x: self.x.mul(&BETA),
            y: self.y,
        }
    }
}

/// The y^2 of an x.
pub(super) fn right_side(x: &Element) -> Element {
    x.square().mul(x).add(&SEVEN)
}

/// Two places whose points are added; the sum goes to the first.
pub(super) type Pair = (u32, u32);

/// `points[a] += points[b]` for all pairs, no place in more than one of them, with one inversion.
///
/// `before` is scratch.
pub(super) fn add_pairs(points: &mut [Point], pairs: &[Pair], before: &mut Vec<Element>) {
    before.clear();
    let mut product = Element::ONE;
    before.extend(pairs.iter().map(|pair| {
        let below = product;
        let [a, b] = pair_of(points, *pair);
        product = product.mul(&denominator(a, b));
        below
    }));
    let mut inverse = product.invert();
    for (pair, below) in pairs.iter().zip(before.iter()).rev() {
        let [a, b] = pair_of(points, *pair);
        let own = inverse.mul(below);
        inverse = inverse.mul(&denominator(a, b));
        points[pair.0 as usize] = sum(a, b, &own);
    }
}

#[inline(always)]
fn pair_of(points: &[Point], (a, b): Pair) -> [&Point; 2] {
    [&points[a as usize], &points[b as usize]]
}

/// What an addition wants the inverse of; never zero.
#[inline(always)]
fn denominator(a: &Point, b: &Point) -> Element {
    let difference = b.x.sub(&a.x);
    if is_ordinary(a, b, &difference) {
        return difference;
    }
    match Exception::of(a, b) {
        Exception::Double => a.y.double(),
        Exception::IsFirst | Exception::IsSecond | Exception::Opposite => Element::ONE,
    }
}

/// Whether two points are finite and have different x.
#[inline(always)]
fn is_ordinary(a: &Point, b: &Point, difference: &Element) -> bool {
    !(difference.is_zero() || a.is_infinity() || b.is_infinity())
}

/// The sum of two points, given the inverse of the denominator.
#[inline(always)]
fn sum(a: &Point, b: &Point, inverse: &Element) -> Point {
    let slope = if is_ordinary(a, b, &b.x.sub(&a.x)) {
        b.y.sub(&a.y).mul(inverse)
    } else {
        let square = a.x.square();
        match Exception::of(a, b) {
            Exception::IsFirst => return *a,
            Exception::IsSecond => return *b,
            Exception::Opposite => return Point::INFINITY,
            Exception::Double => square.double().add(&square).mul(inverse),
        }
    };
    let x = slope.square().sub(&a.x).sub(&b.x);
    let y = slope.mul(&a.x.sub(&x)).sub(&a.y);
    Point { x, y }
}

/// Sums to which the rule for different points does not apply.
enum Exception {
    /// The second is infinity.
    IsFirst,
    /// The first is.
    IsSecond,
    /// The same point twice.
    Double,
    /// Their sum is infinity.
    Opposite,
}

impl Exception {
    /// Which of them; the points have the same x, or one is infinity.
    #[cold]
    fn of(a: &Point, b: &Point) -> Self {
        if b.is_infinity() {
            Self::IsFirst
        } else if a.is_infinity() {
            Self::IsSecond
        } else if a.y.sub(&b.y).is_zero() {
            Self::Double
        } else {
            Self::Opposite
        }
    }
}

/// The point (x / z^2, y / z^3); infinity if z is zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jacobian {
    x: Element,
    y: Element,
    z: Element,
}

impl Jacobian {
    pub(super) const INFINITY: Self = Self {
        x: Element::ONE,
        y: Element::ONE,
        z: Element::ZERO,
    };

    pub(super) fn new(point: &Point) -> Self {
        if point.is_infinity() {
            return Self::INFINITY;
        }
        Self {
            x: point.x,
            y: point.y,
            z: Element::ONE,
        }
    }

    pub(super) fn is_infinity(&self) -> bool {
        self.z.is_zero()
    }

    pub(super) fn double(&self) -> Self {
        let square = self.y.square();
        let d = self.x.mul(&square).double().double();
        let x2 = self.x.square();
        let slope = x2.double().add(&x2);
        let x = slope.square().sub(&d.double());
        let eighth = square.square().double().double().double();
        Self {
            x,
            y: slope.mul(&d.sub(&x)).sub(&eighth),
            z: self.y.mul(&self.z).double(),
        }
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        if self.is_infinity() {
            return *other;
        }
        if other.is_infinity() {
            return *self;
        }
        let (z1, z2) = (self.z.square(), other.z.square());
        let (u1, u2) = (self.x.mul(&z2), other.x.mul(&z1));
        let s1 = self.y.mul(&z2).mul(&other.z);
        let s2 = other.y.mul(&z1).mul(&self.z);
        let (h, r) = (u2.sub(&u1), s2.sub(&s1));
        match (h.is_zero(), r.is_zero()) {
            (true, true) => return self.double(),
            (true, false) => return Self::INFINITY,
            (false, _) => {}
        }
        let h2 = h.square();
        let (h3, v) = (h.mul(&h2), u1.mul(&h2));
        let x = r.square().sub(&h3).sub(&v.double());
        Self {
            x,
            y: r.mul(&v.sub(&x)).sub(&s1.mul(&h3)),
            z: self.z.mul(&other.z).mul(&h),
        }
    }
}
