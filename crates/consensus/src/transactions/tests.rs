//! What a peer sends is transactions or an error; what is sent again is bounded and goes round.

use super::*;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Signature, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use commonware_actor::Feedback;
use commonware_cryptography::Signer as _;
use commonware_p2p::BlockedSubscription;
use primitives::crypto::PrivateKey;
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

/// A transaction with a signature of one of few signers.
fn signed(number: u8) -> Transaction {
    let unsigned = TxEip1559 {
        chain_id: 1,
        nonce: number.into(),
        gas_limit: 21_000,
        ..Default::default()
    };
    let signature = signer(number % 4)
        .sign_hash_sync(&unsigned.signature_hash())
        .unwrap();
    let envelope = Envelope::from(unsigned.into_signed(signature));
    Transaction::decode(envelope.encoded_2718()).unwrap()
}

fn signer(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number + 1)).unwrap()
}

fn key(number: u8) -> SenderKey {
    SenderKey::new(signer(number).public_key().0)
}

/// Remembers who was banned.
#[derive(Clone, Default)]
struct Bans(Arc<Mutex<Vec<PublicKey>>>);

impl Blocker for Bans {
    type PublicKey = PublicKey;

    fn block(&mut self, peer: PublicKey) -> Feedback {
        self.0.lock().unwrap().push(peer);
        Feedback::Ok
    }

    fn blocked(&mut self) -> BlockedSubscription<PublicKey> {
        panic!("nobody asks who is banned")
    }
}

fn peer() -> PublicKey {
    PrivateKey::from_seed(1).public_key()
}

fn intake() -> Intake<Bans> {
    Intake {
        senders: SenderCache::default(),
        blocker: Bans::default(),
        impersonation: Impersonation::Refused,
        received: Arc::default(),
        allowances: Allowances::new(RECEIVED_BYTES_PER_SECOND),
        random: StdRng::seed_from_u64(1),
    }
}

fn bans(intake: &Intake<Bans>) -> usize {
    intake.blocker.0.lock().unwrap().len()
}

/// A message with these hints.
fn message(transactions: &[(Transaction, Option<SenderKey>)]) -> bytes::Bytes {
    let mut builder = BundleBuilder::new(TRANSACTIONS_BYTES_MAX);
    for (transaction, key) in transactions {
        builder.push(transaction.raw(), key.as_ref()).unwrap();
    }
    builder.finish()
}

#[test]
fn what_is_sent_reads_back_with_the_keys_that_are_known() {
    let senders = SenderCache::default();
    let sent: Vec<_> = (0..8).map(signed).collect();
    // The first four entered here, the rest came from elsewhere; 3 came alone.
    let recovered = senders.recover_many(sent[..3].to_vec(), Impersonation::Refused);
    assert!(recovered.iter().all(Result::is_ok));
    senders
        .recover(sent[3].clone(), Impersonation::Refused)
        .unwrap();
    let messages = bundles(&sent[..5], &senders);
    let [message] = &messages[..] else {
        panic!("one message")
    };
    let arrived = Arrived::decode(message.clone()).unwrap();
    assert_eq!(arrived.transactions, sent[..5]);
    let keys: Vec<_> = arrived
        .hinted()
        .into_iter()
        .map(|(_, key)| key.copied())
        .collect();
    let expected = [Some(key(0)), Some(key(1)), Some(key(2)), Some(key(3)), None];
    assert_eq!(keys, expected);
    let mut intake = intake();
    assert_eq!(intake.take(peer(), message.clone()).len(), 5);
    assert_eq!(bans(&intake), 0);
    assert!(bundles(&[], &senders).is_empty());
}

#[test]
fn no_message_is_larger_than_allowed_and_none_is_empty() {
    let senders = SenderCache::default();
    let large: Vec<_> = (0..9).map(|nonce| transaction(nonce, 100 * 1024)).collect();
    let messages = bundles(&large, &senders);
    assert_eq!(messages.len(), 5);
    let mut read = Vec::new();
    for message in messages {
        assert!(message.len() <= TRANSACTIONS_BYTES_MAX);
        let arrived = Arrived::decode(message).unwrap();
        assert!(!arrived.transactions.is_empty());
        read.extend(arrived.transactions);
    }
    assert_eq!(read, large);
}

#[test]
fn a_peer_that_sends_false_keys_is_banned_and_the_transactions_are_right() {
    let honest: Vec<_> = (0..12)
        .map(|number| (signed(number), Some(key(number % 4))))
        .collect();
    let senders: Vec<_> = (0..12_u8)
        .map(|number| signer(number % 4).address())
        .collect();
    let take = |intake: &mut Intake<Bans>, hinted: &[_]| -> Vec<_> {
        let recovered = intake.take(peer(), message(hinted));
        recovered
            .iter()
            .map(|transaction| transaction.sender())
            .collect()
    };
    let mut first = intake();
    assert_eq!(take(&mut first, &honest), senders);
    assert_eq!(bans(&first), 0);
    let received = Arc::clone(&first.received);
    let is_received = |(transaction, _): &(Transaction, _)| {
        let received = received.lock().unwrap();
        received.contains(&transaction.hash())
    };
    assert!(honest.iter().all(is_received));
    for false_key in [key(3), key(9), SenderKey::new([7; 64])] {
        let mut lies = honest.clone();
        lies[5].1 = Some(false_key);
        let mut fresh = intake();
        assert_eq!(take(&mut fresh, &lies), senders);
        assert_eq!(*fresh.blocker.0.lock().unwrap(), [peer()]);
        // It is a lie about a transaction that is known, too.
        assert_eq!(take(&mut first, &lies), senders);
    }
    assert_eq!(bans(&first), 3);
    // Two keys swapped, and a key for what nobody signed.
    let mut swapped = honest.clone();
    (swapped[0].1, swapped[1].1) = (honest[1].1, honest[0].1);
    let mut fresh = intake();
    assert_eq!(take(&mut fresh, &swapped), senders);
    assert_eq!(bans(&fresh), 1);
    let nobody = Transaction::decode(transaction(0, 0).raw().clone()).unwrap();
    let is_signed = nobody.clone().recover(Impersonation::Refused).is_ok();
    let mut fresh = intake();
    assert_eq!(
        fresh.take(peer(), message(&[(nobody.clone(), None)])).len(),
        usize::from(is_signed)
    );
    let mut banned = usize::from(!is_signed);
    assert_eq!(bans(&fresh), banned);
    fresh.take(peer(), message(&[(nobody, Some(key(1)))]));
    banned += 1;
    assert_eq!(bans(&fresh), banned);
}

#[test]
fn what_nobody_signed_costs_its_sender_the_connection_and_the_others_nothing() {
    let unsigned = TxEip1559 {
        chain_id: 1,
        ..Default::default()
    };
    let signature = Signature::new(U256::MAX, U256::from(6), false);
    let forged = Envelope::from(unsigned.into_signed(signature));
    let forged = Transaction::decode(forged.encoded_2718()).unwrap();
    let mut intake = intake();
    let taken = intake.take(peer(), message(&[(signed(1), None), (forged, None)]));
    assert_eq!(taken.len(), 1);
    assert_eq!(bans(&intake), 1);
}

#[test]
fn a_peer_that_floods_is_read_so_many_bytes_a_second() {
    let start = SystemTime::UNIX_EPOCH;
    let mut intake = intake();
    let other = PrivateKey::from_seed(2).public_key();
    let mut read = 0;
    for number in 0..3_000_u64 {
        let now = start + Duration::from_millis(number);
        if intake.admits(&peer(), TRANSACTIONS_BYTES_MAX, now) {
            read += TRANSACTIONS_BYTES_MAX;
        }
    }
    let most = RECEIVED_BYTES_PER_SECOND * 5;
    assert!(read <= most && read * 10 > most * 9, "{read} of {most}");
    assert!(intake.admits(&other, TRANSACTIONS_BYTES_MAX, start));
}

#[test]
fn a_message_that_ends_early_or_lies_about_its_lengths_is_refused() {
    let whole = message(&[(transaction(0, 10), None)]);
    let refused = |message: Vec<u8>| {
        let mut intake = intake();
        let none = intake.take(peer(), message.into()).is_empty();
        none && bans(&intake) == 1
    };
    for length in (0..3).chain(4..whole.len()) {
        assert!(refused(whole[..length].to_vec()), "length={length}");
    }
    // A bundle without transactions says nothing, which is no offence.
    assert!(!refused(whole[..3].to_vec()));
    let mut long = whole.to_vec();
    long[5] = 0xff;
    assert!(refused(long));
    let mut blob = whole.to_vec();
    blob[9] = 3;
    assert!(refused(blob));
    let mut unknown_key = whole.to_vec();
    unknown_key[4] = 0;
    assert!(refused(unknown_key));
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
        // Whatever comes back, coming back is the point; garbage may be a message of no transactions.
        if let Ok(arrived) = Arrived::decode(bytes.into()) {
            prop_assert!(arrived.transactions.is_empty());
        }
    }
}
