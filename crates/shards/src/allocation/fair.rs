//! Fair shares of the cores there are, when shards want more of them than that.
//!
//! ```text
//! needs   a ███████   b ██   c █████        9 cores
//! level 1 a █         b █    c █            who is owed most first, then who has one
//! level 2 a ██        b ██   c ██
//! level 3 a ███              c ███          b has what it needs
//! level 4 a ████                            the last core: to whom it was given before
//! ```
//! What is left when all have what they need is given in the same way up to what they want: nobody's headroom
//! comes before somebody's load. So nobody is given two cores more than somebody who needs more than it has. Who gets the last core of a
//! level does not change while wants stay. But where there are fewer cores than shards, they take turns: a window
//! without a core is a credit, and a core costs as much as all have been credited for it.

use primitives::shard::ShardId;
use std::cmp::Reverse;

/// What a shard has and wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) shard: ShardId,
    /// Cores it has.
    pub(super) held: u16,
    /// Cores that carry its forecast; at least one and at most what it wants.
    pub(super) need: u16,
    /// Cores it wants, with headroom; none while it is paused.
    pub(super) want: u16,
    /// What it is owed from windows in which there were too few cores.
    pub(super) credit: i32,
}

impl Claim {
    /// Its credit after a window in which so many shards wanted so few cores, and it got one or did not. All
    /// credits together stay what they were.
    pub(super) fn settled(&self, cores: u16, wanting: usize, has_one: bool) -> i32 {
        let wanting = i32::try_from(wanting).unwrap_or(i32::MAX);
        if self.want == 0 || wanting <= i32::from(cores) {
            return 0;
        }
        let price = if has_one { wanting } else { 0 };
        let credit = self
            .credit
            .saturating_add(i32::from(cores))
            .saturating_sub(price);
        credit.clamp(CREDIT_MAX.saturating_neg(), CREDIT_MAX)
    }
}

/// Far more than a shard is owed or owes: a few times [`SHARDS_MAX`](super::SHARDS_MAX).
pub(super) const CREDIT_MAX: i32 = 1 << 20;

/// How many cores each claim gets, in the claims' order: first what is needed, then what is wanted.
pub(super) fn shares(cores: u16, claims: &[Claim]) -> Vec<u16> {
    let mut shares = vec![0_u16; claims.len()];
    let left = level_up(&mut shares, cores, claims, |claim| claim.need);
    level_up(&mut shares, left, claims, |claim| claim.want);
    shares
}

/// Raises the lowest shares as far as `upto`; how many cores are left.
fn level_up(
    shares: &mut [u16],
    mut left: u16,
    claims: &[Claim],
    upto: impl Fn(&Claim) -> u16,
) -> u16 {
    let most = claims.iter().map(&upto).max().unwrap_or(0);
    for level in 1..=most {
        if left == 0 {
            break;
        }
        let mut wanting: Vec<(&Claim, &mut u16)> = claims.iter().zip(&mut *shares).collect();
        wanting.retain(|(claim, share)| upto(claim) >= level && **share < level);
        wanting.sort_by_key(|(claim, _)| {
            let credit = if level == 1 { claim.credit } else { 0 };
            (Reverse(credit), claim.held < level, claim.shard)
        });
        for (_, share) in wanting.into_iter().take(usize::from(left)) {
            *share = level;
            left = left.saturating_sub(1);
        }
    }
    left
}
