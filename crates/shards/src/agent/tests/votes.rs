//! Votes that are sent again by others.

use super::{
    faults::offences,
    world::{A, Ends, Setup, simulate},
};
use crate::message::SmallMessage;
use bytes::Bytes;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{Spawner as _, Supervisor as _};
use std::{collections::BTreeMap, ops::Range};

const SEEDS: Range<u64> = 0..3;

/// Sends everybody's votes of some relay blocks ago again, as soon as newer ones come.
async fn replay_votes(mut small: Ends) {
    let mut heard: BTreeMap<(u16, u64), Bytes> = BTreeMap::new();
    while let Ok((_, message)) = small.1.recv().await {
        let Ok(SmallMessage::Vote(vote)) = SmallMessage::decode(message) else {
            continue;
        };
        let (validator, height) = (vote.validator, vote.votes.height);
        heard.insert((validator, height), SmallMessage::Vote(vote).encode());
        let old = (validator, height.saturating_sub(8))..(validator, height.saturating_sub(3));
        for (_, message) in heard.range(old) {
            small.0.send(Recipients::All, message.clone(), true);
        }
    }
}

#[test]
fn old_votes_sent_again_displace_no_newer_ones() {
    for seed in SEEDS {
        let mut setup = Setup::new(seed, 4);
        setup.puppets = [3].into();
        simulate(setup, |mut world| async move {
            let (small, _large) = world.ends(3).await;
            let runtime = world.runtime.child("replay");
            let _replays = runtime.spawn(|_| replay_votes(small));
            world.blocks(10).await;
            let before = world.final_number(A);
            world.blocks(60).await;
            println!("seed {seed}: {} in 60", world.final_number(A) - before);
            // Each vote of the other three is needed, and every fourth leader is the one that replays, who says nothing.
            assert!(world.final_number(A) >= before + 40);
            assert_eq!(world.discards(), []);
            assert!(offences(&world).is_empty());
            assert_eq!(world.bans().await, []);
            world.check_chains();
        });
    }
}
