//! Questions about spans: SQL, lookup by id, search.
//!
//! The way of a statement: [`guard`](crate) reads it as hostile text and plans it on a large stack; `session` gives it the
//! tables of one snapshot; `span_table` reads buffer and files; `sql` hands out rows within limits; [`answer`]
//! writes them as JSON, CSV, Arrow or a table. Lookups by id (`lookup`) and searches (`search`) go beside DataFusion where
//! planning would cost more than reading.
//!
//! This crate is the only one that knows DataFusion.

pub mod answer;
mod config;
mod data_file;
mod engine;
mod error;
mod functions;
mod guard;
mod lookup;
mod search;
mod session;
mod slots;
mod span_table;
pub mod spans;
mod sql;
pub mod tables;
mod views;

pub use config::QueryConfig;
pub use engine::{LookupStats, QueryEngine, QueryStatus};
pub use error::{QueryError, Result};
pub use functions::{register_all, span_kind_name};
pub use lookup::TraceSpans;
pub use search::{SEARCH_LIMIT_MAX, SearchAnswer, TraceSearch, TraceSummary};
pub use sql::SqlAnswer;
pub use tables::{EngineTable, EngineTables, NoEngineTables};

// The board knows storage only through this crate.
pub use daytwo_storage::{Clock, SpanId, StoreStatus, SystemClock, TraceId, UnixNanos};
