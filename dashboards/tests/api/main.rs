//! The router as a client sees it, over a real store, query engine and correlator.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code fails loudly")]

mod backtest;
mod deployments;
mod errors;
mod flags;
mod gates;
mod harness;
mod openapi;
mod pages;
mod sql;
mod state;
mod traces;
mod weights;
