//! The ledger's rules: one by one, as a whole against random schedules, and exhaustively in a small world.

mod cores;
mod evidence;
mod exhaustive;
mod faults;
mod garbage;
mod lives;
mod model;
mod moves;
mod orders;
mod passages;
mod sampled;
mod watch;
mod world;
