//! 2f+1 equal results certify; contradictions leave evidence and count for nothing.

use super::*;
use alloy_primitives::B256;
use commonware_cryptography::Signer as _;
use primitives::{
    certificate::result_scheme,
    crypto::{BlockDigest, PrivateKey},
};
use rand_core::SeedableRng as _;

fn schemes() -> Vec<ResultScheme> {
    let keys: Vec<_> = (0..4).map(PrivateKey::from_seed).collect();
    let validators: Vec<_> = keys.iter().map(|key| key.public_key()).collect();
    let validators = commonware_utils::ordered::Set::try_from(validators).unwrap();
    let scheme = |key| result_scheme(&B256::ZERO, validators.clone(), Some(key));
    keys.into_iter().map(scheme).collect()
}

fn result(height: u64, byte: u8) -> ExecutionResult {
    ExecutionResult {
        height,
        block_hash: B256::repeat_byte(byte),
    }
}

fn sign(scheme: &ResultScheme, result: ExecutionResult) -> SignedResult {
    SignedResult {
        result,
        attestation: scheme.sign::<BlockDigest>(&result).unwrap(),
    }
}

fn tally(schemes: &[ResultScheme]) -> Tally {
    Tally::new(schemes[0].clone(), result(0, 0))
}

#[test]
fn three_of_four_equal_results_make_a_certificate_that_verifies() {
    let schemes = schemes();
    let mut tally = tally(&schemes);
    assert_eq!(
        tally.count(sign(&schemes[0], result(1, 1))),
        TallyOutcome::Counted
    );
    assert_eq!(
        tally.count(sign(&schemes[0], result(1, 1))),
        TallyOutcome::Ignored
    );
    assert_eq!(
        tally.count(sign(&schemes[1], result(1, 1))),
        TallyOutcome::Counted
    );
    let TallyOutcome::Certified(certificate) = tally.count(sign(&schemes[2], result(1, 1))) else {
        panic!("three of four are a quorum");
    };
    let mut rng = rand::rngs::StdRng::seed_from_u64(0);
    let verifies = |rng: &mut _, result: ExecutionResult| {
        schemes[3].verify_certificate::<_, BlockDigest>(
            rng,
            &result,
            &certificate.signatures,
            &Sequential,
        )
    };
    assert!(verifies(&mut rng, result(1, 1)));
    assert!(!verifies(&mut rng, result(1, 2)));
    assert_eq!(
        tally.count(sign(&schemes[3], result(1, 1))),
        TallyOutcome::Ignored
    );
}

#[test]
fn different_results_never_certify_together() {
    let schemes = schemes();
    let mut tally = tally(&schemes);
    for (scheme, byte) in schemes.iter().zip([1, 1, 2, 2]) {
        assert_eq!(
            tally.count(sign(scheme, result(1, byte))),
            TallyOutcome::Counted
        );
    }
}

#[test]
fn a_validator_that_signs_two_results_leaves_evidence_and_its_second_does_not_count() {
    let schemes = schemes();
    let mut tally = tally(&schemes);
    tally.count(sign(&schemes[0], result(1, 1)));
    tally.count(sign(&schemes[1], result(1, 1)));
    tally.count(sign(&schemes[2], result(1, 2)));
    assert_eq!(
        tally.count(sign(&schemes[2], result(1, 1))),
        TallyOutcome::Conflict
    );
    let (_, [one, two]) = tally.evidence().first_key_value().unwrap();
    assert_ne!(one.result, two.result);
    assert_eq!(one.attestation.signer, two.attestation.signer);
}

#[test]
fn memory_is_bounded_and_keeps_the_lowest_heights() {
    let schemes = schemes();
    let mut tally = tally(&schemes);
    for height in 1..=HEIGHTS_MAX as u64 + 10 {
        tally.count(sign(&schemes[0], result(height, 1)));
    }
    assert_eq!(tally.heights.len(), HEIGHTS_MAX);
    assert!(tally.heights.contains_key(&1));
    tally.advance(result(5, 1));
    assert!(!tally.heights.contains_key(&5));
}
