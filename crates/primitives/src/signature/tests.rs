//! What the lanes compute, against big integers and against the C library.

use super::field::Field;
use super::lanes;

fn cpu() -> f64 {
    #[repr(C)]
    struct T(i64, i64);
    unsafe extern "C" {
        fn clock_gettime(id: i32, t: *mut T) -> i32;
    }
    let mut t = T(0, 0);
    unsafe { clock_gettime(2, &mut t) };
    t.0 as f64 + t.1 as f64 / 1e9
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2")]
fn time<const W: usize>((): ()) {
    let a = Field::<W>::splat([3, 5, 7, 9]);
    let per_lane = |t: f64, n: f64| (cpu() - t) * 1e9 / n / 8.0 / W as f64;
    let mut best = [f64::MAX; 8];
    for _ in 0..20 {
        let n = 20000;
        let mut xs = [a; 8];
        let t = cpu();
        for i in 0..n {
            xs[i % 8] = xs[i % 8].mul(&a);
        }
        best[0] = best[0].min(per_lane(t, n as f64));
        let t = cpu();
        for i in 0..n {
            xs[i % 8] = xs[i % 8].sqr();
        }
        best[1] = best[1].min(per_lane(t, n as f64));
        let mut x = xs[3];
        let t = cpu();
        x = x.sqr_many(n as u32);
        best[2] = best[2].min(per_lane(t, n as f64));
        let t = cpu();
        for _ in 0..n {
            x = x.mul(&a);
        }
        best[3] = best[3].min(per_lane(t, n as f64));
        let t = cpu();
        for i in 0..n {
            xs[i % 8] = xs[i % 8].sub::<3>(&x);
        }
        best[4] = best[4].min(per_lane(t, n as f64));
        let mut j = super::jacobian::Jacobian { x, y2: xs[0], z: xs[1] };
        let t = cpu();
        for _ in 0..n {
            j.double_negated();
        }
        best[5] = best[5].min(per_lane(t, n as f64));
        let q = super::affine::Affine { x: xs[5], y: xs[4] };
        let t = cpu();
        for _ in 0..n {
            j.subtract_negated(&q);
        }
        best[6] = best[6].min(per_lane(t, n as f64));
        std::hint::black_box((x, xs, j));
    }
    println!("W={W} mul {:.2} sqr {:.2} sqr_many {:.2} mul chain {:.2} sub {:.2} dbl {:.2} add {:.2} ns per lane", best[0], best[1], best[2], best[3], best[4], best[5], best[6]);
}

#[test]
fn prints_the_cost_of_the_field_slow() {
    lanes::enter(time::<1>, ());
    lanes::enter(time::<2>, ());
}
