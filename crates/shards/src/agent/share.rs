//! Who gives way where there is too little room for all.
//!
//! ```text
//!   a a a a a b b c    full, and c brings one more: a gives way
//!                      and a brings one more: nobody does, it is refused
//! ```
//! So nobody takes room from those who have less, however much one brings.

use primitives::crypto::PublicKey;
use std::collections::BTreeMap;

/// Who gives way to something of this size that a peer brings: whoever has most, if that is more than the peer would
/// then have.
pub(crate) fn gives_way<'a>(
    taken: impl Iterator<Item = (&'a PublicKey, usize)>,
    peer: &PublicKey,
    size: usize,
) -> Option<&'a PublicKey> {
    let mut sums: BTreeMap<&PublicKey, usize> = BTreeMap::new();
    for (key, size) in taken {
        let sum = sums.entry(key).or_default();
        *sum = sum.saturating_add(size);
    }
    let own = sums.get(peer).copied().unwrap_or_default();
    let most = sums.into_iter().max_by_key(|(_, sum)| *sum);
    most.filter(|(_, sum)| *sum > own.saturating_add(size))
        .map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::gives_way;
    use commonware_cryptography::Signer as _;
    use primitives::crypto::{PrivateKey, PublicKey};

    #[test]
    fn whoever_has_most_gives_way_and_never_to_itself() {
        let [a, b, c] = [1, 2, 3].map(|seed| PrivateKey::from_seed(seed).public_key());
        let taken = [&a, &a, &a, &b, &b];
        let after = |peer: &PublicKey, size| {
            let taken = taken.iter().map(|key| (*key, 1));
            gives_way(taken, peer, size).cloned()
        };
        assert_eq!(after(&c, 1), Some(a.clone()));
        assert_eq!(after(&c, 3), None);
        assert_eq!(after(&b, 1), None);
        assert_eq!(after(&a, 1), None);
        assert_eq!(gives_way(std::iter::empty(), &a, 1), None);
    }
}
