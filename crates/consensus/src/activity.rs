//! What simplex reports: notarizations become stages; contradicting votes are logged. They are
//! reported before their signatures are checked, so a log line accuses nobody by itself.

use crate::application::unix_ms;
use commonware_actor::Feedback;
use commonware_consensus::{Reporter, Viewable as _, simplex::types::Activity};
use commonware_runtime::Clock;
use pipeline::Pipeline;
use primitives::crypto::{BlockDigest, Scheme};
use std::sync::Arc;

/// Reports simplex activity into the pipeline.
pub(crate) struct ActivityReporter<E> {
    clock: Arc<E>,
    pipeline: Pipeline,
}

impl<E> Clone for ActivityReporter<E> {
    fn clone(&self) -> Self {
        Self {
            clock: Arc::clone(&self.clock),
            pipeline: self.pipeline.clone(),
        }
    }
}

impl<E: Clock> ActivityReporter<E> {
    pub(crate) fn new(clock: E, pipeline: Pipeline) -> Self {
        Self {
            clock: Arc::new(clock),
            pipeline,
        }
    }
}

impl<E: Clock> Reporter for ActivityReporter<E> {
    type Activity = Activity<Scheme, BlockDigest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        match activity {
            Activity::Notarization(notarization) => {
                let now_ms = unix_ms(self.clock.current());
                self.pipeline
                    .notarized(&notarization.proposal.payload, now_ms);
            }
            Activity::ConflictingNotarize(evidence) => {
                tracing::warn!(view = %evidence.view(), "votes to notarize two blocks in one view");
            }
            Activity::ConflictingFinalize(evidence) => {
                tracing::warn!(view = %evidence.view(), "votes to finalize two blocks in one view");
            }
            Activity::NullifyFinalize(evidence) => {
                tracing::warn!(view = %evidence.view(), "votes to nullify and to finalize one view");
            }
            Activity::Notarize(_)
            | Activity::Certification(_)
            | Activity::Nullify(_)
            | Activity::Nullification(_)
            | Activity::Finalize(_)
            | Activity::Finalization(_) => {}
        }
        Feedback::Ok
    }
}
