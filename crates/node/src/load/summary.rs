//! The report of a run that has ended, from what was noted while it went on.

use super::{
    EndpointReport, Latencies, Latency, LoadOptions, LoadReport, Ready, Series,
    fates::{Fate, Fates, Record},
    send::{Endpoint, Lateness},
    stages::BlockTimes,
    watch::Watch,
};
use std::collections::BTreeSet;

/// All of it but the checks, which come afterwards.
pub(super) fn report(
    options: &LoadOptions,
    fates: &Fates,
    ready: &Ready,
    lateness: &Lateness,
) -> LoadReport {
    let seconds = |end_us: Option<u64>| end_us.map_or(0.0, |end_us| end_us as f64 / 1e6);
    let per_second = |count: usize, seconds: f64| match seconds > 0.0 {
        true => count as f64 / seconds,
        false => 0.0,
    };
    let failed = fates.count(Fate::Failed);
    let mined = fates.count(Fate::Succeeded) + failed;
    let mined_seconds = seconds(fates.last_included_us);
    let submission_seconds = seconds(fates.last_answer_us);
    let heights = ready.watches.iter().flat_map(|watch| &watch.heights);
    let records = fates.records();
    let refusals = fates.refusals.list();
    LoadReport {
        workload: options.workload,
        transactions: records.len(),
        senders: options.senders,
        rate: options.rate,
        sent: fates.sent,
        accepted: count(records, |record| record.accepted_us().is_some()),
        refused: fates.count(Fate::Refused),
        first_refusal: refusals.first().map(|refusal| refusal.message.clone()),
        refusals,
        resent: fates.resent,
        mined,
        failed,
        included: fates.included,
        missing: records.len() - mined,
        blocks: heights.collect::<BTreeSet<_>>().len(),
        seconds: mined_seconds,
        transactions_per_second: per_second(mined, mined_seconds),
        submission_seconds,
        submissions_per_second: per_second(fates.sent, submission_seconds),
        late_sends: lateness.late.get(),
        latest_send_ms: lateness.most_us.get() as f64 / 1_000.0,
        interrupted: false,
        preparation: ready.preparation,
        endpoints: endpoint_reports(fates, &ready.endpoints),
        latencies: latencies(fates, &ready.watches),
        checks: Vec::new(),
        series: Series::of(records),
    }
}

fn count(records: &[Record], is_one: impl Fn(&Record) -> bool) -> usize {
    records.iter().filter(|record| is_one(record)).count()
}

fn endpoint_reports(fates: &Fates, endpoints: &[Endpoint]) -> Vec<EndpointReport> {
    let mut reports: Vec<EndpointReport> = endpoints
        .iter()
        .map(|endpoint| EndpointReport {
            url: endpoint.client.url().to_owned(),
            sent: 0,
            accepted: 0,
            mined: 0,
            lost: endpoint.lost.borrow().clone(),
        })
        .collect();
    for (index, record) in fates.records().iter().enumerate() {
        if let Some(report) = reports.get_mut(fates.lanes.endpoint(index)) {
            report.sent += usize::from(record.due_us().is_some());
            report.accepted += usize::from(record.accepted_us().is_some());
            report.mined += usize::from(matches!(record.fate, Fate::Succeeded | Fate::Failed));
        }
    }
    reports
}

fn latencies(fates: &Fates, watches: &[Watch]) -> Latencies {
    let since_due = |time: fn(&Record) -> Option<u64>| {
        let records = fates.records().iter();
        Latency::of(
            records.filter_map(|record| Some(time(record)?.saturating_sub(record.due_us()?))),
        )
    };
    let stages = watches.iter().filter_map(|watch| watch.stages.as_ref());
    let clocks_differ = stages.clone().any(|stages| stages.clocks_differ);
    let until = |stage: fn(&BlockTimes) -> Option<u64>| {
        if clocks_differ {
            return None;
        }
        let records = fates.records().iter().enumerate();
        Latency::of(records.filter_map(|(index, record)| {
            let watch = watches.get(fates.lanes.endpoint(index))?;
            let (times, start_ms) = watch.stages.as_ref()?.of_block(record.height)?;
            let stage_us = stage(times)?.saturating_sub(start_ms).saturating_mul(1_000);
            Some(stage_us.saturating_sub(record.due_us()?))
        }))
    };
    Latencies {
        accepted: since_due(Record::accepted_us),
        included: since_due(Record::included_us),
        backed: until(|times| times.backed_ms),
        safe: until(|times| times.included_ms),
        finalized: until(|times| times.finalized_ms),
        executed: until(|times| times.executed_ms),
        verified: until(|times| times.verified_ms),
        clocks_differ,
    }
}
