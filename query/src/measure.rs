//! Measuring: what a closed trace adds to cells and to the cohorts of a deployment.
//!
//! Everything here is integer arithmetic on mergeable values, so the order in which traces close cannot matter,
//! and a trace that changes because a span came late can be taken out and put back.

pub(crate) mod bytes;
mod cells;
mod entry;
mod flags;
mod histogram;
mod record;

#[cfg(test)]
pub(crate) use cells::in_second_form;
pub(crate) use cells::{COARSE, FINE, KeptHour, slot_start};
pub use cells::{CellEntry, CellFilter, CellKey, CellValue, Exemplar, SliCells, Slot};
pub use entry::Entry;
pub use flags::TraceFlag;
pub use histogram::{Count, LogHistogram};
pub(crate) use record::{FIRST_CALL, event_time};
pub use record::{NodeKey, NodeValue, TraceRecord, cell_entries, measure_trace};
