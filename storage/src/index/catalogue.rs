//! The names in a file: services, their operations and versions, environments and attribute keys, with spans counted.
//!
//! Each list is bounded; one that ran full says so, and names that are too long to list count as such.

use std::collections::BTreeMap;

use crate::{Result, SpanBatch};

use super::builder::Builder;
use super::parts::{PartReader, PartWriter};

/// Names of each kind that one catalogue lists.
pub(super) const NAMES_MAX: usize = 8_192;
/// Bytes of a name that is listed.
const NAME_BYTES_MAX: usize = 1_024;

/// An operation of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationName {
    /// `service.name`.
    pub service: String,
    /// Name of the span.
    pub operation: String,
    /// OTLP span kind.
    pub kind: i32,
}

/// A version of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionName {
    /// `service.name`.
    pub service: String,
    /// `service.version`.
    pub version: String,
}

/// Names with the number of spans that have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names<K: Ord> {
    /// Spans of each name.
    pub counts: BTreeMap<K, u64>,
    /// Whether there are names that are not listed.
    pub overflow: bool,
}

impl<K: Ord> Default for Names<K> {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), overflow: false }
    }
}

impl<K: Ord> Names<K> {
    /// Counts `spans` more for a name, unless the list is full.
    pub(super) fn add(&mut self, name: K, spans: u64) {
        if let Some(count) = self.counts.get_mut(&name) {
            *count = count.saturating_add(spans);
        } else if self.counts.len() < NAMES_MAX {
            self.counts.insert(name, spans);
        } else {
            self.overflow = true;
        }
    }

    fn merge(&mut self, other: Self) {
        self.overflow |= other.overflow;
        other.counts.into_iter().for_each(|(name, spans)| self.add(name, spans));
    }
}

/// The names in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Services with their operations, by span kind.
    pub operations: Names<OperationName>,
    /// Services with their versions.
    pub versions: Names<VersionName>,
    /// Environments.
    pub environments: Names<String>,
    /// Keys of span attributes.
    pub span_keys: Names<String>,
    /// Keys of resource attributes.
    pub resource_keys: Names<String>,
}

/// Whether a name is short enough to be listed.
pub(super) fn is_listable(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
}

impl Catalogue {
    /// The names in batches that are in no file yet.
    ///
    /// # Errors
    /// [`crate::StorageError::Corrupt`] when a column is missing, which would be a bug of the decoder.
    pub fn of_batches<'a>(batches: impl IntoIterator<Item = &'a SpanBatch>) -> Result<Self> {
        let mut builder = Builder::default();
        batches.into_iter().try_for_each(|batch| builder.push(batch.record_batch()))?;
        Ok(builder.into_catalogue())
    }

    /// Adds the names of another.
    pub fn merge(&mut self, other: Self) {
        self.operations.merge(other.operations);
        self.versions.merge(other.versions);
        self.environments.merge(other.environments);
        self.span_keys.merge(other.span_keys);
        self.resource_keys.merge(other.resource_keys);
    }

    /// As bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut to = PartWriter::default();
        write(&mut to, &self.operations, |to, name| {
            to.bytes(name.service.as_bytes());
            to.bytes(name.operation.as_bytes());
            to.signed(i64::from(name.kind));
        });
        write(&mut to, &self.versions, |to, name| {
            to.bytes(name.service.as_bytes());
            to.bytes(name.version.as_bytes());
        });
        for names in [&self.environments, &self.span_keys, &self.resource_keys] {
            write(&mut to, names, |to, name| to.bytes(name.as_bytes()));
        }
        to.0
    }

    /// From bytes; `None` when they are no catalogue.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = PartReader(bytes);
        let text = |from: &mut PartReader<'_>| from.text().map(str::to_owned);
        Some(Self {
            operations: read(&mut from, |from| {
                let (service, operation) = (text(from)?, text(from)?);
                Some(OperationName { service, operation, kind: i32::try_from(from.signed()?).ok()? })
            })?,
            versions: read(&mut from, |from| Some(VersionName { service: text(from)?, version: text(from)? }))?,
            environments: read(&mut from, text)?,
            span_keys: read(&mut from, text)?,
            resource_keys: read(&mut from, text)?,
        })
    }
}

fn write<K: Ord>(to: &mut PartWriter, names: &Names<K>, name: impl Fn(&mut PartWriter, &K)) {
    to.number(u64::from(names.overflow));
    to.number(names.counts.len() as u64);
    for (key, spans) in &names.counts {
        name(to, key);
        to.number(*spans);
    }
}

fn read<'a, K: Ord>(
    from: &mut PartReader<'a>,
    mut name: impl FnMut(&mut PartReader<'a>) -> Option<K>,
) -> Option<Names<K>> {
    let overflow = from.number()? != 0;
    let mut counts = BTreeMap::new();
    for _ in 0..from.count()? {
        let key = name(from)?;
        counts.insert(key, from.number()?);
    }
    Some(Names { counts, overflow })
}
