//! Tests of prediction, over calls whose touched slots are made up here; over what real contracts do
//! in [`contracts`].

mod contracts;
mod costs;
mod limits;

use super::{
    Observation, PredictedSlot, Predictor, Wanted, hashes::hash, method::Method, selector,
};
use alloy_consensus::{SignableTransaction as _, Transaction as _, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use primitives::{RecoveredTransaction, transaction::Envelope};

const CODE: B256 = B256::repeat_byte(0xc0);
const TOKEN: Address = Address::repeat_byte(0x70);
const OTHER_TOKEN: Address = Address::repeat_byte(0x71);
const PAIR: Address = Address::repeat_byte(0x50);

/// One of the accounts.
fn account(index: u64) -> Address {
    Address::from_word(keccak256(index.to_be_bytes()))
}

fn word(address: Address) -> U256 {
    address.into_word().into()
}

fn input(signature: &str, words: &[U256]) -> Bytes {
    let selector = keccak256(signature)[..4].to_vec();
    let words = words.iter().map(|word| word.to_be_bytes_vec());
    [selector, words.collect::<Vec<_>>().concat()]
        .concat()
        .into()
}

fn sent(sender: Address, nonce: u64, to: TxKind, input: Bytes) -> RecoveredTransaction {
    let transaction = TxEip1559 {
        chain_id: 31_337,
        nonce,
        gas_limit: 500_000,
        max_fee_per_gas: 1_000,
        to,
        input,
        ..TxEip1559::default()
    };
    let signed = transaction.into_signed(Signature::test_signature());
    RecoveredTransaction::from_fixture(Envelope::Eip1559(signed), sender)
}

fn call(sender: Address, to: Address, input: Bytes) -> RecoveredTransaction {
    sent(sender, 0, TxKind::Call(to), input)
}

/// What a call does, as it does it.
struct Trace {
    transaction: RecoveredTransaction,
    touched: Vec<(Address, U256, bool)>,
    preimages: Vec<(B256, [U256; 2])>,
}

impl Trace {
    fn new(transaction: RecoveredTransaction) -> Self {
        Self {
            transaction,
            touched: Vec::new(),
            preimages: Vec::new(),
        }
    }

    /// Looks a key up in the mapping at a slot.
    fn lookup(&mut self, key: U256, base: U256) -> U256 {
        let slot = hash([key, base]);
        self.preimages.push((slot.into(), [key, base]));
        slot
    }

    fn read(mut self, address: Address, slot: U256) -> Self {
        self.touched.push((address, slot, false));
        self
    }

    fn write(mut self, address: Address, slot: U256) -> Self {
        self.touched.push((address, slot, true));
        self
    }

    fn write_mapped(mut self, address: Address, key: Address, base: u64) -> Self {
        let slot = self.lookup(word(key), U256::from(base));
        self.write(address, slot)
    }

    fn observation(&self) -> Observation<'_> {
        Observation {
            transaction: &self.transaction,
            code_hash: CODE,
            touched: &self.touched,
            preimages: &self.preimages,
        }
    }

    fn teach(&self, predictor: &mut Predictor) {
        predictor.learn(&self.observation());
    }

    fn predicted(&self, predictor: &Predictor, wanted: Wanted) -> Vec<PredictedSlot> {
        let mut out = Vec::new();
        predictor.predict(&self.transaction, CODE, wanted, &mut out);
        out
    }

    /// Everything is predicted that the call touches, and nothing else.
    fn assert_predicted(&self, predictor: &Predictor) {
        let predicted = self.predicted(predictor, Wanted::All);
        let mut predicted: Vec<_> = predicted
            .iter()
            .map(|one| (one.address, one.slot, one.writes))
            .collect();
        let mut touched = self.touched.clone();
        predicted.sort_unstable();
        touched.sort_unstable();
        assert_eq!(predicted, touched);
    }
}

/// `balances` is mapping 0, `allowances` is mapping 1.
fn transfer(from: u64, to: u64, value: u64) -> Trace {
    let (from, to) = (account(from), account(to));
    let input = input("transfer(address,uint256)", &[word(to), U256::from(value)]);
    Trace::new(call(from, TOKEN, input))
        .write_mapped(TOKEN, from, 0)
        .write_mapped(TOKEN, to, 0)
}

fn transfer_from(spender: u64, from: u64, to: u64) -> Trace {
    let (spender, from, to) = (account(spender), account(from), account(to));
    let words = [word(from), word(to), U256::from(7)];
    let input = input("transferFrom(address,address,uint256)", &words);
    let mut trace = Trace::new(call(spender, TOKEN, input));
    let spenders = trace.lookup(word(from), U256::ONE);
    let allowance = trace.lookup(word(spender), spenders);
    trace
        .write(TOKEN, allowance)
        .write_mapped(TOKEN, from, 0)
        .write_mapped(TOKEN, to, 0)
}

fn approve(owner: u64, spender: u64) -> Trace {
    let (owner, spender) = (account(owner), account(spender));
    let words = [word(spender), U256::MAX];
    let input = input("approve(address,uint256)", &words);
    let mut trace = Trace::new(call(owner, TOKEN, input));
    let spenders = trace.lookup(word(owner), U256::ONE);
    let allowance = trace.lookup(word(spender), spenders);
    trace.write(TOKEN, allowance)
}

/// Calls a pair, which holds reserves of two tokens: pays in before, takes out now.
fn swap(trader: u64, to: u64, amount: u64) -> Trace {
    let (trader, to) = (account(trader), account(to));
    let words = [U256::ZERO, U256::from(amount), word(to)];
    let input = input("swap(uint256,uint256,address)", &words);
    Trace::new(call(trader, PAIR, input))
        .read(PAIR, U256::ZERO)
        .read(PAIR, U256::ONE)
        .write(PAIR, U256::from(2))
        .write_mapped(TOKEN, trader, 0)
        .write_mapped(TOKEN, PAIR, 0)
        .write_mapped(OTHER_TOKEN, PAIR, 3)
        .write_mapped(OTHER_TOKEN, to, 3)
}

/// The owner of the next piece is found by a counter.
fn mint(owner: u64, id: u64) -> Trace {
    let owner = account(owner);
    let mut trace = Trace::new(call(owner, TOKEN, input("mint()", &[])));
    let piece = trace.lookup(U256::from(id), U256::ONE);
    trace
        .write(TOKEN, U256::ZERO)
        .write_mapped(TOKEN, owner, 2)
        .write(TOKEN, piece)
}

fn after(traces: &[Trace]) -> Predictor {
    let mut predictor = Predictor::default();
    traces.iter().for_each(|trace| trace.teach(&mut predictor));
    predictor
}

#[test]
fn transfers_of_some_predict_those_of_others() {
    let mut predictor = after(&[transfer(1, 2, 10)]);
    let next = transfer(3, 4, 30);
    assert_eq!(next.predicted(&predictor, Wanted::All), []);
    transfer(5, 6, 10).teach(&mut predictor);
    next.assert_predicted(&predictor);
    let fresh = transfer(8, 9, 1);
    fresh.assert_predicted(&predictor);
}

#[test]
fn one_trader_can_teach_all() {
    let predictor = after(&[transfer(1, 2, 10), transfer(1, 2, 10)]);
    transfer(3, 4, 30).assert_predicted(&predictor);
}

#[test]
fn an_allowance_is_a_mapping_in_a_mapping() {
    let predictor = after(&[transfer_from(1, 2, 3), transfer_from(4, 5, 6)]);
    transfer_from(7, 8, 9).assert_predicted(&predictor);
    let predictor = after(&[approve(1, 2), approve(3, 4)]);
    approve(5, 6).assert_predicted(&predictor);
}

#[test]
fn methods_of_one_contract_are_told_apart() {
    let predictor = after(&[transfer(1, 2, 10), approve(3, 4), transfer(5, 6, 7)]);
    assert_eq!(approve(5, 6).predicted(&predictor, Wanted::All), []);
    transfer(8, 9, 1).assert_predicted(&predictor);
}

#[test]
fn a_swap_is_constants_and_four_balances() {
    let predictor = after(&[swap(1, 2, 10), swap(3, 4, 20)]);
    swap(5, 6, 30).assert_predicted(&predictor);
}

#[test]
fn a_coincidence_is_found_out() {
    // Every one of the first swaps pays its trader: `to` looks like the caller.
    let mut predictor = after(&[swap(1, 1, 10), swap(2, 2, 20)]);
    swap(3, 3, 30).assert_predicted(&predictor);
    swap(4, 5, 10).teach(&mut predictor);
    swap(6, 7, 10).teach(&mut predictor);
    let next = swap(8, 9, 10);
    let predicted = next.predicted(&predictor, Wanted::All);
    let score = Predictor::score(&predicted, &next.touched);
    assert_eq!(score.hits, score.touched);
    for other in 10..20 {
        swap(other, other + 100, 10).teach(&mut predictor);
    }
    next.assert_predicted(&predictor);
}

#[test]
fn a_counter_is_predicted_and_what_it_counts_is_not() {
    let mut predictor = Predictor::default();
    for id in 0..20 {
        mint(id + 100, id).teach(&mut predictor);
    }
    let next = mint(300, 20);
    let predicted = next.predicted(&predictor, Wanted::All);
    let score = Predictor::score(&predicted, &next.touched);
    assert_eq!((score.predicted, score.touched, score.hits), (2, 3, 2));
}

#[test]
fn members_of_a_struct_take_one_hash() {
    let position = |owner: u64| {
        let mut trace = Trace::new(call(account(owner), TOKEN, input("open()", &[])));
        let slot = trace.lookup(word(account(owner)), U256::from(4));
        let member = |offset: u64| slot + U256::from(offset);
        trace
            .write(TOKEN, member(0))
            .read(TOKEN, member(1))
            .write(TOKEN, member(8))
    };
    let predictor = after(&[position(1), position(2)]);
    let next = position(3);
    next.assert_predicted(&predictor);
    assert_eq!(limits::hashes(&predictor, &next.transaction), 1);
}

#[test]
fn mappings_nest_three_deep() {
    let nested = |caller: u64, id: u64, depth: usize| {
        let id = U256::from(id);
        let transaction = call(account(caller), TOKEN, input("set(uint256)", &[id]));
        let mut trace = Trace::new(transaction);
        // A struct in between, and a key that is always the same.
        let keys = [id, U256::from(99), word(account(caller)), id];
        let mut slot = U256::from(6);
        for key in &keys[..depth] {
            slot = trace.lookup(*key, slot) + U256::ONE;
        }
        trace.write(TOKEN, slot)
    };
    let predictor = after(&[nested(1, 51, 3), nested(2, 52, 3)]);
    nested(3, 53, 3).assert_predicted(&predictor);
    let predictor = after(&[nested(1, 51, 4), nested(2, 52, 4), nested(3, 53, 4)]);
    assert_eq!(nested(4, 54, 4).predicted(&predictor, Wanted::All), []);
}

#[test]
fn a_contract_may_be_named_by_the_call() {
    let route = |trader: u64, token: Address| {
        let input = input("pay(uint256,address)", &[U256::from(trader), word(token)]);
        let trader = account(trader);
        Trace::new(call(trader, PAIR, input))
            .write_mapped(token, trader, 0)
            .write_mapped(token, PAIR, 0)
    };
    let token = Address::repeat_byte;
    let predictor = after(&[route(1, token(0xa1)), route(2, token(0xa2))]);
    route(3, token(0xa3)).assert_predicted(&predictor);
}

#[test]
fn only_what_conflicts_is_predicted_if_asked() {
    let mut predictor = after(&[swap(1, 2, 10), swap(3, 4, 20)]);
    let next = swap(5, 6, 30);
    assert_eq!(next.predicted(&predictor, Wanted::Conflicting), []);
    predictor.conflicted(&next.observation(), PAIR, U256::from(2));
    let slots = next.predicted(&predictor, Wanted::Conflicting);
    assert_eq!(slots.len(), 1);
    assert_eq!((slots[0].slot, slots[0].writes), (U256::from(2), true));
    // A mapped slot is recognised without preimages as well.
    let unseen = Trace {
        preimages: Vec::new(),
        ..swap(5, 6, 30)
    };
    let (address, slot, _) = next.touched[4];
    predictor.conflicted(&unseen.observation(), address, slot);
    // One conflict is not worth a hash for every call.
    assert_eq!(next.predicted(&predictor, Wanted::Conflicting), slots);
    predictor.conflicted(&unseen.observation(), address, slot);
    let both = next.predicted(&predictor, Wanted::Conflicting);
    assert_eq!(both.len(), 2);
    next.assert_predicted(&predictor);
    let ask = |predictor: &Predictor, calls| {
        (0..calls).for_each(|_| {
            next.predicted(predictor, Wanted::Conflicting);
        });
    };
    // Who waits for it keeps it in mind.
    for _ in 0..8 {
        ask(&predictor, 16);
        let confirm = |slot| predictor.confirm(&next.transaction, CODE, slot);
        both.iter().for_each(confirm);
    }
    assert_eq!(next.predicted(&predictor, Wanted::Conflicting), both);
    // It is forgotten when nothing of the kind happens again.
    ask(&predictor, 2_000);
    assert_eq!(next.predicted(&predictor, Wanted::Conflicting), []);
}

#[test]
fn a_conflict_teaches_too() {
    let mut predictor = Predictor::default();
    let vote = |voter: u64| {
        let input = input("vote(uint256)", &[U256::from(77)]);
        Trace::new(call(account(voter), TOKEN, input)).write(TOKEN, U256::from(5))
    };
    predictor.conflicted(&vote(1).observation(), TOKEN, U256::from(5));
    assert_eq!(vote(2).predicted(&predictor, Wanted::Conflicting), []);
    vote(2).teach(&mut predictor);
    assert_eq!(vote(3).predicted(&predictor, Wanted::Conflicting).len(), 1);
}

#[test]
fn slots_that_half_of_the_calls_touch_stay() {
    let mut predictor = Predictor::default();
    let side = |index: u64| {
        let input = input("vote(uint256)", &[U256::from(77)]);
        let trace = Trace::new(call(account(index), TOKEN, input));
        trace.write(TOKEN, U256::from(index % 2))
    };
    for index in 0..200 {
        side(index).teach(&mut predictor);
        if index > 4 {
            assert_eq!(side(0).predicted(&predictor, Wanted::All).len(), 2);
        }
    }
}

#[test]
fn gas_follows_what_calls_use() {
    let mut predictor = Predictor::default();
    assert_eq!(predictor.gas(CODE, [1; 4]), None);
    predictor.learn_gas(CODE, [1; 4], 50_000);
    assert_eq!(predictor.gas(CODE, [1; 4]), Some(50_000));
    predictor.learn_gas(CODE, [1; 4], 130_000);
    assert_eq!(predictor.gas(CODE, [1; 4]), Some(60_000));
    for _ in 0..100 {
        predictor.learn_gas(CODE, [1; 4], 130_000);
    }
    assert!(predictor.gas(CODE, [1; 4]).unwrap() > 129_000);
    predictor.learn_gas(CODE, [1; 4], u64::MAX);
    assert_eq!(predictor.gas(CODE, [2; 4]), None);
}

#[test]
fn odd_transactions_are_harmless() {
    let mut predictor = after(&[transfer(1, 2, 10), transfer(3, 4, 10)]);
    let full = transfer(5, 6, 10).transaction.input().clone();
    for length in 0..full.len() {
        let short = Trace::new(call(account(5), TOKEN, full.slice(..length)));
        // The sender's balance does not depend on the words.
        let expected = usize::from(length >= 4) + usize::from(length >= 36);
        assert_eq!(short.predicted(&predictor, Wanted::All).len(), expected);
    }
    let create = Trace::new(sent(account(5), 0, TxKind::Create, full));
    create.teach(&mut predictor);
    predictor.conflicted(&create.observation(), TOKEN, U256::ZERO);
    assert_eq!(create.predicted(&predictor, Wanted::All), []);
    let plain = Trace::new(call(account(5), TOKEN, Bytes::new())).write(TOKEN, U256::ZERO);
    plain.teach(&mut predictor);
    plain.teach(&mut predictor);
    plain.assert_predicted(&predictor);
    assert_eq!(selector(&plain.transaction), [0; 4]);
}

#[test]
fn predictions_are_the_same_every_time() {
    let traces: Vec<_> = (0..60)
        .flat_map(|index| [transfer(index, index + 1, 5), swap(index, index + 2, 7)])
        .chain((0..60).map(|index| mint(index, index)))
        .collect();
    let (first, second) = (after(&traces), after(&traces));
    for trace in &traces {
        let slots = trace.predicted(&first, Wanted::All);
        assert_eq!(slots, trace.predicted(&second, Wanted::All));
    }
}

#[test]
fn the_score_counts_hits() {
    let predictor = after(&[transfer(1, 2, 10), transfer(3, 4, 10)]);
    let next = transfer(5, 6, 10);
    let predicted = next.predicted(&predictor, Wanted::All);
    let touched = [
        next.touched[0],
        (TOKEN, U256::ZERO, true),
        (PAIR, U256::ONE, false),
    ];
    let score = Predictor::score(&predicted, &touched);
    assert_eq!((score.predicted, score.touched, score.hits), (2, 3, 1));
}
