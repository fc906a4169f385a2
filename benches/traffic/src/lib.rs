//! The traffic model: a simulated shop of twelve services that talk OTLP.
//!
//! One model serves the demo, the benches and the tests. Its parts, from data to wire:
//!
//! - [`shop`]: which services there are, what their operations do, what users do, as tables;
//! - [`Release`], [`Rollout`], [`Effect`]: new versions and what they do worse;
//! - [`Model`]: seed, origin and releases in, traces of finished spans out;
//! - [`encode`] and [`Corpus`]: finished spans to OTLP requests, grouped by pod as SDKs do;
//! - [`export`]: OTLP exporters over gRPC and HTTP, with the retries that the specification asks for;
//! - [`ledger`]: what became of each request, and the comparison with what is stored;
//! - [`run_shop`] and [`demo_scenario`]: the shop, open, as the clock goes;
//! - [`SLO_FILES`]: the shop's objectives;
//! - [`cpu`]: what a process has cost;
//!
//! Time is an argument everywhere and everything random comes from the seed.

mod attributes;
mod corpus;
pub mod cpu;
mod demo;
mod describe;
pub mod encode;
pub mod export;
mod flag;
pub mod ledger;
mod live;
mod model;
mod pods;
mod release;
pub mod shop;
mod simulate;
mod slo;
#[cfg(test)]
mod testing;
mod visit;

pub use corpus::{Corpus, CorpusConfig};
pub use demo::{Scenario, demo_scenario};
pub use describe::Scope;
pub use encode::ExportRequest;
pub use flag::{Flag, FlagPlace};
pub use live::{Now, Progress, RunningShop, ShopConfig, run_shop};
pub use model::{FinishedSpan, Model, ModelConfig};
pub use pods::{Pod, PodId, Pods};
pub use release::{Effect, Release, Rollout};
pub use slo::SLO_FILES;
