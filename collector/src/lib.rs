//! OTLP in: from a socket to the store.
//!
//! A request's journey: `admission` gives it a share of the byte budget, `otlp::{grpc,http}` read and inflate
//! its body within that share, [`decode`] turns it into a [`daytwo_storage::SpanBatch`] span by span, `Store::append` makes it
//! durable, and only then is it answered. `otlp::status` maps every refusal to gRPC and HTTP in one place.
//!
//! OTLP types stop in this crate: what leaves it is Arrow.

mod otlp;

pub use otlp::decode;
pub use otlp::decode::OtlpReplay;
