//! What a block read and wrote: as it happened, and as the list that others execute by.
//!
//! ```text
//! execution ─▶ AccessLog ─ build ─▶ AccessList ─ encode ─▶ bytes ─ decode ─▶ AccessList ─▶ execution by list
//! ```

mod build;
mod limits;
mod list;
mod log;
mod rlp;

pub use limits::{CODE_BYTES_MAX, LIST_BYTES_MAX, TRANSACTIONS_MAX};
pub use list::AccessList;
#[cfg(test)]
pub(crate) use list::Code;
pub(crate) use list::{Change, ListedSlot, Lists, Part, to_usize};
pub(crate) use log::{AccessLog, AccountWrite, SlotWrite};
pub use rlp::{AccessListError, ListField};
