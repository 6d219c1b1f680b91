//! An access list as nothing but nested RLP, which a test can change at will.

use alloy_primitives::{Address, U256};
use alloy_rlp::{Decodable, Encodable, Header};
use executor::AccessList;
use std::collections::BTreeSet;

/// Fields of an account.
pub(super) const ADDRESS: usize = 0;
pub(super) const CHANGED_SLOTS: usize = 1;
pub(super) const READ_SLOTS: usize = 2;
pub(super) const BALANCES: usize = 3;
pub(super) const NONCES: usize = 4;
pub(super) const CODES: usize = 5;
pub(super) const WIPES: usize = 6;

/// Bytes, or a list of such.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tree {
    Bytes(Vec<u8>),
    List(Vec<Self>),
}

impl Tree {
    pub(super) fn of(list: &AccessList) -> Self {
        Self::decode(&mut list.encode().as_slice())
    }

    pub(super) fn number(number: u64) -> Self {
        Self::word(U256::from(number))
    }

    pub(super) fn word(word: U256) -> Self {
        Self::Bytes(word.to_be_bytes_trimmed_vec())
    }

    pub(super) fn to_word(&self) -> U256 {
        U256::from_be_slice(self.bytes())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::List(_) => panic!("a list"),
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::List(_) => panic!("a list"),
        }
    }

    pub(super) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Bytes(_) => panic!("bytes"),
        }
    }

    pub(super) fn list_mut(&mut self) -> &mut Vec<Self> {
        match self {
            Self::List(list) => list,
            Self::Bytes(_) => panic!("bytes"),
        }
    }

    pub(super) fn accounts(&self) -> &[Self] {
        self.list()[0].list()
    }

    pub(super) fn accounts_mut(&mut self) -> &mut Vec<Self> {
        self.list_mut()[0].list_mut()
    }

    pub(super) fn gas_mut(&mut self) -> &mut Vec<Self> {
        self.list_mut()[1].list_mut()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Bytes(bytes) => bytes.as_slice().encode(&mut out),
            Self::List(list) => {
                let payload: Vec<u8> = list.iter().flat_map(Self::encode).collect();
                let payload_length = payload.len();
                let list = true;
                Header {
                    list,
                    payload_length,
                }
                .encode(&mut out);
                out.extend(payload);
            }
        }
        out
    }

    fn decode(bytes: &mut &[u8]) -> Self {
        if bytes[0] < 0xc0 {
            return Self::Bytes(alloy_primitives::Bytes::decode(bytes).unwrap().to_vec());
        }
        let mut payload = Header::decode_bytes(bytes, true).unwrap();
        let mut list = Vec::new();
        while !payload.is_empty() {
            list.push(Self::decode(&mut payload));
        }
        Self::List(list)
    }

    /// The values that changes with an index give.
    fn values_at<'t>(&'t self, at: &'t Self) -> impl Iterator<Item = Self> + 't {
        let changes = self.list().iter();
        let own = changes.filter(move |change| change.list()[0] == *at);
        own.map(|change| change.list()[1].clone())
    }

    /// What is said of the transaction with an index: account, field, key and value, and the gas.
    pub(super) fn fragment(&self, at: u32) -> BTreeSet<(Self, usize, Self, Self)> {
        let at = Self::number(at.into());
        let mut fragment = BTreeSet::new();
        let none = || Self::Bytes(Vec::new());
        for account in self.accounts() {
            let address = &account.list()[ADDRESS];
            for field in [BALANCES, NONCES, CODES] {
                let values = account.list()[field].values_at(&at);
                fragment.extend(values.map(|value| (address.clone(), field, none(), value)));
            }
            if account.list()[WIPES].list().contains(&at) {
                fragment.insert((address.clone(), WIPES, none(), none()));
            }
            for slot in account.list()[CHANGED_SLOTS].list() {
                let (key, values) = (&slot.list()[0], slot.list()[1].values_at(&at));
                let of = |value| (address.clone(), CHANGED_SLOTS, key.clone(), value);
                fragment.extend(values.map(of));
            }
        }
        let place = at.to_word().to::<usize>().checked_sub(1);
        if let Some(gas) = place.and_then(|place| self.list()[1].list().get(place)) {
            fragment.insert((none(), usize::MAX, none(), gas.clone()));
        }
        fragment
    }

    /// Every account and slot.
    pub(super) fn locations(&self) -> BTreeSet<(Address, Option<U256>)> {
        let mut locations = BTreeSet::new();
        for account in self.accounts() {
            let address = Address::from_slice(account.list()[ADDRESS].bytes());
            locations.insert((address, None));
            let changed = account.list()[CHANGED_SLOTS].list().iter();
            let changed = changed.map(|slot| &slot.list()[0]);
            let keys = changed.chain(account.list()[READ_SLOTS].list());
            locations.extend(keys.map(|key| (address, Some(key.to_word()))));
        }
        locations
    }

    /// The first accounts that differ.
    pub(super) fn difference(&self, other: &Self) -> String {
        let mut pairs = self.accounts().iter().zip(other.accounts());
        match pairs.find(|(left, right)| left != right) {
            Some((left, right)) => format!("{left:?}\n{right:?}"),
            None => format!("{:?}\n{:?}", self.list()[1], other.list()[1]),
        }
    }
}
