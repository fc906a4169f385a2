//! Settings of the query engine: plain values; the store and the clock are constructor arguments.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the query engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryConfig {
    /// SQL queries, searches and lookups that run at once; others wait.
    pub running_max: usize,
    /// Questions that wait for a slot; one more is refused as overloaded.
    pub waiting_max: usize,
    /// How long a question waits for a slot before it is refused as overloaded.
    pub wait_max: Duration,
    /// How long a query may run, waiting for the client to read included.
    pub timeout: Duration,
    /// Bytes of memory that all running SQL queries share.
    pub memory_bytes_max: u64,
    /// Bytes on disk that all running SQL queries share when their memory does not suffice.
    pub spill_bytes_max: u64,
    /// Folder of spill files; created when needed, and cleaned of what a crash left behind.
    pub spill_dir: PathBuf,
    /// Rows of an answer; past it the answer ends and is marked as truncated.
    pub answer_rows_max: u64,
    /// Bytes of an answer in memory; past it the answer ends and is marked as truncated.
    pub answer_bytes_max: u64,
    /// Bytes of a statement's text.
    pub text_bytes_max: usize,
    /// Threads that one SQL query spreads over; 0 means one per core.
    pub partitions: usize,
    /// Bytes for footers of data files, kept between questions.
    pub file_cache_bytes: u64,
    /// Bytes for the directories of the files' indexes, kept between questions: some 4 KiB a file. Those of the newest
    /// files are kept; those of older ones are read again for each question.
    pub index_cache_bytes: u64,
    /// Spans given for one trace; a longer one is marked as truncated.
    pub trace_spans_max: usize,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            running_max: 8,
            waiting_max: 64,
            wait_max: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            memory_bytes_max: 1 << 30,
            spill_bytes_max: 2 << 30,
            spill_dir: std::env::temp_dir().join("daytwo-spill"),
            answer_rows_max: 1_000_000,
            answer_bytes_max: 64 << 20,
            text_bytes_max: 64 << 10,
            partitions: 0,
            file_cache_bytes: 128 << 20,
            index_cache_bytes: 64 << 20,
            trace_spans_max: 200_000,
        }
    }
}

impl QueryConfig {
    /// All problems of the settings, each a sentence with key, value and rule; empty when there is none.
    pub fn problems(&self) -> Vec<String> {
        let at_least = |key: &str, value: u64, least: u64| {
            (value < least).then(|| format!("query.{key} is {value} and must be at least {least}"))
        };
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let checks = [
            at_least("running_max", self.running_max as u64, 1),
            at_least("timeout (ms)", milliseconds(self.timeout), 1),
            at_least("memory_bytes_max", self.memory_bytes_max, 16 << 20),
            at_least("answer_rows_max", self.answer_rows_max, 1),
            at_least("answer_bytes_max", self.answer_bytes_max, 1 << 10),
            at_least("text_bytes_max", self.text_bytes_max as u64, 64),
            at_least("trace_spans_max", self.trace_spans_max as u64, 1),
        ];
        checks.into_iter().flatten().collect()
    }

    /// Threads that one query spreads over.
    pub(crate) fn effective_partitions(&self) -> usize {
        if self.partitions > 0 {
            return self.partitions;
        }
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the defaults, and settings with several values out of range.
    /// Guarantees: the defaults are right, and every problem is named at once.
    #[test]
    fn every_problem_is_named() {
        assert_eq!(QueryConfig::default().problems(), Vec::<String>::new());
        let bad = QueryConfig { running_max: 0, answer_rows_max: 0, ..QueryConfig::default() };
        assert_eq!(bad.problems().len(), 2);
    }
}
