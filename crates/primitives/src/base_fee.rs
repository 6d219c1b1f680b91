//! The base fee without execution.
//!
//! EIP-1559's rule over the sum of **gas limits** of the parent, which is known when a block is
//! ordered, against the constant target `gas_limit / 2`. It never falls while back-pressure
//! shrinks the budget: a chain that cannot keep up must not look cheap.

use crate::{ChainConfig, Header};

/// EIP-1559's `BASE_FEE_MAX_CHANGE_DENOMINATOR`.
const CHANGE_DENOMINATOR: u128 = 8;
/// The fee never falls below this, in wei: EIP-1559's own fixed point.
pub const BASE_FEE_MIN: u64 = 7;

/// Base fee of the child of `parent`, in wei.
#[must_use]
pub fn next_base_fee(parent: &Header, chain: &ChainConfig) -> u64 {
    let target = u128::from((chain.gas_limit / 2).max(1));
    let used = u128::from(parent.gas_limits_sum);
    let fee = u128::from(parent.base_fee);
    let change = |distance: u128| {
        fee.saturating_mul(distance)
            .checked_div(target.saturating_mul(CHANGE_DENOMINATOR))
            .unwrap_or(0)
    };
    let next = if used > target {
        fee.saturating_add(change(used.saturating_sub(target)).max(1))
    } else if parent.gas_budget < chain.gas_limit {
        fee
    } else {
        fee.saturating_sub(change(target.saturating_sub(used)))
    };
    u64::try_from(next).unwrap_or(u64::MAX).max(BASE_FEE_MIN)
}
