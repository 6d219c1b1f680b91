//! What the field and the group operations cost: `cargo test -p primitives --release --lib costs -- --nocapture`.

use crate::signature::affine::Affine;
use crate::signature::field::Field;
use crate::signature::jacobian::Jacobian;
use crate::signature::lanes;
use std::hint::black_box;

const REPEATS: u32 = 1_000;
const ROUNDS: usize = 300;

/// Prints nanoseconds per lane: the least of several rounds.
#[expect(clippy::disallowed_methods, reason = "a measurement asks the clock")]
fn print<const W: usize>(name: &str, mut round: impl FnMut()) {
    let mut least = f64::MAX;
    for _ in 0..ROUNDS {
        let start = std::time::Instant::now();
        round();
        least = least.min(start.elapsed().as_secs_f64());
    }
    let lanes = f64::from(REPEATS) * 8.0 * W as f64;
    println!("{name:<12} W={W} {:6.2} ns per lane", least * 1e9 / lanes);
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn measure<const W: usize>((): ()) {
    let a = Field::<W>::splat([3, 5, 7, 9]);
    let mut x = [a.sqr(), a.sqr().sqr(), a.sqr_many(3), a.sqr_many(4)];
    let mut repeat = |each: &mut dyn FnMut(&mut Field<W>)| {
        for _ in 0..REPEATS / 4 {
            x.iter_mut().for_each(&mut *each);
        }
        black_box(&x);
    };
    print::<W>("multiply", || repeat(&mut |x| x.mul_assign(&a)));
    print::<W>("square", || repeat(&mut |x| *x = x.sqr()));
    print::<W>("subtract", || repeat(&mut |x| *x = x.sub::<3>(&a)));
    let mut chain = a;
    print::<W>("square chain", || chain = chain.sqr_many(REPEATS));
    let point = Affine {
        x: a.sqr(),
        y: a.sqr_many(5),
    };
    let mut sum = Jacobian::new(&point);
    print::<W>("double", || (0..REPEATS).for_each(|_| sum.double_negated()));
    print::<W>("add", || {
        (0..REPEATS).for_each(|_| sum.subtract_negated(&point));
    });
    black_box((chain, sum));
}

#[test]
fn prints_the_costs_slow() {
    lanes::enter(measure::<1>, ());
    lanes::enter(measure::<2>, ());
}
