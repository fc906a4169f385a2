//! The OTLP protocol: decoding, transports, statuses.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod decode;
pub(crate) mod inflate;
