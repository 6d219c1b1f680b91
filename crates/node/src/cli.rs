//! The command line: parsing, what it prints, exit codes.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks to people"
)]

mod bar;
mod bench;
mod doctor;
mod import;
mod load;
mod profile;
mod replay;
mod shard;
mod sim;
mod snapshot;
pub(crate) mod sync;
mod top;

use crate::{
    config::StateFrom,
    dev::{self, DevOptions, MNEMONIC},
    error::NodeError,
    init::{self, InitOptions},
    keys,
    member::{self, MemberOptions},
    process,
    run::Node,
    workers,
};
use alloy_primitives::{Address, hex};
use alloy_signer_local::PrivateKeySigner;
use clap::{Args, Parser, Subcommand};
use pipeline::Chain;
use primitives::{chain::Protocol, crypto::PublicKey};
use std::{
    io::IsTerminal as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

/// An EVM chain in which consensus never waits for execution.
#[derive(Debug, Parser)]
#[command(
    name = "headway",
    version,
    after_help = "Examples:
  headway dev                          a chain for development on http://127.0.0.1:8545
  headway dev --validators 4           the same with four real validators
  headway init --validators 4 net      files of a network of four in the folder net
  headway node --config net/node0/headway.toml
  headway top                          that node, live in the terminal
  headway profile                      what held up its newest block
  headway doctor --config net/node0/headway.toml   what would keep it from running well"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to log: off, error, warn, info, debug, or a filter such as consensus=debug. `console` is what
    /// contracts of a development chain write with console.log
    #[arg(long, global = true, default_value = "warn,console=info")]
    log: String,
    /// How to log: text for people, json for one object a line
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    // No documentation comments: clap would print the long form of every command's help for them.
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a chain for development, with funded accounts
    Dev(DevArgs),
    /// Make the keys, genesis and config files of a network
    Init(InitArgs),
    /// Run one node of a network
    Node(NodeArgs),
    /// Put a node's state into a file, or begin a node with one
    Snapshot(snapshot::SnapshotArgs),
    /// Create a shard on a running network, pause, retire or upgrade it
    Shard(shard::ShardArgs),
    /// Send transactions to a node and count those that are mined
    Load(load::LoadArgs),
    /// Measure a part of the node on this machine
    Bench(bench::BenchArgs),
    /// Run whole networks in virtual time: shards, their backing and how they scale, faults
    Sim(sim::SimArgs),
    /// What kept a block's transactions from running at once, and what to do about it
    Profile(profile::ProfileArgs),
    /// What would keep a node from running well, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Watch a node live in the terminal
    Top(top::TopArgs),
    /// Execute real mainnet blocks in parallel and compare their receipts
    Replay(replay::ReplayArgs),
    /// Execute and keep the blocks of another chain, from a file
    Import(import::ImportArgs),
    /// Serve an imported chain
    Serve(import::ServeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway dev                          a block as soon as a transaction waits
  headway dev --block-time 0.4         a block every 0.4 seconds
  headway dev --data-dir ./chain       keep the chain between runs
  headway dev --workers 8              execute each block on eight threads
  headway dev --validators 4 --shards 2  two shards beside the chain, at /shard/1 and /shard/2
  headway dev --in-memory              for test suites: blocks and evm_revert are several times quicker
  headway dev -a 20 --balance 500      twenty accounts with 500 coins each

Hardhat and Foundry connect to it as to their own nodes: time, mining, impersonation and snapshots
work over JSON-RPC with one validator and without --data-dir.")]
struct DevArgs {
    /// Address that RPC listens on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port that RPC listens on; 0 takes a free one
    #[arg(long, default_value_t = 8_545)]
    port: u16,
    /// Chain id
    #[arg(long, default_value_t = dev::CHAIN_ID)]
    chain_id: u64,
    /// Validators to run in this process
    #[arg(long, default_value_t = 1)]
    validators: u16,
    /// Shards: further chains secured by the same validators, each at /shard/N with an id of its own.
    /// With 0 there are none yet; without it there can't be any
    #[arg(long)]
    shards: Option<u16>,
    /// Cores of all shards together, which go where the load is; without it each shard keeps one
    #[arg(long, requires = "shards")]
    cores: Option<u16>,
    /// Seconds between blocks, decimals allowed; without it a block follows each transaction
    #[arg(long, value_parser = parse_seconds)]
    block_time: Option<Duration>,
    /// Gas limit of a block
    #[arg(long, default_value_t = dev::GAS_LIMIT)]
    gas_limit: u64,
    /// Where to keep the chain; without it a temporary directory, removed at exit
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Keep the chain in memory (/dev/shm) instead, which takes as much of it as the chain grows
    #[arg(long, conflicts_with = "data_dir")]
    in_memory: bool,
    /// Funded accounts
    #[arg(short, long, default_value_t = dev::ACCOUNTS)]
    accounts: u32,
    /// What each of them has, in coins
    #[arg(long, default_value_t = dev::BALANCE)]
    balance: u64,
    /// The words that they are derived from
    #[arg(short, long, default_value = MNEMONIC, hide_default_value = true)]
    mnemonic: String,
    /// Not supported: a chain begins with a genesis of its own, never with another chain's state
    #[arg(long, hide = true, value_parser = refuse_fork)]
    fork_url: Option<String>,
    /// How many blocks back accounts and storage can be read; without it, to the first block
    #[arg(long)]
    history_blocks: Option<u64>,
    /// Threads that execute one block; without it as many as there are cores, shared by the validators
    #[arg(long, value_parser = workers::parse)]
    workers: Option<NonZeroUsize>,
    /// Keep which worker executed which transaction when, for headway profile, headway top and
    /// headway_getBlockExecution
    #[arg(long)]
    spans: bool,
    /// Milliseconds added to the execution of every non-empty block, to see a slow executor
    #[arg(long, default_value_t = 0)]
    execution_delay_ms: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  headway init --validators 4 net && for i in 0 1 2 3; do headway node --config net/node$i/headway.toml & done

Besides keys, genesis and config files it writes systemd/headway@.service, a unit that runs one of the nodes, and
compose.yaml, which runs all of them on this machine in containers.")]
struct InitArgs {
    /// Where to write them
    #[arg(default_value = "network")]
    directory: PathBuf,
    /// How many validators
    #[arg(long, default_value_t = 4)]
    validators: u16,
    /// Shards: further chains secured by the same validators; two of the nodes collate each.
    /// With 0 there are none yet; without it there can't be any
    #[arg(long)]
    shards: Option<u16>,
    /// Cores of all shards together, which go where the load is; without it each shard keeps one
    #[arg(long, requires = "shards")]
    cores: Option<u16>,
    /// Chain id
    #[arg(long, default_value_t = 4_242)]
    chain_id: u64,
    /// Gas limit of a block
    #[arg(long, default_value_t = 300_000_000)]
    gas_limit: u64,
    /// Address of all nodes; edit the config files for several machines
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port of node 0 for peers; node i takes this + i
    #[arg(long, default_value_t = 30_300)]
    p2p_port: u16,
    /// Port of node 0 for RPC; node i takes this + i
    #[arg(long, default_value_t = 8_545)]
    rpc_port: u16,
    /// Account to fund with a million coins; may be given several times. The first one owns the shards
    #[arg(long = "fund")]
    funded: Vec<Address>,
    /// Milliseconds after which a block follows without a transaction
    #[arg(long, default_value_t = 1_000)]
    heartbeat_ms: u64,
    /// Milliseconds a block of the relay chain waits for the one before; its blocks pace the shards, which have no
    /// such time of their own
    #[arg(long, default_value_t = 0)]
    block_time_ms: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  headway node --config network/node0/headway.toml
  headway node --config network/node0/headway.toml --archive
  headway node --config follower/headway.toml --sync state

The config file says all a node may choose, for example on how many threads it executes a block:
  workers = 8")]
struct NodeArgs {
    /// The node's config file
    #[arg(long)]
    config: PathBuf,
    /// Keep the state of every block from now on, instead of the config file's history_blocks
    #[arg(long)]
    archive: bool,
    /// Where the state of a node without one comes from, instead of the config file's sync: executing
    /// every block since genesis, or peers, at a recent height
    #[arg(long, value_enum)]
    sync: Option<StateFrom>,
    /// This node's key is a validator's, has never voted, and may begin with a state from peers
    #[arg(long)]
    never_voted: bool,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "write seconds, for example 0.4".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if time >= Duration::from_millis(1) && time <= Duration::from_secs(3_600) => {
            Ok(time)
        }
        _ => Err("write 0.001 to 3600 seconds".to_owned()),
    }
}

/// People try it because anvil has it.
fn refuse_fork(_: &str) -> Result<String, String> {
    Err("not supported: a chain can't begin with the state of another one; deploy what you need, or set it with anvil_setCode and anvil_setStorageAt".to_owned())
}

/// Parses the command line, runs the command and says what went wrong in one line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(problem) = start_log(&cli.log, cli.log_format) {
        eprintln!("error: --log: {problem}");
        return ExitCode::from(2);
    }
    process::keep_pages_small();
    std::panic::set_hook(Box::new(say_panic));
    let outcome = std::panic::catch_unwind(|| run(cli.command));
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
        Err(_) => {
            eprintln!(
                "error: the node stopped; if its data directory is damaged, restore it or start again with an empty one"
            );
            ExitCode::FAILURE
        }
    }
}

/// One line instead of a backtrace. It does not say whether the node stops: one call of RPC, or one
/// connection, can end this way alone, and then the node goes on.
fn say_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = panic
        .payload_as_str()
        .unwrap_or("unknown")
        .replace('\n', " ");
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    eprintln!("error: a part of this process panicked: {message} ({place})");
}

fn run(command: Command) -> Result<(), NodeError> {
    process::raise_open_files();
    match command {
        Command::Dev(args) => dev::run(&args.into()),
        Command::Init(args) => init(args),
        Command::Node(args) => {
            let options = MemberOptions {
                archive: args.archive,
                sync: args.sync,
                never_voted: args.never_voted,
            };
            member::run(&args.config, options)
        }
        Command::Snapshot(args) => snapshot::run(args),
        Command::Shard(args) => shard::run(args),
        Command::Load(args) => load::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Sim(args) => sim::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Top(args) => top::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Import(args) => import::import(args),
        Command::Serve(args) => import::serve(args),
    }
}

fn start_log(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::builder()
        .parse(filter)
        .map_err(|error| error.to_string())?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}

impl From<DevArgs> for DevOptions {
    fn from(args: DevArgs) -> Self {
        Self {
            host: args.host,
            port: args.port,
            chain_id: args.chain_id,
            validators: args.validators,
            shards: args.shards,
            cores: args.cores,
            block_time: args.block_time,
            gas_limit: args.gas_limit,
            data_dir: args.data_dir,
            in_memory: args.in_memory,
            mnemonic: args.mnemonic,
            accounts: args.accounts,
            balance: args.balance,
            history_blocks: args.history_blocks,
            workers: args
                .workers
                .unwrap_or_else(|| workers::shared_workers(args.validators.into())),
            spans: args.spans,
            execution_delay: Duration::from_millis(args.execution_delay_ms),
        }
    }
}

fn init(args: InitArgs) -> Result<(), NodeError> {
    let directory = args.directory.clone();
    let protocol = Protocol {
        heartbeat_ms: args.heartbeat_ms,
        block_time_ms: args.block_time_ms,
        ..Protocol::default()
    };
    init::init(&InitOptions {
        directory: args.directory,
        validators: args.validators,
        chain_id: args.chain_id,
        gas_limit: args.gas_limit,
        host: args.host,
        p2p_port: args.p2p_port,
        rpc_port: args.rpc_port,
        funded: args.funded,
        protocol,
        shards: args.shards,
        cores: args.cores,
    })?;
    println!(
        "Network of {} validators written to {}.",
        args.validators,
        directory.display()
    );
    let config = directory.join("node0/headway.toml");
    println!(
        "Start node 0 with:\n  headway node --config {}",
        config.display()
    );
    println!(
        "See what would keep it from running with:\n  headway doctor --config {}",
        config.display()
    );
    println!(
        "systemd/headway@.service and compose.yaml in that folder run nodes; docs/operations.md says how."
    );
    Ok(())
}

/// Says where a node of a network is served.
pub(crate) fn announce_node(public_key: &PublicKey, address: SocketAddr) {
    println!(
        "Headway node {} serves http://{address}",
        keys::public_hex(public_key)
    );
}

/// Says what a development chain offers.
pub(crate) fn announce_dev(
    signers: &[PrivateKeySigner],
    (chain, validators): (&Chain, usize),
    address: SocketAddr,
    mnemonic: &str,
) {
    println!("Headway development chain\n");
    println!("  JSON-RPC    http://{address}  ws://{address}");
    println!("  Explorer    http://{address}/");
    println!("  Chain id    {}", chain.config().chain_id);
    println!("  Gas limit   {}", chain.config().gas_limit);
    println!("  Validators  {validators}");
    println!("  Genesis     {}\n", chain.genesis_hash());
    println!("Accounts and private keys. They are public: never use them elsewhere.\n");
    for (index, signer) in signers.iter().enumerate() {
        let key = hex::encode_prefixed(signer.to_bytes());
        println!("  ({index}) {}  {key}", signer.address());
    }
    println!("\nMnemonic: {mnemonic}\n");
}

/// Says where the shards are that a node collates; nothing if it has none.
pub(crate) fn announce_shards(node: &Node, address: SocketAddr) {
    let Some(shards) = &node.shards else {
        return;
    };
    println!("Shards, all of them at http://{address}/shards\n");
    for one in &shards.chains {
        let (shard, chain_id) = (one.shard.0, one.chain.config().chain_id);
        println!("  Shard {shard:<5} http://{address}/shard/{shard}  ws://{address}/shard/{shard}");
        println!("              chain id {chain_id}, explorer http://{address}/shard/{shard}/");
    }
    println!();
}
