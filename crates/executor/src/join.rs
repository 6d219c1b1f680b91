//! Two works side by side, for whoever has something to compute beside a block.

use crate::engine::Engine;

impl Engine {
    /// Does both, on the workers if there are several; with one, the first and then the second.
    pub fn join<A, B>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B)
    where
        A: Send,
        B: Send,
    {
        match &self.pool {
            Some(pool) => pool.join(first, second),
            None => (first(), second()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;
    use std::{num::NonZeroUsize, thread};

    #[test]
    fn one_worker_is_the_thread_of_the_caller() {
        let own = thread::current().id();
        let engine = |workers| Engine::new(NonZeroUsize::new(workers).unwrap()).unwrap();
        let who = || thread::current().id();
        assert_eq!(engine(1).join(who, who), (own, own));
        let several = engine(2);
        let (first, (second, third)) = several.join(who, || several.join(who, who));
        assert!([first, second, third].iter().all(|thread| *thread != own));
    }
}
