//! A node's processor: work is charged to it and takes virtual time, in the order in which it comes.
//!
//! ```text
//! messages ─▶ one core           jobs: check, cut, build, restore ─▶ the core that is free first
//! ```
//! Nothing is preempted. A job that has been done is *owed*: whoever did it is told how long that takes here, and
//! waits.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Lanes {
    /// When each core is free, in microseconds of virtual time.
    messages_us: u64,
    workers_us: Vec<u64>,
    owed_us: u64,
    busy_us: u64,
}

/// A node's processor.
#[derive(Debug)]
pub(super) struct Cpu {
    lanes: Mutex<Lanes>,
}

impl Cpu {
    /// Of so many cores, of which one is for messages.
    pub(super) fn new(cores: u16) -> Self {
        let workers = usize::from(cores.saturating_sub(1).max(1));
        Self {
            lanes: Mutex::new(Lanes {
                workers_us: vec![0; workers],
                ..Lanes::default()
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a message that comes now has been handled.
    pub(super) fn message(&self, now_us: u64, cost_us: u64) -> u64 {
        let mut lanes = self.lock();
        lanes.busy_us = lanes.busy_us.saturating_add(cost_us);
        lanes.messages_us = lanes.messages_us.max(now_us).saturating_add(cost_us);
        lanes.messages_us
    }

    /// When a job that begins now, or as soon as a core is free, is done.
    pub(super) fn job(&self, now_us: u64, cost_us: u64) -> u64 {
        let mut lanes = self.lock();
        lanes.busy_us = lanes.busy_us.saturating_add(cost_us);
        let Some(first) = lanes.workers_us.iter_mut().min() else {
            return now_us;
        };
        *first = (*first).max(now_us).saturating_add(cost_us);
        *first
    }

    /// Part of a job that is being done.
    pub(super) fn owe(&self, cost_us: u64) {
        let mut lanes = self.lock();
        lanes.owed_us = lanes.owed_us.saturating_add(cost_us);
    }

    /// When the job that was done just now would be done.
    pub(super) fn pay(&self, now_us: u64) -> u64 {
        let owed_us = std::mem::take(&mut self.lock().owed_us);
        match owed_us {
            0 => now_us,
            owed_us => self.job(now_us, owed_us),
        }
    }

    /// Time that all cores together have worked, in microseconds.
    pub(super) fn busy_us(&self) -> u64 {
        self.lock().busy_us
    }
}

#[cfg(test)]
mod tests {
    use super::Cpu;

    #[test]
    fn jobs_queue_for_the_cores_that_there_are() {
        let cpu = Cpu::new(3);
        assert_eq!([cpu.job(0, 10), cpu.job(0, 20)], [10, 20]);
        assert_eq!(cpu.job(0, 5), 15, "the first core was free first");
        assert_eq!(cpu.job(100, 5), 105);
        assert_eq!(cpu.message(0, 7), 7, "messages have a core of their own");
        assert_eq!(cpu.message(3, 7), 14);
        cpu.owe(4);
        cpu.owe(4);
        assert_eq!(cpu.pay(200), 208);
        assert_eq!(cpu.pay(200), 200, "what is paid is not owed");
        assert_eq!(cpu.busy_us(), 62);
    }
}
