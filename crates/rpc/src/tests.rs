//! Methods over a real chain, without and with a socket.

mod blocks;
mod bulk;
mod calls;
mod crowd;
mod dev;
mod errors;
mod execution;
mod explorer;
mod logs;
mod methods;
mod pool;
mod push;
mod rig;
mod shards;
mod simulate;
mod simulation;
mod sockets;
mod traces;
