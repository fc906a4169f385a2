//! Questions about spans: SQL, lookup by id, search.
//!
//! The way of a statement: [`guard`](crate) reads it as hostile text and plans it on a large stack; `session` gives it the
//! tables of one snapshot; `span_table` reads buffer and files; `sql` hands out rows within limits; [`answer`]
//! writes them as JSON, CSV, Arrow or a table. Lookups by id (`lookup`) and searches (`search`) go beside DataFusion where
//! planning would cost more than reading.
//!
//! [`Correlator`] is the correlation engine: it follows accepted spans, measures closed traces ([`measure`]), keeps SLIs
//! ([`sli`]) and SLOs ([`slo`]), finds deployments ([`deployment`]) and judges them ([`verdict`]). [`trace`] stitches.
//!
//! This crate is the only one that knows DataFusion.

pub mod answer;
mod catalogue;
mod cell_table;
mod config;
pub mod correlator;
mod data_file;
pub mod deployment;
mod engine;
mod error;
pub mod flag;
mod functions;
mod guard;
mod hash;
mod hdr_v2;
mod kept_document;
mod lookup;
pub mod measure;
mod search;
mod session;
pub mod sli;
pub mod slo;
mod slots;
mod span_record;
mod span_table;
pub mod spans;
mod sql;
pub mod tables;
pub mod trace;
mod trace_answer;
pub mod verdict;
mod views;
mod yielding;

// The board knows storage only through this crate.
pub use daytwo_storage::index::{Catalogue, OperationName, VersionName};
pub use daytwo_storage::{
    Clock, DiskLevel, Document, DocumentFolder, Latencies, SpanId, StoreStatus, SystemClock, TraceId, Traffic,
    UnixNanos,
};

pub use catalogue::Names;
pub use config::QueryConfig;
pub use correlator::{
    Correlator, Distribution, DistributionBin, EngineAtRest, EngineConfig, EngineStatus, GateRule, GateSettings,
    GateTrial,
};
pub use deployment::{
    DECLARED_MAX, Declaration, DeclaredKind, Deployment, DeploymentFilter, DeploymentKind, Identity, Note, NoteKind,
    STEPS_MAX, SharePoint, TrafficShare, VersionNames, WeightStep,
};
pub use engine::{LookupStats, QueryEngine, QueryStatus};
pub use error::{QueryError, Result};
pub use flag::{
    Assignment, ControlRule, FLAGS_DECLARED_MAX, Flag, FlagChange, FlagChangeKind, FlagComparison, FlagDeclaration,
    FlagService, FlagVariant,
};
pub use functions::{register_all, span_kind_name};
pub use lookup::TraceSpans;
pub use search::{SEARCH_LIMIT_MAX, SearchAnswer, TraceSearch, TraceSummary};
pub use sli::{OperationSli, ServiceSli, SliRow, TimeWindow};
pub use span_record::{SpanAttribute, SpanRecord};
pub use sql::SqlAnswer;
pub use tables::{EngineTable, EngineTables, NoEngineTables};
pub use trace_answer::TraceAnswer;
pub use verdict::GateOutcome;
