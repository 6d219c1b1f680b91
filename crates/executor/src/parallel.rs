//! The first execution of a block on several workers.
//!
//! ```text
//!               ┌ Schedule: who does what next ┐
//!  transactions ┤                              ├─▶ worker: run ahead over what is committed ─▶ Run
//!               └──────────────────────────────┘                                              │
//!                 Cells ◀── Turn: in order, is what it saw still true? ── yes: commit ◀───────┘
//!                                                                      └─ no: run again, commit
//! ```
//! Nothing of an execution ahead reaches the result unless everything it depended on is found
//! unchanged at its turn, so the result is that of running the transactions in order, whatever the
//! workers did and in whatever order. An execution ahead may see values that never were true
//! together; nothing is asserted about it.

mod arena;
mod cells;
mod chain;
mod finish;
mod forecast;
mod hand;
mod reader;
mod run;
mod schedule;
mod turn;
mod worker;

pub(crate) use cells::CellMemory;
pub(crate) use chain::execute_chain;
pub(crate) use forecast::{Forecast, known_calls};
pub(crate) use reader::CellReader;
pub(crate) use run::with_tip;
pub(crate) use schedule::simulate;
pub(crate) use worker::{Parallel, Plan, Tools};
