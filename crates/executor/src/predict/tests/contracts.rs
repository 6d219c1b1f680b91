//! Real contracts in the real machine: what it notes is what is learned from.

use super::{
    Address, Bytes, Predictor, RecoveredTransaction, TxKind, U256, Wanted, account, hash, input,
    sent, word,
};
use crate::{
    BlockEnvironment, ExecutionInput,
    machine::{BlockMachine, transaction_env},
    predict::Observation,
    view::Source,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, hex};
use primitives::{ChainConfig, chain::Protocol};
use state::{Account, MemoryState, StateReader as _};

const TOKEN: &str = include_str!("../../../../../contracts/artifacts/Token.json");
const ROUTER: &str = include_str!("../../../../../contracts/artifacts/Router.json");
const PAIR: &str = include_str!("../../../../../contracts/artifacts/Pair.json");
const NFT: &str = include_str!("../../../../../contracts/artifacts/Nft.json");
const GOVERNOR: &str = include_str!("../../../../../contracts/artifacts/Governor.json");

const TOKENS: [Address; 2] = [Address::repeat_byte(0xa1), Address::repeat_byte(0xa2)];
const THE_PAIR: Address = Address::repeat_byte(0xb1);
const THE_ROUTER: Address = Address::repeat_byte(0xb2);
const THE_NFT: Address = Address::repeat_byte(0xb3);
const THE_GOVERNOR: Address = Address::repeat_byte(0xb4);
const RICH: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

fn runtime(artifact: &str) -> Bytes {
    let (_, rest) = artifact.split_once("\"runtime\": \"").unwrap();
    let (code, _) = rest.split_once('"').unwrap();
    hex::decode(code).unwrap().into()
}

/// Two tokens, a pair of them and its router, a collection and a governor; so many accounts that
/// own tokens, and have let everybody's neighbour and the router take some.
fn world(accounts: u64) -> MemoryState {
    let mut state = MemoryState::default();
    let contracts = [
        (TOKENS[0], TOKEN),
        (TOKENS[1], TOKEN),
        (THE_PAIR, PAIR),
        (THE_ROUTER, ROUTER),
        (THE_NFT, NFT),
        (THE_GOVERNOR, GOVERNOR),
    ];
    for (address, artifact) in contracts {
        state.set_code(address, runtime(artifact));
    }
    let [first, second] = TOKENS.map(word);
    let reserves = RICH | (RICH << 112);
    for (slot, value) in [(0, first), (1, second), (2, reserves), (5, U256::ONE)] {
        state.set_storage(THE_PAIR, U256::from(slot), value);
    }
    for token in TOKENS {
        state.set_storage(token, hash([word(THE_PAIR), U256::ZERO]), RICH);
        for index in 0..accounts {
            let owner = word(account(index));
            let spenders = hash([owner, U256::ONE]);
            state.set_storage(token, hash([owner, U256::ZERO]), RICH);
            for spender in [THE_ROUTER, account(index + 1)] {
                state.set_storage(token, hash([word(spender), spenders]), RICH);
            }
        }
    }
    for index in 0..accounts {
        let rich = Account {
            balance: RICH,
            ..Account::default()
        };
        state.set_account(account(index), rich);
    }
    state
}

/// Executes transactions in order; each is predicted, then learned from. The hits, and the touched
/// and predicted slots, of the last `scored` ones.
fn replay(transactions: &[RecoveredTransaction], scored: usize) -> (u64, u64, u64) {
    let state = world(200);
    let chain = ChainConfig {
        chain_id: 31_337,
        gas_limit: 1_000_000_000,
        protocol: Protocol::default(),
    };
    let environment = BlockEnvironment {
        height: 1,
        timestamp: 1_700_000_000,
        beneficiary: Address::repeat_byte(9),
        gas_limit: chain.gas_limit,
        base_fee: 1,
        prevrandao: B256::ZERO,
        parent_hash: B256::ZERO,
        parent_beacon_root: B256::ZERO,
    };
    let input = ExecutionInput::new(&chain, environment, transactions, &[]);
    let mut machine = BlockMachine::worker(&input, &state, Source::Block);
    machine.view().notes.learning = true;
    let mut predictor = Predictor::default();
    let (mut hits, mut all, mut predicted) = (0, 0, 0);
    for (index, transaction) in transactions.iter().enumerate() {
        machine.view().notes.clear();
        machine.prepare(&input, transaction);
        let done = machine.transact(transaction_env(transaction)).unwrap();
        assert!(done.result.is_success(), "index={index} {:?}", done.result);
        let mut touched = Vec::new();
        done.changes.iter().for_each(|(address, account)| {
            let slots = account.storage.iter();
            touched.extend(slots.map(|(slot, value)| (*address, *slot, value.is_changed())));
        });
        touched.sort_unstable();
        let recipient = transaction.to().unwrap();
        let code_hash = state.account(&recipient).unwrap().unwrap().code_hash;
        let mut out = Vec::new();
        predictor.predict(transaction, code_hash, Wanted::All, &mut out);
        if index + scored >= transactions.len() {
            let score = Predictor::score(&out, &touched);
            hits += score.hits;
            all += score.touched;
            predicted += score.predicted;
        }
        predictor.learn(&Observation {
            transaction,
            code_hash,
            touched: &touched,
            preimages: &machine.view().notes.preimages,
        });
        machine.overlay().commit(&done.changes).unwrap();
    }
    (hits, all, predicted)
}

fn from(sender: u64, to: Address, input: Bytes) -> RecoveredTransaction {
    sent(account(sender), 0, TxKind::Call(to), input)
}

fn transfer(sender: u64) -> RecoveredTransaction {
    let words = [word(account(sender + 500)), U256::from(sender + 1)];
    from(
        sender,
        TOKENS[0],
        input("transfer(address,uint256)", &words),
    )
}

fn swap(sender: u64, side: usize, to: u64) -> RecoveredTransaction {
    let words = [
        U256::from(1_000_000),
        U256::ZERO,
        word(THE_PAIR),
        word(TOKENS[side]),
        word(account(to)),
    ];
    let signature = "swapExactTokensForTokens(uint256,uint256,address,address,address)";
    from(sender, THE_ROUTER, input(signature, &words))
}

#[test]
fn a_token_is_learned_from_two_calls() {
    let transfers: Vec<_> = (0..3).map(transfer).collect();
    assert_eq!(replay(&transfers, 1), (2, 2, 2));
    let approve = |sender: u64| {
        let words = [word(account(sender + 500)), U256::from(9)];
        from(sender, TOKENS[0], input("approve(address,uint256)", &words))
    };
    let approvals: Vec<_> = (0..3).map(approve).collect();
    assert_eq!(replay(&approvals, 1), (1, 1, 1));
    let take = |owner: u64| {
        let words = [word(account(owner)), word(account(owner + 500)), U256::ONE];
        let signature = "transferFrom(address,address,uint256)";
        from(owner + 1, TOKENS[0], input(signature, &words))
    };
    let takings: Vec<_> = (0..3).map(take).collect();
    assert_eq!(replay(&takings, 1), (3, 3, 3));
}

#[test]
fn a_swap_in_one_direction_is_learned_from_two_calls() {
    let swaps: Vec<_> = (0..3).map(|sender| swap(sender, 0, sender + 500)).collect();
    let (hits, touched, predicted) = replay(&swaps, 1);
    assert_eq!((hits, predicted), (touched, touched));
    assert!(touched >= 9, "{touched}");
}

#[test]
fn swaps_in_both_directions_are_predicted_with_little_waste() {
    let swap = |sender: u64| swap(sender, usize::from(sender.is_multiple_of(3)), sender);
    let swaps: Vec<_> = (0..60).map(swap).collect();
    let (hits, touched, predicted) = replay(&swaps, 40);
    assert_eq!(hits, touched);
    assert!(predicted * 3 <= touched * 4, "{predicted} of {touched}");
}

#[test]
fn the_counter_of_a_collection_is_predicted() {
    let mints: Vec<_> = (0..30)
        .map(|sender| from(sender, THE_NFT, input("mint()", &[])))
        .collect();
    // The counter and the owner's balance; not the owner of the new piece.
    assert_eq!(replay(&mints, 10), (20, 30, 20));
}

#[test]
fn both_counts_of_a_vote_are_predicted() {
    let vote = |sender: u64| {
        let words = [U256::from(77), U256::from(sender % 2)];
        from(sender, THE_GOVERNOR, input("vote(uint256,uint8)", &words))
    };
    let votes: Vec<_> = (0..30).map(vote).collect();
    // One of the counts and the voter's mark, and the other count in vain.
    assert_eq!(replay(&votes, 10), (20, 20, 30));
}
