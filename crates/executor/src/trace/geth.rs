//! Traces in the form of geth's `debug` methods.

use super::{Ran, Subject, Tracer, Unwatched, Watched, tracer::steps_asked_for};
use crate::watch::{Eye, Frames, StepParts};
use alloy_primitives::map::HashMap;
use alloy_rpc_types_trace::{
    geth::{
        CallConfig, CallFrame, FourByteFrame, GethDefaultTracingOptions, GethTrace, NoopFrame,
        PreStateConfig, mux::MuxFrame,
    },
    parity::LocalizedTransactionTrace,
};
use revm_inspectors::tracing::{FourByteInspector, TracingInspector, TracingInspectorConfig};

/// Runs a transaction and tells what was asked for.
pub(super) fn trace(
    subject: &mut Subject<'_, '_>,
    tracer: &Tracer,
) -> Result<(GethTrace, Ran), Unwatched> {
    match tracer {
        Tracer::Steps(options) => steps(subject, options),
        Tracer::Calls(config) => {
            let (frame, ran) = calls(subject, *config)?;
            Ok((frame.into(), ran))
        }
        Tracer::FlatCalls => flat_calls(subject),
        Tracer::Prestate(config) => prestate(subject, config),
        Tracer::Selectors => {
            let watched = subject.run(Eye::Selectors(FourByteInspector::default()))?;
            let frame = match &watched.eye {
                Eye::Selectors(inspector) => FourByteFrame::from(inspector),
                _ => FourByteFrame::default(),
            };
            Ok((frame.into(), watched.ran))
        }
        Tracer::Nothing => {
            let ran = subject.run(Eye::Result)?.ran;
            Ok((NoopFrame::default().into(), ran))
        }
        Tracer::Several(tracers) => {
            let mut frames = HashMap::default();
            let mut last = None;
            for (name, tracer) in tracers {
                let (frame, ran) = trace(subject, tracer)?;
                frames.insert(name.clone(), frame);
                last = Some(ran);
            }
            let ran = match last {
                Some(ran) => ran,
                None => subject.run(Eye::Result)?.ran,
            };
            Ok((MuxFrame(frames).into(), ran))
        }
    }
}

/// An inspector that has seen a transaction, as its builders want it.
fn watch_frames(
    subject: &mut Subject<'_, '_>,
    config: TracingInspectorConfig,
    parts: Option<StepParts>,
) -> Result<(TracingInspector, Watched), Unwatched> {
    let frames = Frames::new(TracingInspector::new(config), parts);
    let mut watched = subject.run(Eye::Frames(Box::new(frames)))?;
    let mut inspector = std::mem::take(&mut watched.eye).into_frames();
    inspector.set_transaction_gas_limit(subject.env.gas_limit);
    inspector.set_transaction_caller(subject.env.caller);
    Ok((inspector, watched))
}

fn steps(
    subject: &mut Subject<'_, '_>,
    options: &GethDefaultTracingOptions,
) -> Result<(GethTrace, Ran), Unwatched> {
    let config = TracingInspectorConfig::from_geth_config(options);
    let parts = StepParts {
        stack: options.is_stack_enabled(),
        memory: options.is_memory_enabled(),
        storage: options.is_storage_enabled(),
        count_max: steps_asked_for(options),
    };
    let (inspector, watched) = watch_frames(subject, config, Some(parts))?;
    let result = &watched.ran.result;
    let output = result.output().cloned().unwrap_or_default();
    let frame = inspector
        .geth_builder()
        .geth_traces(result.tx_gas_used(), output, *options);
    Ok((frame.into(), watched.ran))
}

fn calls(
    subject: &mut Subject<'_, '_>,
    options: CallConfig,
) -> Result<(CallFrame, Ran), Unwatched> {
    let config = TracingInspectorConfig::from_geth_call_config(&options);
    let (inspector, watched) = watch_frames(subject, config, None)?;
    let gas_used = watched.ran.result.tx_gas_used();
    let mut frame = inspector.geth_builder().geth_call_traces(options, gas_used);
    if let Some(reason) = watched.broken_rule {
        frame.revert_reason = Some(reason);
    }
    Ok((frame, watched.ran))
}

fn flat_calls(subject: &mut Subject<'_, '_>) -> Result<(GethTrace, Ran), Unwatched> {
    let config = TracingInspectorConfig::default_parity();
    let (inspector, watched) = watch_frames(subject, config, None)?;
    let place = subject.place;
    let traces = inspector.into_parity_builder().into_transaction_traces();
    let localize = |trace| LocalizedTransactionTrace {
        trace,
        block_hash: place.block,
        block_number: Some(place.height),
        transaction_hash: place.transaction,
        transaction_position: place.index,
    };
    let frame: Vec<_> = traces.into_iter().map(localize).collect();
    Ok((frame.into(), watched.ran))
}

fn prestate(
    subject: &mut Subject<'_, '_>,
    options: &PreStateConfig,
) -> Result<(GethTrace, Ran), Unwatched> {
    let config = TracingInspectorConfig::from_geth_prestate_config(options);
    let (inspector, watched) = watch_frames(subject, config, None)?;
    let frame =
        inspector
            .geth_builder()
            .geth_prestate_traces(&watched.ran, options, subject.before())?;
    Ok((frame.into(), watched.ran))
}
