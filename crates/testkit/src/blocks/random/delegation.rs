//! Accounts that run foreign code (EIP-7702): how they begin and end, and what is done with them.

use super::{COIN, Generator, cast};
use crate::{
    blocks::{Feature, draft::Draft, probe},
    contracts::{self, WalletCall},
};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use alloy_signer::SignerSync as _;
use executor::Fork;
use rand::RngExt as _;

const AUTHORIZING_GAS: u64 = 600_000;

impl Generator {
    /// Whose code somebody might run.
    pub(super) fn random_delegate(&mut self) -> Address {
        self.pick(&[
            cast::WALLET,
            cast::WALLET,
            probe::FORWARD.address,
            probe::FORWARD.address,
            probe::DRAIN.address,
            probe::CREATOR.address,
            probe::COUNT.address,
            probe::LIFE.address,
            Address::with_last_byte(4),
        ])
    }

    /// Somebody brings up to three authorizations, and calls somebody.
    pub(super) fn authorize(&mut self) {
        if self.fork() < Fork::Prague {
            return self.transfer();
        }
        let sponsor = self.rich();
        let draft = self.draft(sponsor, TxKind::Call(Address::ZERO));
        let mut nonces: Vec<u64> = self.people.iter().map(|person| person.nonce).collect();
        nonces[sponsor] = nonces[sponsor].saturating_add(1);
        let mut authorizations = Vec::new();
        let mut to = self.somebody();
        for _ in 0..self.rng.random_range(1..=3) {
            let authority = match self.rng.random_ratio(1, 4) {
                true => sponsor,
                false => self.person(),
            };
            if self.rng.random() {
                to = self.people[authority].address;
            }
            if authority == sponsor {
                self.mark(Feature::SelfSponsored);
            }
            authorizations.push(self.authorization(authority, &mut nonces[authority]));
        }
        let input = self.delegated_input(to);
        self.send(
            sponsor,
            Draft {
                kind: 4,
                gas_limit: AUTHORIZING_GAS,
                to: TxKind::Call(to),
                input,
                authorizations,
                ..draft
            },
        );
        for (person, nonce) in self.people.iter_mut().zip(nonces) {
            person.nonce = nonce;
        }
    }

    /// An authorization that counts, mostly; then the authority's nonce goes on.
    fn authorization(&mut self, authority: usize, nonce: &mut u64) -> SignedAuthorization {
        let target = match self.rng.random_ratio(1, 4) {
            true => Address::ZERO,
            false => self.random_delegate(),
        };
        let right = Authorization {
            chain_id: U256::from(self.pick(&[0, self.chain.chain_id])),
            address: target,
            nonce: *nonce,
        };
        let mut signed = right.clone();
        match self.rng.random_range(0..12) {
            0 => signed.nonce = nonce.wrapping_sub(1),
            1 => signed.nonce = nonce.saturating_add(1),
            2 => signed.chain_id = U256::from(5),
            3 => return self.foreign_authorization(right),
            _ => {}
        }
        let person = &mut self.people[authority];
        let signature = person.signer.sign_hash_sync(&signed.signature_hash());
        let signature = signature.expect("a key in memory signs");
        if signed != right {
            self.mark(Feature::StaleAuthorization);
            return signed.into_signed(signature);
        }
        person.has_authorized = true;
        person.delegate = Some(target).filter(|target| !target.is_zero());
        *nonce = nonce.saturating_add(1);
        self.mark(match target.is_zero() {
            true => Feature::ClearsDelegation,
            false => Feature::Authorization,
        });
        right.into_signed(signature)
    }

    /// Signed by whomever the signature happens to name.
    fn foreign_authorization(&mut self, authorization: Authorization) -> SignedAuthorization {
        self.mark(Feature::StaleAuthorization);
        authorization.into_signed(Signature::test_signature())
    }

    /// Somebody calls a delegated account.
    pub(super) fn run_delegated(&mut self) {
        let delegated: Vec<Address> = self
            .people
            .iter()
            .filter(|person| person.delegate.is_some())
            .map(|person| person.address)
            .collect();
        if delegated.is_empty() {
            return self.authorize();
        }
        let to = self.pick(&delegated);
        let input = self.delegated_input(to);
        let value = self.coin();
        self.call(to, value, input);
    }

    /// What the code of an account can make something of.
    fn delegated_input(&mut self, account: Address) -> Bytes {
        let person = self.people.iter().position(|p| p.address == account);
        let delegate = person.and_then(|person| self.people[person].delegate);
        let (to, value) = (self.hot_account(), self.spending());
        if delegate == Some(cast::WALLET) {
            self.mark(Feature::DelegatedSpends);
            return self.wallet_input(to, value);
        }
        if delegate == Some(probe::CREATOR.address) {
            // On Ethereum a creation counts as the account's transaction does.
            if let (Some(person), true) = (person, self.ethereum.is_some()) {
                let nonce = &mut self.people[person].nonce;
                *nonce = nonce.saturating_add(1);
            }
            self.mark(Feature::DelegatedCreates);
            return self.init_code();
        }
        if [probe::FORWARD.address, probe::DRAIN.address]
            .map(Some)
            .contains(&delegate)
        {
            self.mark(Feature::DelegatedSpends);
        } else if delegate.is_some() {
            self.mark(Feature::DelegatedRuns);
        }
        match self.rng.random() {
            true => probe::words(to, value),
            false => Bytes::new(),
        }
    }

    fn spending(&mut self) -> U256 {
        let most = self.pick(&[1_000, COIN, 19 * COIN]);
        U256::from(self.rng.random_range(0..most))
    }

    fn wallet_input(&mut self, to: Address, value: U256) -> Bytes {
        if self.rng.random_ratio(1, 4) {
            return contracts::bump();
        }
        let send = WalletCall {
            to,
            value,
            input: Bytes::new(),
        };
        let token = WalletCall {
            to: cast::TOKENS[1],
            value: U256::ZERO,
            input: contracts::transfer(to, U256::ONE),
        };
        contracts::execute(&[token, send])
    }
}
