//! The web port of Daytwo: the HTTP API (docs/http-api.md) and the board.
//!
//! [`router`] builds everything that the port answers from an [`AppState`]; [`serve`] accepts connections for it. This is
//! the only crate with JSON DTOs and HTTP statuses: the crates below know neither. It depends on `query` alone, so `main`
//! hands in what the collector counts as plain values ([`IngestCounts`]).

mod alerts;
mod api;
mod error;
mod extract;
mod fields;
mod gate;
mod link;
mod openapi;
mod rate;
mod server;
mod state;
mod time;
mod ui;

use axum::{Router, middleware};

pub use alerts::{ALERTS_BYTES_MAX, Alerts, Network, Secret, Target, WEBHOOKS_MAX, WebhookConfig, WebhookFormat};
pub use error::{ApiError, ErrorCode};
pub use link::encoded;
pub use openapi::document;
pub use rate::RateMeter;
pub use server::{CONNECTIONS_MAX, serve};
pub use state::{AppState, Identity, IngestCounts, Parts, Probe, Readiness, SpanCounts};

/// Everything that the web port answers.
pub fn router(state: AppState) -> Router {
    let routes = api::routes().merge(ui::routes());
    routes.layer(middleware::from_fn_with_state(state.clone(), gate::pass)).with_state(state)
}
