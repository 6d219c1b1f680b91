//! What a block read and wrote: as it happened, and as the list that others execute by.

mod log;

pub(crate) use log::{AccessLog, AccountWrite, SlotWrite};
