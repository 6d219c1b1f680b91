//! What the lanes recover, against the C library.

#![cfg(target_arch = "x86_64")]

mod arithmetic;
mod costs;
mod wycheproof;

use super::batch::{self, Lane};
use super::scalar::{self, DIGITS, FIXED_DIGITS};
use super::{
    Hinted, RecoverError, RecoverFault, Recovered, Request, SenderKey, Signer, check, lanes,
    recover_by_hints, recover_in_library, recover_many, recover_with_keys, table,
};
use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use rand::{SeedableRng, rngs::StdRng};
use std::num::NonZeroU64;

pub(super) const ORDER: U256 = U256::from_limbs(scalar::ORDER);
pub(super) const PRIME: U256 =
    U256::from_limbs([0xffff_fffe_ffff_fc2f, u64::MAX, u64::MAX, u64::MAX]);
pub(super) const LAMBDA: U256 = U256::from_limbs([
    0xdf02_967c_1b23_bd72,
    0x122e_22ea_2081_6678,
    0xa526_1c02_8812_645a,
    0x5363_ad4c_c05c_30e0,
]);
const SHIFT: U256 = U256::from_limbs([0, 0, 1, 0]);

/// splitmix64: the same numbers in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) const fn number(&mut self) -> U256 {
        U256::from_limbs([self.word(), self.word(), self.word(), self.word()])
    }

    /// Half of these have no point, and a few are out of range.
    fn request(&mut self) -> Request {
        Request {
            hash: B256::from(self.number()),
            r: self.number(),
            s: self.number(),
            is_odd: self.word() & 1 == 1,
        }
    }

    pub(super) fn requests(&mut self, count: usize) -> Vec<Request> {
        (0..count).map(|_| self.request()).collect()
    }
}

fn by_library(requests: &[Request]) -> Vec<Signer> {
    requests.iter().map(Request::recover).collect()
}

#[track_caller]
fn assert_equal(requests: &[Request]) {
    let (lanes, library) = (recover_many(requests), by_library(requests));
    assert_eq!(lanes.len(), requests.len());
    for (request, (lanes, library)) in requests.iter().zip(lanes.iter().zip(&library)) {
        assert_eq!(lanes, library, "{request:?}");
    }
    let keys: Vec<_> = requests
        .iter()
        .map(|request| {
            request
                .recover_with_key()
                .map(|recovered| recovered.key)
                .ok()
        })
        .collect();
    let hinted: Vec<_> = requests
        .iter()
        .zip(&keys)
        .map(|(request, key)| Hinted {
            request: *request,
            key: key.as_ref(),
        })
        .collect();
    let hinted = recover_by_hints(&hinted, &mut StdRng::seed_from_u64(1));
    assert_eq!(hinted.recovered, recover_in_library(requests));
    assert!(hinted.false_hints.is_empty());
}

/// The multiple of the generator, and whether its y is odd.
pub(super) fn multiple(k: U256) -> (U256, bool) {
    let key = PrivateKeySigner::from_bytes(&B256::from(k))
        .unwrap()
        .public_key();
    (U256::from_be_slice(&key[..32]), key[63] & 1 == 1)
}

/// The signature whose recovery computes `u1 G + u2 k G`.
pub(super) fn crafted(u1: U256, u2: U256, k: U256) -> Request {
    let (r, is_odd) = multiple(k);
    Request {
        hash: B256::from(negated(u1.mul_mod(r, ORDER))),
        r,
        s: u2.mul_mod(r, ORDER),
        is_odd,
    }
}

pub(super) fn negated(number: U256) -> U256 {
    (ORDER - number) % ORDER
}

/// What the lanes alone say; none where the processor has none.
fn in_lanes(requests: &[Request]) -> Option<Vec<Lane>> {
    lanes::enter(batch::recover, (requests, table::fixed_table()?))
}

#[test]
fn random_signatures_recover_as_in_the_library() {
    let requests = Random(1).requests(600);
    assert_equal(&requests);
    assert!(
        recover_many(&requests)
            .iter()
            .filter(|signer| signer.is_ok())
            .count()
            > 200
    );
}

#[test]
fn millions_of_random_signatures_recover_as_in_the_library_slow() {
    let mut random = Random(2);
    for _ in 0..500 {
        assert_equal(&random.requests(4_096));
    }
}

#[test]
fn batches_of_every_size_keep_their_order() {
    let requests = Random(3).requests(90);
    for count in 0..requests.len() {
        assert_equal(&requests[..count]);
    }
}

#[test]
fn real_signatures_name_their_signers() {
    use alloy_signer::SignerSync;
    let mut random = Random(4);
    for _ in 0..5 {
        let mut requests = Vec::new();
        let mut signers = Vec::new();
        for _ in 0..9 {
            let signer = PrivateKeySigner::from_bytes(&B256::from(random.number() >> 1)).unwrap();
            let hash = B256::from(random.number());
            let signature = signer.sign_hash_sync(&hash).unwrap();
            let (r, s, is_odd) = (signature.r(), signature.s(), signature.v());
            requests.push(Request { hash, r, s, is_odd });
            signers.push(Ok(signer.address()));
        }
        assert_eq!(recover_many(&requests), signers);
        for request in &mut requests {
            // The other half of s and the other parity are the same signature.
            request.s = ORDER - request.s;
            request.is_odd = !request.is_odd;
        }
        assert_eq!(recover_many(&requests), signers);
        for request in &mut requests {
            request.is_odd = !request.is_odd;
        }
        assert_equal(&requests);
        assert_ne!(recover_many(&requests), signers);
    }
}

#[test]
fn numbers_at_the_edges_recover_as_in_the_library() {
    let one = U256::ONE;
    let small = (0..8).map(U256::from);
    let mut edges: Vec<_> = small
        .clone()
        .chain(small.map(|step| ORDER - step))
        .collect();
    edges.extend([
        ORDER + one,
        ORDER >> 1,
        (ORDER >> 1) + one,
        U256::MAX,
        LAMBDA,
        SHIFT,
    ]);
    let mut rs = edges.clone();
    rs.extend([
        PRIME - ORDER - one,
        PRIME - ORDER,
        PRIME - ORDER + one,
        PRIME - one,
        PRIME,
    ]);
    rs.extend((1..6).map(|k| multiple(U256::from(k)).0));
    let hashes = [
        U256::ZERO,
        one,
        ORDER - one,
        ORDER,
        ORDER + one,
        U256::MAX,
        LAMBDA,
    ];
    let mut requests = Vec::new();
    for r in rs {
        for s in edges.iter().copied() {
            for hash in hashes {
                let hash = B256::from(hash);
                let is_odd = requests.len() % 3 == 0;
                requests.push(Request { hash, r, s, is_odd });
            }
        }
    }
    assert_equal(&requests);
}

#[test]
fn lanes_do_not_spoil_their_neighbours() {
    let mut random = Random(5);
    let mut good = random.requests(200);
    good.retain(|request| request.recover().is_ok());
    let infinity = crafted(negated(U256::from(6)), U256::from(2), U256::from(3));
    let bad = [
        Request {
            r: U256::ZERO,
            ..good[0]
        },
        Request {
            s: ORDER,
            ..good[0]
        },
        Request {
            r: U256::from(5),
            ..good[0]
        },
        infinity,
    ];
    assert!(bad.iter().all(|request| request.recover().is_err()));
    for position in 0..35 {
        for bad in bad {
            let mut requests = good[..35].to_vec();
            requests[position] = bad;
            let recovered = recover_many(&requests);
            assert!(recovered[position].is_err());
            assert_eq!(recovered.iter().filter(|signer| signer.is_err()).count(), 1);
        }
    }
    let mut requests = good[..64].to_vec();
    for (request, bad) in requests.iter_mut().step_by(3).zip(bad.iter().cycle()) {
        *request = *bad;
    }
    assert_equal(&requests);
    assert_equal(&vec![good[0]; 33]);
    for bad in bad {
        assert_equal(&vec![bad; 17]);
    }
}

#[test]
fn sums_of_equal_and_opposite_points_recover_as_in_the_library() {
    let mut requests = Vec::new();
    let small = [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 1023, 1024, 1025].map(U256::from);
    for k in small
        .into_iter()
        .chain([LAMBDA, ORDER - LAMBDA, SHIFT, ORDER - SHIFT])
    {
        for u2 in small
            .into_iter()
            .chain([ORDER - U256::ONE, LAMBDA, negated(LAMBDA)])
        {
            let product = u2.mul_mod(k, ORDER);
            for u1 in [product, negated(product), U256::ZERO, U256::ONE] {
                requests.push(crafted(u1, u2, k));
            }
        }
    }
    assert_equal(&requests);
}

#[test]
fn the_sum_at_infinity_is_no_signer() {
    let mut random = Random(6);
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let (u2, k) = (random.number() % ORDER, random.number() % ORDER);
            crafted(negated(u2.mul_mod(k, ORDER)), u2, k)
        })
        .collect();
    assert!(by_library(&requests).iter().all(Result::is_err));
    assert_equal(&requests);
    if let Some(lanes) = in_lanes(&requests) {
        assert!(lanes.iter().all(|lane| *lane == Lane::Exceptional));
    }
}

/// The digits of a number in the form that is handed to the lanes, as residues.
pub(super) fn digits(number: scalar::Short, bits: u32, count: usize) -> Vec<U256> {
    let wide = U256::from_limbs([number[0], number[1], number[2], 0]);
    let mask = (U256::ONE << bits) - U256::ONE;
    (0..count)
        .map(|digit| {
            let plain = (wide >> (digit * bits as usize)) & mask;
            (plain + plain).add_mod(negated(mask), ORDER)
        })
        .collect()
}

/// For every digit, the coefficients a and b of its addend `a R + b G`, and of the sum above it times 32.
fn coefficients(request: &Request) -> Vec<[(U256, U256); 2]> {
    let parts = &scalar::parts(&[request])[0];
    let own = parts
        .own
        .map(|number| digits(number, scalar::DIGIT_BITS, DIGITS));
    let fixed = parts
        .fixed
        .map(|number| digits(number, scalar::FIXED_DIGIT_BITS, FIXED_DIGITS));
    let mut above = (U256::ZERO, U256::ZERO);
    let stride = DIGITS / FIXED_DIGITS;
    let mut out: Vec<_> = (0..DIGITS)
        .rev()
        .map(|digit| {
            let a = own[0][digit].add_mod(own[1][digit].mul_mod(LAMBDA, ORDER), ORDER);
            let b = if digit % stride == 0 {
                let digit = digit / stride;
                fixed[0][digit].add_mod(fixed[1][digit].mul_mod(SHIFT, ORDER), ORDER)
            } else {
                U256::ZERO
            };
            let thirty_two = |number: U256| number.mul_mod(U256::from(32), ORDER);
            let below = (thirty_two(above.0), thirty_two(above.1));
            above = (below.0.add_mod(a, ORDER), below.1.add_mod(b, ORDER));
            [(a, b), below]
        })
        .collect();
    out.reverse();
    out
}

/// Signatures for which one addition, chosen freely, meets equal or opposite points: with u1 and u2
/// chosen, all digits are known, and the signature's point can be chosen to suit them.
#[test]
fn every_addition_that_may_meet_equal_points_hands_over() {
    let mut random = Random(7);
    let mut requests = Vec::new();
    for case in 0..2 * DIGITS {
        let (digit, is_opposite) = (case / 2, case % 2 == 1);
        let (u1, u2) = (random.number() % ORDER, random.number() % ORDER);
        let all = coefficients(&crafted(u1, u2, U256::ONE));
        let [addend, above] = all[digit];
        let sign = |number| if is_opposite { negated(number) } else { number };
        // a k = b between the addend's own two parts, and between the sum above and the addend.
        let within = (addend.0, sign(addend.1));
        let between = (
            above.0.add_mod(sign(negated(addend.0)), ORDER),
            negated(above.1).add_mod(sign(addend.1), ORDER),
        );
        for (a, b) in [within, between] {
            let inverse = a.inv_mod(ORDER).unwrap_or_default();
            let k = inverse.mul_mod(b, ORDER);
            if !k.is_zero() {
                requests.push(crafted(u1, u2, k));
            }
        }
    }
    assert!(requests.len() > 70);
    assert_equal(&requests);
    if let Some(lanes) = in_lanes(&requests) {
        let handed_over = lanes
            .iter()
            .filter(|lane| **lane == Lane::Exceptional)
            .count();
        assert_eq!(handed_over, requests.len());
    }
}

#[test]
fn ordinary_signatures_are_not_handed_over() {
    let requests = Random(8).requests(300);
    let lanes = in_lanes(&requests).unwrap_or_default();
    assert!(lanes.iter().all(|lane| *lane != Lane::Exceptional));
}

#[test]
fn a_sample_is_checked_and_a_difference_is_a_fault() {
    let requests = Random(9).requests(400);
    let every = |every| NonZeroU64::new(every).unwrap();
    let recovered = recover_with_keys(&requests);
    assert_eq!(check(&requests, &recovered, every(1)), Ok(400));
    let some = check(&requests, &recovered, every(8)).unwrap();
    assert!((20..90).contains(&some), "{some}");
    // Whatever is wrong with one of them is found when all are looked at.
    let place = recovered.iter().position(Result::is_ok).unwrap();
    let wrong = Recovered {
        key: SenderKey::new([0; 64]),
        address: Address::ZERO,
    };
    let wrong_key = recovered[place].map(|recovered| Recovered {
        key: wrong.key,
        ..recovered
    });
    let wrong_address = recovered[place].map(|recovered| Recovered {
        address: wrong.address,
        ..recovered
    });
    for lanes in [Ok(wrong), wrong_key, wrong_address, Err(RecoverError)] {
        let mut recovered = recovered.clone();
        recovered[place] = lanes;
        let request = requests[place];
        let library = request.recover_with_key();
        let fault = RecoverFault {
            request,
            lanes,
            library,
        };
        assert_eq!(check(&requests, &recovered, every(1)), Err(Box::new(fault)));
    }
}
