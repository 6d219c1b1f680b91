//! Every rule refuses what breaks it, and whatever a leader builds passes all of them.

use super::*;
use crate::propose::Foundation;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use commonware_cryptography::Signer as _;
use mempool::FixedTransactions;
use primitives::{
    Block, Directive, ExecutionCertificate, RecoveredTransaction, SignedResult, Transaction,
    certificate::result_scheme,
    chain::Protocol,
    crypto::{PrivateKey, genesis_context},
    recovery::SenderCache,
    transaction::{Envelope, Impersonation},
};
use proptest::prelude::*;
use rand_core::SeedableRng as _;
use state::{Account, MemoryState};

const COIN: u64 = 1_000_000_000_000_000_000;

fn chain() -> ChainConfig {
    ChainConfig {
        chain_id: 1,
        gas_limit: 1_000_000,
        protocol: Protocol::default(),
    }
}

fn header(height: u64) -> Header {
    Header {
        context: genesis_context(),
        height,
        timestamp_ms: height * 1_000,
        proposer: Address::ZERO,
        base_fee: 1_000,
        gas_budget: 1_000_000,
        gas_limits_sum: 0,
        body_digest: B256::ZERO,
        shard_section_digest: B256::ZERO,
        ledger_digest: B256::repeat_byte(9),
        executed: ExecutedRef::genesis(B256::repeat_byte(1)),
    }
}

fn child(parent: &Header) -> Header {
    let chain = chain();
    Header {
        base_fee: next_base_fee(parent, &chain),
        ..header(parent.height + 1)
    }
}

/// A transfer that claims its sender: the rules under test look at senders, not at signatures.
fn transfer(sender: Address, nonce: u64, value: u64, gas_limit: u64) -> RecoveredTransaction {
    let unsigned = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit,
        max_fee_per_gas: 10_000,
        to: TxKind::Call(Address::repeat_byte(7)),
        value: U256::from(value),
        ..Default::default()
    };
    let claimed = U256::from_be_bytes(sender.into_word().0);
    let signature = Signature::new(claimed, U256::ZERO, false);
    let envelope = Envelope::from(unsigned.into_signed(signature));
    let transaction = Transaction::decode(envelope.encoded_2718()).unwrap();
    transaction.recover(Impersonation::Allowed).unwrap()
}

fn recovered(block: &Block) -> RecoveredBlock {
    block
        .recover(&SenderCache::default(), Impersonation::Allowed)
        .unwrap()
}

fn sealed(header: Header, transactions: &[RecoveredTransaction]) -> RecoveredBlock {
    let transactions = transactions
        .iter()
        .map(|tx| tx.transaction().clone())
        .collect();
    recovered(&Block::new(header, transactions, Vec::new()))
}

fn rich(senders: impl IntoIterator<Item = Address>) -> MemoryState {
    let mut state = MemoryState::default();
    for sender in senders {
        let account = Account {
            balance: U256::from(COIN),
            ..Account::default()
        };
        state.set_account(sender, account);
    }
    state
}

fn body(block: &RecoveredBlock, in_flight: &[RecoveredBlock]) -> Result<(), Rejection> {
    check_body(block, in_flight, &chain(), &rich([Address::repeat_byte(1)])).unwrap()
}

#[test]
fn a_header_follows_from_its_parent() {
    let parent = header(5);
    assert_eq!(
        check_header(&child(&parent), &parent, &chain(), false),
        Ok(())
    );
    let refused = |change: fn(&mut Header)| {
        let mut header = child(&parent);
        change(&mut header);
        check_header(&header, &parent, &chain(), false).unwrap_err()
    };
    let is = |rejection: Rejection, name: &str| {
        assert!(
            format!("{rejection:?}").starts_with(name),
            "{rejection:?} is not {name}"
        );
    };
    is(refused(|header| header.timestamp_ms = 5_000), "Timestamp");
    is(refused(|header| header.base_fee += 1), "BaseFee");
    is(
        refused(|header| header.ledger_digest = B256::ZERO),
        "Digest",
    );
    is(
        refused(|header| header.shard_section_digest = B256::repeat_byte(1)),
        "Digest",
    );
    is(refused(|header| header.executed.height = 6), "ExecutedRef");
}

#[test]
fn a_reference_never_falls_behind_the_parent_s() {
    let mut parent = header(5);
    parent.executed.height = 3;
    let mut header = child(&parent);
    header.executed.height = 2;
    let rejection = check_header(&header, &parent, &chain(), false).unwrap_err();
    assert!(matches!(
        rejection,
        Rejection::ExecutedRef {
            height: 2,
            parent: 3,
            ..
        }
    ));
}

#[test]
fn a_new_reference_needs_signatures_of_a_quorum_over_exactly_it() {
    let keys: Vec<_> = (0..4).map(PrivateKey::from_seed).collect();
    let validators: Vec<_> = keys.iter().map(|key| key.public_key()).collect();
    let validators = commonware_utils::ordered::Set::try_from(validators).unwrap();
    let result = ExecutionResult {
        height: 2,
        block_hash: B256::repeat_byte(2),
    };
    let schemes = keys
        .into_iter()
        .map(|key| result_scheme(&B256::ZERO, validators.clone(), Some(key)));
    let schemes: Vec<_> = schemes.collect();
    let genesis = ExecutedRef::genesis(B256::repeat_byte(1));
    let start = ExecutionResult {
        height: 0,
        block_hash: genesis.block_hash,
    };
    let mut tally = pipeline::Tally::new(schemes[0].clone(), start);
    let mut certificate: Option<ExecutionCertificate> = None;
    for scheme in &schemes {
        use commonware_cryptography::certificate::Scheme as _;
        let attestation = scheme.sign::<BlockDigest>(&result).unwrap();
        let outcome = tally.count(SignedResult {
            result,
            attestation,
        });
        if let pipeline::TallyOutcome::Certified(certified) = outcome {
            certificate = Some(certified);
        }
    }
    let executed = ExecutedRef::from(certificate.unwrap());
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let mut check =
        |executed: &ExecutedRef| check_certificate(executed, &genesis, &schemes[3], &mut rng);
    assert_eq!(check(&executed), Ok(()));
    assert_eq!(
        check(&genesis),
        Ok(()),
        "the parent's reference was proved before"
    );
    let mut forged = executed.clone();
    forged.block_hash = B256::repeat_byte(3);
    assert_eq!(check(&forged), Err(Rejection::Certificate { height: 2 }));
    let unproved = ExecutedRef {
        certificate: None,
        ..executed
    };
    assert_eq!(check(&unproved), Err(Rejection::Certificate { height: 2 }));
}

#[test]
fn the_budget_shrinks_with_what_is_in_flight_and_binds() {
    let sender = Address::repeat_byte(1);
    let big = |height| {
        let nonce = height - 1;
        sealed(header(height), &[transfer(sender, nonce, 1, 900_000)])
    };
    let in_flight: Vec<_> = (1..=4).map(big).collect();
    assert_eq!(gas_budget(&in_flight[..3], &chain()), 1_000_000);
    assert_eq!(gas_budget(&in_flight, &chain()), 400_000);
    let wrong = sealed(header(5), &[]);
    assert!(matches!(
        body(&wrong, &in_flight),
        Err(Rejection::GasBudget {
            expected: 400_000,
            ..
        })
    ));
    let squeezed = Header {
        gas_budget: 400_000,
        ..header(5)
    };
    let over = sealed(squeezed.clone(), &[transfer(sender, 4, 1, 500_000)]);
    assert!(matches!(
        body(&over, &in_flight),
        Err(Rejection::OverBudget { .. })
    ));
    let fits = sealed(squeezed, &[transfer(sender, 4, 1, 400_000)]);
    assert_eq!(body(&fits, &in_flight), Ok(()));
}

#[test]
fn a_body_breaks_no_rule_of_its_transactions() {
    let sender = Address::repeat_byte(1);
    let one = |transaction| body(&sealed(header(1), &[transaction]), &[]);
    assert_eq!(one(transfer(sender, 0, 1, 21_000)), Ok(()));
    assert!(matches!(
        one(transfer(sender, 1, 1, 21_000)),
        Err(Rejection::Unaffordable { index: 0, .. })
    ));
    assert!(matches!(
        one(transfer(sender, 0, 2 * COIN, 21_000)),
        Err(Rejection::Unaffordable { .. })
    ));
    assert!(matches!(
        one(transfer(sender, 0, 1, 20_999)),
        Err(Rejection::Static { .. })
    ));
    let poor = Address::repeat_byte(2);
    assert!(matches!(
        one(transfer(poor, 0, 0, 21_000)),
        Err(Rejection::Unaffordable { .. })
    ));
}

#[test]
fn directives_are_refused_where_the_chain_is_not_for_development() {
    let directives = vec![Directive::SetBalance(Address::ZERO, U256::from(1))];
    let block = recovered(&Block::new(header(1), Vec::new(), directives));
    assert_eq!(body(&block, &[]), Err(Rejection::Directives));
}

proptest! {
    /// The leader's rules and the voters' are one: no block of an honest leader is refused.
    #[test]
    fn whatever_is_proposed_is_accepted(
        offers in proptest::collection::vec((1_u8..6, 0_u64..6, 0_u64..COIN, 20_000_u64..400_000), 0..60),
        blocks in 1_u64..5,
    ) {
        let chain = chain();
        let senders = (1..6).map(Address::repeat_byte);
        let state = rich(senders);
        let pool = offers.into_iter().map(|(sender, nonce, value, gas)| {
            transfer(Address::repeat_byte(sender), nonce, value, gas)
        });
        let source = FixedTransactions::new(pool.collect(), &mempool::Config::new(chain.clone()));
        let mut in_flight: Vec<RecoveredBlock> = Vec::new();
        let mut parent = header(0);
        for height in 1..=blocks {
            let foundation = Foundation {
                chain: &chain,
                context: genesis_context(),
                parent: &parent,
                in_flight: &in_flight,
                executed: parent.executed.clone(),
                proposer: Address::ZERO,
                base_fee: None,
                timestamp_ms: height * 1_000,
 shards: None,
};
            let block = recovered(&foundation.fill(&source, Vec::new(), &state).unwrap());
            prop_assert_eq!(check_header(block.header(), &parent, &chain, false), Ok(()));
            prop_assert_eq!(check_body(&block, &in_flight, &chain, &state).unwrap(), Ok(()));
            parent = block.header().clone();
            in_flight.push(block);
        }
    }
}
