//! The progress bar of every command: one line on a terminal, nothing elsewhere.
//!
//! ```text
//! signing  [##########                    ] 6123/20000
//! ```

use std::io::{self, IsTerminal as _, Write as _};

/// Characters of a full bar.
const WIDTH: u64 = 30;

/// Draws over itself on standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    is_terminal: bool,
}

impl Bar {
    pub(super) fn new() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal }
    }

    /// Whether anybody sees it.
    pub(super) const fn is_seen(self) -> bool {
        self.is_terminal
    }

    /// What is done now, and how much of it.
    pub(super) fn draw(self, step: &str, done: u64, total: u64) {
        let bar = filled(done, total);
        self.line(&format!("{step:8} {bar} {done}/{total}"));
    }

    /// Any line in the bar's place.
    pub(super) fn line(self, text: &str) {
        if self.is_terminal {
            eprint!("\r{text}\x1b[K");
            // A bar that can't be drawn is no reason to stop.
            io::stderr().flush().ok();
        }
    }

    /// Leaves its place empty.
    pub(super) fn clear(self) {
        self.line("");
    }
}

/// The bar alone.
pub(super) fn filled(done: u64, total: u64) -> String {
    let filled = u128::from(WIDTH) * u128::from(done.min(total)) / u128::from(total.max(1));
    let filled = usize::try_from(filled).unwrap_or_default();
    let width = usize::try_from(WIDTH).unwrap_or_default();
    format!("[{:width$}]", "#".repeat(filled))
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, filled};

    #[test]
    fn a_bar_is_always_as_wide() {
        for (done, total, marks) in [(0, 0, 0), (0, 9, 0), (3, 9, 10), (9, 9, 30), (99, 9, 30)] {
            let bar = filled(done, total);
            assert_eq!(bar.matches('#').count(), marks, "{done}/{total}");
            assert_eq!(bar.len() as u64, WIDTH + 2);
        }
        assert_eq!(filled(u64::MAX, u64::MAX).matches('#').count(), 30);
    }
}
