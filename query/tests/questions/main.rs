//! Questions put to an engine over a real store: SQL, lookups, searches.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod harness;
mod tables;
