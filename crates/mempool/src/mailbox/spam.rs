//! Floods: whoever pays more is taken at once and offered first, whatever fills the pool.

use crate::{
    admission::{AdmissionError, CheckedTransaction},
    config::{Config, STANDINGS_PER_WALK},
    event::Event,
    fixtures::{BASE_FEE, ETHER, Rig, account, config, draft},
    mailbox::Admissions,
    selection::TransactionSource,
    stripe_key::StripeKey,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use primitives::RecoveredTransaction;
use std::{collections::BTreeMap, sync::Arc};

const SENDERS: u16 = 10_000;
const SENDER_TRANSACTIONS_MAX: usize = 4;

fn spammer(index: u16) -> Address {
    let mut address = [7; 20];
    address[..2].copy_from_slice(&index.to_be_bytes());
    address.into()
}

fn transaction(sender: Address, nonce: u64, effective_tip: u128) -> RecoveredTransaction {
    let mut draft = draft(0, nonce, effective_tip);
    draft.sender = sender;
    // Makes the hash the sender's own.
    draft.fields.to = alloy_primitives::TxKind::Call(sender);
    draft.recovered()
}

fn flooded(transactions_max: usize) -> Rig {
    Rig::new(Config {
        transactions_max,
        sender_transactions_max: SENDER_TRANSACTIONS_MAX,
        ..config()
    })
}

fn send(pool: &Rig, transactions: Vec<RecoveredTransaction>) -> Admissions {
    let checked = transactions.into_iter().map(|transaction| {
        let checked = CheckedTransaction::check(transaction, &pool.config).expect("legal");
        (checked, account(0, ETHER))
    });
    pool.mempool.admit_checked(checked.collect(), 0)
}

/// Every spammer's transaction with this nonce.
fn wave(nonce: u64, effective_tip: u128) -> Vec<RecoveredTransaction> {
    let senders = (0..SENDERS).map(spammer);
    senders
        .map(|sender| transaction(sender, nonce, effective_tip))
        .collect()
}

fn first(pool: &Rig) -> Option<RecoveredTransaction> {
    pool.best(BASE_FEE, Arc::default()).next()
}

#[test]
fn a_higher_payer_gets_in_at_any_moment() {
    let transactions_max = 25_000;
    let pool = flooded(transactions_max);
    for nonce in 0..6_u64 {
        let answers = send(&pool, wave(nonce, 1));
        let limit = usize::try_from(nonce).unwrap() >= SENDER_TRANSACTIONS_MAX;
        for answer in answers.iter().filter(|_| limit) {
            assert!(matches!(
                answer,
                Err(AdmissionError::AccountLimitExceeded { .. }
                    | AdmissionError::PoolFull
                    | AdmissionError::Underpriced)
            ));
        }
        let payer = Address::repeat_byte(0xa0 + u8::try_from(nonce).unwrap());
        let fee = 50 + u128::from(nonce);
        let answers = send(&pool, vec![transaction(payer, 0, fee)]);
        assert!(answers[0].as_ref().is_ok_and(|admitted| admitted.pending));
        assert_eq!(first(&pool), Some(transaction(payer, 0, fee)));
        assert!(pool.counts().total() <= transactions_max);
    }
    assert_eq!(
        pool.counts().total(),
        transactions_max,
        "the flood filled it"
    );
    for index in 0..SENDERS {
        let content = pool.content_of(&spammer(index));
        let count = content.map_or(0, |content| content.pending.len() + content.queued.len());
        assert!(count <= SENDER_TRANSACTIONS_MAX);
    }
}

#[test]
fn a_flood_behind_gaps_pushes_out_nothing_pending() {
    let pool = flooded(12_000);
    send(&pool, wave(0, 1));
    // Pays a hundred times as much, for what can't be executed.
    send(&pool, wave(2, 100));
    send(&pool, wave(3, 100));
    let counts = pool.counts();
    assert_eq!((counts.pending, counts.queued), (10_000, 2_000));
    let executable: std::collections::BTreeSet<_> = wave(0, 1).iter().map(|tx| tx.hash()).collect();
    let dropped = pool.dropped();
    assert!(dropped.iter().all(|(hash, _)| !executable.contains(hash)));
    // What is executable takes the place of what is not, even at the smallest fee.
    let more: Vec<_> = (0..2_000_u16)
        .map(|index| {
            let mut address = spammer(index);
            address[19] = 9;
            transaction(address, 0, 0)
        })
        .collect();
    assert!(send(&pool, more).iter().all(Result::is_ok));
    let counts = pool.counts();
    assert_eq!((counts.pending, counts.queued), (12_000, 0));
    let late = send(
        &pool,
        vec![transaction(Address::repeat_byte(0xee), 1, 1_000)],
    );
    assert_eq!(late[0], Err(AdmissionError::PoolFull));
}

#[test]
fn a_flood_by_threads_keeps_the_limits_and_the_best() {
    let transactions_max = 3_000;
    let pool = flooded(transactions_max);
    let flood = |thread: u16| {
        for nonce in 0..2 {
            let senders = (0..SENDERS).filter(|index| index % 4 == thread);
            let price = |index: u16| u128::from(index % 50) + 1;
            let wave = senders.map(|index| transaction(spammer(index), nonce, price(index)));
            send(&pool, wave.collect());
            let used = pool.mempool.shared.ledger.used();
            assert!(used.transactions <= transactions_max);
        }
    };
    std::thread::scope(|scope| {
        let flood = &flood;
        for thread in 0..4 {
            scope.spawn(move || flood(thread));
        }
    });
    let counts = pool.counts();
    assert_eq!(counts.total(), transactions_max);
    let used = pool.mempool.shared.ledger.used();
    assert_eq!(
        (used.transactions, used.bytes),
        (counts.total(), counts.bytes)
    );
    assert_eq!(pool.mempool.shared.index.len(), counts.total());
    // Two hundred senders pay each price, so the pool holds those of the best prices only.
    let best: Vec<_> = pool.best(BASE_FEE, Arc::default()).collect();
    let least = best
        .iter()
        .map(|tx| tx.max_priority_fee_per_gas().unwrap_or_default())
        .min();
    assert!(least >= Some(40), "{least:?}");
    // Each transaction's events in their order, and nothing untold.
    let mut held = std::collections::BTreeSet::new();
    for event in pool.take_events() {
        match event {
            Event::Pending(transaction) | Event::Queued(transaction) => {
                held.insert(transaction.hash());
            }
            Event::Dropped { hash, .. } => assert!(held.remove(&hash), "dropped before it came"),
        }
    }
    assert_eq!(held.len(), counts.total());
}

#[test]
fn lanes_that_stand_too_low_are_not_all_walked_with_all_locks_held() {
    let lanes = 3 * u16::try_from(STANDINGS_PER_WALK).unwrap();
    let key = StripeKey::new(config().stripe_seed);
    // The worst of each stripe is where it belongs, so that nobody puts those above it right on the way.
    let mut worst: BTreeMap<usize, Address> = BTreeMap::new();
    for sender in (lanes..=u16::MAX).map(spammer) {
        worst.entry(key.of_sender(&sender)).or_insert(sender);
    }
    let worst = worst.values().map(|sender| transaction(*sender, 0, 0));
    let low = (0..lanes).map(|index| transaction(spammer(index), 0, 1));
    let better = (0..lanes).map(|index| transaction(spammer(index), 1, 1_000));
    let flood: Vec<_> = worst.chain(low).chain(better).collect();
    let pool = Rig::new(Config {
        transactions_max: flood.len() + 1,
        pool_bytes_max: flood
            .iter()
            .map(|transaction| transaction.raw().len())
            .sum(),
        ..config()
    });
    assert!(send(&pool, flood).iter().all(Result::is_ok));
    let mut large = draft(0, 0, 1_000_000);
    large.sender = Address::repeat_byte(0xee);
    large.fields.input = vec![7; 10_000].into();
    large.fields.gas_limit = 2_000_000;
    let come = || send(&pool, vec![large.clone().recovered()]).remove(0);
    assert_eq!(come(), Err(AdmissionError::PoolFull));
    let again = (0..3).map(|_| come());
    assert_eq!(
        again.filter(Result::is_ok).count(),
        1,
        "all stand right then"
    );
}
