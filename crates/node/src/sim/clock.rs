//! Virtual time, in microseconds since the Unix epoch.

use commonware_runtime::{Clock as _, Supervisor as _, deterministic::Context};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The runtime's clock. Cheap to clone.
#[derive(Clone)]
pub(super) struct Time(Arc<Context>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Time").field(&self.now_us()).finish()
    }
}

impl Time {
    pub(super) fn new(runtime: &Context) -> Self {
        Self(Arc::new(runtime.child("clock")))
    }

    pub(super) fn now_us(&self) -> u64 {
        let since = self.0.current().duration_since(UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_us() / 1_000
    }

    /// Waits for a time.
    pub(super) fn until(&self, us: u64) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.0.sleep_until(at(us))
    }
}

fn at(us: u64) -> SystemTime {
    let since = Duration::from_micros(us);
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}
