//! Gathers the catalogue: names are told apart by hash while rows go by, and spelt out once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use xxhash_rust::xxh3::xxh3_64;

use crate::index::catalogue::{Catalogue, NAMES_MAX, Names, OperationName, VersionName, is_listable};
use crate::index::term::KeyHash;

#[derive(Debug)]
struct Operation {
    name: OperationName,
    spans: u64,
    /// Last block in which it was seen, and one.
    block: u32,
}

/// Names of the rows so far.
#[derive(Debug, Default)]
pub(super) struct NamesBuilder {
    operations: HashMap<(u64, u64, i32), Operation>,
    operations_overflow: bool,
    keys: HashMap<KeyHash, (String, u64)>,
    keys_overflow: bool,
    resource_keys: Vec<(String, u64)>,
    resource_keys_by_name: HashMap<String, usize>,
    resource_keys_overflow: bool,
    rest: Catalogue,
}

impl NamesBuilder {
    /// Counts a span; whether the operation is new to this block.
    pub(super) fn operation(&mut self, service: &str, operation: &str, kind: i32, block: u32) -> bool {
        let key = (xxh3_64(service.as_bytes()), xxh3_64(operation.as_bytes()), kind);
        let is_full = self.operations.len() >= NAMES_MAX;
        match self.operations.entry(key) {
            Entry::Occupied(entry) => {
                let known = entry.into_mut();
                known.spans += 1;
                std::mem::replace(&mut known.block, block + 1) != block + 1
            }
            Entry::Vacant(_) if is_full || !is_listable(service) || !is_listable(operation) => {
                self.operations_overflow = true;
                true
            }
            Entry::Vacant(entry) => {
                let name = OperationName { service: service.to_owned(), operation: operation.to_owned(), kind };
                entry.insert(Operation { name, spans: 1, block: block + 1 });
                true
            }
        }
    }

    /// Counts spans that have an attribute.
    pub(super) fn span_key(&mut self, key: &str, hash: KeyHash, spans: u64) {
        let is_full = self.keys.len() >= NAMES_MAX;
        match self.keys.entry(hash) {
            Entry::Occupied(entry) => entry.into_mut().1 += spans,
            Entry::Vacant(_) if is_full || !is_listable(key) => self.keys_overflow = true,
            Entry::Vacant(entry) => {
                entry.insert((key.to_owned(), spans));
            }
        }
    }

    /// The number of a resource attribute's key.
    pub(super) fn resource_key(&mut self, key: &str) -> usize {
        if let Some(&known) = self.resource_keys_by_name.get(key) {
            return known;
        }
        if self.resource_keys.len() >= NAMES_MAX || !is_listable(key) {
            self.resource_keys_overflow = true;
            return usize::MAX;
        }
        let number = self.resource_keys.len();
        self.resource_keys.push((key.to_owned(), 0));
        self.resource_keys_by_name.insert(key.to_owned(), number);
        number
    }

    /// Counts spans whose resource has the key of that number.
    pub(super) fn count_resource_key(&mut self, key: usize, spans: u64) {
        if let Some((_, count)) = self.resource_keys.get_mut(key) {
            *count += spans;
        }
    }

    /// Counts spans of an environment.
    pub(super) fn environment(&mut self, name: &str, spans: u64) {
        if is_listable(name) {
            self.rest.environments.add(name.to_owned(), spans);
        } else {
            self.rest.environments.overflow = true;
        }
    }

    /// Counts spans of a service's version.
    pub(super) fn version(&mut self, service: &str, version: &str, spans: u64) {
        if is_listable(service) && is_listable(version) {
            self.rest.versions.add(VersionName { service: service.to_owned(), version: version.to_owned() }, spans);
        } else {
            self.rest.versions.overflow = true;
        }
    }

    /// The catalogue.
    pub(super) fn finish(&mut self) -> Catalogue {
        let mut all = std::mem::take(&mut self.rest);
        let operations = std::mem::take(&mut self.operations).into_values();
        all.operations = named(operations.map(|known| (known.name, known.spans)), self.operations_overflow);
        all.span_keys = named(std::mem::take(&mut self.keys).into_values(), self.keys_overflow);
        all.resource_keys = named(std::mem::take(&mut self.resource_keys).into_iter(), self.resource_keys_overflow);
        all
    }
}

fn named<K: Ord>(names: impl Iterator<Item = (K, u64)>, overflow: bool) -> Names<K> {
    let mut all = Names { overflow, ..Names::default() };
    names.for_each(|(name, spans)| all.add(name, spans));
    all
}
