//! What predictions cost, and that nobody can make them cost more.

use super::{
    Address, B256, CODE, Method, Predictor, RecoveredTransaction, TOKEN, Trace, U256, Wanted,
    account, after, call, input, keccak256, swap, transfer,
};
use crate::predict::{
    call::Call,
    method::{FIRST_CALLS, SAMPLE_CALLS, TEMPLATES_MAX},
    methods::{METHODS_MAX, MethodKey},
};

/// How many hashes the prediction of everything takes.
pub(super) fn hashes(predictor: &Predictor, transaction: &RecoveredTransaction) -> usize {
    let Some(method) = find(predictor, transaction) else {
        return 0;
    };
    let call = Call::new(transaction).unwrap();
    let mut hasher = method.hasher();
    method.predict(&call, Wanted::All, &mut hasher, &mut Vec::new());
    hasher.len()
}

fn find<'p>(predictor: &'p Predictor, transaction: &RecoveredTransaction) -> Option<&'p Method> {
    let call = Call::new(transaction)?;
    predictor.methods.get(&MethodKey::new(CODE, call.selector))
}

/// Words that nobody has chosen.
fn noise(seed: u64) -> impl FnMut() -> U256 {
    let mut state = B256::from(U256::from(seed));
    move || {
        state = keccak256(state);
        state.into()
    }
}

/// A call that claims to have touched anything.
pub(super) fn lie(seed: u64) -> Trace {
    let mut noise = noise(seed);
    let words: Vec<U256> = (0..100).map(|_| noise()).collect();
    let mut trace = Trace::new(call(account(seed % 3), TOKEN, input("lie()", &words)));
    for index in 0..1_000 {
        let (address, slot) = (Address::from_word(noise().into()), noise());
        let base = if index % 2 == 0 { noise() } else { slot };
        trace.touched.push((address, slot, index % 3 == 0));
        trace
            .preimages
            .push((slot.into(), [words[index % 16], base]));
    }
    trace
}

/// A call that reaches as many slots as it can in as many steps as there may be.
pub(super) fn maze(seed: u64) -> Trace {
    let words: Vec<U256> = (0..16).map(|word| U256::from(seed * 100 + word)).collect();
    let mut trace = Trace::new(call(account(seed), TOKEN, input("maze()", &words)));
    for base in 0..20_u64 {
        let mut slot = U256::from(base);
        for step in 0..3 {
            slot = trace.lookup(words[(usize::try_from(base).unwrap() + step) % 16], slot);
        }
        trace = trace.write(TOKEN, slot);
    }
    trace
}

#[test]
fn nothing_is_hashed_that_is_not_wanted() {
    let predictor = after(&[swap(1, 2, 10), swap(3, 4, 20)]);
    let next = swap(5, 6, 30).transaction;
    assert_eq!(hashes(&predictor, &next), 4);
    let method = find(&predictor, &next).unwrap();
    let (mut hasher, mut out) = (method.hasher(), Vec::new());
    let call = Call::new(&next).unwrap();
    method.predict(&call, Wanted::Conflicting, &mut hasher, &mut out);
    assert_eq!((hasher.len(), out), (0, Vec::new()));
}

#[test]
fn hot_slots_are_hashed_once() {
    let mut predictor = after(&[transfer(1, 7, 10), transfer(2, 8, 10)]);
    let next = transfer(3, 9, 10);
    assert_eq!(hashes(&predictor, &next.transaction), 2);
    let (address, slot, _) = next.touched[1];
    predictor.conflicted(&next.observation(), address, slot);
    let same_recipient = transfer(4, 9, 10);
    assert_eq!(hashes(&predictor, &same_recipient.transaction), 1);
    same_recipient.assert_predicted(&predictor);
    // As many others may conflict as they like.
    for index in 100..200 {
        let other = transfer(index, index + 1, 10);
        let (address, slot, _) = other.touched[1];
        predictor.conflicted(&other.observation(), address, slot);
    }
    assert_eq!(hashes(&predictor, &same_recipient.transaction), 2);
    let latest = transfer(5, 200, 10);
    assert_eq!(hashes(&predictor, &latest.transaction), 1);
    latest.assert_predicted(&predictor);
}

#[test]
fn learning_becomes_rare() {
    let mut predictor = Predictor::default();
    let selector = Call::new(&transfer(1, 2, 3).transaction).unwrap().selector;
    let mut learned = 0;
    let calls = 6_400;
    for index in 0..calls {
        if predictor.wants_to_learn(CODE, selector) {
            transfer(index, index + 1, 5).teach(&mut predictor);
            learned += 1;
        }
    }
    assert!(
        learned <= FIRST_CALLS + calls / SAMPLE_CALLS + 1,
        "{learned}"
    );
    assert!(learned >= calls / SAMPLE_CALLS, "{learned}");
}

#[test]
fn what_nobody_asked_for_is_not_learned_for_ever() {
    let mut predictor = Predictor::default();
    for index in 0..FIRST_CALLS {
        transfer(index, index + 1, 5).teach(&mut predictor);
    }
    let other = swap(1, 2, 3);
    let changed = Trace {
        transaction: transfer(1, 2, 3).transaction,
        ..other
    };
    (0..100).for_each(|_| changed.teach(&mut predictor));
    transfer(7, 8, 9).assert_predicted(&predictor);
}

#[test]
fn lies_are_bounded() {
    let mut predictor = Predictor::default();
    for seed in 0..200 {
        let lie = lie(seed);
        lie.teach(&mut predictor);
        for (address, slot, _) in &lie.touched[..50] {
            predictor.conflicted(&lie.observation(), *address, *slot);
        }
        assert!(find(&predictor, &lie.transaction).unwrap().templates() <= TEMPLATES_MAX);
        assert!(lie.predicted(&predictor, Wanted::All).len() <= TEMPLATES_MAX);
        assert!(hashes(&predictor, &lie.transaction) <= 16);
    }
}

#[test]
fn a_maze_is_not_followed_to_its_end() {
    let predictor = after(&[maze(1), maze(2), maze(3)]);
    let next = maze(4);
    assert_eq!(hashes(&predictor, &next.transaction), 16);
    let predicted = next.predicted(&predictor, Wanted::All);
    let score = Predictor::score(&predicted, &next.touched);
    assert_eq!((score.predicted, score.hits), (5, 5));
}

#[test]
fn a_preimage_of_itself_ends() {
    let slot = keccak256("loop");
    let mut trace = transfer(1, 2, 3);
    trace.touched = vec![(TOKEN, slot.into(), true)];
    trace.preimages = vec![(slot, [U256::from(3), slot.into()])];
    let mut predictor = Predictor::default();
    trace.teach(&mut predictor);
    trace.teach(&mut predictor);
    trace.predicted(&predictor, Wanted::All);
    predictor.conflicted(&trace.observation(), TOKEN, slot.into());
}

#[test]
fn many_methods_do_not_drive_out_those_in_use() {
    let mut predictor = after(&[transfer(1, 2, 10), transfer(3, 4, 10)]);
    let known = transfer(5, 6, 7);
    let selector = Call::new(&known.transaction).unwrap().selector;
    let mut noise = noise(1);
    for index in 0..5 * METHODS_MAX {
        predictor.learn_gas(noise().into(), [1; 4], 1);
        if index % 1_000 == 0 {
            predictor.learn_gas(CODE, selector, 50_000);
        }
        assert!(predictor.methods.len() <= METHODS_MAX);
    }
    known.assert_predicted(&predictor);
    for _ in 0..METHODS_MAX {
        predictor.learn_gas(noise().into(), [1; 4], 1);
    }
    assert_eq!(known.predicted(&predictor, Wanted::All), []);
    assert_eq!(predictor.gas(CODE, selector), None);
}
