//! Few check for all: who is chosen, and how likely it is that a choice goes wrong.
//!
//! ```text
//! seed, candidate ─checkers─▶ an order of all: the first c, then others     they decide whether it is final
//! seed, epoch     ─Groups───▶ a backing group for each core and rotation  they put their names to it
//! N, F, k, q, c   ─odds─────▶ exact chances ─▶ SamplingReport             the table of docs/shards-sampling.md
//! ```
//! A choice is a pure function of its arguments, so all validators make the same one, and every validator is
//! as likely as any other. The seed must be one that nobody could know or bend when the candidate was backed;
//! whoever calls sees to that.
//!
//! Limits: [`BITS_MAX`](primitives::shard::BITS_MAX) validators can be chosen from, and chances are computed
//! for at most [`POPULATION_MAX`] validators.

mod choice;
mod odds;
mod report;
#[cfg(test)]
mod tests;

pub use choice::{Groups, Ring, TRANCHES, checkers};
pub use odds::{
    Attack, Draw, GRINDING_TARGET, POPULATION_MAX, SEED_TRIES_BITS, corrupt_max, days_to_first,
    draws_until, enough_checkers, fewest_against, fewest_checkers, fewest_drawn_from,
    fewest_of_fewest_against, group_has_corrupt, no_honest_checker, no_honest_checker_of_fewest,
    smallest_committee, too_few_online, two_thirds,
};
pub use report::{
    AsideRow, AttackRow, CheckersRow, CommitteeRow, GrindingRow, GroupRow, OnlineRow, ReshuffleRow,
    SamplingReport,
};
