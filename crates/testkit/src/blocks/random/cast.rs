//! Who and what is there before the block, and under which rules.

use super::{COIN, GWEI, Generator};
use crate::{
    blocks::{Feature, probe},
    contracts::{self, Contract},
};
use alloy_eips::{eip2935, eip4788};
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_signer_local::PrivateKeySigner;
use executor::{BlockEnvironment, EthereumRules, Fork};
use primitives::{ChainConfig, Directive, chain::Protocol};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use state::{Account, MemoryState};
use std::{collections::BTreeSet, sync::LazyLock};

const CHAIN_ID: u64 = 31_337;
const HEIGHT: u64 = 1_000;
const GAS_LIMIT: u64 = 100_000_000;
const PEOPLE_MIN: usize = 4;
const PEOPLE_MAX: usize = 12;

pub(super) const TOKENS: [Address; 2] = [
    address!("5a00000000000000000000000000000000000001"),
    address!("5a00000000000000000000000000000000000002"),
];
pub(super) const PAIR: Address = address!("5a00000000000000000000000000000000000003");
pub(super) const ROUTER: Address = address!("5a00000000000000000000000000000000000004");
pub(super) const NFT: Address = address!("5a00000000000000000000000000000000000005");
pub(super) const GOVERNOR: Address = address!("5a00000000000000000000000000000000000006");
pub(super) const FACTORY: Address = address!("5a00000000000000000000000000000000000007");
pub(super) const WALLET: Address = address!("5a00000000000000000000000000000000000008");
const CONTRACTS: [(Address, Contract); 8] = [
    (TOKENS[0], Contract::Token),
    (TOKENS[1], Contract::Token),
    (PAIR, Contract::Pair),
    (ROUTER, Contract::Router),
    (NFT, Contract::Nft),
    (GOVERNOR, Contract::Governor),
    (FACTORY, Contract::Factory),
    (WALLET, Contract::Wallet),
];
/// What is there only if a block makes it.
pub(super) const NOBODIES: [Address; 3] = [
    address!("00b0d10000000000000000000000000000000001"),
    address!("00b0d10000000000000000000000000000000002"),
    address!("00b0d10000000000000000000000000000000003"),
];

const FORKS: [Fork; 11] = [
    Fork::SpuriousDragon,
    Fork::Byzantium,
    Fork::Petersburg,
    Fork::Istanbul,
    Fork::Berlin,
    Fork::London,
    Fork::Paris,
    Fork::Shanghai,
    Fork::Cancun,
    Fork::Prague,
    Fork::Osaka,
];

static SIGNERS: LazyLock<Vec<PrivateKeySigner>> = LazyLock::new(|| {
    let key = |index: usize| keccak256(format!("person {index}"));
    let signer = |index| {
        PrivateKeySigner::from_bytes(&key(index)).expect("a hash is a key but for one in 2^128")
    };
    (0..PEOPLE_MAX).map(signer).collect()
});

/// An account with a key, and what the generator believes about it.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) signer: &'static PrivateKeySigner,
    pub(super) address: Address,
    pub(super) nonce: u64,
    /// At least what it has, as long as only transfers of its own took from it.
    pub(super) balance: U256,
    /// Whose code it runs.
    pub(super) delegate: Option<Address>,
    /// Whether it signed an authorization in this block.
    pub(super) has_authorized: bool,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let ethereum = random_rules(&mut rng);
        let mut generator = Self {
            chain: random_chain(&mut rng, ethereum.is_none()),
            ethereum,
            environment: BlockEnvironment::default(),
            state: MemoryState::default(),
            directives: Vec::new(),
            people: Vec::new(),
            contract_nonce: 1,
            children: Vec::new(),
            transactions: Vec::new(),
            features: BTreeSet::new(),
            rng,
        };
        generator.add_people();
        generator.add_contracts();
        generator.environment = generator.random_environment();
        generator.add_directives();
        generator.observe_rules();
        generator
    }

    fn add_people(&mut self) {
        let count = self.rng.random_range(PEOPLE_MIN..=PEOPLE_MAX);
        for (index, signer) in SIGNERS.iter().take(count).enumerate() {
            let is_rich = index == 0 || self.rng.random_ratio(3, 4);
            let balance = match is_rich {
                true => self.pick(&[2 * COIN, 20 * COIN, 1_000 * COIN]),
                false => self.pick(&[0, GWEI, COIN / 1_000]),
            };
            let person = Person {
                signer,
                address: signer.address(),
                nonce: self.pick(&[0, 0, 1, 7]),
                balance: U256::from(balance),
                delegate: None,
                has_authorized: false,
            };
            let exists = person.nonce > 0 || balance > 0;
            if exists {
                self.set_account(person.address, person.nonce, person.balance);
            }
            self.people.push(person);
            if index > 0 && exists && self.fork() >= Fork::Prague && self.rng.random_ratio(1, 4) {
                self.delegate_before(index);
            }
        }
        self.people[0].balance = U256::from(1_000 * COIN);
        let first = &self.people[0];
        self.set_account(first.address, first.nonce, first.balance);
    }

    /// Makes somebody delegated when the block begins.
    fn delegate_before(&mut self, person: usize) {
        let target = self.random_delegate();
        let person = &mut self.people[person];
        person.delegate = Some(target);
        let code = [&[0xef, 0x01, 0x00], target.as_slice()].concat();
        self.state.set_code(person.address, code.into());
    }

    fn set_account(&mut self, address: Address, nonce: u64, balance: U256) {
        let account = Account {
            nonce,
            balance,
            ..Account::default()
        };
        self.state.set_account(address, account);
    }

    fn add_contracts(&mut self) {
        for (address, contract) in CONTRACTS {
            let code = match self.fork() >= Fork::Cancun {
                true => contract.runtime(),
                false => contract.legacy_runtime(),
            };
            self.install(address, code, U256::ZERO);
        }
        for probe in probe::PROBES {
            let balance = self.pick(&[0, 1, GWEI, COIN]);
            let code = Bytes::from_static(probe.code);
            self.install(probe.address, code, U256::from(balance));
        }
        self.add_life(probe::LIFE.address);
        if self.rng.random_ratio(1, 3) {
            self.add_life(probe::child(probe::CREATOR2, probe::LIFE_INIT));
            self.mark(Feature::BornBefore);
        }
        if self.rng.random() {
            let history = eip2935::HISTORY_STORAGE_CODE.clone();
            self.install(eip2935::HISTORY_STORAGE_ADDRESS, history, U256::ZERO);
            let roots = eip4788::BEACON_ROOTS_CODE.clone();
            self.install(eip4788::BEACON_ROOTS_ADDRESS, roots, U256::ZERO);
        }
        let reserve = self.pick(&[1_000, COIN]);
        for (slot, value) in contracts::pair_storage(TOKENS, [reserve, COIN]) {
            self.state.set_storage(PAIR, slot, value);
        }
        self.give_tokens(PAIR, [reserve, COIN]);
        for index in 0..self.people.len() {
            let owned = self.pick(&[0, 1_000, COIN]);
            let owner = self.people[index].address;
            self.give_tokens(owner, [owned, COIN]);
        }
    }

    /// A life that has something to lose.
    fn add_life(&mut self, address: Address) {
        self.install(address, Bytes::from_static(probe::LIFE.code), U256::ONE);
        for slot in 0..3 {
            let (slot, value) = (U256::from(slot), U256::from(9));
            self.state.set_storage(address, slot, value);
        }
    }

    fn install(&mut self, address: Address, code: Bytes, balance: U256) {
        self.set_account(address, 1, balance);
        self.state.set_code(address, code);
    }

    fn give_tokens(&mut self, owner: Address, amounts: [u128; 2]) {
        for (token, amount) in TOKENS.into_iter().zip(amounts) {
            let balance = contracts::balance_slot(owner);
            self.state.set_storage(token, balance, U256::from(amount));
            let allowance = contracts::allowance_slot(owner, ROUTER);
            self.state.set_storage(token, allowance, U256::MAX);
        }
    }

    fn random_environment(&mut self) -> BlockEnvironment {
        for height in HEIGHT.saturating_sub(9)..HEIGHT {
            let hash = self.hash();
            self.state.set_block_hash(height, hash);
        }
        let beneficiary = match self.rng.random_range(0..7) {
            0..=1 => NOBODIES[0],
            2..=3 => self.somebody(),
            4 => probe::FORWARD.address,
            5 => probe::COUNT.address,
            _ => self.pick(&[PAIR, FACTORY, probe::LIFE.address]),
        };
        let base_fee = match self.fork() >= Fork::London {
            true => self.pick(&[0, 7, 1_000, 1_000_000_000]),
            false => 0,
        };
        BlockEnvironment {
            height: HEIGHT,
            timestamp: self.pick(&[0, 1_700_000_000]),
            beneficiary,
            gas_limit: GAS_LIMIT,
            base_fee,
            prevrandao: self.hash(),
            parent_hash: self.hash(),
            parent_beacon_root: match self.rng.random() {
                true => self.hash(),
                false => B256::ZERO,
            },
        }
    }

    fn add_directives(&mut self) {
        if !self.chain.protocol.dev {
            return;
        }
        let person = self.person();
        self.people[person].nonce = 3;
        self.people[person].balance = U256::from(COIN);
        let address = self.people[person].address;
        self.directives = vec![
            Directive::SetNonce(address, 3),
            Directive::SetBalance(address, U256::from(COIN)),
            Directive::SetStorage(probe::COUNT.address, U256::ZERO, U256::from(5)),
            Directive::SetCode(NOBODIES[1], Bytes::from_static(probe::COUNT.code)),
            Directive::SetBalance(NOBODIES[2], U256::ZERO),
        ];
        self.mark(Feature::Directives);
    }

    fn observe_rules(&mut self) {
        let beneficiary = self.environment.beneficiary;
        let is_person = self.people.iter().any(|p| p.address == beneficiary);
        let is_nobody = beneficiary == NOBODIES[0];
        let is_old = self.fork() < Fork::Cancun;
        let is_own = self.ethereum.is_none();
        let protocol = &self.chain.protocol;
        let has_floor = is_own && protocol.gas_charge_floor_permille > 0;
        let has_no_reserve = is_own && protocol.reserve.is_zero();
        let seen = [
            (is_own, Feature::OwnRules),
            (!is_own && !is_old, Feature::EthereumRules),
            (is_old, Feature::OldFork),
            (has_floor, Feature::GasChargeFloor),
            (has_no_reserve, Feature::NoReserve),
            (self.environment.base_fee == 0, Feature::NoBaseFee),
            (is_nobody, Feature::FeeReceiverIsNobody),
            (!is_person && !is_nobody, Feature::FeeReceiverIsContract),
        ];
        let seen = seen.into_iter().filter(|(holds, _)| *holds);
        self.features.extend(seen.map(|(_, feature)| feature));
    }
}

/// Half of the blocks are ours, the others of any fork that took its turn on Ethereum.
fn random_rules(rng: &mut StdRng) -> Option<EthereumRules> {
    if rng.random() {
        return None;
    }
    let fork = match rng.random_ratio(1, 4) {
        true => Fork::Osaka,
        false => FORKS[rng.random_range(0..FORKS.len())],
    };
    Some(EthereumRules {
        fork,
        difficulty: U256::from(131_072),
        excess_blob_gas: 0,
    })
}

fn random_chain(rng: &mut StdRng, own: bool) -> ChainConfig {
    let floors = [0, 0, 250, 500, 1_000];
    let reserves = [0, COIN, 10 * COIN];
    ChainConfig {
        chain_id: CHAIN_ID,
        gas_limit: GAS_LIMIT,
        protocol: Protocol {
            gas_charge_floor_permille: floors[rng.random_range(0..floors.len())],
            reserve: U256::from(reserves[rng.random_range(0..reserves.len())]),
            dev: own && rng.random_ratio(1, 3),
            ..Protocol::default()
        },
    }
}
