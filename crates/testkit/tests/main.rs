//! The one test binary of the workspace's outer layer: one module per family of tests.
//!
//! Whole-repository rules are in [`tidy`]. Families that start clusters or replay public test sets are
//! modules beside it, so that the workspace links one test program instead of many.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod listed;
#[cfg(test)]
mod parallel;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tidy;
