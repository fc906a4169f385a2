//! The sections and their keys. A section's defaults are those of the part that it configures.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use daytwo_collector::{AccessConfig, CollectorConfig};
use daytwo_query::{EngineConfig, QueryConfig};
use daytwo_storage::{Ack, S3Access, StorageConfig};
use serde::{Deserialize, Serialize};

use super::alerts::AlertsSection;
use super::{ByteSize, Span};

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) storage: StorageSection,
    pub(crate) collector: CollectorSection,
    pub(crate) query: QuerySection,
    pub(crate) engine: EngineSection,
    pub(crate) dashboards: DashboardsSection,
    pub(crate) alerts: AlertsSection,
    pub(crate) log: LogSection,
    /// The memory there is, where it is so little that limits without a key follow it.
    #[serde(skip)]
    pub(super) memory: Option<u64>,
}

/// `[storage]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StorageSection {
    pub(crate) data_dir: PathBuf,
    pub(crate) buffer_bytes_max: ByteSize,
    pub(crate) flush_bytes: ByteSize,
    pub(crate) flush_interval: Span,
    pub(crate) wal_segment_bytes: ByteSize,
    pub(crate) dedup_window: Span,
    pub(crate) compaction_target_bytes: ByteSize,
    pub(crate) vacuum_after: Span,
    pub(crate) retention: Span,
    pub(crate) retention_disk_percent: u8,
    pub(crate) scrub_interval: Span,
    pub(crate) scrub_bytes_per_second: ByteSize,
    pub(crate) object_store: String,
    pub(crate) object_endpoint: String,
    pub(crate) object_region: String,
    pub(crate) object_allow_http: bool,
    pub(crate) index_cache_bytes: ByteSize,
    pub(crate) ack: String,
    pub(crate) retention_by_service: BTreeMap<String, Span>,
}

impl Default for StorageSection {
    fn default() -> Self {
        let config = StorageConfig::default();
        Self {
            data_dir: config.data_dir,
            buffer_bytes_max: ByteSize(config.buffer_bytes_max),
            flush_bytes: ByteSize(config.flush_bytes),
            flush_interval: Span(config.flush_interval),
            wal_segment_bytes: ByteSize(config.wal_segment_bytes),
            dedup_window: Span(config.dedup_window),
            compaction_target_bytes: ByteSize(config.compaction_target_bytes),
            vacuum_after: Span(config.vacuum_after),
            retention: Span(config.retention),
            retention_disk_percent: config.retention_disk_percent,
            scrub_interval: Span(config.scrub_interval),
            scrub_bytes_per_second: ByteSize(config.scrub_bytes_per_second),
            object_store: String::new(),
            object_endpoint: String::new(),
            object_region: String::new(),
            object_allow_http: false,
            index_cache_bytes: ByteSize(config.index_cache_bytes),
            ack: config.ack.name().to_owned(),
            retention_by_service: BTreeMap::new(),
        }
    }
}

impl StorageSection {
    /// How the table's store of objects is reached, if it is in one; `environment` has the credentials.
    pub(crate) fn object_access(&self, environment: Vec<(String, String)>) -> Option<S3Access> {
        let access = S3Access {
            url: self.object_store.clone(),
            endpoint: self.object_endpoint.clone(),
            region: self.object_region.clone(),
            allow_http: self.object_allow_http,
            environment,
        };
        (!access.url.is_empty()).then_some(access)
    }

    /// What the store is given.
    pub(crate) fn settings(&self) -> StorageConfig {
        StorageConfig {
            data_dir: self.data_dir.clone(),
            buffer_bytes_max: self.buffer_bytes_max.0,
            flush_bytes: self.flush_bytes.0,
            flush_interval: self.flush_interval.0,
            wal_segment_bytes: self.wal_segment_bytes.0,
            dedup_window: self.dedup_window.0,
            compaction_target_bytes: self.compaction_target_bytes.0,
            vacuum_after: self.vacuum_after.0,
            retention: self.retention.0,
            retention_disk_percent: self.retention_disk_percent,
            scrub_interval: self.scrub_interval.0,
            scrub_bytes_per_second: self.scrub_bytes_per_second.0,
            index_cache_bytes: self.index_cache_bytes.0,
            ack: Ack::named(&self.ack).unwrap_or_default(),
            retention_by_service: self.retention_by_service.iter().map(|(name, age)| (name.clone(), age.0)).collect(),
            ..StorageConfig::default()
        }
    }
}

/// `[collector]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CollectorSection {
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
    pub(crate) tls_cert_file: PathBuf,
    pub(crate) tls_key_file: PathBuf,
    pub(crate) tls_client_ca_file: PathBuf,
    pub(crate) bearer_token_files: Vec<PathBuf>,
    pub(crate) allow_remote_without_auth: bool,
    pub(crate) request_bytes_max: ByteSize,
    pub(crate) inflight_bytes_max: ByteSize,
    pub(crate) connections_max: usize,
    pub(crate) connection_idle_max: Span,
    pub(crate) connection_age_max: Span,
    pub(crate) connection_age_grace: Span,
    pub(crate) keepalive_interval: Span,
    pub(crate) keepalive_timeout: Span,
    pub(crate) cors_allowed_origins: Vec<String>,
}

impl Default for CollectorSection {
    fn default() -> Self {
        let config = CollectorConfig::default();
        Self {
            grpc_addr: config.grpc_addr,
            http_addr: config.http_addr,
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            tls_client_ca_file: PathBuf::new(),
            bearer_token_files: Vec::new(),
            allow_remote_without_auth: false,
            request_bytes_max: ByteSize(config.request_bytes_max as u64),
            inflight_bytes_max: ByteSize(config.inflight_bytes_max as u64),
            connections_max: config.connections_max,
            connection_idle_max: Span(config.connection_idle_max),
            connection_age_max: Span(config.connection_age_max),
            connection_age_grace: Span(config.connection_age_grace),
            keepalive_interval: Span(config.keepalive_interval),
            keepalive_timeout: Span(config.keepalive_timeout),
            cors_allowed_origins: config.cors_allowed_origins,
        }
    }
}

impl CollectorSection {
    /// What the receivers are given. What has no key keeps its default.
    pub(crate) fn settings(&self) -> CollectorConfig {
        CollectorConfig {
            grpc_addr: self.grpc_addr,
            http_addr: self.http_addr,
            request_bytes_max: self.request_bytes_max.to_usize(),
            inflight_bytes_max: self.inflight_bytes_max.to_usize(),
            connections_max: self.connections_max,
            connection_idle_max: self.connection_idle_max.0,
            connection_age_max: self.connection_age_max.0,
            connection_age_grace: self.connection_age_grace.0,
            keepalive_interval: self.keepalive_interval.0,
            keepalive_timeout: self.keepalive_timeout.0,
            cors_allowed_origins: self.cors_allowed_origins.clone(),
            ..CollectorConfig::default()
        }
    }

    /// Who may export, and how connections are protected.
    pub(crate) fn access(&self) -> AccessConfig {
        let named = |path: &Path| Some(path.to_owned()).filter(|path| !path.as_os_str().is_empty());
        AccessConfig {
            tls_cert_file: named(&self.tls_cert_file),
            tls_key_file: named(&self.tls_key_file),
            tls_client_ca_file: named(&self.tls_client_ca_file),
            bearer_token_files: self.bearer_token_files.clone(),
            ..AccessConfig::default()
        }
    }

    /// Whether an exporter has to show who it is, by a token or a certificate.
    pub(crate) fn authenticates(&self) -> bool {
        !self.bearer_token_files.is_empty() || !self.tls_client_ca_file.as_os_str().is_empty()
    }
}

/// `[query]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QuerySection {
    pub(crate) running_max: usize,
    pub(crate) timeout: Span,
    pub(crate) memory_bytes_max: ByteSize,
    pub(crate) spill_bytes_max: ByteSize,
    pub(crate) answer_rows_max: u64,
    pub(crate) partitions: usize,
}

impl Default for QuerySection {
    fn default() -> Self {
        let config = QueryConfig::default();
        Self {
            running_max: config.running_max,
            timeout: Span(config.timeout),
            memory_bytes_max: ByteSize(config.memory_bytes_max),
            spill_bytes_max: ByteSize(config.spill_bytes_max),
            answer_rows_max: config.answer_rows_max,
            partitions: config.partitions,
        }
    }
}

impl QuerySection {
    /// What the query engine is given; its spill files go below the data folder. What has no key keeps its default.
    pub(crate) fn settings(&self, data_dir: &Path) -> QueryConfig {
        QueryConfig {
            running_max: self.running_max,
            timeout: self.timeout.0,
            memory_bytes_max: self.memory_bytes_max.0,
            spill_bytes_max: self.spill_bytes_max.0,
            answer_rows_max: self.answer_rows_max,
            partitions: self.partitions,
            spill_dir: data_dir.join("spill"),
            ..QueryConfig::default()
        }
    }
}

/// `[engine]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EngineSection {
    pub(crate) slo_dir: PathBuf,
    pub(crate) trace_idle: Span,
    pub(crate) rebuild_window: Span,
    pub(crate) bake: Span,
    pub(crate) lookback: Span,
    pub(crate) planned_traces: u64,
}

impl Default for EngineSection {
    fn default() -> Self {
        let config = EngineConfig::default();
        Self {
            slo_dir: PathBuf::new(),
            trace_idle: Span(config.idle),
            rebuild_window: Span(config.rebuild_window),
            bake: Span(config.verdict.bake),
            lookback: Span(config.verdict.lookback),
            planned_traces: config.verdict.planned_traces.unwrap_or(0),
        }
    }
}

impl EngineSection {
    /// What the correlation engine is given. What has no key keeps its default.
    pub(crate) fn settings(&self) -> EngineConfig {
        let mut config =
            EngineConfig { idle: self.trace_idle.0, rebuild_window: self.rebuild_window.0, ..EngineConfig::default() };
        config.verdict.bake = self.bake.0;
        config.verdict.lookback = self.lookback.0;
        config.verdict.planned_traces = (self.planned_traces > 0).then_some(self.planned_traces);
        config
    }
}

/// `[dashboards]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DashboardsSection {
    pub(crate) addr: SocketAddr,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) allow_remote_without_auth: bool,
}

impl Default for DashboardsSection {
    fn default() -> Self {
        Self { addr: loopback(8080), allowed_hosts: Vec::new(), allow_remote_without_auth: false }
    }
}

impl DashboardsSection {
    /// Names under which the board may be reached; empty means any.
    ///
    /// On a loopback address it is this machine's names and the configured ones, so that a page of another site cannot
    /// reach it through a name of its own. On another address whoever runs it decides; by default every name is taken.
    pub(crate) fn hosts(&self) -> Vec<String> {
        if self.addr.ip().is_loopback() {
            let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
            return own
                .into_iter()
                .chain([self.addr.ip().to_string()])
                .chain(self.allowed_hosts.iter().cloned())
                .collect();
        }
        self.allowed_hosts.clone()
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogSection {
    pub(crate) level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Every key with its meaning and the effect of changing it, in the order in which they are shown.
pub(super) const KEYS: &[(&str, &str, &str)] = &[
    (
        "storage",
        "data_dir",
        "Folder for everything that is stored; created when missing, with access for its owner only.",
    ),
    (
        "storage",
        "buffer_bytes_max",
        "Decoded spans held in memory, flushed or not; past it exports are refused as retryable.\nRaise it when `daytwo_shed_requests_total` grows for reason store_full or store_busy while the disk keeps up.",
    ),
    (
        "storage",
        "flush_bytes",
        "A flush to files starts when this much waits. Larger: fewer and larger files, more memory, longer restart.",
    ),
    (
        "storage",
        "flush_interval",
        "A flush starts when the oldest waiting span is this old. Queries see spans at once, flushed or not.",
    ),
    ("storage", "wal_segment_bytes", "Size of a write-ahead log segment, allocated at once."),
    (
        "storage",
        "dedup_window",
        "How long an accepted request is remembered, restart included, so that sending it again stores nothing.",
    ),
    (
        "storage",
        "compaction_target_bytes",
        "Size that files of an hour are brought to by merging them; 0 turns that off.\nLarger: fewer files, more rewriting and more room needed while merging.",
    ),
    (
        "storage",
        "vacuum_after",
        "How long other engines may go on reading a file that was merged into another or expired; then it is removed.\nRaise it when queries of theirs run longer and stop at a missing file. A disk that runs full does not wait.",
    ),
    (
        "storage",
        "retention",
        "How long spans are kept after their reception; 0 keeps them. Whole files go, an hour at a time.\nNothing goes while the clock is more than a day past the latest time that was seen, until it has advanced for an hour.",
    ),
    (
        "storage",
        "retention_disk_percent",
        "Percent of the disk that may be in use, by whomever, before the oldest spans go; 0 looks at no disk.",
    ),
    (
        "storage",
        "scrub_interval",
        "How often every file is read and compared with the hash it was written with; 0 never does.",
    ),
    ("storage", "scrub_bytes_per_second", "How fast files are read for that, at most; 0 reads none."),
    (
        "storage",
        "object_store",
        "Where the table is instead of data_dir: an S3-compatible store, as in s3://bucket/prefix; empty for data_dir.\ndata_dir keeps the write-ahead log and what is on its way. Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...).",
    ),
    ("storage", "object_endpoint", "Address of the store, as in https://minio.example:9000; empty for Amazon's."),
    ("storage", "object_region", "Region of the bucket; empty for AWS_REGION, else us-east-1."),
    ("storage", "object_allow_http", "Whether the store may be spoken to without encryption."),
    (
        "storage",
        "index_cache_bytes",
        "Disk below data_dir/cache for copies of the indexes of a table in a store. Larger: fewer requests for lookups.",
    ),
    (
        "storage",
        "ack",
        "When an export is acknowledged: \"local\", once it is in the write-ahead log on the disk of data_dir; \"object\", once it is in the store.\nWith \"object\" a lost disk loses nothing; an acknowledgement takes up to half a second longer, and each round is a request that costs.",
    ),
    (
        "storage",
        "retention_by_service",
        "Services whose spans are kept for another time than `retention`, as in { checkout = \"90d\", probe = \"1d\" }; 0 keeps them.\nSpans of a service leave a file once they are at least half of it, or with the whole file.",
    ),
    ("collector", "grpc_addr", "OTLP/gRPC. Port 0 takes a free port; see --addr-file."),
    ("collector", "http_addr", "OTLP/HTTP: protobuf and JSON at /v1/traces."),
    (
        "collector",
        "tls_cert_file",
        "Certificate chain in PEM, the server's own first; with it both receivers speak TLS (1.2, 1.3) and nothing else.\nThis file and the three below are read at start and again within seconds after they change; what cannot be used then changes nothing.",
    ),
    ("collector", "tls_key_file", "Private key of that certificate, in PEM, without a password."),
    (
        "collector",
        "tls_client_ca_file",
        "Authorities in PEM; with them only clients that show a certificate of one of them are served.",
    ),
    (
        "collector",
        "bearer_token_files",
        "Files with one token each; with them every export needs `Authorization: Bearer` and one of the tokens.\nTwo files let a token be replaced without a restart: write the new one into the second, give it to the exporters, write it into the first.",
    ),
    (
        "collector",
        "allow_remote_without_auth",
        "Addresses other than 127.0.0.1 are refused unless exporters show a token or a certificate, or this is true.",
    ),
    (
        "collector",
        "request_bytes_max",
        "Largest export request, after decompression; larger ones are refused for good (413, RESOURCE_EXHAUSTED).",
    ),
    (
        "collector",
        "inflight_bytes_max",
        "Bytes of all export requests in work: received, decompressed and decoded. Past it requests are refused as retryable. At least twice request_bytes_max.\nRaise it for larger bursts, at the price of memory.",
    ),
    ("collector", "connections_max", "Connections per receiver; more are closed at once."),
    (
        "collector",
        "connection_idle_max",
        "How long a connection may be without a request in work; then it is asked to go. One that never sends a request has 10 s.",
    ),
    (
        "collector",
        "connection_age_max",
        "Age at which a connection is asked to reconnect, so that load balancers spread it anew; up to a fifth more, so that not all do at once.",
    ),
    (
        "collector",
        "connection_age_grace",
        "How long a connection that was asked to go may take for its requests in work; then it is closed.",
    ),
    (
        "collector",
        "keepalive_interval",
        "How often the client of an HTTP/2 connection is pinged, so that one that is gone frees its place.",
    ),
    ("collector", "keepalive_timeout", "How long its answer may take; then the connection is closed."),
    (
        "collector",
        "cors_allowed_origins",
        "Origins of web pages whose exporters may send over OTLP/HTTP, as in [\"https://shop.example\", \"http://localhost:3000\"]; none by default.",
    ),
    (
        "query",
        "running_max",
        "SQL queries and searches that run at once; others wait, and are refused as overloaded after 10 s.",
    ),
    ("query", "timeout", "How long a query may run, waiting for its client included."),
    ("query", "memory_bytes_max", "Memory that all running queries share; past it they spill to disk, then fail."),
    ("query", "spill_bytes_max", "Disk below data_dir/spill that all running queries share."),
    ("query", "answer_rows_max", "Rows of an answer; past it the answer ends and says that it is truncated."),
    ("query", "partitions", "Threads that one query spreads over; 0 means one per core."),
    (
        "engine",
        "slo_dir",
        "Folder of OpenSLO v1 files (*.yaml, *.yml), read at start, on SIGHUP and when they change; empty for none.",
    ),
    (
        "engine",
        "trace_idle",
        "A trace without a new span for this long is measured. Longer: fewer late spans, older numbers.",
    ),
    ("engine", "rebuild_window", "How far back stored spans are measured again at start."),
    ("engine", "bake", "How long a new version is judged before an open verdict becomes INCONCLUSIVE."),
    (
        "engine",
        "lookback",
        "How much of the old version's past a new one is compared with when both do not run side by side.",
    ),
    (
        "engine",
        "planned_traces",
        "Traces of each version for which verdicts are sharpest; 0 goes by the old version's traffic before the new one came. Not to be changed while a release is judged.",
    ),
    ("dashboards", "addr", "API and board."),
    (
        "dashboards",
        "allowed_hosts",
        "Further names under which the board may be opened, as in [\"daytwo.example.com\"]; on a loopback address other names are refused.",
    ),
    (
        "dashboards",
        "allow_remote_without_auth",
        "There is no authentication yet: addresses other than 127.0.0.1 are refused unless this is true.",
    ),
    (
        "alerts",
        "board_url",
        "Address under which people open the board, as in \"https://daytwo.example.com\": links in alerts begin with it; empty for no links.",
    ),
    (
        "alerts",
        "webhook",
        "Who is told of burning budgets and failed releases; one table each, in place of this key:\n\
         [[alerts.webhook]]\n\
         name = \"ops\"                               # in metrics and the log\n\
         url = \"https://alerts.example/api/v2/alerts\"\n\
         format = \"alertmanager\"                    # or \"json\", the default\n\
         severities = [\"page\", \"ticket\"]          # the default\n\
         allow_networks = [\"10.1.0.0/16\"]           # addresses that are not public are refused but for these; none by default\n\
         allow_http = false                         # without encryption only where this is true\n\
         ca_file = \"ca.pem\"                         # certificates to trust in place of the machine's\n\
         bearer_token_file = \"token\"                # or bearer_token_env, a variable's name; sent as Authorization\n\
         signing_key_file = \"key\"                   # or signing_key_env; X-Daytwo-Signature: sha256=HMAC(key, X-Daytwo-Timestamp + \".\" + body)\n\
         repeat = \"4h\"                              # an alert that goes on is told again; 1m for alertmanager, else 4h",
    ),
    ("log", "level", "error, warn, info, debug or trace; or by part, as in \"info,daytwo_storage=debug\"."),
];
