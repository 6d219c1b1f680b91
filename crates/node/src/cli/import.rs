//! `headway import` and `headway serve`: their options, the progress bar and what they print.

use super::bar::Bar;
use crate::{
    error::NodeError,
    import::{self, ImportOptions, ImportProgress, ServeOptions},
    workers,
};
use clap::Args;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  headway import --genesis genesis.json --data-dir ./imported chain.rlp && headway serve --data-dir ./imported

The genesis is geth's, with all its forks active from the first block: shanghaiTime, cancunTime, pragueTime and
osakaTime are 0, or absent from some fork on. The file is what `geth export FILE` writes. Every block is executed and
compared with its header; a false or cut one is named with its place in the file, and what came before it is kept.
docs/import.md says what is refused.

Exit status: 0 every block is kept, 1 this node cannot go on, 2 a file is not usable.")]
pub(super) struct ImportArgs {
    /// geth's genesis file of the chain
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Where to keep the chain; an earlier import there goes on
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Threads that compute a state root; without it as many as there are cores
    #[arg(long, value_parser = workers::parse)]
    workers: Option<NonZeroUsize>,
    /// Concatenated RLP blocks
    #[arg(value_name = "CHAIN")]
    chain: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  headway serve --data-dir ./imported --port 8600

It answers what any node answers about blocks, states, calls, traces and logs, and takes no transactions.")]
pub(super) struct ServeArgs {
    /// Where the chain was imported to
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Address that RPC listens on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port that RPC listens on; 0 takes a free one
    #[arg(long, default_value_t = 8_545)]
    port: u16,
}

/// Imports a file and says how much of it is kept.
pub(super) fn import(args: ImportArgs) -> Result<(), NodeError> {
    let options = ImportOptions {
        genesis: args.genesis,
        chain: args.chain,
        data_dir: args.data_dir,
        workers: args.workers.unwrap_or_else(workers::default_workers),
    };
    let bar = Bar::new();
    let draw = |progress: ImportProgress| {
        let (done, all) = (progress.bytes_done >> 10, progress.bytes >> 10);
        bar.draw(&format!("block {}", progress.height), done, all);
    };
    let outcome = import::import(&options, &draw);
    bar.clear();
    let done = outcome?;
    println!(
        "{} blocks with {} transactions imported, {} were there before; the newest is {}.",
        done.blocks, done.transactions, done.known, done.height
    );
    println!(
        "Serve them with:\n  headway serve --data-dir {}",
        options.data_dir.display()
    );
    Ok(())
}

/// Serves an imported chain until a signal.
pub(super) fn serve(args: ServeArgs) -> Result<(), NodeError> {
    let options = ServeOptions {
        data_dir: args.data_dir,
        listen: SocketAddr::new(args.host, args.port),
    };
    import::serve(&options, |address| {
        println!("Imported chain served on http://{address}");
    })
}
