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
