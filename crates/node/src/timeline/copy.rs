//! What a timeline begins with, and how it is taken from one that goes on.
//!
//! ```text
//! hold production ─▶ all is executed ─▶ flush up to what is verified ─▶ share the files ─▶ anchor ─▶ release
//! ```

use super::life::{Life, Origin};
use commonware_runtime::{Clock as _, Spawner as _, Supervisor as _};
use futures::future::{Either, select};
use pipeline::{Chain, Settings};
use primitives::{Anchor, RecoveredTransaction};
use rpc::TravelError;
use state::Location;
use std::{
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

/// How long blocks that are under way may take, in milliseconds.
const REST_WAIT_MS: u64 = 5_000;
/// Blocks that may be made to have one whose result is carried by another, near genesis.
const SETTLING_MAX: usize = 4;
/// How often a finalization is looked for, a millisecond apart.
const FINALIZATION_TRIES: usize = 1_000;

/// What a timeline begins with. Its files are removed with it, unless they were handed on.
#[derive(Debug)]
pub(super) struct Beginning {
    /// Where to begin; none at genesis.
    pub(super) anchor: Option<(Anchor, Copy)>,
    /// The newest height.
    pub(super) height: u64,
    /// What waits in the pool.
    pub(super) waiting: Vec<RecoveredTransaction>,
    /// How blocks are made.
    pub(super) settings: Settings,
}

/// A copy of a store in a directory of its own.
#[derive(Debug)]
pub(super) struct Copy {
    path: Option<PathBuf>,
}

impl Copy {
    /// Hands the directory on.
    pub(super) fn keep(mut self) -> PathBuf {
        self.path.take().unwrap_or_default()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nobody depends on its removal: the whole directory goes in the end.
            std::fs::remove_dir_all(path).ok();
        }
    }
}

impl Beginning {
    pub(super) fn genesis() -> Self {
        Self {
            anchor: None,
            height: 0,
            waiting: Vec::new(),
            settings: Settings {
                driven: true,
                ..Settings::default()
            },
        }
    }
}

/// Copies a timeline that goes on.
pub(super) async fn take(
    origin: &Origin,
    life: &Life,
    directory: PathBuf,
) -> Result<Beginning, TravelError> {
    // From now on no block comes that nobody asked for, also after going back.
    let driven = life.control.change(|settings| settings.driven = true);
    driven.map_err(failed)?;
    let copied = take_at_rest(origin, life, &directory).await;
    life.control.release();
    copied
}

async fn take_at_rest(
    origin: &Origin,
    life: &Life,
    directory: &Path,
) -> Result<Beginning, TravelError> {
    let chain = &life.readable.chain;
    let mut height = rest(origin, life).await?;
    for _ in 0..SETTLING_MAX {
        if height == 0 || carries_result(chain, height)? {
            break;
        }
        // An anchor is never at genesis, so a block near it waits for the next one.
        life.control.request_blocks(1, None).map_err(failed)?;
        life.control.release();
        let mut progress = chain.progress();
        let above = progress.wait_for(|now| now.heads.executed_height > height);
        within(origin, above).await?;
        height = rest(origin, life).await?;
    }
    let content = life.readable.mempool.content().into_iter();
    let waiting = content.flat_map(|sender| sender.pending.into_iter().chain(sender.queued));
    let anchor = match height {
        0 => None,
        _ => Some(copy(origin, life, height, directory).await?),
    };
    Ok(Beginning {
        anchor,
        height,
        waiting: waiting.collect(),
        settings: life.control.settings(),
    })
}

/// Waits until no block is under way; the newest height.
async fn rest(origin: &Origin, life: &Life) -> Result<u64, TravelError> {
    let built_height = within(origin, life.control.hold()).await?;
    let mut progress = life.readable.chain.progress();
    let rested = progress.wait_for(|now| {
        now.stopped
            || now.heads.executed_height >= built_height
                && now.heads.executed_height == now.heads.finalized_height
    });
    let rested = within(origin, rested).await?;
    match rested.stopped {
        true => Err(TravelError::Stopped),
        false => Ok(rested.heads.executed_height),
    }
}

async fn within<T>(origin: &Origin, awaited: impl Future<Output = T>) -> Result<T, TravelError> {
    let timer = origin.runtime.sleep(Duration::from_millis(REST_WAIT_MS));
    match select(pin!(awaited), pin!(timer)).await {
        Either::Left((answer, _)) => Ok(answer),
        Either::Right(_) => Err(TravelError::Restless(REST_WAIT_MS)),
    }
}

fn carries_result(chain: &Chain, height: u64) -> Result<bool, TravelError> {
    let record = chain.record(height).map_err(failed)?;
    Ok(record.is_some_and(|record| record.block.header().executed.height > 0))
}

async fn copy(
    origin: &Origin,
    life: &Life,
    height: u64,
    directory: &Path,
) -> Result<(Anchor, Copy), TravelError> {
    let chain = life.readable.chain.clone();
    let location = Location::Directory(directory.to_owned());
    let copied = Copy {
        path: Some(directory.to_owned()),
    };
    let copying = origin.runtime.child("copy").shared(true);
    let copying = copying.spawn(|_| async move { chain.copy_store(location) });
    copying.await.map_err(failed)?.map_err(failed)?;
    let missing = || TravelError::Copy("the newest block is not final by itself".to_owned());
    for _ in 0..FINALIZATION_TRIES {
        let anchor = life.order.anchor_ending(&life.readable.chain, height).await;
        if let Some(anchor) = anchor.map_err(failed)? {
            let mut random = origin.runtime.child("random");
            let verified = anchor.verify(&origin.identity.trust, &mut random);
            return Ok((verified.map_err(failed)?, copied));
        }
        origin.runtime.sleep(Duration::from_millis(1)).await;
    }
    Err(missing())
}

fn failed(error: impl std::fmt::Display) -> TravelError {
    TravelError::Copy(error.to_string())
}
