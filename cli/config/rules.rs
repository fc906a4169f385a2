//! Rules between values that have the right type. Nothing is opened before all of them hold.

use std::path::Path;
use std::time::Duration;

use daytwo_collector::{AccessConfig, CollectorConfig};
use daytwo_dashboards::WEBHOOKS_MAX;
use daytwo_storage::{Ack, S3Access, StorageConfig};

use super::{ByteSize, Config, Problem, Span};
use crate::cli::log;

const MIB: u64 = 1 << 20;

/// Every rule that `config` breaks.
pub(super) fn broken(config: &Config) -> Vec<Problem> {
    let mut rules = Rules::default();
    storage(&mut rules, config);
    addresses(&mut rules, config);
    collector(&mut rules, config);
    query(&mut rules, config);
    engine(&mut rules, config);
    alerts(&mut rules, config);
    let level = &config.log.level;
    rules.check(
        "log.level",
        format!("{level:?}"),
        log::is_level(level),
        "must be error, warn, info, debug, trace, or such by part",
    );
    rules.broken
}

#[derive(Debug, Default)]
struct Rules {
    broken: Vec<Problem>,
}

impl Rules {
    fn check(&mut self, key: &str, value: impl std::fmt::Display, holds: bool, rule: &str) {
        if !holds {
            self.broken.push(Problem::new(key, value, rule));
        }
    }

    fn size(&mut self, key: &str, value: ByteSize, least: u64, most: u64) {
        let rule = format!("must be between {} and {}", ByteSize(least), ByteSize(most));
        self.check(key, format!("\"{value}\""), (least..=most).contains(&value.0), &rule);
    }

    fn time(&mut self, key: &str, value: Span, least: Duration, most: Duration) {
        let rule = format!("must be between {} and {}", Span(least), Span(most));
        self.check(key, format!("\"{value}\""), (least..=most).contains(&value.0), &rule);
    }
}

fn storage(rules: &mut Rules, config: &Config) {
    let storage = &config.storage;
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    let dir = &storage.data_dir;
    rules.check("storage.data_dir", format!("{dir:?}"), !dir.as_os_str().is_empty(), "must name a folder");
    rules.size("storage.buffer_bytes_max", storage.buffer_bytes_max, 16 * MIB, 1 << 40);
    rules.size("storage.flush_bytes", storage.flush_bytes, MIB, 1 << 40);
    rules.time("storage.flush_interval", storage.flush_interval, Duration::from_millis(100), hour);
    rules.size("storage.wal_segment_bytes", storage.wal_segment_bytes, MIB, StorageConfig::WAL_SEGMENT_BYTES_MAX);
    rules.time("storage.dedup_window", storage.dedup_window, Duration::ZERO, day);
    let target = storage.compaction_target_bytes;
    rules.check(
        "storage.compaction_target_bytes",
        format!("\"{target}\""),
        target.0 == 0 || (MIB..=1 << 34).contains(&target.0),
        "must be 0 or between 1MiB and 16GiB",
    );
    rules.time("storage.vacuum_after", storage.vacuum_after, Duration::ZERO, day);
    kept(rules, config);
    in_store(rules, config);
    let fits = storage.flush_bytes.0 <= storage.buffer_bytes_max.0 / 2;
    rules.check(
        "storage.flush_bytes",
        format!("\"{}\"", storage.flush_bytes),
        fits,
        "must be at most half of storage.buffer_bytes_max, so that spans are taken while others are flushed",
    );
}

fn in_store(rules: &mut Rules, config: &Config) {
    let storage = &config.storage;
    let (url, endpoint) = (&storage.object_store, &storage.object_endpoint);
    let is_url = url.is_empty() || S3Access::parts(url).is_some();
    rules.check(
        "storage.object_store",
        format!("{url:?}"),
        is_url,
        "must be an address like s3://bucket/prefix, or empty",
    );
    let is_open = endpoint.starts_with("http://");
    let is_endpoint = endpoint.is_empty() || is_open || endpoint.starts_with("https://");
    rules.check(
        "storage.object_endpoint",
        format!("{endpoint:?}"),
        is_endpoint,
        "must begin with https:// (or http://), or be empty",
    );
    let allowed = !is_open || storage.object_allow_http;
    let rule = "spans would travel without encryption; use https://, or set storage.object_allow_http = true";
    rules.check("storage.object_endpoint", format!("{endpoint:?}"), allowed, rule);
    rules.size("storage.index_cache_bytes", storage.index_cache_bytes, MIB, 1 << 44);
    let ack = Ack::named(&storage.ack);
    rules.check("storage.ack", format!("{:?}", storage.ack), ack.is_some(), "must be \"local\" or \"object\"");
    let has_store = ack != Some(Ack::Object) || !url.is_empty();
    rules.check("storage.ack", "\"object\"", has_store, "needs storage.object_store");
    let share = storage.retention_disk_percent;
    let rule = "must be 0 with storage.object_store: a store of objects has no disk that runs full";
    rules.check("storage.retention_disk_percent", share, url.is_empty() || share == 0, rule);
}

/// An hour is the least that is kept, for that is what files are by.
fn kept(rules: &mut Rules, config: &Config) {
    let storage = &config.storage;
    let hour = Duration::from_secs(3600);
    let ages =
        storage.retention_by_service.iter().map(|(name, age)| (format!("storage.retention_by_service.{name}"), *age));
    for (key, age) in ages.chain([("storage.retention".to_owned(), storage.retention)]) {
        rules.check(&key, format!("\"{age}\""), age.0.is_zero() || age.0 >= hour, "must be 0 or at least 1h");
    }
    let percent = storage.retention_disk_percent;
    rules.check("storage.retention_disk_percent", percent, percent <= 95, "must be at most 95");
    let (every, most) = (storage.scrub_interval, Duration::from_secs(365 * 86_400));
    let holds = every.0.is_zero() || (hour..=most).contains(&every.0);
    rules.check("storage.scrub_interval", format!("\"{every}\""), holds, "must be 0 or between 1h and 365d");
}

const OPEN_RECEIVER: &str = "whoever reaches this address can export to it; set collector.bearer_token_files or \
     collector.tls_client_ca_file, listen on 127.0.0.1, or set collector.allow_remote_without_auth = true";
const OPEN_BOARD: &str = "whoever reaches this address can use it, for there is no authentication yet; \
     listen on 127.0.0.1, or set dashboards.allow_remote_without_auth = true";

fn addresses(rules: &mut Rules, config: &Config) {
    let (collector, dashboards) = (&config.collector, &config.dashboards);
    let receivers = collector.allow_remote_without_auth || collector.authenticates();
    for (key, addr, allowed, rule) in [
        ("collector.grpc_addr", collector.grpc_addr, receivers, OPEN_RECEIVER),
        ("collector.http_addr", collector.http_addr, receivers, OPEN_RECEIVER),
        ("dashboards.addr", dashboards.addr, dashboards.allow_remote_without_auth, OPEN_BOARD),
    ] {
        rules.check(key, format!("\"{addr}\""), allowed || addr.ip().is_loopback(), rule);
    }
    let named = [collector.grpc_addr, collector.http_addr, dashboards.addr];
    let keys = ["collector.grpc_addr", "collector.http_addr", "dashboards.addr"];
    for (index, addr) in named.iter().enumerate() {
        let taken = named.iter().take(index).position(|other| addr.port() != 0 && other == addr);
        let rule = taken.map(|other| format!("{} has the same address", keys[other])).unwrap_or_default();
        rules.check(keys[index], format!("\"{addr}\""), taken.is_none(), &rule);
    }
}

fn collector(rules: &mut Rules, config: &Config) {
    let collector = &config.collector;
    let most = StorageConfig::REQUEST_BYTES_MAX as u64;
    rules.size("collector.request_bytes_max", collector.request_bytes_max, 1 << 10, most);
    rules.size("collector.inflight_bytes_max", collector.inflight_bytes_max, MIB, 64 << 30);
    let (request, inflight) = (collector.request_bytes_max, collector.inflight_bytes_max);
    rules.check(
        "collector.inflight_bytes_max",
        format!("\"{inflight}\""),
        inflight.0 / 2 >= request.0,
        "must be at least twice collector.request_bytes_max",
    );
    let connections = collector.connections_max;
    rules.check(
        "collector.connections_max",
        connections,
        (1..=65_536).contains(&connections),
        "must be between 1 and 65536",
    );
    connections_last(rules, config);
    let origins = &collector.cors_allowed_origins;
    let named = CollectorConfig { cors_allowed_origins: origins.clone(), ..CollectorConfig::default() };
    let rule = "must be at most 64 origins, each as browsers name them (https://shop.example, http://localhost:3000): no path, no *";
    rules.check("collector.cors_allowed_origins", format!("{origins:?}"), named.problems().is_empty(), rule);
    access(rules, config);
}

fn connections_last(rules: &mut Rules, config: &Config) {
    let collector = &config.collector;
    let (second, year) = (Duration::from_secs(1), Duration::from_secs(365 * 86_400));
    for (key, value) in [
        ("collector.connection_idle_max", collector.connection_idle_max),
        ("collector.connection_age_max", collector.connection_age_max),
        ("collector.connection_age_grace", collector.connection_age_grace),
        ("collector.keepalive_interval", collector.keepalive_interval),
        ("collector.keepalive_timeout", collector.keepalive_timeout),
    ] {
        rules.time(key, value, second, year);
    }
}

fn access(rules: &mut Rules, config: &Config) {
    let collector = &config.collector;
    let named = |path: &Path| !path.as_os_str().is_empty();
    let (cert, key, authority) = (&collector.tls_cert_file, &collector.tls_key_file, &collector.tls_client_ca_file);
    let rule = "goes with collector.tls_cert_file: set both or none";
    rules.check("collector.tls_key_file", format!("{key:?}"), named(key) == named(cert), rule);
    let rule = "needs collector.tls_cert_file and collector.tls_key_file";
    rules.check("collector.tls_client_ca_file", format!("{authority:?}"), !named(authority) || named(cert), rule);
    let tokens = &collector.bearer_token_files;
    let most = AccessConfig::TOKEN_FILES_MAX;
    let holds = tokens.len() <= most && tokens.iter().all(|path| named(path));
    let rule = format!("must be at most {most} files, each with a name");
    rules.check("collector.bearer_token_files", format!("{tokens:?}"), holds, &rule);
}

fn query(rules: &mut Rules, config: &Config) {
    let query = &config.query;
    let running = query.running_max;
    rules.check("query.running_max", running, (1..=1024).contains(&running), "must be between 1 and 1024");
    rules.time("query.timeout", query.timeout, Duration::from_millis(100), Duration::from_secs(3600));
    rules.size("query.memory_bytes_max", query.memory_bytes_max, 16 * MIB, 1 << 44);
    rules.size("query.spill_bytes_max", query.spill_bytes_max, 0, 1 << 50);
    rules.check("query.answer_rows_max", query.answer_rows_max, query.answer_rows_max >= 1, "must be at least 1");
    rules.check("query.partitions", query.partitions, query.partitions <= 1024, "must be at most 1024");
}

fn engine(rules: &mut Rules, config: &Config) {
    let engine = &config.engine;
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let dir = &engine.slo_dir;
    let exists = dir.as_os_str().is_empty() || dir.is_dir();
    rules.check("engine.slo_dir", format!("{dir:?}"), exists, "must be a folder that exists, or empty");
    rules.time("engine.trace_idle", engine.trace_idle, second, day);
    rules.time("engine.rebuild_window", engine.rebuild_window, Duration::ZERO, day * 28);
    rules.time("engine.bake", engine.bake, second * 10, day * 28);
    rules.time("engine.lookback", engine.lookback, second * 10, day);
    let planned = engine.planned_traces;
    let in_range = planned == 0 || (100..=10_000_000).contains(&planned);
    rules.check("engine.planned_traces", planned, in_range, "must be 0, or between 100 and 10000000");
}

fn alerts(rules: &mut Rules, config: &Config) {
    let alerts = &config.alerts;
    let url = &alerts.board_url;
    let is_url = url.is_empty() || url.starts_with("https://") || url.starts_with("http://");
    rules.check("alerts.board_url", format!("{url:?}"), is_url, "must begin with https:// or http://, or be empty");
    let count = alerts.webhook.len();
    let rule = format!("must be at most {WEBHOOKS_MAX} tables");
    rules.check("alerts.webhook", format!("{count} tables"), count <= WEBHOOKS_MAX, &rule);
    for (index, webhook) in alerts.webhook.iter().enumerate() {
        let taken = alerts.webhook.iter().take(index).any(|other| other.name == webhook.name);
        rules.check(
            &format!("alerts.webhook[{index}].name"),
            format!("{:?}", webhook.name),
            !taken,
            "is the name of another webhook",
        );
        for (key, value, rule) in webhook.problems() {
            rules.check(&format!("alerts.webhook[{index}].{key}"), value, false, &rule);
        }
    }
}
