//! One modular inverse, by the division steps of Bernstein and Yang (2019), for both moduli of the curve.
//!
//! ```text
//! (f, g) = (modulus, number);  62 division steps at a time on their low words give a 2x2 matrix,
//! which is then applied to f, g and to (d, e), where d * number = f and e * number = g.
//! When g is 0, f is 1 or -1, and d is the inverse up to f's sign.
//! ```
//! What is inverted is public, so the steps may take as long as the number asks for.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "lanes and limbs are counted by constants; the tests run with overflow checks"
)]

/// Bits of a limb here: signed limbs of 62 bits let 62 steps be applied at once.
const LIMB_MASK: u64 = u64::MAX >> 2;

type Signed62 = [i64; 5];

/// A modulus with what the division steps need of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modulus {
    limbs: Signed62,
    /// Its inverse modulo 2^62.
    inverse62: u64,
}

/// The matrix of 62 division steps, times 2^62.
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl Modulus {
    /// An odd modulus from its words.
    pub(super) const fn new(words: [u64; 4]) -> Self {
        // Newton's iteration doubles the correct bits of the inverse, from three.
        let mut inverse = words[0];
        let mut bits = 3;
        while bits < 64 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(words[0].wrapping_mul(inverse)));
            bits *= 2;
        }
        Self {
            limbs: to_signed62(words),
            inverse62: inverse & LIMB_MASK,
        }
    }

    /// The inverse of a number below the modulus; of zero, zero.
    pub(super) fn invert(&self, number: [u64; 4]) -> [u64; 4] {
        let mut d = [0_i64; 5];
        let mut e = [1_i64, 0, 0, 0, 0];
        let mut f = self.limbs;
        let mut g = to_signed62(number);
        let mut eta = -1_i64;
        while g != [0; 5] {
            let steps;
            (eta, steps) = divide(eta, f[0], g[0]);
            self.update_de(&mut d, &mut e, &steps);
            update_fg(&mut f, &mut g, &steps);
        }
        self.normalize(d, f[4] < 0)
    }

    /// Applies the steps to d and e modulo the modulus; both stay in (-2 modulus, modulus).
    fn update_de(&self, d: &mut Signed62, e: &mut Signed62, t: &Steps) {
        let (sign_d, sign_e) = (d[4] >> 63, e[4] >> 63);
        let mut md = (t.u & sign_d).wrapping_add(t.v & sign_e);
        let mut me = (t.q & sign_d).wrapping_add(t.r & sign_e);
        let mut cd = wide(t.u, d[0]) + wide(t.v, e[0]);
        let mut ce = wide(t.q, d[0]) + wide(t.r, e[0]);
        // The multiples of the modulus that clear the 62 bits about to be shifted out.
        md = self.clear(md, cd);
        me = self.clear(me, ce);
        cd += wide(self.limbs[0], md);
        ce += wide(self.limbs[0], me);
        cd >>= 62;
        ce >>= 62;
        for i in 1..5 {
            let (di, ei) = (d[i], e[i]);
            cd += wide(t.u, di) + wide(t.v, ei) + wide(self.limbs[i], md);
            ce += wide(t.q, di) + wide(t.r, ei) + wide(self.limbs[i], me);
            d[i - 1] = low62(cd);
            e[i - 1] = low62(ce);
            cd >>= 62;
            ce >>= 62;
        }
        d[4] = low64(cd);
        e[4] = low64(ce);
    }

    /// `multiple` less what makes `sum + multiple * modulus` divisible by 2^62.
    const fn clear(&self, multiple: i64, sum: i128) -> i64 {
        let low = self
            .inverse62
            .wrapping_mul(low64(sum).cast_unsigned())
            .wrapping_add(multiple.cast_unsigned());
        multiple.wrapping_sub((low & LIMB_MASK).cast_signed())
    }

    /// Brings d, negated if asked, into [0, modulus).
    fn normalize(&self, mut d: Signed62, negate: bool) -> [u64; 4] {
        let add = |d: &mut Signed62, sign: i64| {
            for (limb, modulus) in d.iter_mut().zip(self.limbs) {
                *limb += modulus * sign;
            }
            carry(d);
        };
        if negate {
            d = d.map(|limb| -limb);
        }
        carry(&mut d);
        while d[4] < 0 {
            add(&mut d, 1);
        }
        loop {
            let mut less = d;
            add(&mut less, -1);
            if less[4] < 0 {
                return to_words(d);
            }
            d = less;
        }
    }
}

/// 62 division steps on the low words of f and g.
fn divide(mut eta: i64, f0: i64, g0: i64) -> (i64, Steps) {
    let (mut u, mut v, mut q, mut r) = (1_u64, 0_u64, 0_u64, 1_u64);
    let (mut f, mut g) = (f0.cast_unsigned(), g0.cast_unsigned());
    let mut left = 62_u32;
    loop {
        let zeros = (g | (u64::MAX << left)).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            break;
        }
        let swap = eta < 0;
        if swap {
            eta = -eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
        }
        // As many low bits of g as may be cleared before f and g change places again.
        let limit = u32::try_from(eta + 1).map_or(left, |steps| steps.min(left));
        let mask = u64::MAX >> (64 - limit);
        let w = if swap {
            f.wrapping_mul(g)
                .wrapping_mul(f.wrapping_mul(f).wrapping_sub(2))
                & mask
                & 63
        } else {
            let w = f.wrapping_add((f.wrapping_add(1) & 4) << 1);
            w.wrapping_neg().wrapping_mul(g) & mask & 15
        };
        g = g.wrapping_add(f.wrapping_mul(w));
        q = q.wrapping_add(u.wrapping_mul(w));
        r = r.wrapping_add(v.wrapping_mul(w));
    }
    let steps = Steps {
        u: u.cast_signed(),
        v: v.cast_signed(),
        q: q.cast_signed(),
        r: r.cast_signed(),
    };
    (eta, steps)
}

/// Applies the steps to f and g, whose low 62 bits become zero and are dropped.
fn update_fg(f: &mut Signed62, g: &mut Signed62, t: &Steps) {
    let mut cf = (wide(t.u, f[0]) + wide(t.v, g[0])) >> 62;
    let mut cg = (wide(t.q, f[0]) + wide(t.r, g[0])) >> 62;
    for i in 1..5 {
        let (fi, gi) = (f[i], g[i]);
        cf += wide(t.u, fi) + wide(t.v, gi);
        cg += wide(t.q, fi) + wide(t.r, gi);
        f[i - 1] = low62(cf);
        g[i - 1] = low62(cg);
        cf >>= 62;
        cg >>= 62;
    }
    f[4] = low64(cf);
    g[4] = low64(cg);
}

/// Limbs in [0, 2^62), the sign in the top one.
fn carry(d: &mut Signed62) {
    for i in 0..4 {
        d[i + 1] += d[i] >> 62;
        d[i] &= LIMB_MASK.cast_signed();
    }
}

/// The product, which always fits.
const fn wide(a: i64, b: i64) -> i128 {
    (a as i128).wrapping_mul(b as i128)
}

const fn low62(number: i128) -> i64 {
    low64(number) & LIMB_MASK.cast_signed()
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn low64(number: i128) -> i64 {
    number as i64
}

const fn to_signed62(w: [u64; 4]) -> Signed62 {
    [
        (w[0] & LIMB_MASK).cast_signed(),
        ((w[0] >> 62 | w[1] << 2) & LIMB_MASK).cast_signed(),
        ((w[1] >> 60 | w[2] << 4) & LIMB_MASK).cast_signed(),
        ((w[2] >> 58 | w[3] << 6) & LIMB_MASK).cast_signed(),
        (w[3] >> 56).cast_signed(),
    ]
}

const fn to_words(d: Signed62) -> [u64; 4] {
    let [a, b, c, e, f] = [
        d[0].cast_unsigned(),
        d[1].cast_unsigned(),
        d[2].cast_unsigned(),
        d[3].cast_unsigned(),
        d[4].cast_unsigned(),
    ];
    [
        a | b << 62,
        b >> 2 | c << 60,
        c >> 4 | e << 58,
        e >> 6 | f << 56,
    ]
}
