//! Tests of the executor: its own rules, one by one; and the affordability rule of `primitives`
//! against execution, over random chains.

mod affordability;
mod blocks;
mod calls;
mod delegation;
mod estimates;
mod faults;
mod hostile;
mod listed;
mod profile;
mod receipts;
mod statics;
mod traces;
pub(crate) mod world;
