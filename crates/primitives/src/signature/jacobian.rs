//! The running sum of a point multiplication, in coordinates that need no inversion.
//!
//! A sum stands for the point (x / z^2, y2 / 2 z^3). Keeping twice y saves the additions that carry
//! limbs; both operations return the negated result, because that is what costs no negation:
//!
//! ```text
//! double   A    ─▶ -2 A         2 multiplications, 4 squarings, 1 product with a square added
//! subtract A, Q ─▶ -(A - Q)     6 multiplications, 3 squarings, 1 sum of two products
//! ```
//! Neither has a special case. Where a subtraction meets equal or opposite points, z becomes zero and stays
//! zero: at the end a z of zero says that the lane needs another way.

use super::affine::Affine;
use super::field::Field;

/// A sum in every lane; all three reduced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jacobian<const W: usize> {
    pub(super) x: Field<W>,
    pub(super) y2: Field<W>,
    pub(super) z: Field<W>,
}

impl<const W: usize> Jacobian<W> {
    /// The sum of one point.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn new(point: &Affine<W>) -> Self {
        Self {
            x: point.x,
            y2: point.y.double_reduced(),
            z: Field::splat([1, 0, 0, 0]),
        }
    }

    /// `self = -2 self`.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn double_negated(&mut self) {
        let y4 = self.y2.sqr();
        let slope = self.x.sqr_triple();
        self.z.mul_assign(&self.y2);
        let mut d = self.x.mul(&y4);
        self.x.set_sqr_sub(&slope, &d, &d);
        d = self.x.sub_double::<3>(&d);
        self.y2.set_mul_sqr_sum(&slope, &d, &y4);
    }

    /// `self = -(self - point)`.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn subtract_negated(&mut self, point: &Affine<W>) {
        let zz = self.z.sqr();
        let mut j = point.x.mul_sub::<2>(&zz, &self.x);
        let h2 = j.add(&j);
        let i = h2.sqr();
        let mut r = zz.mul(&self.z);
        self.z.mul_assign(&h2);
        r.mul_assign(&point.y);
        r = r.double_add(&self.y2);
        j.mul_assign(&i);
        let mut v = self.x.mul(&i);
        self.x.set_sqr_sub(&r, &j.add_limbs(&v), &v);
        v = v.sub_double::<4>(&self.x);
        j = j.add(&j);
        self.y2.set_mul_sum(&r, &v, &j);
    }

    /// Makes x and y2 the point's own, canonical x and y, given the inverse of z.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn normalize(&mut self, inverse: &Field<W>) {
        const HALF: [u64; 4] = [0xffff_ffff_7fff_fe18, u64::MAX, u64::MAX, u64::MAX >> 1];
        let square = inverse.sqr();
        let cube = square.mul(inverse).mul(&Field::splat(HALF));
        self.x = self.x.mul(&square).canonical();
        self.y2 = self.y2.mul(&cube).canonical();
    }
}
