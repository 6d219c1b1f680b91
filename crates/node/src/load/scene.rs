//! The contracts and accounts of a run, and how an action becomes a call of them.
//!
//! ```text
//! plan ─▶ contracts to deploy, in order ─▶ addresses (sender 0 and its nonces give them)
//! action + sender ─▶ Scene::call ─▶ to, value, input, gas
//! ```
//! Every run deploys its own and pays accounts of its own, so that what they hold at the end is what the
//! run did: the seed, a recent block hash, sets runs apart.

use super::{
    Workload,
    plan::{Action, COLLECTIONS, HOT, PAIRS, Plan},
};
use crate::contracts::{self, Contract};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use std::collections::BTreeMap;

/// Gas of a transfer.
pub(super) const TRANSFER_GAS: u64 = 21_000;
/// What a transfer moves.
pub(super) const VALUE_WEI: U256 = U256::ONE;
/// Of each coin in each pair at first.
pub(super) const RESERVE: u128 = 1_000_000_000_000_000_000_000_000;
/// Of a coin that is swapped at once.
pub(super) const SWAP_AMOUNT: u64 = 1_000_000_000;
const DEPLOY_GAS: u64 = 3_000_000;
const TOKEN_GAS: u64 = 65_000;
const SWAP_GAS: u64 = 250_000;
const MINT_GAS: u64 = 110_000;
const VOTE_GAS: u64 = 90_000;
const MAKE_GAS: u64 = 150_000;
const PASS_GAS: u64 = 100_000;

/// A contract's part in the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Token,
    Coin(u8),
    Router,
    Pair(u32),
    Collection(u32),
    Governor,
    SupplyChain,
}

/// What a transaction is to do, but for who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// For an error: what it was to do.
    pub(super) what: &'static str,
    pub(super) to: TxKind,
    pub(super) value: U256,
    pub(super) input: Bytes,
    pub(super) gas: u64,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    seed: B256,
    places: BTreeMap<Place, Address>,
}

impl Call {
    pub(super) const fn transfer(to: Address, value: U256) -> Self {
        Self {
            what: "a transfer",
            to: TxKind::Call(to),
            value,
            input: Bytes::new(),
            gas: TRANSFER_GAS,
        }
    }

    const fn of(what: &'static str, to: Address, input: Bytes, gas: u64) -> Self {
        Self {
            what,
            to: TxKind::Call(to),
            value: U256::ZERO,
            input,
            gas,
        }
    }
}

impl Scene {
    /// The scene of a plan, and what its owner sends to set it, beginning with this nonce.
    pub(super) fn set(plan: &Plan, owner: Address, nonce: u64, seed: B256) -> (Self, Vec<Call>) {
        let mut scene = Self {
            seed,
            places: BTreeMap::new(),
        };
        let mut calls = Vec::new();
        for kind in plan.kinds() {
            for (place, contract) in deployed(kind, plan) {
                let at = nonce + calls.len() as u64;
                scene.places.insert(place, owner.create(at));
                let creation = scene.creation(place, contract);
                calls.push(Call {
                    what: "deploying a contract",
                    to: TxKind::Create,
                    value: U256::ZERO,
                    input: creation,
                    gas: DEPLOY_GAS,
                });
                calls.extend(scene.fill(place));
            }
        }
        (scene, calls)
    }

    /// What each sender sends before the clock starts.
    pub(super) fn sender_calls(&self, plan: &Plan, sender: usize, address: Address) -> Vec<Call> {
        let mut calls = Vec::new();
        let kinds = plan.kinds();
        if kinds.contains(&Workload::Erc20) {
            let amount = U256::from(plan.share(sender));
            let input = contracts::mint_token(address, amount);
            calls.push(Call::of(
                "minting tokens",
                self.address(Place::Token),
                input,
                TOKEN_GAS + 15_000,
            ));
        }
        if kinds.contains(&Workload::Dex) {
            let amount = U256::from(SWAP_AMOUNT) * U256::from(plan.share(sender));
            for coin in [0, 1].map(|coin| self.address(Place::Coin(coin))) {
                let mint = contracts::mint_token(address, amount);
                calls.push(Call::of("minting coins", coin, mint, TOKEN_GAS + 15_000));
                let approve = contracts::approve(self.address(Place::Router), U256::MAX);
                calls.push(Call::of("approving the router", coin, approve, TOKEN_GAS));
            }
        }
        calls
    }

    /// What a transaction sends.
    pub(super) fn call(&self, action: Action, sender: Address) -> Call {
        match action {
            Action::Transfer { recipient } => Call::transfer(self.recipient(recipient), VALUE_WEI),
            Action::Token { recipient } => {
                let input = contracts::transfer(self.recipient(recipient), U256::ONE);
                Call::of(
                    "a token transfer",
                    self.address(Place::Token),
                    input,
                    TOKEN_GAS,
                )
            }
            Action::Swap { pair, forward } => {
                let coin = self.address(Place::Coin(u8::from(!forward)));
                let pair = self.address(Place::Pair(pair));
                let input = contracts::swap(U256::from(SWAP_AMOUNT), pair, coin, sender);
                Call::of("a swap", self.address(Place::Router), input, SWAP_GAS)
            }
            Action::Mint { collection } => {
                let collection = self.address(Place::Collection(collection));
                Call::of("a mint", collection, contracts::mint_nft(), MINT_GAS)
            }
            Action::Vote { proposal, support } => {
                let input = contracts::vote(proposal, support);
                Call::of("a vote", self.address(Place::Governor), input, VOTE_GAS)
            }
            Action::Make { item } => {
                let input = contracts::make_item(item);
                Call::of(
                    "making an item",
                    self.address(Place::SupplyChain),
                    input,
                    MAKE_GAS,
                )
            }
            Action::Pass { item, custodian } => {
                let input = contracts::pass_item(item, self.custodian(custodian));
                Call::of(
                    "passing an item",
                    self.address(Place::SupplyChain),
                    input,
                    PASS_GAS,
                )
            }
        }
    }

    /// Most gas of what a sender sends, before and after the clock starts.
    pub(super) fn gas(&self, plan: &Plan, sender: usize) -> u64 {
        let zero = Address::ZERO;
        let before = self.sender_calls(plan, sender, zero);
        let before: u64 = before.iter().map(|call| call.gas).sum();
        let after = plan.actions(sender).map(gas);
        before + after.sum::<u64>()
    }

    pub(super) fn address(&self, place: Place) -> Address {
        let address = self.places.get(&place).copied();
        address.expect("the plan's kinds, whose places are set, are all that its actions are of")
    }

    /// An account that nobody has the key of, and no other run pays.
    pub(super) fn recipient(&self, number: u32) -> Address {
        self.account("recipient", number)
    }

    /// The same for items.
    pub(super) fn custodian(&self, number: u32) -> Address {
        self.account("custodian", number)
    }

    fn account(&self, role: &str, number: u32) -> Address {
        let seed = [self.seed.as_slice(), role.as_bytes(), &number.to_be_bytes()];
        Address::from_word(keccak256(seed.concat()))
    }

    fn creation(&self, place: Place, contract: Contract) -> Bytes {
        let mut creation = contract.creation().to_vec();
        if matches!(place, Place::Pair(_)) {
            for coin in [0, 1] {
                creation.extend_from_slice(self.address(Place::Coin(coin)).into_word().as_slice());
            }
        }
        creation.into()
    }

    /// What a new contract needs before it can be used: a pair, its reserves.
    fn fill(&self, place: Place) -> Vec<Call> {
        let Place::Pair(_) = place else {
            return Vec::new();
        };
        let pair = self.address(place);
        let mints = [0, 1].map(|coin| {
            let input = contracts::mint_token(pair, U256::from(RESERVE));
            let coin = self.address(Place::Coin(coin));
            Call::of("filling a pair", coin, input, TOKEN_GAS + 15_000)
        });
        let sync = contracts::call("sync()", &[]);
        let sync = Call::of("filling a pair", pair, sync, SWAP_GAS);
        mints.into_iter().chain([sync]).collect()
    }
}

const fn gas(action: Action) -> u64 {
    match action {
        Action::Transfer { .. } => TRANSFER_GAS,
        Action::Token { .. } => TOKEN_GAS,
        Action::Swap { .. } => SWAP_GAS,
        Action::Mint { .. } => MINT_GAS,
        Action::Vote { .. } => VOTE_GAS,
        Action::Make { .. } => MAKE_GAS,
        Action::Pass { .. } => PASS_GAS,
    }
}

/// The contracts that a kind of transaction needs, those that others name first.
fn deployed(kind: Workload, plan: &Plan) -> Vec<(Place, Contract)> {
    let places = |count: u32| HOT..=count;
    match kind {
        Workload::Transfers | Workload::Mixed => Vec::new(),
        Workload::Erc20 => vec![(Place::Token, Contract::Token)],
        Workload::Dex => {
            let coins = [0, 1].map(|coin| (Place::Coin(coin), Contract::Token));
            let router = (Place::Router, Contract::Router);
            let pairs = places(PAIRS).map(|pair| (Place::Pair(pair), Contract::Pair));
            coins.into_iter().chain([router]).chain(pairs).collect()
        }
        Workload::Nft => {
            let spread = if plan.is_all_hot(kind) {
                HOT
            } else {
                COLLECTIONS
            };
            let collections = places(spread);
            let collections = collections.map(|number| (Place::Collection(number), Contract::Nft));
            collections.collect()
        }
        Workload::Governance => vec![(Place::Governor, Contract::Governor)],
        Workload::SupplyChain => vec![(Place::SupplyChain, Contract::SupplyChain)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn plan(workload: Workload, conflicts: Option<u8>) -> Plan {
        Plan {
            workload,
            transactions: 500,
            senders: 7,
            conflicts,
            recipients: None,
        }
    }

    #[test]
    fn every_action_has_a_contract_that_is_deployed_and_its_gas() {
        for workload in [
            Workload::Transfers,
            Workload::Erc20,
            Workload::Dex,
            Workload::Nft,
            Workload::Governance,
            Workload::SupplyChain,
            Workload::Mixed,
        ] {
            require_set(&plan(workload, None));
            require_set(&plan(workload, Some(50)));
        }
    }

    fn require_set(plan: &Plan) {
        let owner = Address::repeat_byte(7);
        let (scene, calls) = Scene::set(plan, owner, 3, B256::ZERO);
        let deployed = calls
            .iter()
            .zip(3..)
            .filter(|(call, _)| call.to.is_create());
        let deployed: BTreeSet<Address> = deployed.map(|(_, nonce)| owner.create(nonce)).collect();
        assert_eq!(deployed, scene.places.values().copied().collect());
        for sender in 0..plan.senders {
            let before = scene.sender_calls(plan, sender, owner);
            let mut sum: u64 = before.iter().map(|call| call.gas).sum();
            for action in plan.actions(sender) {
                let call = scene.call(action, owner);
                assert_eq!(call.gas, gas(action));
                let to = *call.to.to().unwrap();
                assert!(call.input.is_empty() || deployed.contains(&to));
                sum += call.gas;
            }
            assert_eq!(scene.gas(plan, sender), sum);
        }
    }

    #[test]
    fn runs_and_roles_do_not_share_accounts() {
        let at = |seed| Scene::set(&plan(Workload::Transfers, None), Address::ZERO, 0, seed).0;
        let scenes = [at(B256::ZERO), at(B256::repeat_byte(1))];
        let mut seen = BTreeSet::new();
        for scene in &scenes {
            for number in 0..100 {
                assert!(seen.insert(scene.recipient(number)));
                assert!(seen.insert(scene.custodian(number)));
            }
        }
    }
}
