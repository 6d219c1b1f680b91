//! `headway shard`: its options, and what it prints.

use crate::{
    error::NodeError,
    keys,
    member::read_genesis,
    registry::{self, ListedShard, Owner, RegistryError, Wish},
    sharding,
};
use alloy_primitives::{U256, hex};
use clap::{Args, Subcommand};
use primitives::{
    Genesis,
    crypto::PublicKey,
    genesis::{GenesisError, check_gas},
    shard::{Charter, ShardId},
};
use std::path::PathBuf;

/// Wei of one coin.
const COIN_WEI: u64 = 1_000_000_000_000_000_000;
/// Relay blocks between an upgrade's order and its height beyond what the ledger asks for: those that pass until
/// the order is there.
const UPGRADE_MARGIN: u64 = 64;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway shard list
  headway shard create --genesis shard3.json --collator 2b79…c1 --collator aa3a…07 --key-file owner.key
  headway shard pause 3 --key-file owner.key
  headway shard upgrade 3 --genesis shard3.json --key-file owner.key      its gasLimit and headway.protocol
  headway shard retire 3 --key-file owner.key                            the deposit comes back

The key file holds the private key, in hex, of the account that owns the shard. A collator's key is what
`headway node` prints when it starts. docs/shards.md says what else a new shard needs.

Exit status: 0 the ledger has it, 1 it has not or the node can't be asked, 2 an option or a file is not usable.")]
pub(super) struct ShardArgs {
    #[command(subcommand)]
    command: ShardCommand,
    /// JSON-RPC of a node of the relay chain
    #[arg(long, global = true, default_value = "http://127.0.0.1:8545")]
    url: String,
}

#[derive(Debug, Subcommand)]
enum ShardCommand {
    /// Create a shard
    Create(CreateArgs),
    /// Let it take no blocks for a while
    Pause(OwnArgs),
    /// Let it take blocks again
    Resume(OwnArgs),
    /// End it for ever; the deposit comes back
    Retire(OwnArgs),
    /// Give it other rules from a relay height on
    Upgrade(UpgradeArgs),
    /// Let others build its blocks
    Collators(CollatorsArgs),
    /// All shards
    List,
    /// One shard
    Status {
        /// Its number
        shard: u32,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Its genesis: a file as of any chain, with a chain id of its own
    #[arg(long)]
    genesis: PathBuf,
    /// Public key of a node that may build its blocks; several times for several
    #[arg(long = "collator", required = true, value_parser = keys::parse_public)]
    collators: Vec<PublicKey>,
    /// Cores of its own
    #[arg(long, default_value_t = 1)]
    cores: u16,
    /// Coins to leave with the registry; without it the least that it takes
    #[arg(long)]
    deposit: Option<u64>,
    /// File with the private key of the account that owns it
    #[arg(long)]
    key_file: PathBuf,
}

#[derive(Debug, Args)]
struct OwnArgs {
    /// Its number
    shard: u32,
    /// File with the private key of the account that owns it
    #[arg(long)]
    key_file: PathBuf,
}

#[derive(Debug, Args)]
struct UpgradeArgs {
    #[command(flatten)]
    own: OwnArgs,
    /// A genesis file with its chain id, the new gas limit and the new headway.protocol; nothing else of it counts
    #[arg(long)]
    genesis: PathBuf,
    /// First relay height of the new rules; without it as soon as may be
    #[arg(long)]
    height: Option<u64>,
}

#[derive(Debug, Args)]
struct CollatorsArgs {
    #[command(flatten)]
    own: OwnArgs,
    /// Public key of a node that may build its blocks; several times for several
    #[arg(long = "collator", required = true, value_parser = keys::parse_public)]
    collators: Vec<PublicKey>,
}

pub(super) fn run(args: ShardArgs) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RegistryError::Runtime)?;
    runtime.block_on(carry_out(args.command, &args.url))
}

async fn carry_out(command: ShardCommand, url: &str) -> Result<(), NodeError> {
    let (key_file, wish) = match command {
        ShardCommand::Create(args) => return create(args, url).await,
        ShardCommand::List => return list(url).await,
        ShardCommand::Status { shard } => {
            println!("{}", line(&find(url, shard).await?));
            return Ok(());
        }
        ShardCommand::Pause(own) => (own.key_file, Wish::Pause(ShardId(own.shard))),
        ShardCommand::Resume(own) => (own.key_file, Wish::Resume(ShardId(own.shard))),
        ShardCommand::Retire(own) => (own.key_file, Wish::Retire(ShardId(own.shard))),
        ShardCommand::Collators(args) => {
            let (shard, collators) = (ShardId(args.own.shard), args.collators);
            (args.own.key_file, Wish::Collators { shard, collators })
        }
        ShardCommand::Upgrade(args) => {
            let wish = upgrade(&args, url).await?;
            (args.own.key_file, wish)
        }
    };
    let owner = Owner::new(url, registry::read_key(&key_file)?)?;
    let shard = owner.order(&wish, U256::ZERO).await?;
    println!("{}", line(&shard));
    Ok(())
}

async fn create(args: CreateArgs, url: &str) -> Result<(), NodeError> {
    let genesis = read_genesis(&args.genesis, shard_genesis)?;
    let terms = sharding::terms(&genesis, args.collators);
    let owner = Owner::new(url, registry::read_key(&args.key_file)?)?;
    owner.require_free(genesis.chain.chain_id).await?;
    let deposit = match args.deposit {
        Some(coins) => U256::from(coins).saturating_mul(U256::from(COIN_WEI)),
        None => owner.deposit_min(args.cores).await?,
    };
    let wish = Wish::Create {
        terms: Box::new(terms),
        cores: args.cores,
    };
    let shard = owner.order(&wish, deposit).await?;
    let id = shard.id;
    println!("{}\n", line(&shard));
    let file = args.genesis.file_name().unwrap_or_default();
    println!(
        "Each of its collators needs the genesis file, beside its config file, and there, above the"
    );
    println!("first line in brackets\n\n  collator = [{id}]\n\nand at the end\n");
    println!("  [[shard]]\n  id = {id}\n  genesis = {file:?}\n");
    println!("Started again, it serves the shard at /shard/{id}. Validators need nothing.");
    Ok(())
}

/// A genesis whose gas limit the ledger does not refuse.
fn shard_genesis(text: &str) -> Result<Genesis, GenesisError> {
    let genesis = Genesis::from_json(text)?;
    check_gas(&genesis)?;
    Ok(genesis)
}

async fn upgrade(args: &UpgradeArgs, url: &str) -> Result<Wish, NodeError> {
    let genesis = read_genesis(&args.genesis, shard_genesis)?;
    let listed = registry::shards(url).await?;
    let shard = find(url, args.own.shard).await?;
    let present = Charter::read(&shard.charter).map_err(RegistryError::Charter)?;
    let (found, expected) = (genesis.chain.chain_id, present.chain.chain_id);
    if found != expected {
        return Err(RegistryError::ChainId { found, expected }.into());
    }
    let soonest = listed.height.to::<u64>();
    let soonest = soonest.saturating_add(listed.anchor_window.to());
    Ok(Wish::Upgrade {
        shard: ShardId(shard.id),
        charter: Charter {
            chain: genesis.chain,
            genesis_rules: present.genesis_rules,
        },
        height: args
            .height
            .unwrap_or_else(|| soonest.saturating_add(UPGRADE_MARGIN)),
    })
}

async fn list(url: &str) -> Result<(), NodeError> {
    let listed = registry::shards(url).await?;
    for shard in &listed.shards {
        println!("{}", line(shard));
    }
    let taken = listed.cores.iter().flatten().count();
    println!("{}", total(listed.shards.len(), taken));
    Ok(())
}

fn total(shards: usize, cores: usize) -> String {
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    format!("{} on {}", counted(shards, "shard"), counted(cores, "core"))
}

async fn find(url: &str, shard: u32) -> Result<ListedShard, NodeError> {
    let listed = registry::shards(url).await?;
    let found = listed.shards.into_iter().find(|one| one.id == shard);
    Ok(found.ok_or(RegistryError::NoShard(shard))?)
}

fn line(shard: &ListedShard) -> String {
    let number: u64 = shard.finalized.number.to();
    let rules = match Charter::read(&shard.charter) {
        Ok(charter) => {
            let chain = charter.chain;
            format!("chain id {}, gas limit {}", chain.chain_id, chain.gas_limit)
        }
        Err(error) => error.to_string(),
    };
    let upgrade = shard.upgrade.as_ref().map_or_else(String::new, |upgrade| {
        format!(", other rules from relay height {}", upgrade.height)
    });
    let collators = shard.collators.iter().map(hex::encode);
    let collators: Vec<_> = collators.collect();
    format!(
        "shard {}: {}, final up to {number}, {rules}{upgrade}, collators {}",
        shard.id,
        shard.status,
        collators.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn one_is_not_told_as_many() {
        assert_eq!(total(2, 1), "2 shards on 1 core");
        assert_eq!(total(1, 3), "1 shard on 3 cores");
        assert_eq!(total(0, 0), "0 shards on 0 cores");
    }
}
