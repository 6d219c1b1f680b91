//! The same seed gives the same history, execution included; another seed gives another.

use super::{crash, happy, lossy};

#[test]
fn determinism() {
    for run in [happy::run, crash::run, lossy::run] {
        let first = run(1);
        assert_eq!(first, run(1), "one seed, two histories");
        assert_ne!(first, run(2), "two seeds, one history");
    }
}
