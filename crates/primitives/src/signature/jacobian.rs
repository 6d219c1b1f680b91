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

/// A sum in every lane. x is at most 5 p; y2 and z are reduced.
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

    /// `-2 self`.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn double_negated(&self) -> Self {
        let y4 = self.y2.sqr();
        let slope = self.x.sqr().triple();
        let z = self.y2.mul(&self.z);
        let d = self.x.mul(&y4);
        let x = slope.sqr().sub_twice::<4>(&d);
        let rest = x.sub_double::<3>(&d);
        let y2 = Field::mul_sqr_sum(&slope, &rest, &y4);
        Self { x, y2, z }
    }

    /// `-(self - point)`.
    #[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
    pub(super) fn subtract_negated(&self, point: &Affine<W>) -> Self {
        let point_y2 = point.y.double_reduced();
        let zz = self.z.sqr();
        let u = point.x.mul(&zz);
        let zzz = self.z.mul(&zz);
        let h = u.sub::<6>(&self.x);
        let s2 = point_y2.mul(&zzz);
        let h2 = h.add(&h);
        let i = h2.sqr();
        let r = s2.add(&self.y2);
        let j = h.mul(&i);
        let v = self.x.mul(&i);
        let z = self.z.mul(&h2);
        let x = r.sqr().sub_and_twice::<4>(&j, &v);
        let rest = v.sub_double::<12>(&x);
        let j2 = j.add(&j);
        let y2 = Field::mul_sum(&r, &rest, &self.y2, &j2);
        Self { x, y2, z }
    }
}
