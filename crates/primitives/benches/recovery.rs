//! What recovering a signer costs, in lanes, by hints and with the C library:
//! `cargo bench -p primitives --bench recovery`.
//!
//! Every round measures all of them, one after the other, so that what disturbs the machine disturbs all.

use alloy_primitives::{B256, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use primitives::signature::{Hinted, Request, SenderKey, recover_by_hints, recover_many};
use rand::{SeedableRng, rngs::StdRng};
use std::hint::black_box;

const SIGNATURES: usize = 4_096;
const ROUNDS: usize = 11;
const BATCHES: [usize; 6] = [1, 8, 16, 64, 1_024, 4_096];
const HINTED_BATCHES: [usize; 5] = [4, 16, 64, 1_024, 4_096];
/// Signatures of one sender.
const EACH: [usize; 2] = [1, 10];

type Signed = Vec<(Request, SenderKey)>;

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn main() {
    let signed = EACH.map(signed);
    let mut ways = ways(&signed);
    let mut costs = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for ((_, way), costs) in ways.iter_mut().zip(&mut costs) {
            costs.push(cost_us(way));
        }
    }
    println!("{:<50} {:>8} {:>8}", "us per signature", "median", "least");
    for ((name, _), costs) in ways.iter().zip(&mut costs) {
        costs.sort_by(f64::total_cmp);
        println!("{name:<50} {:>8.2} {:>8.2}", costs[ROUNDS / 2], costs[0]);
    }
}

type Way<'a> = (String, Box<dyn FnMut() + 'a>);

fn ways(signed: &[Signed; 2]) -> Vec<Way<'_>> {
    let requests: Vec<_> = signed[0].iter().map(|(request, _)| *request).collect();
    let library = requests.clone();
    let mut ways: Vec<Way<'_>> = vec![(
        "signature::recover_in_library/batch=1".to_owned(),
        Box::new(move || {
            assert!(black_box(
                library.iter().all(|request| request.recover().is_ok())
            ));
        }),
    )];
    for batch in BATCHES {
        let requests = requests.clone();
        ways.push((
            format!("signature::recover_many/batch={batch}"),
            Box::new(move || {
                let batches = requests.chunks(batch).map(recover_many);
                batches.for_each(|signers| drop(black_box(signers)));
            }),
        ));
    }
    for (signed, each) in signed.iter().zip(EACH) {
        let hinted: Vec<_> = signed.iter().map(hint).collect();
        for batch in HINTED_BATCHES {
            let (hinted, mut random) = (hinted.clone(), StdRng::seed_from_u64(1));
            ways.push((
                format!("signature::recover_by_hints/each={each}/batch={batch}"),
                Box::new(move || recover_hinted(&hinted, batch, &mut random)),
            ));
        }
    }
    ways
}

fn recover_hinted(hinted: &[Hinted<'_>], batch: usize, random: &mut StdRng) {
    for batch in hinted.chunks(batch) {
        let recovery = recover_by_hints(batch, random);
        assert!(black_box(recovery).false_hints.is_empty());
    }
}

const fn hint((request, key): &(Request, SenderKey)) -> Hinted<'_> {
    Hinted {
        request: *request,
        key: Some(key),
    }
}

/// Microseconds per signature.
#[expect(clippy::disallowed_methods, reason = "a bench asks the clock")]
fn cost_us(round: &mut dyn FnMut()) -> f64 {
    let start = std::time::Instant::now();
    round();
    start.elapsed().as_secs_f64() * 1e6 / SIGNATURES as f64
}

/// Signatures, so many of each sender one after the other.
fn signed(each: usize) -> Signed {
    let signature = |index: usize| {
        let secret = B256::from(U256::from(index / each + 1));
        let signer = PrivateKeySigner::from_bytes(&secret).expect("a small number is a key");
        let hash = alloy_primitives::keccak256(index.to_be_bytes());
        let signature = signer.sign_hash_sync(&hash).expect("it signs everything");
        let request = Request {
            hash,
            r: signature.r(),
            s: signature.s(),
            is_odd: signature.v(),
        };
        (request, SenderKey::new(signer.public_key().0))
    };
    (0..SIGNATURES).map(signature).collect()
}
