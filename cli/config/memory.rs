//! Defaults that follow the memory there is: what has a value of its own in the configuration keeps it.

use std::path::Path;

use daytwo_query::{EngineConfig, QueryConfig};

use super::{ByteSize, Config};

const MIB: u64 = 1 << 20;

/// From here on every default stands as it is; below, what has no key has its part of it.
const PLENTY: u64 = 4 << 30;

/// Requests in work. Half of it, since a request must fit in twice, is the largest request.
const INFLIGHT_PER_MILLE: u64 = 150;
/// Decoded spans in memory, and at which a flush begins.
const BUFFER_PER_MILLE: u64 = 160;
const FLUSH_PER_MILLE: u64 = 50;
/// A segment of the log, which a start reads whole.
const SEGMENT_PER_MILLE: u64 = 125;
/// Queries.
const QUERY_PER_MILLE: u64 = 160;

/// Brings the budgets that were not `given` down to their share of `memory` bytes. The rest is for what has no budget of its own: the
/// program, files on their way, the correlation engine, and what allocators keep.
pub(super) fn fit(config: &mut Config, memory: u64, given: impl Fn(&str, &str) -> bool) {
    let share = |per_mille: u64| (memory / 1000).saturating_mul(per_mille) / MIB * MIB;
    let lower = |key: &mut ByteSize, share: u64| key.0 = key.0.min(share);
    config.memory = (memory < PLENTY).then_some(memory);
    let Config { storage, collector, query, .. } = config;
    if !given("storage", "buffer_bytes_max") {
        lower(&mut storage.buffer_bytes_max, share(BUFFER_PER_MILLE).max(16 * MIB));
    }
    if !given("storage", "flush_bytes") {
        lower(&mut storage.flush_bytes, share(FLUSH_PER_MILLE).max(4 * MIB));
    }
    if !given("storage", "wal_segment_bytes") {
        lower(&mut storage.wal_segment_bytes, share(SEGMENT_PER_MILLE).max(8 * MIB));
    }
    if !given("query", "memory_bytes_max") {
        lower(&mut query.memory_bytes_max, share(QUERY_PER_MILLE).max(16 * MIB));
    }
    if !given("collector", "request_bytes_max") {
        lower(&mut collector.request_bytes_max, share(INFLIGHT_PER_MILLE / 2).max(4 * MIB));
    }
    if !given("collector", "inflight_bytes_max") {
        let least = collector.request_bytes_max.0.saturating_mul(2);
        lower(&mut collector.inflight_bytes_max, share(INFLIGHT_PER_MILLE).max(least));
    }
}

/// What `default` comes down to.
fn part(default: u64, memory: Option<u64>) -> u64 {
    let part = u128::from(default) * u128::from(memory.unwrap_or(PLENTY).min(PLENTY)) / u128::from(PLENTY);
    u64::try_from(part).unwrap_or(default)
}

fn lower(limit: &mut usize, least: usize, memory: Option<u64>) {
    let part = part(u64::try_from(*limit).unwrap_or(u64::MAX), memory);
    *limit = usize::try_from(part).unwrap_or(*limit).max(least).min(*limit);
}

impl Config {
    /// Whether there is so little memory that limits follow it, and what an allocator keeps for later counts.
    pub(crate) fn has_little_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// What the query engine is given; its spill files go below the data folder.
    pub(crate) fn query_settings(&self, data_dir: &Path) -> QueryConfig {
        let mut settings = self.query.settings(data_dir);
        fit_queries(&mut settings, self.memory);
        settings
    }

    /// What the correlation engine is given.
    pub(crate) fn engine_settings(&self) -> EngineConfig {
        let mut settings = self.engine.settings();
        fit_engine(&mut settings, self.memory);
        settings
    }
}

/// Caches and answers of queries, which have no keys.
fn fit_queries(query: &mut QueryConfig, memory: Option<u64>) {
    query.file_cache_bytes = part(query.file_cache_bytes, memory);
    query.index_cache_bytes = part(query.index_cache_bytes, memory);
    query.answer_bytes_max = part(query.answer_bytes_max, memory).max(query.answer_bytes_max.min(8 * MIB));
    lower(&mut query.trace_spans_max, 20_000, memory);
}

/// What the correlation engine holds, which has no keys.
fn fit_engine(engine: &mut EngineConfig, memory: Option<u64>) {
    lower(&mut engine.open_spans_max, 20_000, memory);
    lower(&mut engine.closed_ids_max, 100_000, memory);
    lower(&mut engine.late_spans_max, 10_000, memory);
    lower(&mut engine.recent_bytes_max, 4 << 20, memory);
    lower(&mut engine.cells_bytes_max, 16 << 20, memory);
}

#[cfg(test)]
mod tests {
    use super::super::rules;
    use super::*;

    fn fitted(memory: u64, given: &[&str], change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        change(&mut config);
        fit(&mut config, memory, |section, key| given.contains(&format!("{section}.{key}").as_str()));
        assert_eq!(rules::broken(&config), [], "with {memory} bytes");
        config
    }

    /// Scenario: memory from 64 MiB to 24 GiB, nothing given.
    /// Guarantees: much memory leaves the defaults; with little of it the budgets are two thirds of it at most, and every rule between
    /// them holds.
    #[test]
    fn budgets_follow_the_memory() {
        assert_eq!(fitted(24 << 30, &[], |_| ()), Config::default());
        for mebibytes in [64, 128, 256, 512, 1024, 1536, 2048, 4096] {
            let config = fitted(mebibytes * MIB, &[], |_| ());
            let budgets =
                [config.storage.buffer_bytes_max, config.collector.inflight_bytes_max, config.query.memory_bytes_max];
            let sum: u64 = budgets.iter().map(|budget| budget.0).sum();
            assert!(sum <= mebibytes * MIB * 2 / 3, "{mebibytes} MiB: {budgets:?}");
        }
        let small = fitted(256 * MIB, &[], |_| ());
        assert_eq!((small.collector.request_bytes_max.0, small.collector.inflight_bytes_max.0), (19 * MIB, 38 * MIB));
        assert_eq!(
            fitted(1 << 30, &[], |_| ()).collector.request_bytes_max,
            Config::default().collector.request_bytes_max
        );
    }

    /// Scenario: 256 MiB, and plenty.
    /// Guarantees: caches, answers and what the engine holds come down with the memory, to limits that are still in order; plenty
    /// changes none.
    #[test]
    fn what_has_no_key_follows_too() {
        let folder = Path::new("d");
        let (small, plenty) = (fitted(256 * MIB, &[], |_| ()), fitted(PLENTY, &[], |_| ()));
        let (query, engine) = (small.query_settings(folder), small.engine_settings());
        assert_eq!(
            (query.file_cache_bytes, query.index_cache_bytes, query.answer_bytes_max),
            (8 * MIB, 4 * MIB, 8 * MIB)
        );
        assert_eq!(
            (engine.cells_bytes_max, engine.recent_bytes_max, engine.open_spans_max),
            (16 << 20, 8 << 20, 62_500)
        );
        assert_eq!(query.problems(), Vec::<String>::new());
        assert_eq!(plenty.query_settings(folder), plenty.query.settings(folder));
        assert_eq!(plenty.engine_settings(), EngineConfig::default());
    }

    /// Scenario: little memory, and a configuration that has values of its own.
    /// Guarantees: they stay, and the budget that depends on one of them has room for it.
    #[test]
    fn what_is_given_stays() {
        let given = ["collector.request_bytes_max", "storage.buffer_bytes_max"];
        let config = fitted(256 * MIB, &given, |config| config.collector.request_bytes_max = ByteSize(64 * MIB));
        assert_eq!(config.collector.request_bytes_max.0, 64 * MIB);
        assert_eq!(config.collector.inflight_bytes_max.0, 128 * MIB);
        assert_eq!(config.storage.buffer_bytes_max, Config::default().storage.buffer_bytes_max);
    }
}
