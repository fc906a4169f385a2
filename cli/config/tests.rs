use std::path::Path;

use tempfile::NamedTempFile;
use toml::Value;

use super::meanings::KEYS;
use super::*;

/// The configuration from a file with this text.
fn from_text(text: &str) -> Result<Config, Vec<Problem>> {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    load(&Sources { file: Some(file.path()), ..Sources::default() })
}

fn from_environment(name: &str, value: &str) -> Result<Config, Vec<Problem>> {
    load(&Sources { environment: vec![(name.to_owned(), value.to_owned())], ..Sources::default() })
}

/// Scenario: no file, and an empty one.
/// Guarantees: both give the defaults.
#[test]
fn nothing_gives_the_defaults() {
    assert_eq!(load(&Sources::default()), Ok(Config::default()));
    assert_eq!(from_text(""), Ok(Config::default()));
}

/// Scenario: the example file of the repository.
/// Guarantees: it is what `config example` shows, and it reads back to the defaults, so it cannot go stale.
#[test]
fn the_example_file_is_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("daytwo.example.toml");
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, render(&Config::default()), "write it again: daytwo config example > daytwo.example.toml");
    assert_eq!(from_text(&text), Ok(Config::default()));
}

/// Scenario: all keys that the sections have, the explained ones, and the operations page.
/// Guarantees: no key is without explanation or missing from the page, and none is explained that does not exist.
#[test]
fn every_key_is_explained() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let explained: Vec<String> = KEYS.iter().map(|(section, key, _)| format!("{section}.{key}")).collect();
    let existing = keys::DEFAULTS.iter().flat_map(|(section, entries)| {
        let names = entries.as_table().into_iter().flatten();
        names.map(move |(key, _)| format!("{section}.{key}"))
    });
    let (mut left, mut right): (Vec<_>, Vec<_>) = (existing.collect(), explained.clone());
    left.sort();
    right.sort();
    assert_eq!(left, right);
    for key in explained {
        assert!(page.contains(&format!("`{key}`")), "docs/operations.md does not explain {key}");
    }
}

/// Scenario: one bad value for each rule.
/// Guarantees: the problem names the key, shows the value, and says what would be right.
#[test]
fn each_bad_value_is_named() {
    for (text, key, rule) in [
        ("[storage]\nflush_interval = \"soon\"", "storage.flush_interval", "as in \"250ms\""),
        ("[storage]\nflush_interval = \"1ms\"", "storage.flush_interval", "between 100ms and 1h"),
        ("[storage]\nflush_interval = 5", "storage.flush_interval", "string"),
        ("[storage]\nbuffer_bytes_max = \"1KiB\"", "storage.buffer_bytes_max", "between 16MiB"),
        ("[storage]\nflush_bytes = \"512MiB\"", "storage.flush_bytes", "half"),
        ("[storage]\nwal_segment_bytes = \"64\"", "storage.wal_segment_bytes", "MiB"),
        ("[storage]\nwal_segment_bytes = \"2GiB\"", "storage.wal_segment_bytes", "between 1MiB and 1GiB"),
        ("[storage]\ndata_dir = \"\"", "storage.data_dir", "folder"),
        ("[storage]\nobject_store = \"https://x\"", "storage.object_store", "s3://bucket/prefix"),
        ("[storage]\nobject_store = \"s3://b/../x\"", "storage.object_store", "s3://bucket/prefix"),
        ("[storage]\nobject_endpoint = \"minio:9000\"", "storage.object_endpoint", "https://"),
        ("[storage]\nobject_endpoint = \"http://minio:9000\"", "storage.object_endpoint", "object_allow_http"),
        ("[storage]\nindex_cache_bytes = \"1KiB\"", "storage.index_cache_bytes", "between 1MiB"),
        ("[storage]\nack = \"objects\"", "storage.ack", "\"local\" or \"object\""),
        ("[storage]\nack = \"object\"", "storage.ack", "needs storage.object_store"),
        (
            "[storage]\nobject_store = \"s3://b\"\nretention_disk_percent = 50",
            "storage.retention_disk_percent",
            "must be 0",
        ),
        ("[storage]\nflush_intervall = \"1s\"", "storage.flush_intervall", "did you mean flush_interval?"),
        ("[storrage]\n", "storrage", "did you mean storage?"),
        ("storage = 1", "storage", "section"),
        ("[collector]\ngrpc_addr = \"localhost\"", "collector.grpc_addr", "invalid socket address"),
        ("[collector]\ngrpc_addr = \"0.0.0.0:4317\"", "collector.grpc_addr", "collector.allow_remote_without_auth"),
        ("[collector]\ntls_cert_file = \"c\"", "collector.tls_key_file", "both or none"),
        ("[collector]\ntls_key_file = \"k\"", "collector.tls_key_file", "both or none"),
        ("[collector]\ntls_client_ca_file = \"c\"", "collector.tls_client_ca_file", "needs collector.tls_cert_file"),
        ("[collector]\nbearer_token_files = [\"\"]", "collector.bearer_token_files", "each with a name"),
        ("[collector]\nbearer_token_files = \"t\"", "collector.bearer_token_files", "sequence"),
        (
            "[collector]\nhttp_addr = \"0.0.0.0:1\"\ntls_cert_file = \"c\"\ntls_key_file = \"k\"",
            "collector.http_addr",
            "collector.bearer_token_files",
        ),
        (
            "[dashboards]\naddr = \"0.0.0.0:1\"\n[collector]\nbearer_token_files = [\"t\"]",
            "dashboards.addr",
            "no authentication",
        ),
        ("[collector]\nhttp_addr = \"127.0.0.1:4317\"", "collector.http_addr", "collector.grpc_addr has the same"),
        ("[collector]\nrequest_bytes_max = \"65MiB\"", "collector.request_bytes_max", "between 1KiB and 64MiB"),
        ("[collector]\ninflight_bytes_max = \"100MiB\"", "collector.inflight_bytes_max", "twice"),
        ("[collector]\nconnections_max = 0", "collector.connections_max", "between 1"),
        ("[collector]\nconnection_idle_max = \"0s\"", "collector.connection_idle_max", "between 1s"),
        ("[collector]\nkeepalive_interval = \"0s\"", "collector.keepalive_interval", "between 1s"),
        ("[collector]\ncors_allowed_origins = [\"*\"]", "collector.cors_allowed_origins", "as browsers name them"),
        ("[query]\nrunning_max = 0", "query.running_max", "between 1"),
        ("[query]\nrunning_max = -1", "query.running_max", "invalid value"),
        ("[query]\ntimeout = \"1d\"", "query.timeout", "between 100ms and 1h"),
        ("[query]\nmemory_bytes_max = \"1MiB\"", "query.memory_bytes_max", "between 16MiB"),
        ("[query]\nanswer_rows_max = 0", "query.answer_rows_max", "at least 1"),
        ("[query]\npartitions = 5000", "query.partitions", "at most 1024"),
        ("[engine]\nslo_dir = \"no/such/folder\"", "engine.slo_dir", "folder that exists"),
        ("[engine]\nbake = \"1s\"", "engine.bake", "between 10s and 28d"),
        ("[engine]\nplanned_traces = 99", "engine.planned_traces", "must be 0, or between 100"),
        ("[engine]\nplanned_traces = 10000001", "engine.planned_traces", "must be 0, or between 100"),
        ("[dashboards]\naddr = \"[::]:8080\"", "dashboards.addr", "dashboards.allow_remote_without_auth"),
        ("[dashboards]\nallowed_hosts = \"x\"", "dashboards.allowed_hosts", "sequence"),
        ("[log]\nlevel = \"info,=,=\"", "log.level", "must be error"),
        ("[alerts]\nboard_url = \"board\"", "alerts.board_url", "https://"),
        ("[alerts]\nwebhook = \"x\"", "alerts.webhook", "sequence"),
        ("[[alerts.webhook]]\nname = \"a\"\nurl = \"https://a\"\ncolour = 1", "alerts.webhook", "unknown field"),
        ("[[alerts.webhook]]\nurl = \"https://a\"", "alerts.webhook[0].name", "1 to 64"),
        ("[[alerts.webhook]]\nname = \"a\"\nurl = \"http://a\"", "alerts.webhook[0].url", "allow_http"),
        (
            "[[alerts.webhook]]\nname = \"a\"\nurl = \"https://a\"\nallow_networks = [\"10\"]",
            "alerts.webhook[0].allow_networks",
            "10.0.0.0/8",
        ),
        (
            "[[alerts.webhook]]\nname = \"a\"\nurl = \"https://a\"\nseverities = []",
            "alerts.webhook[0].severities",
            "page",
        ),
        ("[[alerts.webhook]]\nname = \"a\"\nurl = \"https://a\"\nrepeat = \"1s\"", "alerts.webhook[0].repeat", "30s"),
        (
            "[[alerts.webhook]]\nname = \"a\"\nurl = \"https://a\"\nsigning_key_file = \"k\"\nsigning_key_env = \"K\"",
            "alerts.webhook[0].signing_key_env",
            "keep one",
        ),
        (
            "[[alerts.webhook]]\nname = \"a\"\nurl = \"https://a\"\n[[alerts.webhook]]\nname = \"a\"\nurl = \"https://b\"",
            "alerts.webhook[1].name",
            "another webhook",
        ),
    ] {
        let problems = from_text(text).unwrap_err();
        let named = problems.iter().find(|problem| problem.key == key);
        let named = named.unwrap_or_else(|| panic!("{text}: {problems:?}"));
        assert!(named.rule.contains(rule), "{text}: {named}");
    }
}

/// Scenario: a file with mistakes of four kinds at once.
/// Guarantees: all are reported, not only the first.
#[test]
fn all_problems_come_at_once() {
    let text =
        "[storage]\nflush_interval = \"soon\"\nbuffer_bytes_max = true\n[collector]\nport = 1\n[nonsense]\nx = 1\n";
    let keys: Vec<String> = from_text(text).unwrap_err().into_iter().map(|problem| problem.key).collect();
    for key in ["storage.flush_interval", "storage.buffer_bytes_max", "collector.port", "nonsense"] {
        assert!(keys.contains(&key.to_owned()), "{key} is missing from {keys:?}");
    }
}

/// Scenario: a file that is no TOML, and one that is not there.
/// Guarantees: the message names the file, and the line where there is one.
#[test]
fn an_unreadable_file_is_named() {
    let problems = from_text("[storage]\nflush_bytes = = 3\n").unwrap_err();
    assert!(problems[0].rule.contains("no TOML at line 2"), "{problems:?}");
    let missing = load(&Sources { file: Some(Path::new("no/such/file.toml")), ..Sources::default() }).unwrap_err();
    assert!(missing[0].rule.contains("no/such/file.toml"), "{missing:?}");
}

/// Scenario: variables for a text, a flag, a list, an unknown key and a name without a section.
/// Guarantees: the environment stands over the file, in the type of the key, and mistakes in it are named.
#[test]
fn the_environment_stands_over_the_file() {
    assert_eq!(from_environment("DAYTWO__LOG__LEVEL", "debug").unwrap().log.level, "debug");
    let allowed = from_environment("DAYTWO__COLLECTOR__ALLOW_REMOTE_WITHOUT_AUTH", "true").unwrap();
    assert!(allowed.collector.allow_remote_without_auth);
    let hosts = from_environment("DAYTWO__DASHBOARDS__ALLOWED_HOSTS", "a.example, b.example").unwrap();
    assert_eq!(hosts.dashboards.allowed_hosts, ["a.example", "b.example"]);
    assert_eq!(from_environment("DAYTWO__LOG__LEVELL", "debug").unwrap_err()[0].key, "log.levell");
    assert_eq!(from_environment("DAYTWO__LOG", "debug").unwrap_err()[0].key, "DAYTWO__LOG");
    assert!(from_environment("PATH", "/bin").is_ok());
}

/// Scenario: receivers on an address of the network, with tokens and with certificates of clients.
/// Guarantees: either is enough; the files' names reach the receivers, in order.
#[test]
fn authenticated_receivers_may_be_remote() {
    let remote = "[collector]\ngrpc_addr = \"0.0.0.0:4317\"\nhttp_addr = \"[::]:4318\"\n";
    let tokens = from_text(&format!("{remote}bearer_token_files = [\"new\", \"old\"]")).unwrap().collector.access();
    assert_eq!((tokens.bearer_token_files, tokens.tls_cert_file), (vec!["new".into(), "old".into()], None));
    let files = "tls_cert_file = \"c\"\ntls_key_file = \"k\"\ntls_client_ca_file = \"a\"\n";
    let tls = from_text(&format!("{remote}{files}")).unwrap().collector.access();
    let files = (tls.tls_cert_file, tls.tls_key_file, tls.tls_client_ca_file);
    assert_eq!(files, (Some("c".into()), Some("k".into()), Some("a".into())));
}

/// Scenario: file, environment and flag name the data folder.
/// Guarantees: the flag wins over the environment, which wins over the file.
#[test]
fn flags_win() {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[storage]\ndata_dir = \"file\"\n").unwrap();
    let environment = vec![("DAYTWO__STORAGE__DATA_DIR".to_owned(), "environment".to_owned())];
    let flags = vec![("storage", "data_dir", "flag".to_owned())];
    let mut sources = Sources { file: Some(file.path()), environment, flags, memory: None };
    assert_eq!(load(&sources).unwrap().storage.data_dir, Path::new("flag"));
    sources.flags.clear();
    assert_eq!(load(&sources).unwrap().storage.data_dir, Path::new("environment"));
    sources.environment.clear();
    assert_eq!(load(&sources).unwrap().storage.data_dir, Path::new("file"));
}

/// Scenario: the sections' defaults against those of the parts.
/// Guarantees: a default is written once, in the part that it configures.
#[test]
fn defaults_are_those_of_the_parts() {
    let config = Config::default();
    assert_eq!(config.storage.settings(), daytwo_storage::StorageConfig::default());
    assert_eq!(config.collector.settings(), daytwo_collector::CollectorConfig::default());
    assert_eq!(config.collector.settings().problems(), Vec::<String>::new());
    assert_eq!(config.collector.access(), daytwo_collector::AccessConfig::default());
    let query = daytwo_query::QueryConfig { spill_dir: Path::new("d/spill").to_owned(), ..Default::default() };
    assert_eq!(config.query.settings(Path::new("d")), query);
    assert_eq!(config.query.settings(Path::new("d")).problems(), Vec::<String>::new());
    assert_eq!(config.engine.settings(), daytwo_query::EngineConfig::default());
    assert_eq!(keys::default_of("storage", "dedup_window"), Some(&Value::String("10m".to_owned())));
}

/// Scenario: no number of planned traces, which is 0, and one.
/// Guarantees: 0 leaves the plan to the old version's traffic, any other number stands.
#[test]
fn a_configured_plan_reaches_the_engine() {
    let mut config = Config::default();
    assert_eq!(config.engine.settings().verdict.planned_traces, None);
    config.engine.planned_traces = 5_000;
    assert_eq!(config.engine.settings().verdict.planned_traces, Some(5_000));
}
