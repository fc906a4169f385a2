//! [`Kin`]: the keys that spans of one operation are counted under.

use std::sync::Arc;

use super::{CellKey, OVERFLOW};
use crate::hash::HashMap;

/// What of a key a span has from the first: environment, service, version, operation and kind. Who answered it and in which journey it is
/// comes from the whole trace.
pub(super) type Operation = (Arc<str>, Arc<str>, Arc<str>, Arc<str>, i32);

pub(super) fn operation_of(key: &CellKey) -> Operation {
    let [environment, service, version, operation] =
        [&key.environment, &key.service, &key.version, &key.operation].map(Arc::clone);
    (environment, service, version, operation, key.kind)
}

/// What a span of an operation may have been counted as where there was no room for it: without an operation, and without a service.
pub(super) fn collecting(of: &Operation) -> [Operation; 2] {
    let (environment, service, version, _, kind) = of;
    let [environment, service, version] = [environment, service, version].map(Arc::clone);
    let other = (Arc::clone(&environment), service, version, OVERFLOW.into(), *kind);
    [other, (environment, OVERFLOW.into(), "".into(), OVERFLOW.into(), *kind)]
}

/// Keys by operation, in order.
#[derive(Debug, Default)]
pub(super) struct Kin(HashMap<Operation, Vec<CellKey>>);

impl Kin {
    pub(super) fn of(&self, operation: &Operation) -> &[CellKey] {
        self.0.get(operation).map_or(&[], Vec::as_slice)
    }

    pub(super) fn add(&mut self, key: &CellKey) {
        let keys = self.0.entry(operation_of(key)).or_default();
        if let Err(at) = keys.binary_search(key) {
            keys.insert(at, key.clone());
        }
    }

    pub(super) fn remove(&mut self, key: &CellKey) {
        let operation = operation_of(key);
        let Some(keys) = self.0.get_mut(&operation) else { return };
        // In order: an operation may be called by thousands, and all of them may go at once.
        if let Ok(at) = keys.binary_search(key) {
            keys.remove(at);
        }
        if keys.is_empty() {
            self.0.remove(&operation);
        }
    }
}
