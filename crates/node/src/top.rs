//! `headway top`: a node, live, in a terminal.
//!
//! ```text
//! node ─ /health, /metrics, JSON-RPC ─▶ Sample ─▶ Model ─▶ draw ─▶ terminal, or one frame of text
//!                                                   ▲
//!                                          keys ────┘
//! ```
//! It only reads, by HTTP, and asks again and again; a node that goes away is asked until it is back. The model
//! knows no clock and no terminal, so that tests see every frame. Limits: [`HISTORY_MAX`] values of a rate,
//! [`STAGES_MAX`] blocks whose stages count, one answer of each kind at a time.

mod draw;
mod draw_hot;
pub(crate) mod exposition;
mod keys;
mod model;
mod sample;
#[cfg(test)]
mod tests;

pub use model::{HISTORY_MAX, STAGES_MAX};

use crate::load::{LoadError, client::Client};
use keys::{Key, Keys};
use model::Model;
use ratatui::{
    Terminal,
    backend::{Backend, TestBackend},
    buffer::Buffer,
};
use sample::{Known, Sample};
use std::{io, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Longest wait for all answers of one look.
const LOOK_WAIT: Duration = Duration::from_secs(5);
/// Width and height of a frame that nobody sees a terminal for.
pub const FRAME_SIZE: (u16, u16) = (80, 24);

/// Why the view ended.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// The node's address is not usable, or the node gave no answer to the only look there is.
    #[error(transparent)]
    Node(#[from] LoadError),
    /// The terminal could not be used.
    #[error("cannot draw on this terminal: {0}; `--once` prints one frame as text")]
    Terminal(io::Error),
    /// The operating system gave no threads.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

impl TopError {
    /// 2 for a mistake of whoever started it, 1 for what went wrong elsewhere.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Node(error) => error.exit_code(),
            Self::Terminal(_) => 2,
            Self::Runtime(_) => 1,
        }
    }
}

/// What to watch.
#[derive(Clone, Debug)]
pub struct TopOptions {
    /// JSON-RPC of the node.
    pub url: String,
    /// Between two looks.
    pub interval: Duration,
}

/// Watches a node until somebody quits.
///
/// # Errors
/// When the URL or the terminal is not usable.
pub fn watch(options: &TopOptions) -> Result<(), TopError> {
    let client = Client::new(&options.url, LOOK_WAIT)?;
    let runtime = runtime()?;
    let mut terminal = ratatui::try_init().map_err(TopError::Terminal)?;
    let outcome = runtime.block_on(follow(&client, options, &mut terminal));
    ratatui::restore();
    // The thread that reads keys looks up ten times a second whether it is wanted.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.map_err(TopError::Terminal)
}

/// One frame as text: two looks at the node, so that rates can be told.
///
/// # Errors
/// When the node gives no answer.
pub fn once(options: &TopOptions, size: (u16, u16)) -> Result<String, TopError> {
    let client = Client::new(&options.url, LOOK_WAIT)?;
    runtime()?.block_on(async {
        let start = Instant::now();
        let mut model = Model::new(client.url(), options.interval);
        let first = look(&client, &model.known()).await?;
        model.see(start.elapsed(), Ok(first));
        sleep(options.interval).await;
        let second = look(&client, &model.known()).await;
        model.see(
            start.elapsed(),
            second.map_err(|error| said(&client, &error)),
        );
        Ok(frame(&model, size))
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, TopError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(TopError::Runtime)
}

/// What is wrong, without where: that is in the line above.
fn said(client: &Client, error: &LoadError) -> String {
    let text = error.to_string();
    let place = format!("cannot reach {}: ", client.url());
    text.strip_prefix(&place)
        .map_or(text.clone(), str::to_owned)
}

async fn look(client: &Client, known: &Known) -> Result<Sample, LoadError> {
    let look = timeout(LOOK_WAIT, sample::take(client, known));
    look.await.unwrap_or_else(|_| {
        Err(LoadError::Transport {
            url: client.url().to_owned(),
            problem: format!("no answer in {} s", LOOK_WAIT.as_secs()),
        })
    })
}

async fn follow<B: Backend<Error = io::Error>>(
    client: &Client,
    options: &TopOptions,
    terminal: &mut Terminal<B>,
) -> io::Result<()> {
    let start = Instant::now();
    let mut model = Model::new(client.url(), options.interval);
    let mut keys = Keys::read();
    let mut due = start;
    loop {
        terminal.draw(|frame| draw::draw(&model, frame))?;
        let known = model.known();
        let looked = async {
            sleep_until(due).await;
            look(client, &known).await
        };
        tokio::select! {
            biased;
            key = keys.next() => match key {
                Some(Key::Quit) | None => return Ok(()),
                Some(key) => model.press(key),
            },
            sample = looked, if !model.is_paused() => {
                let now = start.elapsed();
                model.see(now, sample.map_err(|error| said(client, &error)));
                due = Instant::now() + options.interval;
            }
        }
    }
}

/// A frame without a terminal.
fn frame(model: &Model, (width, height): (u16, u16)) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(drawn) = terminal.draw(|frame| draw::draw(model, frame));
    lines(drawn.buffer)
}

/// What is written in a buffer, without trailing spaces.
fn lines(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        for x in area.left()..area.right() {
            line.push_str(buffer.cell((x, y)).map_or(" ", |cell| cell.symbol()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
