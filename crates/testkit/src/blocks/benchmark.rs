//! Blocks of one kind of work each, of any size, in which every transaction succeeds.
//!
//! | block | conflict |
//! |---|---|
//! | `transfers`, `erc20` | none but the fee receiver |
//! | `hot_recipient_transfers`, `erc20_hot` | all add to one balance |
//! | `swaps` | those over the same pair |
//! | `swaps_one_pair`, `nft_mint`, `votes` | all write one slot, and others of their own |
//! | `mixed` | some, as on a busy chain |
//! | `conflict_chain` | all: each hashes for long between reading and writing one slot |

use super::{GeneratedBlock, draft::Draft};
use crate::contracts::{self, Contract};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use executor::BlockEnvironment;
use primitives::{ChainConfig, chain::Protocol};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use state::{Account, MemoryState};
use std::collections::{BTreeMap, BTreeSet};

/// Makes a block of so many transactions.
pub type MakeBlock = fn(usize) -> GeneratedBlock;

/// Every benchmark block by its name.
pub const BLOCKS: [(&str, MakeBlock); 10] = [
    ("transfers", transfers),
    ("hot_recipient_transfers", hot_recipient_transfers),
    ("erc20", erc20),
    ("erc20_hot", erc20_hot),
    ("swaps", swaps_disjoint),
    ("swaps_one_pair", swaps_one_pair),
    ("mixed", mixed),
    ("nft_mint", nft_mint),
    ("votes", votes),
    ("conflict_chain", conflict_chain),
];

const CHAIN_ID: u64 = 31_337;
const GWEI: u128 = 1_000_000_000;
const ETHER: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);
const BASE_FEE: u64 = 1_000_000_000;
const TIMESTAMP: u64 = 1_700_000_000;
const BLOCK_GAS_MIN: u64 = 30_000_000;

const TRANSFER_GAS: u64 = 21_000;
const TOKEN_GAS: u64 = 80_000;
const SWAP_GAS: u64 = 250_000;
const MINT_GAS: u64 = 120_000;
const VOTE_GAS: u64 = 120_000;
const WORK_GAS: u64 = 400_000;
/// Rounds of one transaction of [`conflict_chain`].
const WORK_ROUNDS: u64 = 500;

/// Tokens and pairs of [`mixed`].
const MIXED_TOKENS: usize = 4;
const MIXED_PAIRS: usize = 8;
/// Of 100 recipients in [`mixed`], so many are one of few.
const MIXED_HOT: u32 = 20;

const FEE_RECEIVER: Address = address!("fee0000000000000000000000000000000000001");
const HOT: Address = address!("4070000000000000000000000000000000000001");
const ROUTER: Address = address!("5a00000000000000000000000000000000000001");
const NFT: Address = address!("5a00000000000000000000000000000000000002");
const GOVERNOR: Address = address!("5a00000000000000000000000000000000000003");
const HASHER: Address = address!("5a00000000000000000000000000000000000004");

/// Coins from everybody to somebody else each.
#[must_use]
pub fn transfers(count: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    for index in 0..count {
        scene.pay(index, account("recipient", index));
    }
    scene.finish()
}

/// Coins from everybody to one account.
#[must_use]
pub fn hot_recipient_transfers(count: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    for index in 0..count {
        scene.pay(index, HOT);
    }
    scene.finish()
}

/// One token from everybody to somebody else each.
#[must_use]
pub fn erc20(count: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    for index in 0..count {
        scene.pay_token(index, 0, account("recipient", index));
    }
    scene.finish()
}

/// One token from everybody to one account.
#[must_use]
pub fn erc20_hot(count: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    for index in 0..count {
        scene.pay_token(index, 0, HOT);
    }
    scene.finish()
}

/// Everybody swaps, taking turns over so many pairs. No token is in two pairs.
#[must_use]
pub fn swaps(count: usize, pairs: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    for index in 0..count {
        scene.swap(index, index.checked_rem(pairs).unwrap_or_default());
    }
    scene.finish()
}

/// Everybody swaps over a pair of their own.
#[must_use]
pub fn swaps_disjoint(count: usize) -> GeneratedBlock {
    swaps(count, count)
}

/// Everybody swaps over one pair.
#[must_use]
pub fn swaps_one_pair(count: usize) -> GeneratedBlock {
    swaps(count, 1)
}

/// Everybody mints the next piece of one collection.
#[must_use]
pub fn nft_mint(count: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    for index in 0..count {
        scene.mint(index);
    }
    scene.finish()
}

/// Everybody votes on one proposal.
#[must_use]
pub fn votes(count: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    for index in 0..count {
        scene.vote(index);
    }
    scene.finish()
}

/// Every transaction needs what the one before wrote, from its start to its end.
#[must_use]
pub fn conflict_chain(count: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    for index in 0..count {
        scene.install(HASHER, Contract::Hasher);
        scene.call(index, HASHER, contracts::work(WORK_ROUNDS), WORK_GAS);
    }
    scene.finish()
}

/// What a busy chain carries: transfers, tokens, swaps, mints and votes, by accounts of which some
/// send twice, to recipients of which some are popular.
#[must_use]
pub fn mixed(count: usize) -> GeneratedBlock {
    let mut scene = Scene::default();
    let mut rng = StdRng::seed_from_u64(1);
    let recipients = count.max(1);
    for index in 0..count {
        let sender = match rng.random_ratio(1, 10) {
            true => index / 2,
            false => index,
        };
        let recipient = match rng.random_ratio(MIXED_HOT, 100) {
            true => account("popular", rng.random_range(0..10)),
            false => account("recipient", rng.random_range(0..recipients)),
        };
        match rng.random_range(0..100) {
            0..45 => scene.pay(sender, recipient),
            45..70 => scene.pay_token(sender, rng.random_range(0..MIXED_TOKENS), recipient),
            70..85 => scene.swap(sender, rng.random_range(0..MIXED_PAIRS)),
            85..95 => scene.mint(sender),
            // A second vote of the same account would fail.
            _ => scene.vote(index),
        }
    }
    scene.finish()
}

/// A block that is being put together.
#[derive(Default)]
struct Scene {
    state: MemoryState,
    installed: BTreeSet<Address>,
    drafts: Vec<Draft>,
    nonces: BTreeMap<Address, u64>,
}

impl Scene {
    fn pay(&mut self, sender: usize, to: Address) {
        let draft = self.draft(sender, to, TRANSFER_GAS);
        self.drafts.push(Draft {
            value: U256::ONE,
            ..draft
        });
    }

    fn pay_token(&mut self, sender: usize, number: usize, to: Address) {
        let token = account("token", number);
        self.install(token, Contract::Token);
        self.give_token(token, account("sender", sender));
        let input = contracts::transfer(to, U256::ONE);
        self.call(sender, token, input, TOKEN_GAS);
    }

    fn swap(&mut self, sender: usize, number: usize) {
        let pair = account("pair", number);
        let tokens = ["first token", "second token"].map(|side| account(side, number));
        self.install(ROUTER, Contract::Router);
        if self.install(pair, Contract::Pair) {
            self.fill_pair(pair, tokens);
        }
        let from = account("sender", sender);
        let token_in = tokens[self.drafts.len() % 2];
        self.give_token(token_in, from);
        let allowance = contracts::allowance_slot(from, ROUTER);
        self.state.set_storage(token_in, allowance, U256::MAX);
        let input = contracts::swap(U256::from(GWEI), pair, token_in, from);
        self.call(sender, ROUTER, input, SWAP_GAS);
    }

    fn mint(&mut self, sender: usize) {
        self.install(NFT, Contract::Nft);
        self.call(sender, NFT, contracts::mint_nft(), MINT_GAS);
    }

    fn vote(&mut self, sender: usize) {
        self.install(GOVERNOR, Contract::Governor);
        let support = u8::from(sender.is_multiple_of(2));
        self.call(sender, GOVERNOR, contracts::vote(1, support), VOTE_GAS);
    }

    fn call(&mut self, sender: usize, to: Address, input: Bytes, gas_limit: u64) {
        let draft = self.draft(sender, to, gas_limit);
        self.drafts.push(Draft { input, ..draft });
    }

    fn draft(&mut self, sender: usize, to: Address, gas_limit: u64) -> Draft {
        let sender = account("sender", sender);
        let next = self.nonces.entry(sender).or_default();
        let nonce = *next;
        *next = next.saturating_add(1);
        let rich = Account {
            balance: ETHER,
            ..Account::default()
        };
        self.state.set_account(sender, rich);
        Draft {
            kind: 2,
            chain_id: CHAIN_ID,
            sender,
            nonce,
            gas_limit,
            max_fee: 10 * GWEI,
            priority_fee: GWEI,
            to: TxKind::Call(to),
            ..Draft::default()
        }
    }

    /// Whether the contract was not there yet.
    fn install(&mut self, at: Address, contract: Contract) -> bool {
        let is_new = self.installed.insert(at);
        if is_new {
            let bare = Account {
                nonce: 1,
                ..Account::default()
            };
            self.state.set_account(at, bare);
            self.state.set_code(at, contract.runtime());
        }
        is_new
    }

    fn give_token(&mut self, token: Address, owner: Address) {
        let slot = contracts::balance_slot(owner);
        self.state.set_storage(token, slot, ETHER);
    }

    fn fill_pair(&mut self, pair: Address, tokens: [Address; 2]) {
        let reserve = ETHER.saturating_to::<u128>();
        for (slot, value) in contracts::pair_storage(tokens, [reserve; 2]) {
            self.state.set_storage(pair, slot, value);
        }
        for token in tokens {
            self.install(token, Contract::Token);
            self.give_token(token, pair);
        }
    }

    fn finish(self) -> GeneratedBlock {
        let gas = self.drafts.iter().map(|draft| draft.gas_limit);
        let gas_limit = gas.fold(0, u64::saturating_add).max(BLOCK_GAS_MIN);
        GeneratedBlock {
            state: self.state,
            transactions: self.drafts.into_iter().map(Draft::finish).collect(),
            environment: BlockEnvironment {
                height: 1,
                timestamp: TIMESTAMP,
                beneficiary: FEE_RECEIVER,
                gas_limit,
                base_fee: BASE_FEE,
                prevrandao: B256::ZERO,
                parent_hash: B256::ZERO,
                parent_beacon_root: B256::ZERO,
            },
            chain: ChainConfig {
                chain_id: CHAIN_ID,
                gas_limit,
                protocol: Protocol::default(),
            },
            directives: Vec::new(),
            ethereum: None,
            features: BTreeSet::new(),
        }
    }
}

/// One of the accounts of a group; nobody has its key.
fn account(group: &str, index: usize) -> Address {
    Address::from_word(keccak256(format!("{group} {index}")))
}

#[cfg(test)]
mod tests {
    use super::{BLOCKS, HASHER, swaps};
    use alloy_primitives::U256;
    use state::StateReader as _;

    #[test]
    fn every_transaction_of_every_block_succeeds() {
        for (name, block) in BLOCKS.iter().map(|(name, make)| (name, make(200))) {
            assert_eq!(block.transactions.len(), 200, "{name}");
            let executed = block.execute();
            assert_eq!(executed.inclusion_faults, [], "{name}");
            for (index, receipt) in executed.receipts.iter().enumerate() {
                let status = receipt.envelope.status();
                assert!(status, "{name}: index={index} {receipt:?}");
            }
        }
    }

    #[test]
    fn a_block_is_the_same_every_time() {
        for (name, make) in BLOCKS {
            let (first, second) = (make(50), make(50));
            assert_eq!(first.transactions, second.transactions, "{name}");
            assert_eq!(first.state, second.state, "{name}");
        }
    }

    #[test]
    fn swaps_share_so_many_pairs() {
        let block = swaps(12, 4);
        let executed = block.execute();
        assert!(
            executed
                .receipts
                .iter()
                .all(|receipt| receipt.envelope.status())
        );
        // Each pair and its two tokens, the senders, the fee receiver.
        assert_eq!(executed.diff.accounts.len(), 4 * 3 + 12 + 1);
    }

    #[test]
    fn a_chain_leaves_its_word() {
        let (_, make) = BLOCKS[9];
        let block = make(2);
        let executed = block.execute();
        assert_eq!(
            block.state.storage(&HASHER, &U256::ZERO).unwrap(),
            U256::ZERO
        );
        assert!(
            executed.diff.accounts[&HASHER]
                .storage
                .contains_key(&U256::ZERO)
        );
    }
}
