//! The OTLP conformance suite: is an endpoint what the specification asks for, and what Daytwo promises beyond?
//!
//! It judges any endpoint that receives traces, by its answers alone; of a Daytwo server it also looks up what was
//! accepted. It knows nothing of any server's code, and writes and reads protobuf, JSON, gRPC and HTTP/2 frames by hand
//! where a library would be too polite. Its parts:
//!
//! - `model`: requests as they are meant, the rules of what can be stored, and how both encodings write them;
//! - `golden`: requests from a seed, in families, each with what the model says of it;
//! - `cases`: everything that no encoder makes: sizes, bombs, headers, connections, floods;
//! - `client`, `answer`: how requests are sent and what answers mean;
//! - `stored`: what was accepted is found, once, with its values;
//! - [`Report`]: one row per item of the checklist, transport and case.

mod answer;
mod cases;
mod client;
mod golden;
mod model;
mod report;
mod stored;
mod suite;
mod transport;
mod wire;

pub use golden::{GoldenConfig, golden_bodies};
pub use report::{ITEMS, Level, Report, Row, Skipped};
pub use suite::{Target, run};
pub use transport::{Compression, Transport};
