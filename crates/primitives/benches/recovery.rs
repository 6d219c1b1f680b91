//! How long recovering signers takes: `cargo bench -p primitives --bench recovery`.
fn main() {
    use alloy_primitives::{B256, U256};
    use primitives::signature::*;
    let mut seed = 7u64;
    let mut next = || { seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15); let mut z = seed; z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9); z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb); z ^ (z >> 31) };
    let mut reqs = Vec::new();
    while reqs.len() < 4096 {
        let mut n = || U256::from_limbs([next(), next(), next(), next()]);
        let (h, r, s) = (n(), n(), n());
        let q = Request { hash: B256::from(h), r, s, is_odd: next() & 1 == 1 };
        if q.recover().is_ok() { reqs.push(q); }
    }
    let t = std::time::Instant::now();
    let want: Vec<_> = reqs.iter().map(Request::recover).collect();
    println!("library {:.2} us", t.elapsed().as_secs_f64() * 1e6 / 4096.0);
    let got = recover_many(&reqs);
    println!("equal {}", got == want);
    println!("right {}", got.iter().zip(&want).filter(|(a, b)| a == b).count());
    for batch in [8, 16, 64, 1024, 4096] {
        let mut best = f64::MAX;
        for _ in 0..5 {
            let t = std::time::Instant::now();
            for c in reqs.chunks(batch) { std::hint::black_box(recover_many(c)); }
            best = best.min(t.elapsed().as_secs_f64() * 1e6 / 4096.0);
        }
        println!("batch {batch} {best:.2} us");
    }
}
