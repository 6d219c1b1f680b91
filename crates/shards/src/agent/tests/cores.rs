//! Load rises and falls, and cores with it.

use super::{
    toy::EACH,
    world::{A, Setup, World, simulate},
};
use crate::ledger::LedgerEvent;
use primitives::shard::ShardId;
use std::sync::atomic::Ordering::Relaxed;

/// What a phase came to: final blocks in its last 32 relay blocks, and the shard's cores at its end.
#[derive(Debug)]
struct Phase {
    blocks: u64,
    cores: usize,
}

/// So many numbers more for each of so many relay blocks.
async fn phase(world: &mut World, each: u64, blocks: u64) -> Phase {
    let mut before = 0;
    for block in 0..blocks {
        let supply = world.supply.load(Relaxed);
        world.stop_supply(supply + each);
        if blocks - block == 32 {
            before = world.final_number(A);
        }
        world.blocks(1).await;
    }
    Phase {
        blocks: world.final_number(A) - before,
        cores: world.relay.ledger.cores_of(A),
    }
}

/// To whom cores went.
fn moves(world: &World) -> Vec<Option<ShardId>> {
    world.events(|event| {
        if let LedgerEvent::Moved { to, .. } = event {
            return Some(*to);
        }
        None
    })
}

#[test]
fn blocks_for_each_relay_block_follow_the_load() {
    for seed in 0..1 {
        let mut setup = Setup::new(seed, 7);
        setup.shards = vec![(A, 1)];
        setup.rules.group_size = 3;
        setup.rules.cores = Some(4);
        setup.supply = 0;
        simulate(setup, |mut world| async move {
            let low = phase(&mut world, 2, 48).await;
            let high = phase(&mut world, 3 * EACH, 160).await;
            let rises = moves(&world).len();
            let after = phase(&mut world, 2, 192).await;
            let moves = moves(&world);
            println!("seed {seed}: {low:?} {high:?} {after:?} {moves:?}");
            assert!(low.cores == 1 && (28..=34).contains(&low.blocks));
            // As many as it takes for three full blocks in each relay block.
            assert!(high.cores >= 3 && (90..=130).contains(&high.blocks));
            assert!(after.cores == 1 && (28..=36).contains(&after.blocks));
            assert_eq!(
                rises,
                high.cores - 1,
                "cores come, and stay while the load does"
            );
            assert_eq!(moves.len(), 2 * rises);
            assert_eq!(world.discards(), []);
            assert_eq!(world.bans().await, []);
            world.check_chains();
            world.check_followed(&[0, 1]);
        });
    }
}
