//! OTLP in: from a socket to the store.
//!
//! A request's journey: `access` lets it in, `admission` keeps the budget of bytes, `otlp::{grpc,http}` read its body within
//! it, `otlp::export` inflates it and has [`decode`] turn it into a [`daytwo_storage::SpanBatch`] span by span, `Store::append`
//! makes it durable, and only then is it answered. `otlp::status` maps every refusal to gRPC and HTTP in one place.
//!
//! OTLP types stop in this crate: what leaves it is Arrow.

mod access;
mod admission;
mod collector;
mod config;
mod error;
mod otlp;
mod server;
mod telemetry;

pub use access::{Access, FileReader};
pub use collector::{BoundCollector, Collector, Surroundings};
pub use config::{AccessConfig, CollectorConfig};
pub use error::{CollectorError, Result};
pub use otlp::decode::OtlpReplay;
pub use otlp::{decode, encode};
pub use telemetry::{IngestStatus, IngestTelemetry, SpanCounts};
