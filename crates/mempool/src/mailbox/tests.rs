//! The handle: state is read, listeners are told, the gauge follows.

use super::Mempool;
use crate::{
    admission::AdmissionError,
    event::Event,
    fixtures::{BASE_FEE, ETHER, config, draft, sender},
    selection::{FixedTransactions, TransactionSource},
    short_id::{Found, short_id},
};
use alloy_primitives::{B256, Bytes, U256};
use primitives::RecoveredTransaction;
use state::{Account, MemoryState};
use std::sync::{Arc, Mutex};

fn state(accounts: &[(u8, u64)]) -> MemoryState {
    let mut state = MemoryState::default();
    for (index, nonce) in accounts {
        let account = Account {
            nonce: *nonce,
            balance: U256::from(ETHER),
            ..Account::default()
        };
        state.set_account(sender(*index), account);
    }
    state
}

fn batch(drafts: &[(u8, u64, u128)]) -> Vec<RecoveredTransaction> {
    let drafts = drafts.iter();
    drafts
        .map(|(index, nonce, effective_tip)| draft(*index, *nonce, *effective_tip).recovered())
        .collect()
}

#[test]
fn a_batch_is_answered_in_order() {
    let mempool = Mempool::new(config(), BASE_FEE);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    mempool.listen(Box::new(move |events| {
        hearing.lock().unwrap().extend_from_slice(events);
    }));
    let transactions = batch(&[(1, 0, 5), (1, 0, 5), (2, 3, 5), (3, 0, 5)]);
    let known = transactions[0].hash();
    let admissions = mempool
        .admit_many(transactions, &state(&[(1, 0), (2, 2)]), 0)
        .unwrap();
    assert!(admissions[0].as_ref().unwrap().pending);
    assert_eq!(admissions[1], Err(AdmissionError::AlreadyKnown));
    assert!(!admissions[2].as_ref().unwrap().pending);
    let poor = admissions[3].as_ref().unwrap_err();
    assert!(matches!(poor, AdmissionError::InsufficientFunds { .. }));
    let told = [
        Event::Pending(draft(1, 0, 5).recovered()),
        Event::Queued(draft(2, 3, 5).recovered()),
    ];
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    assert!(told.iter().all(|event| heard.contains(event)));
    assert_eq!(mempool.missing(&[known, B256::ZERO]), [B256::ZERO]);
    assert_eq!(mempool.content().len(), 2);
}

#[test]
fn code_is_read_from_the_state() {
    let mempool = Mempool::new(config(), BASE_FEE);
    let mut state = state(&[(1, 0), (2, 0)]);
    state.set_code(sender(1), Bytes::from_static(&[0x60]));
    let delegation = [&[0xef, 0x01, 0x00][..], &[7; 20]].concat();
    state.set_code(sender(2), delegation.into());
    let admissions = mempool
        .admit_many(batch(&[(1, 0, 5), (2, 0, 5)]), &state, 0)
        .unwrap();
    let refused = AdmissionError::SenderIsContract(sender(1));
    assert_eq!(admissions[0], Err(refused));
    assert!(admissions[1].is_ok());
}

#[test]
fn a_fixed_source_offers_what_a_pool_offers() {
    let transactions = batch(&[(1, 4, 5), (2, 0, 7), (1, 5, 50), (2, 2, 9)]);
    let mempool = Mempool::new(config(), BASE_FEE);
    let state = state(&[(1, 4), (2, 0)]);
    mempool.admit_many(transactions.clone(), &state, 0).unwrap();
    let fixed = FixedTransactions::new(transactions, &config());
    let offered: Vec<_> = fixed.best(BASE_FEE, Arc::default()).collect();
    assert_eq!(offered.len(), 3);
    let pooled: Vec<_> = mempool.best(BASE_FEE, Arc::default()).collect();
    assert_eq!(pooled, offered);
}

#[test]
fn many_senders_and_threads_lose_nothing() {
    let mempool = Mempool::new(config(), BASE_FEE);
    let accounts: Vec<_> = (0..8).map(|index| (index, 0)).collect();
    let state = state(&accounts);
    std::thread::scope(|scope| {
        for index in 0..8 {
            let (mempool, state) = (&mempool, &state);
            scope.spawn(move || {
                let nonces = (0..300).map(|nonce| draft(index, nonce, 5).recovered());
                mempool.admit_many(nonces.collect(), state, 0).unwrap();
            });
            let mempool = mempool.clone();
            scope.spawn(move || mempool.best(BASE_FEE, Arc::default()).count());
        }
    });
    assert_eq!(mempool.counts().pending, 8 * 300);
    assert_eq!(mempool.best(BASE_FEE, Arc::default()).count(), 8 * 300);
}

#[test]
fn short_ids_find_what_is_there() {
    let mempool = Mempool::new(config(), BASE_FEE);
    let transactions = batch(&[(1, 0, 5), (2, 0, 7), (2, 4, 7)]);
    let ids: Vec<_> = transactions.iter().map(|tx| short_id(&tx.hash())).collect();
    assert!(
        mempool
            .find(&ids)
            .iter()
            .all(|found| *found == Found::Missing)
    );
    let state = state(&[(1, 0), (2, 0)]);
    mempool.admit_many(transactions.clone(), &state, 0).unwrap();
    let found = transactions.iter().cloned().map(Found::One);
    assert_eq!(mempool.find(&ids), found.collect::<Vec<_>>());
    assert!(mempool.remove(&transactions[1].hash()).is_some());
    assert_eq!(mempool.find(&ids[1..2]), [Found::Missing]);
    assert_eq!(mempool.find(&[]), []);
}
