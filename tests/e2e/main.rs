//! End-to-end tests: the real binary, real OpenTelemetry exporters, real readers, a real browser.
//!
//! Every test starts its own server on port 0 in its own folder and ends only processes it started. What the tests need beside
//! Rust (a Python environment, Node packages, Chromium) is installed by `tests/run`, which also sets `DAYTWO_TEST_TOOLS`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs, reason = "test code fails loudly")]

mod bad_input;
mod command_line;
mod conformance;
mod demo;
mod durability;
mod exporters;
mod flags;
mod harness;
mod ingest;
mod layout;
mod memory;
mod object;
mod older_versions;
mod readers;
mod rollout;
mod shutdown;
mod split;
