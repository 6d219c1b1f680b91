//! Downloads from simulated peers: honest ones, liars, and some that don't answer.

use super::model::{Shape, TestState, any_limit};
use crate::sync::{
    Ask, Download, Limits, Manifest, Progress, Request, Settled, Starved, serve_codes,
};
use alloy_primitives::{B256, Bytes, keccak256};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Honest,
    /// Goes away and comes back, and is honest.
    Restless,
    /// Flips a bit in every so many answers.
    Flips(u64),
    /// Answers with something else that is true.
    Swaps,
    Truncates,
    Empty,
    Silent,
    /// Answers everything but this chunk, and no code.
    Withholds(usize),
    /// Always just too late.
    Late,
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Honest),
        Just(Kind::Restless),
        (1u64..5).prop_map(Kind::Flips),
        Just(Kind::Swaps),
        Just(Kind::Truncates),
        Just(Kind::Empty),
        Just(Kind::Silent),
        (0usize..20).prop_map(Kind::Withholds),
        Just(Kind::Late),
    ]
}

const LIMITS: Limits = Limits {
    requests_max: 7,
    requests_per_peer: 3,
    timeout_ms: 1000,
};

/// Who sends it, and whether it is a lie.
type Answer = (Id, Bytes, bool);

struct Simulation<'a> {
    state: &'a TestState,
    kinds: &'a [Kind],
    seed: u64,
    steps: u64,
    now_ms: u64,
    download: Download<Id>,
    /// By time, then by number of the request.
    answers: BTreeMap<(u64, u64), Answer>,
    asked: BTreeMap<u64, Id>,
    blamed: BTreeSet<Id>,
    dropped: BTreeSet<Id>,
    away: BTreeMap<Id, u64>,
    collected: TestState,
    done: BTreeSet<usize>,
}

impl<'a> Simulation<'a> {
    fn new(state: &'a TestState, kinds: &'a [Kind], seed: u64, download: Download<Id>) -> Self {
        let mut simulation = Self {
            state,
            kinds,
            seed,
            steps: 0,
            now_ms: 0,
            download,
            answers: BTreeMap::new(),
            asked: BTreeMap::new(),
            blamed: BTreeSet::new(),
            dropped: BTreeSet::new(),
            away: BTreeMap::new(),
            collected: TestState::default(),
            done: BTreeSet::new(),
        };
        for peer in 0..kinds.len() {
            assert!(simulation.download.add_peer(peer));
        }
        simulation
    }

    fn chance(&mut self) -> u64 {
        self.steps += 1;
        assert!(self.steps < 1_000_000, "it ends");
        let bytes = keccak256([self.seed, self.steps].map(u64::to_be_bytes).concat());
        u64::from_be_bytes(bytes[..8].try_into().unwrap())
    }

    /// Until all is there, or so many chunks.
    fn run(&mut self, chunks: usize) -> Result<(), Starved> {
        while !self.download.is_finished()? && self.done.len() < chunks {
            while let Some(request) = self.download.next(self.now_ms) {
                self.send(request);
            }
            assert!(self.asked.len() <= LIMITS.requests_max);
            let next_answer = self.answers.keys().next().map(|(time, _)| *time);
            let next_return = self.away.values().min().copied();
            let times = [next_answer, self.download.deadline_ms(), next_return];
            self.now_ms = times
                .into_iter()
                .flatten()
                .min()
                .expect("something happens");
            self.return_peers();
            let due = next_answer.filter(|time| *time <= self.now_ms);
            match due.and_then(|_| self.answers.pop_first()) {
                Some(((_, id), (peer, bytes, is_lie))) => self.receive(id, peer, &bytes, is_lie),
                None => self.expire(),
            }
        }
        Ok(())
    }

    fn return_peers(&mut self) {
        let now_ms = self.now_ms;
        for (peer, _) in self.away.extract_if(.., |_, until| *until <= now_ms) {
            assert!(self.download.add_peer(peer));
        }
    }

    fn send(&mut self, request: Request<Id>) {
        let Request { id, peer, ask } = request;
        assert!(
            !self.blamed.contains(&peer) && !self.dropped.contains(&peer),
            "it is out"
        );
        assert!(!self.away.contains_key(&peer));
        self.asked.insert(id, peer);
        let with_peer = self.asked.values().filter(|asked| **asked == peer).count();
        assert!(with_peer <= LIMITS.requests_per_peer);
        let honest = self.honest_answer(&ask);
        let chance = self.chance();
        let (mut bytes, mut after) = (honest.to_vec(), chance % 900);
        match self.kinds[peer] {
            Kind::Honest | Kind::Restless => {}
            Kind::Flips(often) if chance.is_multiple_of(often) => {
                let at = usize::try_from(self.chance() % bytes.len() as u64).unwrap();
                bytes[at] ^= 1 << (chance % 8);
            }
            Kind::Swaps => {
                let chunks = self.download.manifest().chunks().len() as u64;
                let other = usize::try_from(self.chance() % chunks).unwrap();
                bytes = self.honest_answer(&Ask::Chunk(other)).to_vec();
            }
            Kind::Truncates => drop(bytes.pop()),
            Kind::Empty => bytes.clear(),
            Kind::Silent => return,
            Kind::Withholds(number) if ask == Ask::Chunk(number) => return,
            Kind::Withholds(_) if matches!(ask, Ask::Codes(_)) => return,
            Kind::Withholds(_) | Kind::Flips(_) => {}
            Kind::Late => after = 1500,
        }
        if self.kinds[peer] == Kind::Restless && chance.is_multiple_of(5) {
            self.download.remove_peer(&peer);
            self.away.insert(peer, self.now_ms + 3000);
            self.asked.retain(|_, asked| *asked != peer);
        }
        let is_lie = bytes != honest;
        self.answers
            .insert((self.now_ms + after, id), (peer, bytes.into(), is_lie));
    }

    fn honest_answer(&self, ask: &Ask) -> Bytes {
        match ask {
            Ask::Chunk(number) => self.download.manifest().serve(self.state, *number).unwrap(),
            Ask::Codes(hashes) => {
                // A slow line: few codes at a time.
                let few = hashes.len().min(3);
                serve_codes(self.state, &hashes[..few]).unwrap()
            }
        }
    }

    fn receive(&mut self, id: u64, peer: Id, bytes: &[u8], is_lie: bool) {
        assert_eq!(
            self.download.answer(id, &(peer + 100), bytes),
            Settled::Unasked
        );
        let is_asked = self.asked.get(&id) == Some(&peer);
        let settled = self.download.answer(id, &peer, bytes);
        assert_eq!(
            self.download.answer(id, &peer, bytes),
            Settled::Unasked,
            "once only"
        );
        assert_eq!(is_asked, settled != Settled::Unasked);
        self.asked.remove(&id);
        match settled {
            Settled::Chunk(chunk) => {
                assert!(!is_lie);
                assert!(self.done.insert(chunk.number()), "each chunk once");
                self.collected.take(&chunk);
            }
            Settled::Codes(codes) => {
                assert!(!is_lie);
                for (hash, code) in codes {
                    assert!(
                        self.collected.codes.insert(hash, code).is_none(),
                        "each code once"
                    );
                }
            }
            Settled::Blamed(blame) => {
                assert!(is_lie, "{:?}", blame.reason);
                assert_eq!(blame.peer, peer);
                assert!(!self.download.add_peer(peer), "once a liar");
                self.blamed.insert(peer);
                self.asked.retain(|_, asked| *asked != peer);
            }
            Settled::Unasked => {}
        }
    }

    fn expire(&mut self) {
        let late = |peer: &Id| {
            matches!(
                self.kinds[*peer],
                Kind::Silent | Kind::Late | Kind::Withholds(_)
            )
        };
        for peer in self.download.expire(self.now_ms) {
            assert!(late(&peer), "who answers in time stays");
            self.dropped.insert(peer);
        }
        // What expired or was dropped is nobody's any more.
        let flights: BTreeSet<u64> = self.download.flight_ids().collect();
        self.asked.retain(|id, _| flights.contains(id));
    }
}

fn start(manifest: &Arc<Manifest>) -> Download<Id> {
    Download::new(
        Arc::clone(manifest),
        LIMITS,
        &BTreeSet::new(),
        &BTreeSet::new(),
    )
}

fn any_state() -> impl Strategy<Value = TestState> {
    (any::<u64>(), 0u64..120, 0u64..6, 1u64..60, 0u64..4).prop_map(
        |(seed, accounts, storages, slots, codes)| {
            TestState::new(&Shape {
                seed,
                accounts,
                storages,
                slots,
                codes,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn one_honest_peer_is_enough(
        state in any_state(),
        limit in any_limit(),
        mut kinds in vec(any_kind(), 0..6),
        place: prop::sample::Index,
        seed: u64,
    ) {
        kinds.insert(place.index(kinds.len() + 1), Kind::Honest);
        let manifest = Arc::new(Manifest::scan(&state, state.root(), limit).expect("a state"));
        let mut simulation = Simulation::new(&state, &kinds, seed, start(&manifest));
        simulation.run(usize::MAX).expect("an honest peer is left");
        prop_assert_eq!(&simulation.collected, &state);
        let progress = simulation.download.progress();
        prop_assert_eq!(progress, Progress {
            chunks_done: manifest.chunks().len(),
            chunks: manifest.chunks().len(),
            bytes_done: manifest.chunk_bytes(),
            bytes: manifest.chunk_bytes(),
            codes_done: state.codes.len(),
            codes: state.codes.len(),
        });
        prop_assert_eq!(simulation.download.next(u64::MAX), None);
    }

    #[test]
    fn what_was_done_is_not_asked_for_again(
        state in any_state(),
        limit in any_limit(),
        part: prop::sample::Index,
        seed: u64,
    ) {
        let manifest = Arc::new(Manifest::scan(&state, state.root(), limit).expect("a state"));
        let kinds = [Kind::Honest; 3];
        let mut first = Simulation::new(&state, &kinds, seed, start(&manifest));
        first.run(part.index(manifest.chunks().len() + 1)).expect("peers are left");
        let accounts = first.collected.accounts.values().map(|(leaf, _)| leaf.account);
        let with_code = accounts.filter(|account| account.has_code());
        let codes = with_code.map(|account| account.code_hash);
        let codes: BTreeSet<B256> = codes.filter(|hash| !first.collected.codes.contains_key(hash)).collect();
        let download = Download::new(Arc::clone(&manifest), LIMITS, &first.done, &codes);
        prop_assert_eq!(download.progress().chunks_done, first.done.len());
        let mut second = Simulation::new(&state, &kinds, seed ^ 1, download);
        second.done = first.done;
        second.collected = first.collected;
        // Codes of chunks to come may be there already.
        second.collected.codes.clear();
        second.run(usize::MAX).expect("peers are left");
        prop_assert_eq!(&second.collected.accounts, &state.accounts);
    }
}

#[test]
fn without_honest_peers_it_says_so() {
    let state = TestState::new(&Shape {
        accounts: 50,
        ..Shape::default()
    });
    let manifest = Arc::new(Manifest::scan(&state, state.root(), 512).unwrap());
    let kinds = [Kind::Empty, Kind::Silent, Kind::Truncates, Kind::Flips(3)];
    let mut simulation = Simulation::new(&state, &kinds, 1, start(&manifest));
    let starved = simulation.run(usize::MAX).unwrap_err();
    assert_eq!(starved.progress, simulation.download.progress());
    assert_eq!(simulation.blamed, BTreeSet::from([0, 2, 3]));
    assert_eq!(simulation.dropped, BTreeSet::from([1]));
    // Another peer helps.
    simulation.kinds = &[Kind::Honest; 5];
    assert!(simulation.download.add_peer(4));
    simulation.run(usize::MAX).unwrap();
    assert_eq!(simulation.collected, state);
}

#[test]
fn the_empty_state_is_there_at_once() {
    let state = TestState::default();
    let manifest = Arc::new(Manifest::scan(&state, state.root(), 512).unwrap());
    assert_eq!(start(&manifest).is_finished(), Ok(true));
}

#[test]
fn a_withheld_chunk_goes_to_others_first() {
    let state = TestState::new(&Shape {
        accounts: 300,
        ..Shape::default()
    });
    let manifest = Arc::new(Manifest::scan(&state, state.root(), 512).unwrap());
    let mut download = start(&manifest);
    download.add_peer(0);
    download.add_peer(1);
    let first = download.next(0).unwrap();
    assert_eq!((first.peer, &first.ask), (0, &Ask::Chunk(0)));
    assert!(download.expire(999).is_empty());
    assert!(download.expire(1000).is_empty());
    let again = download.next(1000).unwrap();
    let other = download.next(1000).unwrap();
    assert_eq!(other.peer, 1, "not the one that failed");
    assert_eq!(other.ask, Ask::Chunk(0));
    assert_eq!((again.peer, again.ask), (0, Ask::Chunk(1)));
}

#[test]
fn a_peer_that_is_late_now_and_then_stays() {
    let state = TestState::new(&Shape {
        accounts: 1000,
        ..Shape::default()
    });
    let manifest = Arc::new(Manifest::scan(&state, state.root(), 512).unwrap());
    assert!(manifest.chunks().len() > 60);
    let mut download = start(&manifest);
    download.add_peer(0);
    let mut number = 0;
    while let Some(request) = download.next(number * 1000) {
        number += 1;
        assert_eq!(request.peer, 0);
        if number % 6 == 0 {
            // The only peer is asked again.
            assert!(download.expire(number * 1000).is_empty());
            continue;
        }
        let Ask::Chunk(chunk) = request.ask else {
            panic!("no code in this state");
        };
        let bytes = manifest.serve(&state, chunk).unwrap();
        let settled = download.answer(request.id, &0, &bytes);
        assert!(matches!(settled, Settled::Chunk(_)));
    }
    assert_eq!(download.is_finished(), Ok(true));
}
