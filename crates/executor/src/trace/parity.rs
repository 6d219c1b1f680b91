//! Traces in the form of Parity's `trace` methods.

use super::{Ran, Subject, Unwatched};
use crate::watch::{Eye, Frames, StepParts};
use alloy_rpc_types_trace::parity::{TraceResults, TraceType};
use revm_inspectors::tracing::{TracingInspector, TracingInspectorConfig};
use std::collections::HashSet;

/// Runs a transaction and tells what was asked for.
pub(super) fn trace(
    subject: &mut Subject<'_, '_>,
    types: &HashSet<TraceType>,
) -> Result<(TraceResults, Ran), Unwatched> {
    let types = types.iter().copied().collect();
    let config = TracingInspectorConfig::from_parity_config(&types);
    let parts = types.contains(&TraceType::VmTrace).then_some(StepParts {
        stack: false,
        memory: true,
        storage: false,
        count_max: None,
    });
    let frames = Frames::new(TracingInspector::new(config), parts);
    let watched = subject.run(Eye::Frames(Box::new(frames)))?;
    let mut inspector = watched.eye.into_frames();
    inspector.set_transaction_gas_limit(subject.env.gas_limit);
    inspector.set_transaction_caller(subject.env.caller);
    let results = inspector
        .into_parity_builder()
        .into_trace_results_with_state(&watched.ran, &types, subject.before())?;
    Ok((results, watched.ran))
}
