//! What 2f+1 validators signed is accepted, whatever its shape; and whoever changes anything in it, in any
//! field or any byte, is refused or has changed nothing that counts.

use super::*;
use crate::{
    ExecutedRef, Header as OrderingHeader,
    crypto::{PrivateKey, ProposalContext, genesis_context},
};
use alloy_primitives::{Address, Bloom, Bytes, keccak256};
use commonware_codec::{Copying, Decode as _, Encode as _};
use commonware_consensus::{
    simplex::types::{Finalize, Proposal},
    types::{Round, View},
};
use commonware_cryptography::{Signer as _, certificate::Scheme as _};
use commonware_utils::{iter::NonEmpty, test_rng};
use proptest::prelude::*;
use std::sync::OnceLock;

const LIMITS: BlockLimits = BlockLimits {
    body_bytes_max: 1 << 16,
    validators: 4,
    section: crate::shard::SectionLimits::NONE,
};
const DIGEST: B256 = B256::repeat_byte(7);
/// Height of the newest block of the history.
const TOP: u64 = 400;

/// A chain as four validators have it.
struct History {
    headers: Vec<Header>,
    order: Vec<Block>,
    votes: Vec<Scheme>,
    results: Vec<ResultScheme>,
    trust: Trust,
}

fn keys(first: u64) -> Vec<PrivateKey> {
    (first..first + 4).map(PrivateKey::from_seed).collect()
}

fn set(keys: &[PrivateKey]) -> Set<PublicKey> {
    let keys: Vec<_> = keys.iter().map(PrivateKey::public_key).collect();
    keys.try_into().unwrap()
}

fn ordering_block(height: u64, parent: BlockDigest) -> Block {
    let header = OrderingHeader {
        context: ProposalContext {
            round: Round::new(Epoch::zero(), View::new(height)),
            parent: (View::new(height.saturating_sub(1)), parent),
            ..genesis_context()
        },
        height,
        timestamp_ms: height,
        proposer: Address::ZERO,
        base_fee: 7,
        gas_budget: 1,
        gas_limits_sum: 0,
        body_digest: B256::ZERO,
        shard_section_digest: B256::ZERO,
        ledger_digest: B256::ZERO,
        executed: ExecutedRef::genesis(B256::ZERO),
    };
    Block::new(header, Vec::new(), Vec::new())
}

/// A chain whose validators have these keys.
fn history(first_key: u64, salt: u8) -> History {
    let keys = keys(first_key);
    let (mut headers, mut order) = (Vec::<Header>::new(), Vec::<Block>::new());
    for number in 0..=TOP {
        let parent = order
            .last()
            .map_or(genesis_context().parent.1, Block::digest);
        let block = ordering_block(number, parent);
        let parent_hash = headers.last().map_or(B256::ZERO, Header::hash_slow);
        headers.push(Header {
            number,
            parent_hash,
            state_root: keccak256([salt, number.to_le_bytes()[0]]),
            logs_bloom: Bloom::repeat_byte(salt),
            extra_data: Bytes::copy_from_slice(block.digest().as_ref()),
            ..Header::default()
        });
        order.push(block);
    }
    let validators = set(&keys);
    let namespace = crate::certificate::consensus_namespace(&DIGEST);
    let votes = keys.iter().cloned();
    let votes = votes.map(|key| Scheme::signer(&namespace, validators.clone(), key).unwrap());
    let votes = votes.collect();
    let results = keys.into_iter();
    let results = results.map(|key| result_scheme(&DIGEST, validators.clone(), Some(key)));
    History {
        votes,
        results: results.collect(),
        trust: Trust::new(headers[0].hash_slow(), &DIGEST, validators),
        headers,
        order,
    }
}

fn at<T>(items: &[T], height: u64) -> &T {
    &items[usize::try_from(height).unwrap()]
}

impl History {
    fn certificate(&self, height: u64) -> ExecutionCertificate {
        let result = ExecutionResult {
            height,
            block_hash: at(&self.headers, height).hash_slow(),
        };
        let signed = self.results[..3].iter();
        let signed = signed.map(|scheme| scheme.sign::<BlockDigest>(&result).unwrap());
        let signed = NonEmpty::try_new(signed).unwrap();
        let signatures = self.results[0].assemble(signed, &Sequential).unwrap();
        ExecutionCertificate { result, signatures }
    }

    fn finalization(&self, height: u64) -> Finalization {
        let proposal = Proposal::new(
            Round::new(Epoch::zero(), View::new(height)),
            View::new(height - 1),
            at(&self.order, height).digest(),
        );
        let votes = self.votes[..3].iter();
        let votes: Vec<_> = votes
            .map(|scheme| Finalize::sign(scheme, proposal.clone()).unwrap())
            .collect();
        let votes = NonEmpty::try_new(votes.iter()).unwrap();
        Finalization::from_finalizes(&self.votes[0], votes, &Sequential).unwrap()
    }

    fn parts(&self, height: u64, certified: u64, finalized: u64) -> AnchorParts {
        let first = usize::try_from(first_ancestor(height)).unwrap();
        let last = usize::try_from(certified).unwrap();
        AnchorParts {
            height,
            certificate: self.certificate(certified),
            headers: self.headers[first..=last].to_vec(),
            finalization: self.finalization(finalized),
        }
    }

    fn order(&self, height: u64, finalized: u64) -> Vec<Block> {
        let (first, last) = (
            usize::try_from(height).unwrap(),
            usize::try_from(finalized).unwrap(),
        );
        self.order[first..=last].to_vec()
    }

    fn anchor(&self, height: u64, certified: u64, finalized: u64) -> SyncAnchor {
        let parts = self.parts(height, certified, finalized);
        SyncAnchor::new(parts.into(), self.order(height, finalized))
    }

    fn verify(&self, anchor: SyncAnchor) -> Result<Anchor, AnchorError> {
        anchor.verify(&self.trust, &mut test_rng())
    }

    /// Verifies an anchor at 300 after a change to its parts.
    fn changed(&self, change: impl FnOnce(&mut AnchorParts, &mut Vec<Block>)) -> AnchorError {
        let (mut parts, mut order) = (self.parts(300, 303, 302), self.order(300, 302));
        change(&mut parts, &mut order);
        let anchor = SyncAnchor::new(parts.into(), order);
        self.verify(anchor).unwrap_err()
    }
}

fn ours() -> &'static History {
    static HISTORY: OnceLock<History> = OnceLock::new();
    HISTORY.get_or_init(|| history(0, 1))
}

/// Everybody here is a validator of another chain.
fn theirs() -> &'static History {
    static HISTORY: OnceLock<History> = OnceLock::new();
    HISTORY.get_or_init(|| history(4, 2))
}

#[test]
fn what_2f_plus_1_signed_is_accepted() {
    let history = ours();
    let shapes = [
        (1, 1, 1),
        (1, 3, 2),
        (255, 255, 255),
        (256, 300, 256),
        (300, 300, 363),
        (144, 400, 144),
    ];
    for (height, certified, finalized) in shapes {
        let anchor = history
            .verify(history.anchor(height, certified, finalized))
            .unwrap();
        let header = at(&history.headers, height);
        assert_eq!(anchor.height(), height);
        assert_eq!(anchor.header(), header);
        assert_eq!(anchor.state_root(), header.state_root);
        assert_eq!(anchor.result().block_hash, header.hash_slow());
        assert_eq!(anchor.certified().height, certified);
        assert_eq!(anchor.block(), at(&history.order, height));
        assert_eq!(anchor.finalized(), at(&history.order, finalized));
        let ancestors: Vec<_> = anchor.ancestors().collect();
        assert_eq!(ancestors.len() as u64, height.min(ANCESTORS_MAX - 1));
        for (height, hash) in ancestors {
            assert_eq!(hash, at(&history.headers, height).hash_slow());
        }
    }
}

#[test]
fn an_anchor_reads_back_as_it_was_written() {
    let anchor = ours().anchor(300, 303, 302);
    let bytes = anchor.encode();
    let read = SyncAnchor::decode_cfg(Copying(&bytes), &LIMITS).unwrap();
    assert_eq!(read, anchor);
    let (head, _) = read.into_parts();
    assert!(head.encode().len() <= head_bytes_max(&LIMITS));
}

#[test]
fn another_chain_proves_nothing_here() {
    let foreign = theirs().anchor(300, 303, 302);
    let refused = ours().verify(foreign).unwrap_err();
    assert_eq!(refused, AnchorError::Certificate { height: 303 });
    let refused = ours().verify(theirs().anchor(3, 3, 3)).unwrap_err();
    assert!(
        matches!(refused, AnchorError::OtherGenesis { .. }),
        "{refused}"
    );
}

#[test]
fn an_anchor_is_for_a_block() {
    let history = ours();
    let mut parts = history.parts(1, 1, 1);
    parts.height = 0;
    let anchor = SyncAnchor::new(parts.into(), history.order(1, 1));
    assert_eq!(history.verify(anchor).unwrap_err(), AnchorError::Genesis);
}

#[test]
fn headers_begin_and_end_where_they_have_to() {
    let history = ours();
    let refused = history.changed(|parts, _| parts.height = 299);
    assert!(
        matches!(refused, AnchorError::Range { expected: 44, .. }),
        "{refused}"
    );
    let refused = history.changed(|parts, _| drop(parts.headers.remove(0)));
    assert!(
        matches!(
            refused,
            AnchorError::Range {
                first: Some(46),
                ..
            }
        ),
        "{refused}"
    );
    let refused = history.changed(|parts, _| parts.headers.clear());
    assert!(
        matches!(refused, AnchorError::Range { first: None, .. }),
        "{refused}"
    );
    let refused = history.changed(|parts, _| parts.headers.truncate(255));
    assert_eq!(
        refused,
        AnchorError::End {
            last: 299,
            anchor: 300
        }
    );
    let refused = history.verify(history.anchor(143, 400, 143)).unwrap_err();
    assert_eq!(
        refused,
        AnchorError::End {
            last: 400,
            anchor: 143
        }
    );
}

#[test]
fn every_field_of_every_header_counts() {
    let history = ours();
    let changes: [fn(&mut Header); 8] = [
        |header| header.state_root.0[0] ^= 1,
        |header| header.parent_hash.0[0] ^= 1,
        |header| header.receipts_root.0[0] ^= 1,
        |header| header.extra_data = Bytes::new(),
        |header| header.gas_used += 1,
        |header| header.logs_bloom.0[0] ^= 1,
        |header| header.timestamp += 1,
        |header| header.base_fee_per_gas = Some(9),
    ];
    for change in changes {
        for place in [0, 1, 100, 255, 256, 258] {
            let refused = history.changed(|parts, _| change(&mut parts.headers[place]));
            let expected = matches!(
                refused,
                AnchorError::Link { .. } | AnchorError::NotCertified { height: 303, .. }
            );
            assert!(expected, "{place}: {refused}");
        }
    }
    let refused = history.changed(|parts, _| parts.headers[9].number += 1);
    assert_eq!(refused, AnchorError::Link { height: 54 });
    let refused = history.changed(|parts, _| drop(parts.headers.remove(9)));
    assert_eq!(refused, AnchorError::Link { height: 54 });
    let refused = history.changed(|parts, _| parts.headers.swap(9, 10));
    assert_eq!(refused, AnchorError::Link { height: 54 });
}

#[test]
fn only_what_was_signed_is_certified() {
    let history = ours();
    let refused = history.changed(|parts, _| parts.certificate.result.height = 302);
    assert!(
        matches!(refused, AnchorError::NotCertified { .. }),
        "{refused}"
    );
    let refused = history.changed(|parts, _| parts.certificate = history.certificate(302));
    assert!(
        matches!(refused, AnchorError::NotCertified { .. }),
        "{refused}"
    );
    let bad = AnchorError::Certificate { height: 303 };
    let other = history.certificate(302).signatures;
    let refused = history.changed(|parts, _| parts.certificate.signatures = other);
    assert_eq!(refused, bad);
    let foreign = theirs().certificate(303).signatures;
    let refused = history.changed(|parts, _| parts.certificate.signatures = foreign);
    assert_eq!(refused, bad);
}

/// f validators and whoever they like cannot sign for the others.
#[test]
fn f_validators_certify_nothing() {
    let (history, outsiders) = (ours(), theirs());
    let forged_root = history.parts(300, 300, 302);
    let mut header = forged_root.headers[255].clone();
    header.state_root = B256::repeat_byte(0xbd);
    let result = ExecutionResult {
        height: 300,
        block_hash: header.hash_slow(),
    };
    let own = history.results[0].sign::<BlockDigest>(&result).unwrap();
    let forged = outsiders.results.iter();
    let forged = forged.map(|scheme| scheme.sign::<BlockDigest>(&result).unwrap());
    let forged = forged.filter(|signed| signed.signer != own.signer).take(2);
    let signed: Vec<_> = std::iter::once(own.clone()).chain(forged).collect();
    let signed = signed.into_iter();
    let signed = NonEmpty::try_new(signed).unwrap();
    let signatures = history.results[0].assemble(signed, &Sequential).unwrap();
    let mut parts = forged_root;
    parts.headers[255] = header;
    parts.certificate = ExecutionCertificate { result, signatures };
    let anchor = SyncAnchor::new(parts.into(), history.order(300, 302));
    let refused = history.verify(anchor).unwrap_err();
    assert_eq!(refused, AnchorError::Certificate { height: 300 });
}

#[test]
fn only_what_was_voted_for_is_finalized() {
    let history = ours();
    let bad = |view| AnchorError::Finalization { view };
    let refused = history.changed(|parts, _| parts.finalization = theirs().finalization(302));
    assert_eq!(refused, bad(302));
    let refused = history.changed(|parts, _| {
        parts.finalization.proposal.payload = at(&history.order, 301).digest();
    });
    assert_eq!(refused, bad(302));
    let refused = history.changed(|parts, _| parts.finalization.proposal.parent = View::new(300));
    assert_eq!(refused, bad(302));
    let refused = history.changed(|parts, _| {
        parts.finalization.proposal.round = Round::new(Epoch::new(1), View::new(302));
    });
    assert_eq!(refused, bad(302));
    let refused = history.changed(|parts, _| {
        parts.finalization.proposal.round = Round::new(Epoch::zero(), View::zero());
    });
    assert_eq!(refused, bad(0));
}

#[test]
fn the_order_is_the_finalized_one_down_to_the_anchor() {
    let history = ours();
    let block = |height| at(&history.order, height);
    let refused = history.changed(|_, order| drop(order.remove(0)));
    let expected = block(300).digest();
    assert_eq!(refused, AnchorError::OrderMissing { expected });
    let refused = history.changed(|_, order| order.clear());
    let expected = block(302).digest();
    assert_eq!(refused, AnchorError::OrderMissing { expected });
    let refused = history.changed(|_, order| order.insert(0, block(299).clone()));
    let (height, anchor) = (299, 300);
    assert_eq!(refused, AnchorError::OrderHeight { height, anchor });
    let stranger = ordering_block(301, BlockDigest::from([3; 32]));
    let digest = stranger.digest();
    let expected = block(301).digest();
    let refused = history.changed(|_, order| order[1] = stranger);
    assert_eq!(refused, AnchorError::Order { digest, expected });
    let refused = history.changed(|_, order| order.swap(1, 2));
    assert!(matches!(refused, AnchorError::Order { .. }), "{refused}");
    let refused = history.verify(history.anchor(300, 300, 364)).unwrap_err();
    let height = 364;
    assert_eq!(refused, AnchorError::OrderHeight { height, anchor });
    let below = history.changed(|parts, order| {
        parts.finalization = history.finalization(299);
        *order = history.order(299, 299);
    });
    let height = 299;
    assert_eq!(below, AnchorError::OrderHeight { height, anchor });
}

/// What is executed at a height is what is ordered there.
#[test]
fn both_chains_are_one() {
    let history = ours();
    let mut other = history.parts(300, 300, 300);
    // Signed by everybody, which no honest validator does: the check does not depend on it.
    other.headers[255].extra_data = Bytes::from_static(&[9; 32]);
    let result = ExecutionResult {
        height: 300,
        block_hash: other.headers[255].hash_slow(),
    };
    let signed = history.results.iter();
    let signed = signed.map(|scheme| scheme.sign::<BlockDigest>(&result).unwrap());
    let signed = NonEmpty::try_new(signed).unwrap();
    let signatures = history.results[0].assemble(signed, &Sequential).unwrap();
    other.certificate = ExecutionCertificate { result, signatures };
    let anchor = SyncAnchor::new(other.into(), history.order(300, 300));
    let refused = history.verify(anchor).unwrap_err();
    assert_eq!(refused, AnchorError::OrderExecuted { height: 300 });
}

fn small() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| ours().anchor(5, 6, 7).encode().to_vec())
}

proptest! {
    #[test]
    fn no_changed_byte_leads_to_another_state(place in 0..small().len(), mask in 1..=255_u8) {
        let mut bytes = small().to_vec();
        bytes[place] ^= mask;
        let Ok(anchor) = SyncAnchor::decode_cfg(Copying(&bytes), &LIMITS) else {
            return Ok(());
        };
        if let Ok(anchor) = ours().verify(anchor) {
            let right = ours().verify(ours().anchor(5, 6, 7)).unwrap();
            prop_assert_eq!(anchor.header(), right.header());
            prop_assert_eq!(anchor.result(), right.result());
            prop_assert_eq!(anchor.order(), right.order());
            let ancestors: Vec<_> = anchor.ancestors().collect();
            prop_assert_eq!(ancestors, right.ancestors().collect::<Vec<_>>());
        }
    }

    #[test]
    fn garbage_and_pieces_are_refused(garbage: Vec<u8>, kept in 0..small().len()) {
        let _any = SyncAnchor::decode_cfg(Copying(&garbage), &LIMITS);
        let piece = &small()[..kept];
        prop_assert!(SyncAnchor::decode_cfg(Copying(piece), &LIMITS).is_err());
    }

    #[test]
    fn heights_and_lags_of_all_sizes(height in 1..=TOP, lag in 0..300_u64, above in 0..80_u64) {
        let (certified, finalized) = ((height + lag).min(TOP), (height + above).min(TOP));
        let accepted = ours().verify(ours().anchor(height, certified, finalized)).is_ok();
        let fits = certified - height <= LAG_MAX && finalized - height < ORDER_BLOCKS_MAX as u64;
        prop_assert_eq!(accepted, fits);
    }
}
