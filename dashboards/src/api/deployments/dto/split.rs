//! How traffic was split where that was declared, as JSON.

use daytwo_query::verdict;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::super::nanos_of;

/// The split in the window of one declared weight.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Split {
    /// The share that was declared, 0..1: of the service's traces, or of those with the variant or the control.
    declared: f64,
    /// The share seen.
    share: Option<f64>,
    /// Traces that went to the candidate first, as they came.
    traces: u64,
    /// Traces that went elsewhere.
    elsewhere: u64,
    /// Traces that met both variants of a flag.
    mixed: u64,
    /// So many traces that are not sampled would say as much.
    effective_traces: f64,
    /// The service that asks for the flag, where only its traces were declared.
    asker: Option<String>,
    from_unix_nano: String,
    to_unix_nano: String,
    /// Evidence that the share is another one.
    e_value: f64,
    /// However often one looks; below 0.001 the split is not the declared one.
    p_value: f64,
    /// Whether it is another one, and by enough to matter.
    skewed: bool,
    /// The query that counts the traces again.
    sql: String,
}

impl From<verdict::Split> for Split {
    fn from(split: verdict::Split) -> Self {
        Self {
            declared: split.declared,
            share: split.share,
            traces: split.traces,
            elsewhere: split.elsewhere,
            mixed: split.mixed,
            effective_traces: split.effective,
            asker: split.asker,
            from_unix_nano: nanos_of(split.from_unix_nano),
            to_unix_nano: nanos_of(split.to_unix_nano),
            e_value: split.e_value,
            p_value: split.p_value,
            skewed: split.skewed,
            sql: split.sql,
        }
    }
}
