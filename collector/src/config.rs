//! Settings of the receivers: plain values; components such as the store and the clock are arguments.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use daytwo_storage::StorageConfig;

use crate::otlp::cors::is_origin;

/// Settings of the receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorConfig {
    /// Where OTLP/gRPC listens. Port 0 takes any free port.
    pub grpc_addr: SocketAddr,
    /// Where OTLP/HTTP listens. Port 0 takes any free port.
    pub http_addr: SocketAddr,
    /// Largest body of a request, after decompression. Larger ones are refused for good: RESOURCE_EXHAUSTED, 413.
    pub request_bytes_max: usize,
    /// Bytes of all requests in work at once: received, decompressed and decoded. Past it, requests are refused for now. Raising it
    /// takes larger bursts at the price of memory. At least twice `request_bytes_max`.
    pub inflight_bytes_max: usize,
    /// How long a request waits for its share of that budget before it is refused.
    pub admission_wait: Duration,
    /// How long a connection may take for a TLS handshake, for its first byte and for its first request (of HTTP/2: its preface), and
    /// how long it may pause within a body.
    pub read_timeout: Duration,
    /// Bytes a second that a body must bring over each `read_timeout`, or its end; a slower one is refused for now.
    pub body_rate_min: usize,
    /// How long a body may take in all.
    pub body_timeout: Duration,
    /// Connections per listener; more are closed at once.
    pub connections_max: usize,
    /// How long a connection may be without a request in work; then it is asked to go.
    pub connection_idle_max: Duration,
    /// Age at which a connection is asked to reconnect, so that load balancers can spread it anew. Connections that were opened
    /// together are asked over a fifth of it.
    pub connection_age_max: Duration,
    /// How long a connection that was asked to go may take for the requests it has in work; then it is closed.
    pub connection_age_grace: Duration,
    /// How often the client of an HTTP/2 connection is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// How long its answer may take; then the connection is closed.
    pub keepalive_timeout: Duration,
    /// Origins of web pages that may export over HTTP, as in `https://shop.example`. None by default.
    pub cors_allowed_origins: Vec<String>,
    /// How long requests in work may take to finish at shutdown.
    pub drain_timeout: Duration,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self {
            grpc_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 4317)),
            http_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 4318)),
            request_bytes_max: 64 << 20,
            inflight_bytes_max: 256 << 20,
            admission_wait: Duration::from_millis(100),
            read_timeout: Duration::from_secs(10),
            body_rate_min: 16 << 10,
            body_timeout: Duration::from_secs(120),
            connections_max: 4096,
            connection_idle_max: Duration::from_secs(300),
            connection_age_max: Duration::from_secs(1800),
            connection_age_grace: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            cors_allowed_origins: Vec::new(),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

impl CollectorConfig {
    /// Most origins: every request of a browser is compared with all of them.
    pub const ORIGINS_MAX: usize = 64;

    /// What a body must bring in each `read_timeout`: at least a byte.
    pub(crate) fn stretch_bytes_min(&self) -> usize {
        let millis = usize::try_from(self.read_timeout.as_millis()).unwrap_or(usize::MAX);
        (self.body_rate_min.saturating_mul(millis) / 1000).max(1)
    }

    /// Everything that is wrong with the settings: key, value and rule, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let largest = StorageConfig::REQUEST_BYTES_MAX;
        if self.request_bytes_max == 0 || self.request_bytes_max > largest {
            problems.push(format!("collector.request_bytes_max = {}: must be 1 to {largest}", self.request_bytes_max));
        }
        if self.inflight_bytes_max < self.request_bytes_max.saturating_mul(2) {
            problems.push(format!(
                "collector.inflight_bytes_max = {}: must be at least twice collector.request_bytes_max ({})",
                self.inflight_bytes_max, self.request_bytes_max
            ));
        }
        if self.connections_max == 0 {
            problems.push("collector.connections_max = 0: must be at least 1".to_owned());
        }
        for origin in self.cors_allowed_origins.iter().filter(|origin| !is_origin(origin)) {
            problems.push(format!(
                "collector.cors_allowed_origins: {origin:?} is no origin; name each as browsers do, as in https://shop.example or http://localhost:3000"
            ));
        }
        if self.cors_allowed_origins.len() > Self::ORIGINS_MAX {
            problems.push(format!("collector.cors_allowed_origins: must be at most {} origins", Self::ORIGINS_MAX));
        }
        problems
    }
}

/// Which files say who may export, and how connections are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessConfig {
    /// Certificate chain in PEM, the server's own first. With it both receivers speak TLS and nothing else.
    pub tls_cert_file: Option<PathBuf>,
    /// Its private key in PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Authorities in PEM; with it a client must show a certificate that one of them has signed.
    pub tls_client_ca_file: Option<PathBuf>,
    /// Files with a token each; with them every export must show one of these tokens. Several, so that tokens can be replaced
    /// without an export refused.
    pub bearer_token_files: Vec<PathBuf>,
    /// How often the files are read again.
    pub interval: Duration,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            tls_cert_file: None,
            tls_key_file: None,
            tls_client_ca_file: None,
            bearer_token_files: Vec::new(),
            interval: Duration::from_secs(5),
        }
    }
}

impl AccessConfig {
    /// Most files with tokens: every request is compared with all of them.
    pub const TOKEN_FILES_MAX: usize = 16;

    /// Everything that is wrong with the settings, the files aside: one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.tls_cert_file.is_some() != self.tls_key_file.is_some() {
            problems.push("collector.tls_cert_file and collector.tls_key_file: set both or none".to_owned());
        }
        if self.tls_client_ca_file.is_some() && self.tls_cert_file.is_none() {
            problems.push("collector.tls_client_ca_file: needs collector.tls_cert_file".to_owned());
        }
        if self.bearer_token_files.len() > Self::TOKEN_FILES_MAX {
            problems.push(format!("collector.bearer_token_files: must be at most {} files", Self::TOKEN_FILES_MAX));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the defaults, and each setting out of its range.
    /// Guarantees: the defaults are fine; every problem is reported at once, by key.
    #[test]
    fn problems_are_all_reported() {
        assert_eq!(CollectorConfig::default().problems(), Vec::<String>::new());
        let bad = CollectorConfig { request_bytes_max: 0, connections_max: 0, ..CollectorConfig::default() };
        assert_eq!(bad.problems().len(), 2);
        let origins = vec!["*".to_owned(), "https://a/".to_owned(), "https://a".to_owned()];
        let starred = CollectorConfig { cors_allowed_origins: origins, ..CollectorConfig::default() };
        assert_eq!(starred.problems().len(), 2);
        let small = CollectorConfig { inflight_bytes_max: 1 << 20, ..CollectorConfig::default() };
        assert!(small.problems().join("").contains("collector.inflight_bytes_max"));
    }
}
