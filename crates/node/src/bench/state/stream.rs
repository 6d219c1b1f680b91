//! A stream of blocks at a rate, with the store on disk.
//!
//! ```text
//!   source ─ every 100 ms a block ─▶ queue ─▶ commit, seal ─▶ flush on a thread of its own
//!              held up when full                root lag         flush lag
//! ```

use super::{
    OnProgress, StateBench, Subject, at,
    report::{Sample, StateReport},
};
use crate::{bench::Usage, replay::Clock};
use state::{StateDiff, Store, StoreError};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

const BLOCKS_PER_SECOND: u64 = 10;
/// Blocks that may wait for their root: two seconds.
const QUEUE_BLOCKS: usize = 20;
/// Blocks that may wait to become durable: ten seconds.
const UNFLUSHED_BLOCKS_MAX: u64 = 100;
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(2);

/// A block on its way.
struct Offered {
    /// When it should have come.
    due: Duration,
    diff: StateDiff,
}

/// How far the stages are, for whoever watches.
#[derive(Default)]
struct Stages {
    offered: AtomicU64,
    rooted: AtomicU64,
    ended: AtomicBool,
    /// From when the newest block with a root was due to when it had it.
    root_lag_us: AtomicU64,
    /// Heights and when they were due, until they are durable.
    due: Mutex<Vec<(u64, Duration)>>,
    failure: Mutex<Option<StoreError>>,
}

impl Subject<'_> {
    pub(super) fn stream(
        &mut self,
        bench: &StateBench,
        report: &mut StateReport,
        progress: OnProgress<'_>,
    ) -> Result<(), StoreError> {
        let stages = Stages::default();
        let (clock, store) = (self.clock, self.store.clone());
        let (started, before) = (clock(), Usage::now());
        let (blocks, queue) = sync_channel::<Offered>(QUEUE_BLOCKS);
        let per_block = usize::try_from(bench.rate / BLOCKS_PER_SECOND).unwrap_or(usize::MAX);
        let total = bench.seconds * BLOCKS_PER_SECOND;
        let mut samples = Vec::new();
        thread::scope(|scope| {
            let stages = &stages;
            // Moved, so that its end ends the queue.
            scope.spawn(move || self.offer((started, total, per_block), &blocks, stages));
            scope.spawn({
                let store = &store;
                move || commit_all(store, &queue, clock, stages)
            });
            scope.spawn(|| flush_all(&store, stages));
            while !stages.ended.load(Relaxed) {
                thread::sleep(SAMPLE_EVERY);
                let second = (clock() - started).as_secs();
                progress(at("stream", second.min(bench.seconds), bench.seconds));
                samples.push(sample(started, &store, stages, clock));
            }
        });
        for sample in &mut samples {
            sample.written_mb -= before.written_bytes >> 20;
        }
        let after = Usage::now();
        report.streamed(samples, stages.rooted.into_inner(), (&before, &after));
        let failure = stages.failure.into_inner();
        match failure.unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn offer(
        &mut self,
        (started, total, per_block): (Duration, u64, usize),
        blocks: &SyncSender<Offered>,
        stages: &Stages,
    ) {
        for number in 0..total {
            let diff = self.keys.updates(per_block);
            let due = started + Duration::from_millis(number * 1_000 / BLOCKS_PER_SECOND);
            while (self.clock)() < due {
                thread::sleep(POLL);
            }
            stages.offered.fetch_add(per_block as u64, Relaxed);
            if blocks.send(Offered { due, diff }).is_err() {
                return;
            }
        }
    }
}

fn commit_all(store: &Store, queue: &Receiver<Offered>, clock: &Clock, stages: &Stages) {
    while let Ok(Offered { due, diff }) = queue.recv() {
        while store.newest_height() - store.flushed_height() > UNFLUSHED_BLOCKS_MAX {
            thread::sleep(POLL);
        }
        let height = store.newest_height() + 1;
        let writes: usize = diff
            .accounts
            .values()
            .map(|change| usize::from(change.storage.is_empty()) + change.storage.len())
            .sum();
        let added = store
            .commit(height, diff)
            .and_then(|root| store.seal(super::record(height, *root)));
        if let Err(error) = added {
            return stages.fail(error);
        }
        stages.due().push((height, due));
        stages.rooted.fetch_add(writes as u64, Relaxed);
        let lag = u64::try_from((clock() - due).as_micros()).unwrap_or(u64::MAX);
        stages.root_lag_us.store(lag, Relaxed);
    }
    stages.ended.store(true, Relaxed);
}

fn flush_all(store: &Store, stages: &Stages) {
    while !stages.ended.load(Relaxed) {
        // The newest may not have its block yet.
        let height = store.newest_height() - 1;
        if height <= store.flushed_height() {
            thread::sleep(POLL);
            continue;
        }
        if let Err(error) = store.flush(height) {
            return stages.fail(error);
        }
        stages.due().retain(|(waiting, _)| *waiting > height);
    }
}

fn sample(started: Duration, store: &Store, stages: &Stages, clock: &Clock) -> Sample {
    let (usage, now) = (Usage::now(), clock() - started);
    let oldest = stages
        .due()
        .first()
        .map(|(_, due)| clock().saturating_sub(*due));
    Sample {
        t_s: now.as_secs_f64(),
        offered: stages.offered.load(Relaxed),
        rooted: stages.rooted.load(Relaxed),
        root_lag_s: Duration::from_micros(stages.root_lag_us.load(Relaxed)).as_secs_f64(),
        flush_lag_s: oldest.unwrap_or_default().as_secs_f64(),
        unflushed_blocks: store.newest_height() - store.flushed_height(),
        written_mb: usage.written_bytes >> 20,
        rss_mb: usage.rss_bytes >> 20,
    }
}

impl Stages {
    fn due(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Duration)>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: StoreError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        self.ended.store(true, Relaxed);
    }
}
