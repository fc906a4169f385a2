//! [`Builder`]: one pass over the rows of a file, in their order, from which its sidecar is made.

mod names;
mod seen;

use std::collections::HashMap;
use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{Int32Type, Int64Type};

use super::catalogue::Catalogue;
use super::filter::Filter;
use super::parts::Output;
use super::table::{Run, TableWriter, Widths};
use super::tail::{BLOCK_ROWS, Bounds, Identity, Tail};
use super::term::{KeyHash, TERM_BITS, TRACE_BITS, Term, trace_key};
use crate::schema::{PROMOTED, PromotedType, RESOURCE_COLUMNS, col};
use crate::{Result, StorageError};
use names::NamesBuilder;
use seen::Seen;

/// Terms that a block lists, for each of its rows; a block that has more lists none and may hold anything.
const TERMS_PER_ROW_MAX: usize = 32;
/// Resources whose terms are remembered; past it all are forgotten.
const RESOURCES_MAX: usize = 1_024;

/// Bits of the number of runs of a trace, and of the gaps between them: a dozen runs, some hundred rows apart.
pub(super) const TRACE_CODES: (u32, u32) = (2, 6);
/// As [`TRACE_CODES`], for blocks that hold a term: one run, or several next to each other.
pub(super) const TERM_CODES: (u32, u32) = (0, 0);

/// Gathers what a sidecar holds.
#[derive(Debug)]
pub(crate) struct Builder {
    row_groups: Vec<u32>,
    rows: u32,
    block: u32,
    bounds: Vec<Bounds>,
    crowded: Vec<Run>,
    traces: Vec<(u64, Run)>,
    /// A term above, a block below.
    terms: Vec<u64>,
    /// Where the terms of the current block begin.
    terms_before: usize,
    seen: Seen,
    names: NamesBuilder,
    resources: HashMap<String, Vec<(usize, Term)>>,
    promoted: Vec<KeyHash>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            row_groups: Vec::new(),
            rows: 0,
            block: 0,
            bounds: Vec::new(),
            crowded: Vec::new(),
            traces: Vec::new(),
            terms: Vec::new(),
            terms_before: 0,
            seen: Seen::default(),
            names: NamesBuilder::default(),
            resources: HashMap::new(),
            promoted: PROMOTED.iter().map(|promoted| KeyHash::of(promoted.key)).collect(),
        }
    }
}

impl Builder {
    /// Adds the next rows of the current row group. They come in the memory schema.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when a column is missing, or there are more than 2^32 rows.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.row_groups.is_empty() {
            self.begin_row_group();
        }
        let mut at = 0;
        while at < batch.num_rows() {
            let in_group = self.row_groups.last().copied().unwrap_or(0);
            let room = (BLOCK_ROWS - in_group % BLOCK_ROWS) as usize;
            let piece = batch.slice(at, room.min(batch.num_rows() - at));
            self.push_piece(&piece)?;
            at += piece.num_rows();
        }
        Ok(())
    }

    /// The rows from now on belong to the next row group.
    pub(crate) fn begin_row_group(&mut self) {
        self.close_block();
        self.row_groups.push(0);
    }

    /// Rows that lie in one block.
    fn push_piece(&mut self, piece: &RecordBatch) -> Result<()> {
        let rows = u32::try_from(piece.num_rows()).unwrap_or(u32::MAX);
        let end = self.rows.checked_add(rows).ok_or_else(|| unfit("has more than 2^32 rows"))?;
        let group = self.row_groups.last().copied().unwrap_or(0);
        if group % BLOCK_ROWS == 0 && group > 0 {
            self.close_block();
        }
        self.add_bounds(piece)?;
        self.add_traces(piece)?;
        self.add_operations(piece)?;
        self.add_resources(piece)?;
        self.add_promoted(piece)?;
        self.add_attributes(piece)?;
        self.rows = end;
        if let Some(group) = self.row_groups.last_mut() {
            *group += rows;
        }
        Ok(())
    }

    fn close_block(&mut self) {
        let in_block = self.row_groups.last().map_or(0, |rows| rows % BLOCK_ROWS);
        let in_block = if in_block == 0 { BLOCK_ROWS } else { in_block };
        if self.bounds.len() == self.block as usize {
            return;
        }
        if self.seen.len() > TERMS_PER_ROW_MAX * in_block as usize {
            self.terms.truncate(self.terms_before);
            match self.crowded.last_mut() {
                Some(run) if run.end() == self.block => run.length += 1,
                _ => self.crowded.push(Run { start: self.block, length: 1 }),
            }
        }
        self.seen.clear();
        self.terms_before = self.terms.len();
        self.block += 1;
    }

    fn add_term(&mut self, term: Term) {
        let most = TERMS_PER_ROW_MAX * BLOCK_ROWS as usize;
        if self.seen.len() <= most && self.seen.insert(term) {
            self.terms.push(u64::from(term.0) << 32 | u64::from(self.block));
        }
    }

    fn add_bounds(&mut self, piece: &RecordBatch) -> Result<()> {
        let start = column(piece, col::START)?.as_primitive_opt::<Int64Type>();
        let duration = column(piece, col::DURATION)?.as_primitive_opt::<Int64Type>();
        let (Some(start), Some(duration)) = (start, duration) else {
            return Err(unfit("has times that are no numbers"));
        };
        let of = |numbers| Some((min(numbers)?, max(numbers)?));
        let (Some(start), Some(duration)) = (of(start), of(duration)) else {
            return Err(unfit("has spans without times"));
        };
        match self.bounds.get_mut(self.block as usize) {
            Some(bounds) => {
                bounds.start = (bounds.start.0.min(start.0), bounds.start.1.max(start.1));
                bounds.duration = (bounds.duration.0.min(duration.0), bounds.duration.1.max(duration.1));
            }
            None => self.bounds.push(Bounds { start, duration }),
        }
        Ok(())
    }

    fn add_traces(&mut self, piece: &RecordBatch) -> Result<()> {
        let ids = column(piece, col::TRACE_ID)?.as_binary_opt::<i32>().ok_or_else(|| unfit("has no binary ids"))?;
        let mut before: Option<&[u8]> = None;
        for row in 0..ids.len() {
            let id = ids.value(row);
            if before == Some(id) {
                if let Some((_, run)) = self.traces.last_mut() {
                    run.length += 1;
                }
                continue;
            }
            let start = self.rows.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
            self.traces.push((trace_key(id), Run { start, length: 1 }));
            before = Some(id);
        }
        Ok(())
    }

    /// Service, name, kind and status: what most searches ask for, and the names of the catalogue.
    fn add_operations(&mut self, piece: &RecordBatch) -> Result<()> {
        let services = text_dictionary(piece, col::SERVICE_NAME)?;
        let names = column(piece, col::NAME)?.as_string_opt::<i32>().ok_or_else(|| unfit("has names of no text"))?;
        let kinds = column(piece, col::KIND)?.as_primitive_opt::<Int32Type>();
        let statuses = column(piece, col::STATUS_CODE)?.as_primitive_opt::<Int32Type>();
        let (Some(kinds), Some(statuses)) = (kinds, statuses) else {
            return Err(unfit("has kinds or statuses that are no numbers"));
        };
        let (mut service, mut service_key, mut status_before) = ("", None, None);
        for row in 0..piece.num_rows() {
            if service_key != Some(services.key(row)) {
                service_key = Some(services.key(row));
                service = text_at(services, row).unwrap_or_default();
                status_before = None;
            }
            let status = statuses.value(row);
            if status_before != Some(status) {
                status_before = Some(status);
                self.add_term(Term::status(status));
                self.add_term(Term::service_status(service, status));
            }
            let name = names.value(row);
            if self.names.operation(service, name, kinds.value(row), self.block) {
                self.add_term(Term::operation(name));
                self.add_term(Term::service_operation(service, name));
            }
        }
        Ok(())
    }

    fn add_resources(&mut self, piece: &RecordBatch) -> Result<()> {
        for &(name, key) in RESOURCE_COLUMNS {
            let hash = KeyHash::of(key);
            let texts = text_dictionary(piece, name)?;
            for (text, rows) in runs(texts) {
                self.add_term(hash.with(text));
                if name == col::ENVIRONMENT {
                    self.names.environment(text, rows);
                }
            }
        }
        self.add_versions(piece)?;
        let texts = text_dictionary(piece, col::RESOURCE_ATTRIBUTES)?;
        for (text, rows) in runs(texts) {
            self.add_resource(text, rows);
        }
        Ok(())
    }

    fn add_versions(&mut self, piece: &RecordBatch) -> Result<()> {
        let (services, versions) =
            (text_dictionary(piece, col::SERVICE_NAME)?, text_dictionary(piece, col::SERVICE_VERSION)?);
        let of = |texts: &'_ arrow::array::DictionaryArray<Int32Type>, row: usize| texts.keys().value(row);
        let mut start = 0;
        for row in 1..=piece.num_rows() {
            let same = row < piece.num_rows()
                && of(services, row) == of(services, start)
                && of(versions, row) == of(versions, start)
                && versions.is_null(row) == versions.is_null(start);
            if same {
                continue;
            }
            if let (Some(service), Some(version)) = (text_at(services, start), text_at(versions, start)) {
                self.names.version(service, version, (row - start) as u64);
            }
            start = row;
        }
        Ok(())
    }

    /// The members of a resource's JSON text, parsed once for as long as it is remembered.
    fn add_resource(&mut self, text: &str, rows: u64) {
        if !self.resources.contains_key(text) {
            if self.resources.len() >= RESOURCES_MAX {
                self.resources.clear();
            }
            let names = &mut self.names;
            let members = members(text);
            let terms = members.map(|(key, value)| (names.resource_key(&key), Term::attribute(&key, &value)));
            let terms = terms.collect();
            self.resources.insert(text.to_owned(), terms);
        }
        let terms = self.resources.remove(text).unwrap_or_default();
        for &(key, term) in &terms {
            self.names.count_resource_key(key, rows);
            self.add_term(term);
        }
        self.resources.insert(text.to_owned(), terms);
    }

    fn add_promoted(&mut self, piece: &RecordBatch) -> Result<()> {
        for (index, promoted) in PROMOTED.iter().enumerate() {
            let values = column(piece, promoted.column)?;
            let filled = values.len() - values.null_count();
            let Some(&key) = self.promoted.get(index).filter(|_| filled > 0) else {
                continue;
            };
            self.names.span_key(promoted.key, key, filled as u64);
            match promoted.kind {
                PromotedType::Text => {
                    let texts = values.as_string_opt::<i32>().ok_or_else(|| unfit("has attributes of no text"))?;
                    let mut before = None;
                    for text in texts.iter().flatten() {
                        if before != Some(text) {
                            self.add_term(key.with(text));
                            before = Some(text);
                        }
                    }
                }
                PromotedType::Integer => {
                    let numbers = values.as_primitive_opt::<Int64Type>();
                    let numbers = numbers.ok_or_else(|| unfit("has attributes that are no numbers"))?;
                    let mut before = None;
                    for number in numbers.iter().flatten() {
                        if before != Some(number) {
                            self.add_term(key.with(&number.to_string()));
                            before = Some(number);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn add_attributes(&mut self, piece: &RecordBatch) -> Result<()> {
        let maps = column(piece, col::ATTRIBUTES)?.as_map_opt().ok_or_else(|| unfit("has attributes of no map"))?;
        let (keys, values) = (maps.keys().as_string_opt::<i32>(), maps.values().as_string_opt::<i32>());
        let (Some(keys), Some(values)) = (keys, values) else {
            return Err(unfit("has attributes of no text"));
        };
        let bound = |at: usize| maps.offsets().get(at).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
        for entry in bound(0)..bound(maps.len()) {
            let key = keys.value(entry);
            let hash = KeyHash::of(key);
            self.names.span_key(key, hash, 1);
            if values.is_valid(entry) {
                self.add_term(hash.with(values.value(entry)));
            }
        }
        Ok(())
    }

    /// The names in rows that are in no file yet.
    pub(super) fn into_catalogue(mut self) -> Catalogue {
        self.names.finish()
    }

    /// Writes the sidecar.
    ///
    /// # Errors
    /// What the target answers.
    pub(crate) fn finish<W: Write>(mut self, identity: Identity, to: W) -> std::io::Result<W> {
        self.close_block();
        let mut to = Output::new(to);
        self.traces.sort_unstable();
        let traces = self.traces.chunk_by(|(a, _), (b, _)| a == b).count();
        let mut filter = Filter::for_keys(traces);
        let widths = Widths::new(TRACE_BITS, traces, self.rows, TRACE_CODES.0, TRACE_CODES.1);
        let mut table = TableWriter::new(&mut to, widths);
        let mut runs: Vec<Run> = Vec::new();
        for rows in self.traces.chunk_by(|(a, _), (b, _)| a == b) {
            let key = rows.first().map_or(0, |(key, _)| *key);
            runs.clear();
            rows.iter().for_each(|(_, run)| push_run(&mut runs, *run));
            filter.add(key);
            table.push(key, &runs)?;
        }
        let traces = table.finish()?;
        self.terms.sort_unstable();
        let same = |a: &u64, b: &u64| a >> 32 == b >> 32;
        let count = self.terms.chunk_by(same).count();
        let widths = Widths::new(TERM_BITS, count, self.block, TERM_CODES.0, TERM_CODES.1);
        let mut table = TableWriter::new(&mut to, widths);
        for blocks in self.terms.chunk_by(same) {
            runs.clear();
            let block = |packed: &u64| Run { start: u32::try_from(packed & 0xFFFF_FFFF).unwrap_or(0), length: 1 };
            blocks.iter().for_each(|packed| push_run(&mut runs, block(packed)));
            table.push(blocks.first().map_or(0, |packed| packed >> 32), &runs)?;
        }
        let terms = table.finish()?;
        let catalogue = to.put(&self.names.finish().to_bytes())?;
        let Self { row_groups, bounds, crowded, .. } = self;
        let tail = Tail { row_groups, bounds, crowded, traces, terms, filter, catalogue };
        tail.write(&mut to, identity)?;
        Ok(to.into_inner())
    }
}

/// Adds a run behind the others, joined with the last when it follows it at once.
pub(super) fn push_run(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.end() >= run.start => last.length = last.length.max(run.end().saturating_sub(last.start)),
        _ => runs.push(run),
    }
}

/// The members of a JSON object as the search for an attribute sees them: a text bare, anything else as JSON.
fn members(text: &str) -> impl Iterator<Item = (String, String)> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
    object.into_iter().filter_map(|(key, value)| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some((key, text)),
        other => Some((key, other.to_string())),
    })
}

fn column<'a>(piece: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    piece.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| unfit("lacks a column"))
}

fn text_dictionary<'a>(piece: &'a RecordBatch, name: &str) -> Result<&'a arrow::array::DictionaryArray<Int32Type>> {
    let texts = column(piece, name)?.as_dictionary_opt::<Int32Type>();
    let texts = texts.filter(|texts| texts.values().as_string_opt::<i32>().is_some());
    texts.ok_or_else(|| unfit("has resources of no text"))
}

fn text_at(texts: &arrow::array::DictionaryArray<Int32Type>, row: usize) -> Option<&str> {
    let key = texts.key(row)?;
    let values = texts.values().as_string::<i32>();
    values.is_valid(key).then(|| values.value(key))
}

/// Rows in a row that have the same text, which is not null: the text and how many.
fn runs(texts: &arrow::array::DictionaryArray<Int32Type>) -> impl Iterator<Item = (&str, u64)> {
    let mut row = 0;
    std::iter::from_fn(move || {
        while row < texts.len() {
            let start = row;
            let same = |row: &usize| texts.key(*row) == texts.key(start);
            row = (start + 1..texts.len()).find(|row| !same(row)).unwrap_or(texts.len());
            if let Some(text) = text_at(texts, start) {
                return Some((text, (row - start) as u64));
            }
        }
        None
    })
}

fn unfit(reason: &str) -> StorageError {
    StorageError::Corrupt { path: "spans".into(), reason: format!("a batch to be indexed {reason}") }
}
