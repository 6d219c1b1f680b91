//! Random batches, merges, reopenings and views that are kept.

use super::*;
use proptest::prelude::*;

fn live(disk: &MemoryDisk, chance: &mut Chance, merge: Merge, batches: u64) {
    let mut model = Model::default();
    let (mut runs, view) = open(disk, Config::small(merge)).expect("new");
    let mut kept = vec![(view, model.clone())];
    for _ in 0..batches {
        let (batch, next) = next_batch(&model, chance, 30);
        runs.commit(&batch).expect("healthy");
        model = next;
        if chance.below(3) == 0 {
            check(&runs.view(), &model, chance);
        }
        if chance.below(4) == 0 {
            kept.push((runs.view(), model.clone()));
        }
        if chance.below(8) == 0 {
            drop(runs);
            let opened = open(disk, Config::small(merge)).expect("sound");
            check(&opened.1, &model, chance);
            runs = opened.0;
        }
    }
    for (view, model) in &kept {
        check(view, model, chance);
    }
    drop(runs);
    let (_runs, view) = open(disk, Config::small(merge)).expect("sound");
    kept.push((view, model));
    for (view, model) in &kept {
        check(view, model, chance);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn answers_as_maps_do(seed in any::<u64>(), batches in 1_u64..40) {
        live(&MemoryDisk::new(), &mut Chance(seed), Merge::Inline, batches);
    }

    #[test]
    fn answers_as_maps_do_while_a_thread_merges(seed in any::<u64>(), batches in 1_u64..40) {
        live(&MemoryDisk::new(), &mut Chance(seed), Merge::Background, batches);
    }
}
