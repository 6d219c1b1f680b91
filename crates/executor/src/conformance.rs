//! Ethereum's own rules at a fork, for replaying its blocks and its public test sets.
//!
//! They differ from this chain's rules in three things: no reserve, no floor under the charged gas,
//! and `CREATE` works in a delegated account. An invalid transaction changes nothing here, because
//! on Ethereum the block that holds it would be invalid.

use alloy_primitives::U256;
use revm::primitives::hardfork::SpecId;

/// A hard fork of Ethereum mainnet that changed execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fork {
    /// July 2015.
    Frontier,
    /// March 2016.
    Homestead,
    /// October 2016 (EIP-150).
    TangerineWhistle,
    /// November 2016 (EIP-158).
    SpuriousDragon,
    /// October 2017.
    Byzantium,
    /// February 2019; Constantinople without EIP-1283.
    Petersburg,
    /// December 2019.
    Istanbul,
    /// April 2021.
    Berlin,
    /// August 2021.
    London,
    /// September 2022; the merge.
    Paris,
    /// April 2023.
    Shanghai,
    /// March 2024.
    Cancun,
    /// May 2025.
    Prague,
    /// December 2025; what this chain runs.
    #[default]
    Osaka,
}

impl Fork {
    /// The fork by its name in the public Ethereum tests.
    #[must_use]
    pub fn from_test_name(name: &str) -> Option<Self> {
        Some(match name {
            "Frontier" => Self::Frontier,
            "Homestead" => Self::Homestead,
            "EIP150" => Self::TangerineWhistle,
            "EIP158" => Self::SpuriousDragon,
            "Byzantium" => Self::Byzantium,
            "ConstantinopleFix" => Self::Petersburg,
            "Istanbul" => Self::Istanbul,
            "Berlin" => Self::Berlin,
            "London" => Self::London,
            "Merge" | "Paris" => Self::Paris,
            "Shanghai" => Self::Shanghai,
            "Cancun" => Self::Cancun,
            "Prague" => Self::Prague,
            "Osaka" => Self::Osaka,
            _ => return None,
        })
    }

    /// The fork that mainnet ran at this height and time, up to Osaka.
    #[must_use]
    pub const fn of_mainnet(height: u64, timestamp: u64) -> Self {
        match (height, timestamp) {
            (_, 1_764_798_551..) => Self::Osaka,
            (_, 1_746_612_311..) => Self::Prague,
            (_, 1_710_338_135..) => Self::Cancun,
            (_, 1_681_338_455..) => Self::Shanghai,
            (15_537_394.., _) => Self::Paris,
            (12_965_000.., _) => Self::London,
            (12_244_000.., _) => Self::Berlin,
            (9_069_000.., _) => Self::Istanbul,
            (7_280_000.., _) => Self::Petersburg,
            (4_370_000.., _) => Self::Byzantium,
            (2_675_000.., _) => Self::SpuriousDragon,
            (2_463_000.., _) => Self::TangerineWhistle,
            (1_150_000.., _) => Self::Homestead,
            _ => Self::Frontier,
        }
    }

    pub(crate) const fn spec(self) -> SpecId {
        match self {
            Self::Frontier => SpecId::FRONTIER,
            Self::Homestead => SpecId::HOMESTEAD,
            Self::TangerineWhistle => SpecId::TANGERINE,
            Self::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
            Self::Byzantium => SpecId::BYZANTIUM,
            Self::Petersburg => SpecId::PETERSBURG,
            Self::Istanbul => SpecId::ISTANBUL,
            Self::Berlin => SpecId::BERLIN,
            Self::London => SpecId::LONDON,
            Self::Paris => SpecId::MERGE,
            Self::Shanghai => SpecId::SHANGHAI,
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
        }
    }

    /// Most blobs of one transaction.
    pub(crate) const fn blobs_max(self) -> u64 {
        if matches!(self, Self::Prague) { 9 } else { 6 }
    }
}

/// Ethereum's rules for one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EthereumRules {
    /// Which rules.
    pub fork: Fork,
    /// What the `DIFFICULTY` opcode returned before the merge.
    pub difficulty: U256,
    /// From the header; sets the price of blobs.
    pub excess_blob_gas: u64,
}
