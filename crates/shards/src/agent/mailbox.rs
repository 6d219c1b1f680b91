//! What comes on the two links of shards, so that neither keeps the other from being heard.
//!
//! ```text
//!   statements ─┐ one of each in turn, while both have something
//!               ├─▶ heard
//!   collations ─┘
//! ```

use commonware_p2p::Receiver;
use commonware_runtime::IoBuf;
use primitives::crypto::PublicKey;
use std::future::ready;

/// A message, from whom, and on which link.
#[derive(Debug)]
pub(crate) enum Heard {
    Small(PublicKey, IoBuf),
    Large(PublicKey, IoBuf),
}

impl Heard {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Small(_, message) | Self::Large(_, message) => message.len(),
        }
    }
}

/// The receiving ends of both links.
#[derive(Debug)]
pub(crate) struct Mailbox<S, L> {
    small: S,
    large: L,
    /// The last message was a small one.
    large_first: bool,
}

impl<S, L> Mailbox<S, L>
where
    S: Receiver<PublicKey = PublicKey>,
    L: Receiver<PublicKey = PublicKey>,
{
    pub(crate) const fn new(small: S, large: L) -> Self {
        Self {
            small,
            large,
            large_first: false,
        }
    }

    /// The next message; none when a link has ended.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        let heard = if self.large_first {
            tokio::select! {
                biased;
                large = self.large.recv() => large.ok().map(|(peer, message)| Heard::Large(peer, message)),
                small = self.small.recv() => small.ok().map(|(peer, message)| Heard::Small(peer, message)),
            }
        } else {
            tokio::select! {
                biased;
                small = self.small.recv() => small.ok().map(|(peer, message)| Heard::Small(peer, message)),
                large = self.large.recv() => large.ok().map(|(peer, message)| Heard::Large(peer, message)),
            }
        };
        self.large_first = matches!(heard, Some(Heard::Small(..)));
        heard
    }

    /// A message that is there already.
    pub(crate) async fn waiting(&mut self) -> Option<Heard> {
        tokio::select! {
            biased;
            heard = self.next() => heard,
            () = ready(()) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Mailbox};
    use commonware_cryptography::Signer as _;
    use commonware_p2p::{Message, Receiver};
    use commonware_runtime::{Clock as _, IoBuf, Runner as _, deterministic};
    use primitives::crypto::{PrivateKey, PublicKey};
    use std::{convert::Infallible, num::NonZeroUsize, time::Duration};

    /// A link on which so many messages wait.
    #[derive(Debug)]
    struct Flood(usize);

    impl Receiver for Flood {
        type Error = Infallible;
        type PublicKey = PublicKey;

        async fn recv(&mut self) -> Result<Message<PublicKey>, Infallible> {
            let Some(left) = self.0.checked_sub(1) else {
                return std::future::pending().await;
            };
            self.0 = left;
            let key = PrivateKey::from_seed(0).public_key();
            Ok((key, IoBuf::from(vec![1, 2])))
        }

        fn capacity(&self) -> NonZeroUsize {
            NonZeroUsize::MIN
        }
    }

    #[test]
    fn a_flood_on_one_link_does_not_silence_the_other() {
        deterministic::Runner::default().start(|runtime| async move {
            let mut mailbox = Mailbox::new(Flood(1_000), Flood(10));
            let mut large = 0;
            for _ in 0..20 {
                let heard = mailbox.next().await.unwrap();
                assert_eq!(heard.bytes(), 2);
                large += usize::from(matches!(heard, Heard::Large(..)));
            }
            assert_eq!(large, 10);
            let mut small = 0;
            while mailbox.waiting().await.is_some() {
                small += 1;
            }
            assert_eq!(small, 990);
            let waits = runtime.sleep(Duration::from_secs(1));
            tokio::select! {
                biased;
                _ = mailbox.next() => panic!("nothing has come"),
                () = waits => {}
            }
        });
    }
}
