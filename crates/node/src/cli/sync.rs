//! What `headway node` says while it takes a state from peers: a bar on a terminal, a line now and then
//! elsewhere.

use consensus::sync::{Report, SyncEvent, SyncProgress};
use std::io::{IsTerminal as _, Write as _};

/// Characters of a full bar.
const BAR_WIDTH: u64 = 40;
/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// Tells people how far it is.
pub(crate) fn report() -> Box<Report> {
    if std::io::stderr().is_terminal() {
        return Box::new(draw);
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

fn draw(event: SyncEvent) {
    match event {
        SyncEvent::Progress(progress) => {
            let filled = BAR_WIDTH * percent(&progress) / 100;
            let bar = "#".repeat(usize::try_from(filled).unwrap_or_default());
            let width = usize::try_from(BAR_WIDTH).unwrap_or_default();
            eprint!("\r[{bar:width$}] {}\x1b[K", line(&progress));
            if is_done(&progress) {
                eprintln!();
            }
            // A bar that can't be drawn is no reason to stop.
            std::io::stderr().flush().ok();
        }
        SyncEvent::Blamed(_) => {
            eprint!("\r\x1b[K");
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
