//! What `headway node` says while it takes a state from peers: a bar on a terminal, a line now and then
//! elsewhere.

use super::bar::{self, Bar};
use consensus::sync::{Report, SyncEvent, SyncProgress};

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// Tells people how far it is.
pub(crate) fn report() -> Box<Report> {
    let bar = Bar::new();
    if bar.is_seen() {
        return Box::new(move |event| draw(bar, event));
    }
    let mut told = None;
    Box::new(move |event| match event {
        SyncEvent::Progress(progress) => {
            let step = (progress.height, percent(&progress) / 10);
            if told != Some(step) {
                told = Some(step);
                eprintln!("{}", line(&progress));
            }
        }
        SyncEvent::Blamed(_) => tell_blame(&event),
    })
}

fn draw(bar: Bar, event: SyncEvent) {
    match event {
        SyncEvent::Progress(progress) => {
            let (done, all) = progress.bytes;
            bar.line(&format!("{} {}", bar::filled(done, all), line(&progress)));
            if is_done(&progress) {
                eprintln!();
            }
        }
        SyncEvent::Blamed(_) => {
            bar.clear();
            tell_blame(&event);
        }
    }
}

fn tell_blame(event: &SyncEvent) {
    if let SyncEvent::Blamed(blamed) = event {
        eprintln!("peer {} lied and is banned: {}", blamed.peer, blamed.reason);
    }
}

const fn is_done(progress: &SyncProgress) -> bool {
    let (done, all) = progress.pieces;
    progress.height > 0 && done == all
}

fn percent(progress: &SyncProgress) -> u64 {
    let (done, all) = progress.bytes;
    done.saturating_mul(100) / all.max(1)
}

fn line(progress: &SyncProgress) -> String {
    if progress.height == 0 {
        return "asking peers for a state".to_owned();
    }
    let (done, all) = progress.bytes;
    format!(
        "state of block {}: {} %, {} of {} MiB, from {} peers",
        progress.height,
        percent(progress),
        done.div_ceil(MIB),
        all.div_ceil(MIB),
        progress.peers
    )
}
