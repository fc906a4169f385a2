//! Records of recent traces, oldest out first: what a new deployment is compared with.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_storage::{TraceId, UnixNanos};

use crate::hash::HashMap;
use crate::measure::{NodeKey, TraceFlag, TraceRecord};

/// Node names shared between records; past this many the cache starts afresh.
const NODES_MAX: usize = 100_000;

/// Recent traces by start.
#[derive(Debug, Default)]
pub(super) struct RecentTraces {
    records: BTreeMap<(UnixNanos, TraceId), Arc<TraceRecord>>,
    nodes: HashMap<NodeKey, Arc<NodeKey>>,
    journeys: HashMap<Arc<str>, Arc<str>>,
    flags: HashMap<TraceFlag, Arc<TraceFlag>>,
    bytes: usize,
}

impl RecentTraces {
    /// Adds a record and gives it back with shared names.
    pub(super) fn add(&mut self, mut record: TraceRecord, bytes_max: usize) -> Arc<TraceRecord> {
        if [self.nodes.len(), self.journeys.len(), self.flags.len()].iter().any(|held| *held > NODES_MAX) {
            self.nodes.clear();
            self.journeys.clear();
            self.flags.clear();
        }
        for flag in &mut record.flags {
            match self.flags.get(&**flag) {
                Some(known) => *flag = Arc::clone(known),
                None => {
                    self.flags.insert((**flag).clone(), Arc::clone(flag));
                }
            }
        }
        for (node, _) in &mut record.nodes {
            match self.nodes.get(&**node) {
                Some(known) => *node = Arc::clone(known),
                None => {
                    self.nodes.insert((**node).clone(), Arc::clone(node));
                }
            }
        }
        let journey = self.journeys.entry(Arc::clone(&record.journey)).or_insert_with(|| Arc::clone(&record.journey));
        record.journey = Arc::clone(journey);
        record.nodes.shrink_to_fit();
        let record = Arc::new(record);
        self.bytes = self.bytes.saturating_add(record.memory_bytes());
        if let Some(old) = self.records.insert((record.start, record.trace_id), Arc::clone(&record)) {
            self.bytes = self.bytes.saturating_sub(old.memory_bytes());
        }
        while self.bytes > bytes_max {
            let Some((_, oldest)) = self.records.pop_first() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.memory_bytes());
        }
        record
    }

    /// Takes out a record; whether it was there.
    pub(super) fn remove(&mut self, record: &TraceRecord) -> bool {
        let old = self.records.remove(&(record.start, record.trace_id));
        self.bytes = self.bytes.saturating_sub(old.as_ref().map_or(0, |old| old.memory_bytes()));
        old.is_some()
    }

    /// Records, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<TraceRecord>> {
        self.records.values()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }
}
