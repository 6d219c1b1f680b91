//! Running again what was executed, to tell what happened inside.
//!
//! ```text
//! record at h ─┐
//! state at h−1 ┴▶ executor::trace ─▶ traces, each with the receipt that came of it ─ equal to the record's? ─▶ answer
//! ```
//! The state of the parent has to be kept still; if it is not, the answer says which is the oldest that is.
//! Limits: [`TRACE_STEPS_MAX`] and [`TRACE_BYTES_MAX`] for one call, and the time its caller gives it.

use crate::{
    backend::Backend,
    config::{TRACE_BYTES_MAX, TRACE_STEPS_MAX, TRACE_TIMEOUT_MS, TRACE_TIMEOUT_MS_MAX},
    error::RpcError,
};
use executor::{
    ExecutionInput, TraceExcess, TraceLimits,
    trace::{TraceBlock, TraceError, Traced, TracerError},
};
use pipeline::ExecutedRecord;
use state::Snapshot;
use std::{ops::Range, sync::Arc};

/// An executed block, and the state it was executed on.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) record: Arc<ExecutedRecord>,
    state: Snapshot,
}

impl Again {
    /// The block of a record.
    pub(crate) fn new(backend: &Backend, record: Arc<ExecutedRecord>) -> Result<Self, RpcError> {
        let Some(parent) = record.height().checked_sub(1) else {
            return Err(RpcError::GenesisNotTraced);
        };
        let state = backend.chain.snapshot(parent)?;
        Ok(Self { record, state })
    }

    /// Runs the transactions at these places again.
    pub(crate) fn run<T>(
        &self,
        backend: &Backend,
        wanted: Range<usize>,
        limits: TraceLimits,
        trace: impl FnOnce(&TraceBlock<'_>, &Snapshot) -> Result<Vec<Traced<T>>, TraceError>,
    ) -> Result<Vec<Traced<T>>, RpcError> {
        let record = &self.record;
        let mut input = ExecutionInput::new(
            backend.chain.config(),
            backend.chain.environment(record),
            &record.transactions,
            record.block.directives(),
        );
        input.ethereum = backend.chain.ethereum(&record.header);
        input.code_cache = Some(backend.chain.code_cache());
        let block = TraceBlock {
            input: &input,
            hash: Some(record.hash),
            wanted: wanted.clone(),
            limits,
        };
        let traced = trace(&block, &self.state)?;
        for (place, traced) in wanted.zip(&traced) {
            if record.receipts.get(place) != Some(&traced.receipt) {
                return Err(RpcError::Internal(format!(
                    "a trace differs from its receipt: block={} transaction={place}",
                    record.height()
                )));
            }
        }
        Ok(traced)
    }

    /// Runs the transaction at a place again.
    pub(crate) fn run_one<T>(
        &self,
        backend: &Backend,
        place: usize,
        limits: TraceLimits,
        trace: impl FnOnce(&TraceBlock<'_>, &Snapshot) -> Result<Vec<Traced<T>>, TraceError>,
    ) -> Result<Traced<T>, RpcError> {
        let traced = self.run(backend, place..place.saturating_add(1), limits, trace)?;
        traced
            .into_iter()
            .next()
            .ok_or(RpcError::TransactionNotFound)
    }

    /// Every place in the block.
    pub(crate) fn all(&self) -> Range<usize> {
        0..self.record.transactions.len()
    }
}

/// How much one call may tell, and for how long; a timeout as geth takes it, as in `5s` or `1m30s`.
pub(crate) fn limits(backend: &Backend, timeout: Option<&str>) -> Result<TraceLimits, RpcError> {
    let timeout_ms = match timeout {
        None => TRACE_TIMEOUT_MS,
        Some(text) => parse_duration_ms(text)
            .ok_or_else(|| RpcError::ArgumentsConflict(format!("invalid timeout: {text}")))?,
    };
    let deadline_ms = backend
        .now_ms()
        .saturating_add(timeout_ms.min(TRACE_TIMEOUT_MS_MAX));
    let now_ms = Arc::clone(&backend.clock.now_ms);
    Ok(TraceLimits {
        steps_max: TRACE_STEPS_MAX,
        bytes_max: TRACE_BYTES_MAX,
        expired: Arc::new(move || now_ms() > deadline_ms),
    })
}

/// A duration in Go's form, in whole numbers.
fn parse_duration_ms(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let end = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        let (unit, next) = unit.split_at(end);
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        sum = sum.saturating_add(number.parse::<u64>().ok()?.saturating_mul(factor));
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

impl From<TraceError> for RpcError {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::Excess(TraceExcess::Time) => Self::CallFailed(error.to_string()),
            TraceError::Excess(TraceExcess::Steps(_) | TraceExcess::Bytes(_)) => {
                Self::LimitExceeded(error.to_string())
            }
            TraceError::Call(error) => error.into(),
            TraceError::Fault(fault) => Self::Internal(fault.to_string()),
        }
    }
}

impl From<TracerError> for RpcError {
    fn from(error: TracerError) -> Self {
        Self::ArgumentsConflict(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::parse_duration_ms;

    #[test]
    fn durations_are_gos() {
        assert_eq!(parse_duration_ms("5s"), Some(5_000));
        assert_eq!(parse_duration_ms("300ms"), Some(300));
        assert_eq!(parse_duration_ms("1m30s"), Some(90_000));
        for wrong in ["", "5", "s", "1.5s", "-1s", "5 s"] {
            assert_eq!(parse_duration_ms(wrong), None, "{wrong}");
        }
    }
}
