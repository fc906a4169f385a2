//! The pages at `/`: embedded files with their cache rules, or a plain explanation when the binary has no pages.

use axum::Router;

use crate::state::AppState;

#[cfg(feature = "ui")]
mod pages;
#[cfg(not(feature = "ui"))]
mod plain;

/// Routes of the pages: everything that no other route took.
pub(crate) fn routes() -> Router<AppState> {
    #[cfg(feature = "ui")]
    let page = pages::page;
    #[cfg(not(feature = "ui"))]
    let page = plain::page;
    Router::new().fallback(page)
}
