//! The rules a block must keep before it has executed: DESIGN's static, nonce, affordability and
//! back-pressure rules, as a pure function of the block, its ancestors in flight and the state at
//! the certified height.
//!
//! A rejection is final and the same on every honest node. What depends on this node alone — its
//! execution lags, its clock is behind — is not here: the caller waits for it.

use commonware_cryptography::certificate::Verifier as _;
use commonware_parallel::Sequential;
use primitives::{
    ChainConfig, ExecutedRef, ExecutionResult, Header, RecoveredBlock,
    affordability::{InFlight, Unaffordable},
    base_fee::next_base_fee,
    certificate::ResultScheme,
    crypto::BlockDigest,
    limits,
    static_check::{StaticError, check_static},
};
use rand_core::CryptoRng;
use state::{ReadFault, StateReader, account_view};

/// Why a block can never be finalized.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not later than its parent.
    #[error("timestamp does not rise: timestamp_ms={got} parent={parent}")]
    Timestamp {
        /// The block's.
        got: u64,
        /// The parent's.
        parent: u64,
    },
    /// Not the base fee the parent leads to.
    #[error("wrong base fee: base_fee={got} expected={expected}")]
    BaseFee {
        /// The block's.
        got: u64,
        /// The rule's.
        expected: u64,
    },
    /// Not the budget that back-pressure leaves.
    #[error("wrong gas budget: gas_budget={got} expected={expected}")]
    GasBudget {
        /// The block's.
        got: u64,
        /// The rule's.
        expected: u64,
    },
    /// Gas limits add up to more than the budget.
    #[error("over the gas budget: gas_limits_sum={sum} gas_budget={budget}")]
    OverBudget {
        /// The sum.
        sum: u64,
        /// The budget.
        budget: u64,
    },
    /// The reference to a result falls behind the parent's, or runs ahead of the chain.
    #[error("bad executed reference: height={height} parent_reference={parent} block={block}")]
    ExecutedRef {
        /// Its height.
        height: u64,
        /// The parent's reference.
        parent: u64,
        /// The block's height.
        block: u64,
    },
    /// The reference is not proved by 2f+1 validators.
    #[error("executed reference without a valid certificate: height={height}")]
    Certificate {
        /// Its height.
        height: u64,
    },
    /// A digest that this chain holds constant.
    #[error("wrong digest: field={0}")]
    Digest(&'static str),
    /// What it says about shards breaks a rule.
    #[error("shard section: {0}")]
    Section(shards::ledger::SectionFault),
    /// Not the orders about shards that are due.
    #[error("wrong orders about shards: carried={carried} due={due}")]
    Orders {
        /// How many it carries.
        carried: usize,
        /// How many are due.
        due: usize,
    },
    /// Directives on a chain that has none.
    #[error("directives are legal only on a development chain")]
    Directives,
    /// A transaction that may not stand in any block.
    #[error("transaction index={index}: {error}")]
    Static {
        /// Its index.
        index: usize,
        /// Why.
        error: StaticError,
    },
    /// A transaction whose nonce or funds do not fit.
    #[error("transaction index={index}: {error}")]
    Unaffordable {
        /// Its index.
        index: usize,
        /// Why.
        error: Unaffordable,
    },
    /// A transaction without a valid signature.
    #[error("a transaction has no valid signature")]
    Signature,
}

/// Checks what the header says of itself and its parent; no state needed. Of shards, only that a chain without
/// them says nothing.
pub(crate) fn check_header(
    header: &Header,
    parent: &Header,
    chain: &ChainConfig,
    has_shards: bool,
) -> Result<(), Rejection> {
    if header.timestamp_ms <= parent.timestamp_ms {
        let (got, parent) = (header.timestamp_ms, parent.timestamp_ms);
        return Err(Rejection::Timestamp { got, parent });
    }
    let expected = next_base_fee(parent, chain);
    // Who runs a development chain may set it.
    if header.base_fee != expected && !chain.protocol.dev {
        return Err(Rejection::BaseFee {
            got: header.base_fee,
            expected,
        });
    }
    if !has_shards && header.shard_section_digest != parent.shard_section_digest {
        return Err(Rejection::Digest("shard_section_digest"));
    }
    if !has_shards && header.ledger_digest != parent.ledger_digest {
        return Err(Rejection::Digest("ledger_digest"));
    }
    let reference = header.executed.height;
    let in_flight = parent.height.saturating_sub(reference);
    if reference < parent.executed.height
        || reference > parent.height
        || in_flight > limits::IN_FLIGHT_BLOCKS_MAX
    {
        return Err(Rejection::ExecutedRef {
            height: reference,
            parent: parent.executed.height,
            block: header.height,
        });
    }
    Ok(())
}

/// Checks the proof of the reference, unless the parent carried the same one.
pub(crate) fn check_certificate(
    executed: &ExecutedRef,
    parent: &ExecutedRef,
    scheme: &ResultScheme,
    rng: &mut impl CryptoRng,
) -> Result<(), Rejection> {
    if executed == parent {
        return Ok(());
    }
    let height = executed.height;
    let result = ExecutionResult {
        height,
        block_hash: executed.block_hash,
    };
    let proved = executed.certificate.as_ref().is_some_and(|signatures| {
        scheme.verify_certificate::<_, BlockDigest>(rng, &result, signatures, &Sequential)
    });
    if proved {
        Ok(())
    } else {
        Err(Rejection::Certificate { height })
    }
}

/// The gas budget of a block on top of these blocks in flight.
pub(crate) fn gas_budget(in_flight: &[RecoveredBlock], chain: &ChainConfig) -> u64 {
    let ordered = in_flight.iter().fold(0_u64, |sum, block| {
        sum.saturating_add(block.header().gas_limits_sum)
    });
    chain.gas_budget(ordered)
}

/// What the blocks in flight have committed of every account.
pub(crate) fn commitments(
    in_flight: &[RecoveredBlock],
    chain: &ChainConfig,
    state: &impl StateReader,
) -> Result<InFlight, ReadFault> {
    let mut commitments = InFlight::new(chain.protocol.reserve, chain.chain_id);
    for block in in_flight {
        for transaction in block.transactions() {
            commitments.record_ordered(transaction, block.header().base_fee, |address| {
                account_view(state, address)
            })?;
        }
    }
    Ok(commitments)
}

/// Checks the body against the blocks in flight and the state at the certified height.
///
/// # Errors
/// The outer one is this node's own: its state cannot be read. The inner one says what is wrong with the block.
pub fn check_body(
    block: &RecoveredBlock,
    in_flight: &[RecoveredBlock],
    chain: &ChainConfig,
    state: &impl StateReader,
) -> Result<Result<(), Rejection>, ReadFault> {
    let header = block.header();
    if let Err(rejection) = check_gas(block, in_flight, chain) {
        return Ok(Err(rejection));
    }
    if !chain.protocol.dev && !block.block().directives().is_empty() {
        return Ok(Err(Rejection::Directives));
    }
    let mut commitments = commitments(in_flight, chain, state)?;
    for (index, transaction) in block.transactions().iter().enumerate() {
        if let Err(error) = check_static(transaction, chain, header.base_fee) {
            return Ok(Err(Rejection::Static { index, error }));
        }
        let admitted = commitments.admit(transaction, header.base_fee, |address| {
            account_view(state, address)
        })?;
        if let Err(error) = admitted {
            return Ok(Err(Rejection::Unaffordable { index, error }));
        }
    }
    Ok(Ok(()))
}

fn check_gas(
    block: &RecoveredBlock,
    in_flight: &[RecoveredBlock],
    chain: &ChainConfig,
) -> Result<(), Rejection> {
    let header = block.header();
    let expected = gas_budget(in_flight, chain);
    if header.gas_budget != expected {
        return Err(Rejection::GasBudget {
            got: header.gas_budget,
            expected,
        });
    }
    if header.gas_limits_sum > header.gas_budget {
        let (sum, budget) = (header.gas_limits_sum, header.gas_budget);
        return Err(Rejection::OverBudget { sum, budget });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
