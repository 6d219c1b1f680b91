//! What a peer sends is transactions or an error; what is sent again is bounded and goes round.

use super::*;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Signature, U256};
use primitives::transaction::Envelope;
use proptest::prelude::*;

fn transaction(nonce: u64, input_bytes: usize) -> Transaction {
    let unsigned = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        input: vec![7; input_bytes].into(),
        ..Default::default()
    };
    let signature = Signature::new(U256::from(5), U256::from(6), false);
    let envelope = Envelope::from(unsigned.into_signed(signature));
    Transaction::decode(envelope.encoded_2718()).unwrap()
}

fn message(transactions: &[Transaction]) -> Vec<u8> {
    let mut message = Vec::new();
    for transaction in transactions {
        let raw = transaction.raw();
        message.put_u32(u32::try_from(raw.len()).unwrap());
        message.put_slice(raw);
    }
    message
}

#[test]
fn what_is_sent_reads_back() {
    let sent = [transaction(0, 10), transaction(1, 0)];
    assert_eq!(decode(message(&sent).into()).unwrap(), sent);
    assert!(decode(bytes::Bytes::new()).unwrap().is_empty());
}

#[test]
fn a_message_that_ends_early_or_lies_about_its_lengths_is_refused() {
    let whole = message(&[transaction(0, 10)]);
    for length in 1..whole.len() {
        assert!(
            decode(whole[..length].to_vec().into()).is_err(),
            "length={length}"
        );
    }
    let mut long = whole.clone();
    long[0] = 0xff;
    assert!(decode(long.into()).is_err());
    let mut blob = whole;
    blob[4] = 3;
    assert!(decode(blob.into()).is_err());
}

#[test]
fn what_waits_is_sent_again_in_turn_within_the_limit() {
    let large = 100 * 1024;
    let mut waiting: VecDeque<_> = (0..30).map(|nonce| transaction(nonce, large)).collect();
    let (first, second) = (turn(&mut waiting), turn(&mut waiting));
    let bytes: usize = first
        .iter()
        .map(|transaction| transaction.raw().len())
        .sum();
    assert!(bytes <= RETRIED_BYTES_MAX && bytes > RETRIED_BYTES_MAX - 2 * large);
    assert_eq!(waiting.len(), 30);
    assert!(
        second
            .iter()
            .all(|transaction| !first.contains(transaction))
    );
}

#[test]
fn received_hashes_are_remembered_within_a_bound() {
    let mut received = Received::default();
    let hash = |number: usize| B256::from(U256::from(number));
    for number in 0..4 * RECEIVED_MAX {
        received.insert(hash(number));
    }
    assert!(received.young.len() + received.old.len() <= RECEIVED_MAX);
    assert!(received.contains(&hash(4 * RECEIVED_MAX - 1)));
    assert!(!received.contains(&hash(0)));
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        // Whatever comes back, coming back is the point; an empty message is the only valid one.
        prop_assert_eq!(decode(bytes.clone().into()).is_ok(), bytes.is_empty());
    }
}
