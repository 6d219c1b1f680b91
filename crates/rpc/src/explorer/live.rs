//! `GET /live`, `GET /live/shards`: the live parts of the overview and of the shards, as server-sent events.
//!
//! ```text
//! ChainEvent, many a second ─▶ at most one look every PIPELINE_MS ─▶ Parts ─┬▶ reader    event: pipeline
//!                                shared by all readers of a topic           ├▶ reader    event: figures, newest
//!                                                                           └▶ …         every SLOW_MS
//! ```
//! A part is made once, however many read it, and only if somebody does. A reader that is slow is sent what is
//! newest when it is ready: nothing is queued for it. Limits: [`READERS_MAX`] readers, each with a heartbeat after
//! [`HEARTBEAT_MS`] without news, which also finds those that are gone; all end when the server stops.

use super::{Site, base, overview, secured, shards_page};
use crate::{
    backend::{Backend, run},
    config::LIVE_READERS_MAX as READERS_MAX,
    error::RpcError,
};
use alloy_primitives::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use jsonrpsee::server::{HttpBody, HttpResponse};
use pipeline::ChainEvent;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    broadcast::{Receiver, error::RecvError},
    watch,
};

/// Texts, by the names of their events.
pub(super) type Texts = Vec<(String, String)>;

/// What a stream is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// The overview.
    Overview,
    /// The page of all shards.
    Shards,
}

/// What a path is a stream about, if it is one.
pub(super) fn topic(path: &str) -> Option<Topic> {
    match path {
        "/live" => Some(Topic::Overview),
        "/live/shards" => Some(Topic::Shards),
        _ => None,
    }
}

/// Shortest time between two drawings of the pipeline.
const PIPELINE_MS: u64 = 200;
/// Shortest time between two looks at the rest.
const SLOW_MS: u64 = 1_000;
/// A reader hears something after this long at the latest.
const HEARTBEAT_MS: u64 = 10_000;
/// What a heartbeat is: a comment, which browsers skip.
const HEARTBEAT: &str = ": alive\n\n";
/// How long a browser waits before it connects again.
const RETRY: &str = "retry: 2000\n\n";

/// What all readers share.
#[derive(Debug)]
pub(crate) struct Live {
    room: Arc<Semaphore>,
    stopped: watch::Sender<bool>,
    overview: Mutex<Parts>,
    shards: Mutex<Parts>,
}

/// The newest parts, and when they were made.
#[derive(Clone, Debug, Default)]
struct Parts {
    pipeline: Part,
    slow: Part,
}

/// One or more events, encoded.
#[derive(Clone, Debug, Default)]
struct Part {
    made_ms: u64,
    events: Bytes,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(READERS_MAX)),
            stopped: watch::Sender::new(false),
            overview: Mutex::default(),
            shards: Mutex::default(),
        }
    }
}

impl Live {
    /// Of another chain, with readers and an end in common.
    pub(crate) fn sibling(&self) -> Self {
        Self {
            room: Arc::clone(&self.room),
            stopped: self.stopped.clone(),
            ..Self::default()
        }
    }

    /// Ends all streams.
    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// The parts, if they are new enough and nobody makes them just now.
    fn kept(&self, topic: Topic, now_ms: u64) -> Option<Parts> {
        let parts = self.of(topic).try_lock().ok()?;
        let is_new = now_ms.abs_diff(parts.pipeline.made_ms) < PIPELINE_MS;
        is_new.then(|| parts.clone())
    }

    /// The newest parts, below a base; those that are too old are made again.
    fn look(&self, topic: Topic, backend: &Backend, base: &str) -> Result<Parts, RpcError> {
        // Whoever comes meanwhile waits here and is given what was made.
        let mut parts = self
            .of(topic)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now_ms = backend.now_ms();
        if now_ms.abs_diff(parts.pipeline.made_ms) >= PIPELINE_MS {
            let texts = match topic {
                Topic::Overview => overview::pipeline_text(backend)?,
                Topic::Shards => shards_page::lane_texts(backend)?,
            };
            parts.pipeline = Part::new(now_ms, &texts, base);
        }
        if now_ms.abs_diff(parts.slow.made_ms) >= SLOW_MS {
            let texts = match topic {
                Topic::Overview => overview::slow_texts(backend)?,
                Topic::Shards => shards_page::slow_texts(backend)?,
            };
            parts.slow = Part::new(now_ms, &texts, base);
        }
        Ok(parts.clone())
    }

    const fn of(&self, topic: Topic) -> &Mutex<Parts> {
        match topic {
            Topic::Overview => &self.overview,
            Topic::Shards => &self.shards,
        }
    }
}

impl Part {
    fn new(made_ms: u64, texts: &[(String, String)], base: &str) -> Self {
        let event = |(name, text): &(String, String)| match base {
            "" => encode(name, text),
            base => encode(name, &base::links(text, base)),
        };
        let events: String = texts.iter().map(event).collect();
        Self {
            made_ms,
            events: events.into_bytes().into(),
        }
    }
}

/// One event: each line of its text is a field of its own.
fn encode(name: &str, text: &str) -> String {
    let mut event = format!("event: {name}\n");
    for line in text.lines().filter(|line| !line.is_empty()) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

/// Begins a stream, if there is room for one more reader.
pub(super) async fn stream(site: Site, topic: Topic) -> HttpResponse {
    let Ok(permit) = Arc::clone(&site.live.room).try_acquire_owned() else {
        let text = format!("at most {READERS_MAX} readers at a time\n");
        let response = HttpResponse::new(HttpBody::from(text));
        let response = secured(response, 503, "text/plain; charset=utf-8");
        return super::with(response, "retry-after", "5");
    };
    let backend = site.switch.settled().await;
    let reader = Reader {
        events: backend.chain.subscribe(),
        backend,
        stopped: site.live.stopped.subscribe(),
        site,
        topic,
        told: (0, 0),
        is_first: true,
        _permit: permit,
    };
    let frames = stream::unfold(reader, |reader| async {
        let (bytes, reader) = reader.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes.0)), reader))
    });
    let response = HttpResponse::new(HttpBody::new(StreamBody::new(frames)));
    let response = secured(response, 200, "text/event-stream");
    super::with(response, "cache-control", "no-store")
}

/// One browser that follows the chain.
struct Reader {
    site: Site,
    topic: Topic,
    /// What is served now: a development chain may go back.
    backend: Arc<Backend>,
    events: Receiver<ChainEvent>,
    stopped: watch::Receiver<bool>,
    /// When the parts were made that it was sent last.
    told: (u64, u64),
    is_first: bool,
    _permit: OwnedSemaphorePermit,
}

/// What a reader waits for.
enum Woken {
    News,
    Nothing,
    End,
}

impl Reader {
    /// What to send next; nothing when the stream ends.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.is_first {
            self.is_first = false;
            return Some((Bytes::from_static(RETRY.as_bytes()), self));
        }
        let woken = match self.told {
            (0, 0) => Woken::News,
            _ => self.wait().await,
        };
        match woken {
            Woken::End => None,
            Woken::Nothing => Some((Bytes::from_static(HEARTBEAT.as_bytes()), self)),
            Woken::News => {
                let bytes = self.look().await?;
                Some((bytes, self))
            }
        }
    }

    /// Waits until something happened, and until the last drawing is old enough.
    async fn wait(&mut self) -> Woken {
        let sleep = Arc::clone(&self.backend.clock.sleep);
        let now_ms = self.backend.now_ms();
        let early = PIPELINE_MS.saturating_sub(now_ms.saturating_sub(self.told.0));
        tokio::select! {
            _ = self.stopped.wait_for(|stopped| *stopped) => return Woken::End,
            () = sleep(Duration::from_millis(early.min(PIPELINE_MS))) => {}
        }
        let woken = tokio::select! {
            _ = self.stopped.wait_for(|stopped| *stopped) => Woken::End,
            event = self.events.recv() => match event {
                Ok(_) | Err(RecvError::Lagged(_)) => Woken::News,
                Err(RecvError::Closed) => Woken::End,
            },
            () = sleep(Duration::from_millis(HEARTBEAT_MS)) => Woken::Nothing,
        };
        // What has happened meanwhile is told together.
        self.backend = self.site.switch.settled().await;
        self.events = self.backend.chain.subscribe();
        woken
    }

    /// The parts that it has not been sent; a comment if they can't be made now.
    async fn look(&mut self) -> Option<Bytes> {
        let (backend, topic) = (&self.backend, self.topic);
        let looked = match self.site.live.kept(topic, backend.now_ms()) {
            Some(parts) => Ok(parts),
            None => {
                let site = self.site.clone();
                let look = move |backend: &Arc<Backend>| site.live.look(topic, backend, &site.base);
                run(Arc::clone(backend), look).await
            }
        };
        let Ok(parts) = looked else {
            // Busy or catching up: the page stays as it is, and asks again.
            self.told.0 = self.backend.now_ms();
            return Some(Bytes::from_static(HEARTBEAT.as_bytes()));
        };
        let mut bytes = Vec::new();
        if parts.pipeline.made_ms != self.told.0 {
            bytes.extend_from_slice(&parts.pipeline.events);
        }
        if parts.slow.made_ms != self.told.1 {
            bytes.extend_from_slice(&parts.slow.events);
        }
        self.told = (parts.pipeline.made_ms, parts.slow.made_ms);
        if bytes.is_empty() {
            bytes.extend_from_slice(HEARTBEAT.as_bytes());
        }
        Some(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_part_is_a_field() {
        assert_eq!(
            encode("a", "<p>\n\nevent: b\n</p>"),
            "event: a\ndata: <p>\ndata: event: b\ndata: </p>\n\n"
        );
    }
}
