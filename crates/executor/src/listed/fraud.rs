//! What is false in an access list.

use alloy_primitives::{Address, U256};
use std::fmt;

/// The first thing in a list that is not what the block does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "access list is false: index={index} what={what} field={field}{}",
    Details(self)
)]
pub struct ListFraud {
    /// In the list's own counting: 0 is what comes before the first transaction, `i + 1` is transaction
    /// `i`, and one more than that of the last transaction is what nobody did.
    pub index: u32,
    /// In which way it is false.
    pub what: Falsehood,
    /// What of the account.
    pub field: Field,
    /// The account, where there is one.
    pub address: Option<Address>,
    /// The slot, where there is one.
    pub slot: Option<U256>,
    /// What the list says.
    pub expected: Option<U256>,
    /// What the block does.
    pub found: Option<U256>,
}

/// In which way a list is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Falsehood {
    /// It has another value after the transaction.
    WrongValue,
    /// It lacks a change.
    MissingWrite,
    /// It has a change that the transaction does not make.
    ExtraWrite,
    /// It lacks a location that the transaction reads.
    MissingLocation,
    /// It has a location that nobody reads.
    ExtraLocation,
    /// It says that the transaction uses another amount of gas.
    WrongGas,
    /// It is not of a block of so many transactions.
    Malformed,
    /// It has more locations than the block's gas can touch.
    TooLong,
}

/// What a list says something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The block.
    Block,
    /// A transaction's gas.
    Gas,
    /// An account, whatever of it.
    Account,
    /// An account's balance.
    Balance,
    /// An account's nonce.
    Nonce,
    /// The hash of an account's code.
    Code,
    /// Whether an account's storage was emptied.
    Wipe,
    /// A slot.
    Slot,
}

impl ListFraud {
    pub(super) const fn new(index: u32, what: Falsehood, field: Field) -> Self {
        Self {
            index,
            what,
            field,
            address: None,
            slot: None,
            expected: None,
            found: None,
        }
    }

    pub(super) const fn at(mut self, address: Address, slot: Option<U256>) -> Self {
        self.address = Some(address);
        self.slot = slot;
        self
    }

    pub(super) const fn values(mut self, expected: Option<U256>, found: Option<U256>) -> Self {
        self.expected = expected;
        self.found = found;
        self
    }
}

impl fmt::Display for Falsehood {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::WrongValue => "wrong_value",
            Self::MissingWrite => "missing_write",
            Self::ExtraWrite => "extra_write",
            Self::MissingLocation => "missing_location",
            Self::ExtraLocation => "extra_location",
            Self::WrongGas => "wrong_gas",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Block => "block",
            Self::Gas => "gas",
            Self::Account => "account",
            Self::Balance => "balance",
            Self::Nonce => "nonce",
            Self::Code => "code",
            Self::Wipe => "wipe",
            Self::Slot => "slot",
        })
    }
}

struct Details<'f>(&'f ListFraud);

impl fmt::Display for Details<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListFraud {
            address,
            slot,
            expected,
            found,
            ..
        } = self.0;
        if let Some(address) = address {
            write!(formatter, " address={address}")?;
        }
        for (name, value) in [("slot", slot), ("expected", expected), ("found", found)] {
            if let Some(value) = value {
                write!(formatter, " {name}={value:#x}")?;
            }
        }
        Ok(())
    }
}
