//! Sends: each connection its own senders' transactions, in order, when they are due.
//!
//! ```text
//! due, in order ─▶ request ─┬▶ taken ───────▶ Fates::accept
//!    ▲                      ├▶ refused ─────▶ Fates::refuse
//!    │                      ├▶ pool is full ─┐
//!    └── first in line ◀────┴▶ no answer ────┘ after a pause that doubles
//! ```
//! A connection has one request on its way. With a rate it sends what is due by now, at most a batch; what
//! goes out late was delayed by the node or by this machine, and is counted. Without a rate it sends the
//! next batch at once. An endpoint that has given no usable answer for [`LOST_AFTER`] is lost: nothing more is
//! sent to it.

use super::{
    client::Client,
    error::LoadError,
    fates::{Fate, Fates},
    refusal::Verdict,
    schedule::Schedule,
    sign::Signed,
    submit::{Reply, submit, submit_bulk},
};
use primitives::signature::SenderKey;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

/// A node that was of no use for so long is given up, or for as long as the run waits if that is less.
const LOST_AFTER: Duration = Duration::from_secs(8);
/// First and longest pause before something is sent again.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];
/// What goes out later than this after it was due, is late.
const LATE: Duration = Duration::from_millis(10);

/// A node, and whether it is of use.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) client: Client,
    lost_after: Duration,
    /// When it began to be of none.
    troubled: Cell<Option<Instant>>,
    /// Why it was given up.
    pub(super) lost: RefCell<Option<String>>,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) fates: &'a RefCell<Fates>,
    /// By sender, then by nonce.
    pub(super) signed: &'a [Vec<Signed>],
    /// The senders' keys, if bundles are sent.
    pub(super) keys: Option<&'a [SenderKey]>,
    pub(super) schedule: Schedule,
    pub(super) batch: usize,
    pub(super) start: Instant,
    pub(super) deadline: Instant,
    pub(super) lateness: &'a Lateness,
}

/// How far the sender itself fell behind.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    pub(super) late: Cell<usize>,
    pub(super) most_us: Cell<u64>,
}

/// One connection's part.
struct Connection<'a> {
    run: &'a Run<'a>,
    endpoint: &'a Endpoint,
    queue: VecDeque<usize>,
    /// To be sent again, before anything of the queue.
    again: VecDeque<usize>,
    pause: Duration,
}

impl Endpoint {
    pub(super) fn new(client: Client, timeout: Duration) -> Self {
        Self {
            client,
            lost_after: LOST_AFTER.min(timeout),
            troubled: Cell::new(None),
            lost: RefCell::new(None),
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.borrow().is_some()
    }

    /// It answered as it should.
    pub(super) fn answered(&self) {
        self.troubled.set(None);
    }

    /// It did not; after a while it is lost.
    pub(super) fn failed(&self, error: &LoadError) {
        let now = Instant::now();
        let since = self.troubled.get().unwrap_or(now);
        self.troubled.set(Some(since));
        if now.duration_since(since) >= self.lost_after && !self.is_lost() {
            *self.lost.borrow_mut() = Some(error.to_string());
        }
    }
}

impl Lateness {
    fn see(&self, late: Duration) {
        if late > LATE {
            self.late.update(|count| count + 1);
        }
        self.most_us.update(|most| most.max(micros(late)));
    }
}

impl Run<'_> {
    pub(super) fn now_us(&self) -> u64 {
        micros(self.start.elapsed())
    }

    /// Sends everything of one connection.
    pub(super) async fn connection(&self, number: usize, endpoint: &Endpoint) {
        let queue = self.fates.borrow().lanes.queue(number).collect();
        let connection = Connection {
            run: self,
            endpoint,
            queue,
            again: VecDeque::new(),
            pause: Duration::ZERO,
        };
        connection.run().await;
    }

    /// When a transaction that goes out now was due: now, unless times are fixed.
    fn due_at(&self, index: usize, now: Duration) -> Duration {
        match self.schedule.is_open() {
            true => self.schedule.due(index),
            false => now,
        }
    }

    fn signed(&self, index: usize) -> Option<&Signed> {
        let plan = self.fates.borrow().lanes.plan;
        let sender = self.signed.get(plan.sender_of(index))?;
        sender.get(plan.nth_of(index))
    }
}

impl Connection<'_> {
    async fn run(mut self) {
        while !(self.endpoint.is_lost() || Instant::now() >= self.run.deadline) {
            if !self.pause.is_zero() {
                sleep(self.pause).await;
            }
            let due = self.take_due();
            if !due.is_empty() {
                self.send(due).await;
                continue;
            }
            match self.queue.front() {
                None => return,
                Some(next) => {
                    let due = self.run.start + self.run.schedule.due(*next);
                    sleep_until(due.min(self.run.deadline)).await;
                }
            }
        }
        let mut fates = self.run.fates.borrow_mut();
        for index in self.queue {
            fates.abandon(index);
        }
    }

    /// What to send now, noted as sent.
    fn take_due(&mut self) -> Vec<usize> {
        let (run, now) = (self.run, self.run.start.elapsed());
        let mut fates = run.fates.borrow_mut();
        let mut due = Vec::new();
        while due.len() < run.batch
            && let Some(index) = self.again.pop_front()
        {
            // A block may hold it by now, or an earlier one of its sender may be refused for good.
            if fates.fate(index) == Some(Fate::Sent) {
                fates.send(index, 0);
                due.push(index);
            }
        }
        let is_due = |index: &mut usize| !run.schedule.is_open() || run.schedule.due(*index) <= now;
        while due.len() < run.batch
            && let Some(index) = self.queue.pop_front_if(is_due)
        {
            if fates.fate(index) == Some(Fate::Unsent) {
                let due_at = run.due_at(index, now);
                run.lateness.see(now.saturating_sub(due_at));
                fates.send(index, micros(due_at));
                due.push(index);
            }
        }
        due
    }

    async fn send(&mut self, due: Vec<usize>) {
        let replies = self.request(&due).await;
        let mut fates = self.run.fates.borrow_mut();
        let now_us = self.run.now_us();
        let replies = match replies {
            Ok(replies) => {
                self.endpoint.answered();
                fates.last_answer_us = Some(now_us);
                replies
            }
            Err(error) => {
                self.endpoint.failed(&error);
                fates.refusals.count(&error.to_string());
                vec![Reply::Unanswered; due.len()]
            }
        };
        let mut again = VecDeque::new();
        for (index, reply) in due.into_iter().zip(replies) {
            if conclude(&mut fates, index, reply, now_us) {
                again.push_back(index);
            }
        }
        self.pause = match again.is_empty() {
            true => Duration::ZERO,
            false => (self.pause * 2).clamp(PAUSES[0], PAUSES[1]),
        };
        again.append(&mut self.again);
        self.again = again;
    }

    async fn request(&self, due: &[usize]) -> Result<Vec<Reply>, LoadError> {
        let signed: Vec<&Signed> = due
            .iter()
            .filter_map(|index| self.run.signed(*index))
            .collect();
        let client = &self.endpoint.client;
        let Some(keys) = self.run.keys else {
            return submit(client, &signed).await;
        };
        let plan = self.run.fates.borrow().lanes.plan;
        let keys = due
            .iter()
            .filter_map(|index| keys.get(plan.sender_of(*index)));
        let signed: Vec<_> = signed.into_iter().zip(keys).collect();
        submit_bulk(client, &signed).await
    }
}

/// Notes what the node said; whether to send it again.
fn conclude(fates: &mut Fates, index: usize, reply: Reply, now_us: u64) -> bool {
    let error = match reply {
        Reply::Taken => {
            fates.accept(index, now_us);
            return false;
        }
        Reply::Unanswered => return true,
        Reply::Refused(error) => error,
    };
    let verdict = Verdict::of(&error);
    if verdict != Verdict::Known {
        fates.refusals.count(&error.message);
    }
    match verdict {
        Verdict::Known => fates.accept(index, now_us),
        Verdict::Later => return true,
        Verdict::Stale => fates.refuse(index, false),
        Verdict::Never => fates.refuse(index, true),
    }
    false
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
