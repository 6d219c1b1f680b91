//! Methods by code and selector, the most recently used ones.
//!
//! Two generations: what is used moves to the younger one; when that is full, the older one is
//! dropped and they change places. So a method that is called now and then outlives any number of
//! others, and nothing depends on the order in which a map yields its entries.

use super::method::Method;
use alloy_primitives::{B256, map::HashMap};
use std::mem;

/// Methods that are remembered. With all their templates in use, some 70 MB.
pub(super) const METHODS_MAX: usize = 8_192;
const GENERATION_MAX: usize = METHODS_MAX / 2;

/// What a method is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MethodKey {
    code_hash: B256,
    selector: [u8; 4],
}

impl MethodKey {
    pub(super) const fn new(code_hash: B256, selector: [u8; 4]) -> Self {
        Self {
            code_hash,
            selector,
        }
    }
}

/// Methods of all contracts.
#[derive(Debug, Default)]
pub(super) struct Methods {
    young: HashMap<MethodKey, Method>,
    old: HashMap<MethodKey, Method>,
}

impl Methods {
    pub(super) fn get(&self, key: &MethodKey) -> Option<&Method> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// The method, as the most recently used one.
    pub(super) fn get_or_default(&mut self, key: MethodKey) -> &mut Method {
        if !self.young.contains_key(&key) {
            let method = self.old.remove(&key).unwrap_or_default();
            if self.young.len() >= GENERATION_MAX {
                self.old = mem::take(&mut self.young);
            }
            self.young.insert(key, method);
        }
        self.young.entry(key).or_default()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
