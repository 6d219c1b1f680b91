//! A failing disk and a crash at every operation: the store is as before a batch or as after it.

use super::*;
use proptest::prelude::*;

/// Commits batches until the disk fails. Returns what the store may have now: first what it must
/// have at least.
fn live(disk: &MemoryDisk, from: &Model, chance: &mut Chance, batches: usize) -> Vec<Model> {
    let config = Config::small(Merge::Inline);
    let Ok((runs, view)) = open(disk, config) else {
        return vec![from.clone()];
    };
    assert!(agrees(&scan(&view).expect("sound"), from));
    let mut model = from.clone();
    for _ in 0..batches {
        let (batch, next) = next_batch(&model, chance, 10);
        if let Err(error) = runs.commit(&batch) {
            // Also where it was a merge that failed, after the commit before.
            assert!(matches!(error, RunsError::Disk(_)), "{error}");
            check(&runs.view(), &model, chance);
            let refused = runs.commit(&batch);
            assert!(matches!(refused, Err(RunsError::Poisoned)));
            return vec![model, next];
        }
        model = next;
    }
    vec![model]
}

/// The one of the possible models that the store has; it also takes a batch.
fn reopen(disk: &MemoryDisk, possible: &[Model], chance: &mut Chance) -> Model {
    let config = Config::small(Merge::Inline);
    let (runs, view) = open(disk, config).expect("sound after a crash");
    let found = scan(&view).expect("sound after a crash");
    let model = possible.iter().find(|model| agrees(&found, model));
    let model = model.expect("as before the batch or as after it");
    check(&view, model, chance);
    let (batch, next) = next_batch(model, chance, 10);
    runs.commit(&batch).expect("healthy");
    drop(runs);
    let (_runs, view) = open(disk, config).expect("sound");
    check(&view, &next, chance);
    next
}

#[test]
fn every_operation_may_be_the_last() {
    for kept in 0..4 {
        let mut whole = false;
        for lasts in 0.. {
            let disk = MemoryDisk::new();
            disk.fail_after(lasts);
            let mut chance = Chance(7);
            let possible = live(&disk, &Model::default(), &mut chance, 5);
            // Of what was not synced: nothing, all, or some.
            let mut picks = Chance(lasts);
            disk.crash_keeping(|_| match kept {
                0 => false,
                1 => true,
                _ => picks.below(2) == 0,
            });
            reopen(&disk, &possible, &mut chance);
            whole = possible.len() == 1 && possible[0].height > 0;
            if whole {
                assert!(lasts > 100, "{lasts}");
                break;
            }
        }
        assert!(whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_part_of_what_was_not_synced_may_be_lost(
        seed in any::<u64>(),
        lives in proptest::collection::vec((0_u64..120, 0_u64..5), 1..6),
    ) {
        let disk = MemoryDisk::new();
        let mut chance = Chance(seed);
        let mut model = Model::default();
        for (lasts, kept) in lives {
            disk.fail_after(lasts);
            let possible = live(&disk, &model, &mut chance, 12);
            let mut picks = chance.clone();
            disk.crash_keeping(|_| picks.below(4) < kept);
            model = reopen(&disk, &possible, &mut chance);
        }
    }
}

#[test]
fn a_dead_store_cannot_write() {
    let disk = MemoryDisk::new();
    let config = Config::small(Merge::Background);
    let mut chance = Chance(1);
    let (dead, _) = open(&disk, config).expect("new");
    let (batch, _) = next_batch(&Model::default(), &mut chance, 10);
    disk.crash();
    let (alive, _) = open(&disk, config).expect("sound");
    assert!(matches!(dead.commit(&batch), Err(RunsError::Disk(_))));
    assert!(matches!(dead.commit(&batch), Err(RunsError::Poisoned)));
    drop(dead);
    let (batch, model) = next_batch(&Model::default(), &mut chance, 10);
    alive.commit(&batch).expect("healthy");
    drop(alive);
    let (_runs, view) = open(&disk, config).expect("sound");
    check(&view, &model, &mut chance);
}
