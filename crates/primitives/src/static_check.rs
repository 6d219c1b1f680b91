//! What a transaction must be whatever the state is: checked once on admission, and again by every
//! voter.
//!
//! The numbers are Ethereum's under Osaka. They are written out here by their EIPs, because this
//! crate knows no virtual machine; the executor tests that its machine agrees.

use crate::{ChainConfig, RecoveredTransaction};
use alloy_consensus::Transaction as _;
use alloy_primitives::U256;

/// Gas of every transaction.
const TRANSACTION_GAS: u64 = 21_000;
/// Gas of a zero byte of input; a byte that is not zero counts as four (EIP-2028).
const TOKEN_GAS: u64 = 4;
/// Tokens of a byte that is not zero.
const NONZERO_BYTE_TOKENS: u64 = 4;
/// Least gas of a token, whatever is executed (EIP-7623).
const TOKEN_FLOOR_GAS: u64 = 10;
/// Gas of a creation (EIP-2).
const CREATION_GAS: u64 = 32_000;
/// Gas of 32 bytes of init code (EIP-3860).
const INITCODE_WORD_GAS: u64 = 2;
/// Longest init code, in bytes (EIP-3860).
pub const INITCODE_BYTES_MAX: usize = 49_152;
/// Gas of an address in an access list (EIP-2930).
const ACCESS_ADDRESS_GAS: u64 = 2_400;
/// Gas of a slot in an access list (EIP-2930).
const ACCESS_STORAGE_SLOT_GAS: u64 = 1_900;
/// Gas of an authorization (EIP-7702); a part comes back if the authority exists.
const AUTHORIZATION_GAS: u64 = 25_000;

/// Why a transaction can never be ordered, or not at this base fee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaticError {
    /// A type this chain does not take.
    #[error("transaction type not supported: type={kind}")]
    UnsupportedType {
        /// EIP-2718 type.
        kind: u8,
    },
    /// Signed for another chain.
    #[error("invalid chain id: expected={expected} got={got}")]
    ChainId {
        /// This chain's.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// The highest nonce can never be used (EIP-2681).
    #[error("nonce has its highest value")]
    NonceMax,
    /// The gas limit does not cover what it costs before it starts.
    #[error("intrinsic gas too low: gas_limit={gas_limit} needed={needed}")]
    IntrinsicGas {
        /// The limit.
        gas_limit: u64,
        /// The higher of intrinsic gas and floor.
        needed: u64,
    },
    /// More gas than a transaction may have (EIP-7825), or than a block has.
    #[error("gas limit too high: gas_limit={gas_limit} max={max}")]
    GasLimit {
        /// The limit.
        gas_limit: u64,
        /// The most on this chain.
        max: u64,
    },
    /// Longer init code than EIP-3860 allows.
    #[error("max initcode size exceeded: bytes={bytes} max={max}")]
    InitcodeSize {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// It does not pay the base fee.
    #[error("max fee per gas less than block base fee: max_fee={max_fee} base_fee={base_fee}")]
    FeeTooLow {
        /// The most it pays per gas.
        max_fee: u128,
        /// The block's base fee.
        base_fee: u64,
    },
    /// The priority fee alone is more than the whole fee.
    #[error(
        "max priority fee per gas higher than max fee per gas: priority_fee={priority_fee} max_fee={max_fee}"
    )]
    PriorityFeeAboveFee {
        /// The priority fee.
        priority_fee: u128,
        /// The most it pays per gas.
        max_fee: u128,
    },
    /// The cost does not fit the numbers that execution uses.
    #[error("cost of the transaction overflows")]
    CostOverflow,
    /// Type 4 without an authorization.
    #[error("authorization list is empty")]
    NoAuthorizations,
    /// Type 4 cannot create a contract.
    #[error("a transaction with authorizations cannot create a contract")]
    AuthorizingCreation,
}

/// Checks a transaction against everything but the state.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_static(
    transaction: &RecoveredTransaction,
    chain: &ChainConfig,
    base_fee: u64,
) -> Result<(), StaticError> {
    check_form(transaction, chain)?;
    check_gas(transaction, chain)?;
    check_fees(transaction, base_fee)
}

fn check_form(transaction: &RecoveredTransaction, chain: &ChainConfig) -> Result<(), StaticError> {
    let kind = transaction.kind();
    if !matches!(kind, 0 | 1 | 2 | 4) {
        return Err(StaticError::UnsupportedType { kind });
    }
    // A legacy transaction may leave the chain open (before EIP-155): some contracts are deployed
    // to the same address on every chain by one such transaction.
    if let Some(got) = transaction.chain_id()
        && got != chain.chain_id
    {
        let expected = chain.chain_id;
        return Err(StaticError::ChainId { expected, got });
    }
    if transaction.nonce() == u64::MAX {
        return Err(StaticError::NonceMax);
    }
    let bytes = transaction.input().len();
    if transaction.is_create() && bytes > INITCODE_BYTES_MAX {
        let max = INITCODE_BYTES_MAX;
        return Err(StaticError::InitcodeSize { bytes, max });
    }
    match transaction.authorization_list() {
        Some(_) if transaction.is_create() => Err(StaticError::AuthorizingCreation),
        Some([]) => Err(StaticError::NoAuthorizations),
        Some(_) | None => Ok(()),
    }
}

fn check_gas(transaction: &RecoveredTransaction, chain: &ChainConfig) -> Result<(), StaticError> {
    let gas_limit = transaction.gas_limit();
    let max = chain.transaction_gas_max();
    if gas_limit > max {
        return Err(StaticError::GasLimit { gas_limit, max });
    }
    let needed = intrinsic_gas(transaction).max(floor_gas(transaction));
    if gas_limit < needed {
        return Err(StaticError::IntrinsicGas { gas_limit, needed });
    }
    Ok(())
}

fn check_fees(transaction: &RecoveredTransaction, base_fee: u64) -> Result<(), StaticError> {
    let max_fee = transaction.max_fee_per_gas();
    if max_fee < u128::from(base_fee) {
        return Err(StaticError::FeeTooLow { max_fee, base_fee });
    }
    if let Some(priority_fee) = transaction.max_priority_fee_per_gas()
        && priority_fee > max_fee
    {
        return Err(StaticError::PriorityFeeAboveFee {
            priority_fee,
            max_fee,
        });
    }
    // Execution counts fees in 128 bits and adds the value in 256.
    u128::from(transaction.gas_limit())
        .checked_mul(max_fee)
        .and_then(|fee| U256::from(fee).checked_add(transaction.value()))
        .map(|_| ())
        .ok_or(StaticError::CostOverflow)
}

/// Gas that a transaction costs before its code runs.
#[must_use]
pub fn intrinsic_gas(transaction: &RecoveredTransaction) -> u64 {
    let creation = if transaction.is_create() {
        let words = count(transaction.input().len()).div_ceil(32);
        CREATION_GAS.saturating_add(words.saturating_mul(INITCODE_WORD_GAS))
    } else {
        0
    };
    let access = transaction.access_list().map_or(0, |list| {
        let addresses = count(list.len()).saturating_mul(ACCESS_ADDRESS_GAS);
        let slots = count(list.storage_keys_count()).saturating_mul(ACCESS_STORAGE_SLOT_GAS);
        addresses.saturating_add(slots)
    });
    let authorizations = transaction.authorization_list().map_or(0, |list| {
        count(list.len()).saturating_mul(AUTHORIZATION_GAS)
    });
    TRANSACTION_GAS
        .saturating_add(tokens(transaction).saturating_mul(TOKEN_GAS))
        .saturating_add(creation)
        .saturating_add(access)
        .saturating_add(authorizations)
}

/// Gas that a transaction is charged at least for its input (EIP-7623).
#[must_use]
pub fn floor_gas(transaction: &RecoveredTransaction) -> u64 {
    TRANSACTION_GAS.saturating_add(tokens(transaction).saturating_mul(TOKEN_FLOOR_GAS))
}

fn tokens(transaction: &RecoveredTransaction) -> u64 {
    let input = transaction.input();
    let zeros = count(input.iter().filter(|byte| **byte == 0).count());
    let others = count(input.len()).saturating_sub(zeros);
    zeros.saturating_add(others.saturating_mul(NONZERO_BYTE_TOKENS))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
