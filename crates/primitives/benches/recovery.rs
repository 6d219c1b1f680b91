//! What recovering a signer costs, in lanes and with the C library: `cargo bench -p primitives --bench recovery`.
//!
//! Every round measures all of them, one after the other, so that what disturbs the machine disturbs all.

use alloy_primitives::{B256, U256};
use primitives::signature::{Request, recover_many};
use std::hint::black_box;

const SIGNATURES: usize = 4_096;
const ROUNDS: usize = 11;
const BATCHES: [usize; 6] = [1, 8, 16, 64, 1_024, 4_096];

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn main() {
    let requests = requests();
    let library: Vec<_> = requests.iter().map(Request::recover).collect();
    assert!(recover_many(&requests) == library, "the two ways differ");
    let mut ways: Vec<(String, Vec<f64>)> = BATCHES
        .iter()
        .map(|batch| (format!("signature::recover_many/batch={batch}"), Vec::new()))
        .collect();
    ways.push((
        "signature::recover_in_library/batch=1".to_owned(),
        Vec::new(),
    ));
    for _ in 0..ROUNDS {
        for (batch, (_, costs)) in BATCHES.iter().zip(&mut ways) {
            let batches = || requests.chunks(*batch).map(recover_many);
            costs.push(cost_us(|| {
                batches().for_each(|signers| drop(black_box(signers)));
            }));
        }
        let (_, costs) = ways.last_mut().expect("the library is among the ways");
        let mut signers = requests.iter().map(Request::recover);
        costs.push(cost_us(|| {
            assert!(black_box(signers.all(|signer| signer.is_ok())));
        }));
    }
    println!(
        "{:<40} {:>10} {:>10}",
        "us per signature", "median", "least"
    );
    for (name, costs) in &mut ways {
        costs.sort_by(f64::total_cmp);
        println!("{name:<40} {:>10.2} {:>10.2}", costs[ROUNDS / 2], costs[0]);
    }
}

/// Microseconds per signature.
#[expect(clippy::disallowed_methods, reason = "a bench asks the clock")]
fn cost_us(round: impl FnOnce()) -> f64 {
    let start = std::time::Instant::now();
    round();
    start.elapsed().as_secs_f64() * 1e6 / SIGNATURES as f64
}

/// Random signatures that have a signer.
fn requests() -> Vec<Request> {
    let mut state = 0_u64;
    let mut word = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut requests = Vec::new();
    while requests.len() < SIGNATURES {
        let mut number = || U256::from_limbs([word(), word(), word(), word()]);
        let (hash, r, s) = (B256::from(number()), number(), number());
        let is_odd = word() & 1 == 1;
        let request = Request { hash, r, s, is_odd };
        if request.recover().is_ok() {
            requests.push(request);
        }
    }
    requests
}
