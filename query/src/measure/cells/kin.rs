//! [`Kin`]: the keys that spans of one operation are counted under.

use std::sync::Arc;

use super::CellKey;
use crate::hash::HashMap;

/// What of a key a span has from the first: environment, service, version, operation and kind. Who answered it and in which journey it is
/// comes from the whole trace.
pub(super) type Operation = (Arc<str>, Arc<str>, Arc<str>, Arc<str>, i32);

pub(super) fn operation_of(key: &CellKey) -> Operation {
    let [environment, service, version, operation] =
        [&key.environment, &key.service, &key.version, &key.operation].map(Arc::clone);
    (environment, service, version, operation, key.kind)
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
        keys.retain(|kin| kin != key);
        if keys.is_empty() {
            self.0.remove(&operation);
        }
    }
}
