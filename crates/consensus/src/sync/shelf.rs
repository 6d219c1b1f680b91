//! The states that a server has ready: the newest, and older ones while somebody is still taking them.
//!
//! A state goes on the shelf with everything that is asked of it. It leaves when newer ones push it off, or
//! when nobody has asked for it for a while and there is a newer one. At most
//! [`STATES_MAX`] are there.

use super::{Answer, PAGE_BYTES, STATES_MAX, Want};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_codec::Encode as _;
use primitives::{Block, anchor::AnchorHead};
use state::sync::{LeafScan, Manifest, ServeError, serve_codes};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// A state, with everything that is asked of it.
#[derive(Debug)]
pub(crate) struct Prepared<L> {
    pub(crate) height: u64,
    pub(crate) head: AnchorHead,
    pub(crate) order: Vec<Block>,
    pub(crate) manifest: Manifest,
    pub(crate) leaves: L,
}

impl<L: LeafScan> Prepared<L> {
    fn serves(&self, want: &Want) -> bool {
        match want {
            Want::Offer => true,
            Want::Block(digest) => self.order.iter().any(|block| block.digest() == *digest),
            Want::Page(manifest, _) | Want::Chunk(manifest, _) | Want::Codes(manifest, _) => {
                *manifest == self.manifest.digest()
            }
        }
    }

    /// What is asked for; `Gone` for what no honest client asks for.
    fn answer(&self, want: &Want, older: Vec<B256>) -> Result<Answer, ServeError> {
        let bytes = match want {
            Want::Offer => {
                return Ok(Answer::Offer {
                    head: Box::new(self.head.clone()),
                    manifest: self.manifest.digest(),
                    manifest_bytes: u32::try_from(self.manifest.bytes().len()).unwrap_or(u32::MAX),
                    older,
                });
            }
            Want::Block(digest) => {
                let block = self.order.iter().find(|block| block.digest() == *digest);
                block.map(|block| block.encode())
            }
            Want::Page(_, page) => page_of(self.manifest.bytes(), *page),
            Want::Chunk(_, number) => {
                let number = usize::try_from(*number).unwrap_or(usize::MAX);
                unless_unknown(self.manifest.serve(&self.leaves, number))?
            }
            Want::Codes(_, hashes) => unless_unknown(serve_codes(&self.leaves, hashes))?,
        };
        Ok(bytes.map_or(Answer::Gone, Answer::Bytes))
    }
}

fn page_of(bytes: &[u8], page: u32) -> Option<Bytes> {
    let page = bytes.chunks(PAGE_BYTES).nth(usize::try_from(page).ok()?)?;
    Some(Bytes::copy_from_slice(page))
}

/// Tells a question without an answer from a failure of ours.
fn unless_unknown(
    served: Result<alloy_primitives::Bytes, ServeError>,
) -> Result<Option<Bytes>, ServeError> {
    match served {
        Ok(bytes) => Ok(Some(bytes.0)),
        Err(ServeError::Unknown(_) | ServeError::NoCode(_)) => Ok(None),
        Err(fault @ (ServeError::Read(_) | ServeError::Changed { .. })) => Err(fault),
    }
}

struct Kept<L> {
    state: Arc<Prepared<L>>,
    asked_at: SystemTime,
}

/// The states that are ready, oldest first.
pub(crate) struct Shelf<L> {
    kept: Mutex<VecDeque<Kept<L>>>,
}

impl<L: LeafScan> Shelf<L> {
    pub(crate) const fn new() -> Self {
        Self {
            kept: Mutex::new(VecDeque::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept<L>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Height of the newest state.
    pub(crate) fn newest_height(&self) -> Option<u64> {
        self.lock().back().map(|kept| kept.state.height)
    }

    /// Puts the newest state there, and drops those that nobody has asked for since `idle_since`.
    pub(crate) fn put(&self, state: Prepared<L>, now: SystemTime, idle_for: Duration) {
        let mut kept = self.lock();
        kept.retain(|kept| {
            let idle = now.duration_since(kept.asked_at).unwrap_or_default();
            idle < idle_for
        });
        while kept.len() >= STATES_MAX {
            kept.pop_front();
        }
        kept.push_back(Kept {
            state: Arc::new(state),
            asked_at: now,
        });
    }

    /// The answer to a question; `Gone` where there is none.
    ///
    /// # Errors
    /// When a state cannot be read; it is served no more.
    pub(crate) fn answer(&self, want: &Want, now: SystemTime) -> Result<Answer, ServeError> {
        let mut kept = self.lock();
        let place = kept.iter().rposition(|kept| kept.state.serves(want));
        let Some(place) = place else {
            return Ok(Answer::Gone);
        };
        let older = kept.range(..place);
        let older = older.map(|kept| kept.state.manifest.digest()).collect();
        let Some(found) = kept.get_mut(place) else {
            return Ok(Answer::Gone);
        };
        found.asked_at = now;
        let state = Arc::clone(&found.state);
        drop(kept);
        let answer = state.answer(want, older);
        if answer.is_err() {
            self.lock().retain(|kept| kept.state.height != state.height);
        }
        answer
    }
}
