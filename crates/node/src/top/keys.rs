//! The keyboard, beside the looks at the node.
//!
//! ```text
//! terminal ─ a blocking thread, woken ten times a second ─▶ channel of KEYS_MAX ─▶ Keys::next
//! ```
//! Keys beyond [`KEYS_MAX`] that nobody has taken yet are lost: whoever holds a key down does not miss them.

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Keys that may wait to be taken.
const KEYS_MAX: usize = 16;
/// How often the reading thread looks whether it is still wanted.
const WAKE: Duration = Duration::from_millis(100);

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// End.
    Quit,
    /// Stop looking, or go on.
    Pause,
    /// The next page.
    Tab,
    /// What the keys are.
    Help,
    /// The terminal has another size; draw again.
    Redraw,
}

/// Keys as they are pressed.
#[derive(Debug)]
pub(super) struct Keys {
    pressed: mpsc::Receiver<Key>,
    wanted: Arc<AtomicBool>,
}

impl Keys {
    /// Reads the terminal until this is dropped.
    pub(super) fn read() -> Self {
        let (sender, pressed) = mpsc::channel(KEYS_MAX);
        let wanted = Arc::new(AtomicBool::new(true));
        let reading = Arc::clone(&wanted);
        tokio::task::spawn_blocking(move || pass_on(&reading, &sender));
        Self { pressed, wanted }
    }

    /// The next one; none when there is no keyboard any more.
    pub(super) async fn next(&mut self) -> Option<Key> {
        self.pressed.recv().await
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}

/// Reads keys for as long as they are wanted.
fn pass_on(wanted: &AtomicBool, keys: &mpsc::Sender<Key>) {
    while wanted.load(Ordering::Relaxed) {
        match event::poll(WAKE) {
            Ok(false) => continue,
            Ok(true) => {}
            // Without a keyboard there is nothing to wait for, and nobody to look.
            Err(_) => return,
        }
        let key = event::read().ok().and_then(|event| meaning(&event));
        if let Some(key) = key {
            // Nobody has taken the last sixteen: this one is lost.
            keys.try_send(key).ok();
        }
    }
}

fn meaning(event: &Event) -> Option<Key> {
    let key = match event {
        Event::Resize(..) => return Some(Key::Redraw),
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('p' | ' ') => Some(Key::Pause),
        KeyCode::Tab | KeyCode::Right | KeyCode::Left => Some(Key::Tab),
        KeyCode::Char('?' | 'h') => Some(Key::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyEvent;

    #[test]
    fn keys_mean_what_the_help_says() {
        let press = |code| meaning(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        assert_eq!(press(KeyCode::Char('q')), Some(Key::Quit));
        assert_eq!(press(KeyCode::Char('p')), Some(Key::Pause));
        assert_eq!(press(KeyCode::Tab), Some(Key::Tab));
        assert_eq!(press(KeyCode::Char('?')), Some(Key::Help));
        assert_eq!(press(KeyCode::Char('x')), None);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(meaning(&Event::Key(interrupt)), Some(Key::Quit));
        assert_eq!(press(KeyCode::Char('c')), None);
        assert_eq!(meaning(&Event::Resize(80, 24)), Some(Key::Redraw));
    }
}
