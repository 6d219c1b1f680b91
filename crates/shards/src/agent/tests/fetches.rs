//! Where large collations come from.

use super::world::{A, Ends, Setup, simulate};
use crate::message::SmallMessage;
use commonware_codec::DecodeExt as _;
use commonware_p2p::Receiver as _;
use commonware_runtime::{Spawner as _, Supervisor as _};
use primitives::shard::CandidateId;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
};

const SEEDS: Range<u64> = 0..3;
/// Of ten: f+1 are 4 chunks, the backers are 0, 1 and 2, and this one answers nobody.
const SILENT: usize = 6;

/// Indices of the chunks of each candidate that one validator was asked for, and how often it was asked for a whole one.
#[derive(Debug, Default)]
struct Asked {
    chunks: BTreeMap<CandidateId, Vec<u16>>,
    collations: usize,
}

async fn note_requests(mut small: Ends, asked: Arc<Mutex<Asked>>) {
    while let Ok((_, message)) = small.1.recv().await {
        let mut asked = asked.lock().unwrap();
        match SmallMessage::decode(message) {
            Ok(SmallMessage::GetChunk {
                candidate, index, ..
            }) => asked.chunks.entry(candidate).or_default().push(index),
            Ok(SmallMessage::GetCollation(_)) => asked.collations += 1,
            _ => {}
        }
    }
}

#[test]
fn large_collations_come_in_chunks_of_which_everybody_sends_as_many() {
    for seed in SEEDS {
        let mut setup = Setup::new(seed, 10);
        setup.shards = vec![(A, 1)];
        setup.rules.group_size = 3;
        setup.rules.rotation_blocks = 1_000;
        setup.large_bytes = Some(0);
        setup.puppets = [SILENT].into();
        simulate(setup, |mut world| async move {
            let asked = Arc::new(Mutex::new(Asked::default()));
            let (small, _large) = world.ends(SILENT).await;
            let runtime = world.runtime.child("requests");
            let noted = Arc::clone(&asked);
            let _requests = runtime.spawn(|_| note_requests(small, noted));
            world.blocks(10).await;
            let before = world.final_number(A);
            world.blocks(40).await;
            let asked = std::mem::take(&mut *asked.lock().unwrap());
            println!(
                "seed {seed}: {} final in 40 blocks, asked {:?}",
                world.final_number(A) - before,
                asked.chunks.values().map(Vec::len).collect::<Vec<_>>()
            );
            // Who asked the silent one asks the next.
            assert!(world.final_number(A) >= before + 20);
            assert!(asked.chunks.len() >= 20);
            for indices in asked.chunks.values() {
                assert!(indices.iter().all(|index| usize::from(*index) == SILENT));
                // Six that are no backers and not the silent one, of whom the four before it need it at first.
                assert!(indices.len() <= 6, "{indices:?}");
            }
            assert_eq!(asked.collations, 0);
            assert_eq!(world.discards(), []);
            assert_eq!(world.bans().await, []);
            world.check_chains();
        });
    }
}
