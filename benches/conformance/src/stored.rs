//! What was accepted is stored: once, with its values, and nothing else; by the SQL API of a Daytwo server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use crate::model::stored::{COLUMNS, comparable};
use crate::model::{Span, hex};
use crate::report::{Case, Level, Verdict};
use crate::suite::Suite;
use crate::transport::Transport;

/// The pause between two looks.
const POLL: Duration = Duration::from_millis(200);

/// Inputs asked for at once.
const PAGE: u64 = 256;

/// A row that has to be there.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) item: &'static str,
    pub(crate) name: String,
    pub(crate) transport: Transport,
    pub(crate) row: Vec<Json>,
}

/// Trace id and span id, in hexadecimal.
type Ids = (String, String);

/// Trace ids from one to before another, in hexadecimal, and how many rows are expected there.
#[derive(Debug)]
struct Page {
    first: String,
    end: String,
    expected: usize,
}

/// All that was accepted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    expected: BTreeMap<Ids, Vec<Expected>>,
    tolerated: BTreeSet<Ids>,
    /// Spans in requests that were answered with success.
    pub(crate) received: u64,
    /// Of these, the ones that the model rejects.
    pub(crate) rejected: u64,
    /// Of these, spans of requests sent a second time.
    pub(crate) repeated: u64,
}

impl Ledger {
    pub(crate) fn expect(&mut self, expected: Expected) {
        self.expected.entry(ids(&expected.row)).or_default().push(expected);
    }

    pub(crate) fn tolerate(&mut self, span: &Span) {
        self.tolerated.insert((hex(&span.trace_id), hex(&span.span_id)));
    }

    fn expected_among(&self, rows: &[Vec<Json>]) -> usize {
        rows.iter().filter(|row| self.expected.contains_key(&ids(row))).count()
    }

    /// Ranges of trace ids in which something is expected, of so many inputs each.
    fn pages(&self) -> Vec<Page> {
        // The first eight bytes of a trace id are the run, the next four the number of the input.
        let place = |id: &str| Some((id.get(..16)?.to_owned(), u64::from_str_radix(id.get(16..24)?, 16).ok()? / PAGE));
        let mut counts: BTreeMap<(String, u64), usize> = BTreeMap::new();
        for ((trace_id, _), rows) in &self.expected {
            if let Some(place) = place(trace_id) {
                *counts.entry(place).or_default() += rows.len();
            }
        }
        let bound = |run: &str, page: u64| format!("{run}{:08x}{:08x}", page * PAGE, 0);
        let page = |((run, page), expected): ((String, u64), usize)| Page {
            first: bound(&run, page),
            end: bound(&run, page + 1),
            expected,
        };
        counts.into_iter().map(page).collect()
    }

    #[cfg(test)]
    pub(crate) fn row_of(&self, name: &str) -> Vec<Json> {
        self.expected.values().flatten().find(|expected| expected.name == name).unwrap().row.clone()
    }
}

fn ids(row: &[Json]) -> Ids {
    let text = |index: usize| row.get(index).and_then(Json::as_str).unwrap_or_default().to_owned();
    (text(0), text(1))
}

/// The server's own counters of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    received: u64,
    accepted: u64,
    deduplicated: u64,
    rejected: u64,
}

impl Counters {
    /// The same, whatever part of the accepted spans was a duplicate.
    fn adds_up_to(self, other: Self) -> bool {
        let sums = |counters: Self| (counters.received, counters.accepted + counters.deduplicated, counters.rejected);
        sums(self) == sums(other) && self.deduplicated >= other.deduplicated
    }
}

const FOUND: Case<'_> = Case {
    item: "O-34",
    level: Level::Must,
    name: "nothing but what was accepted is stored",
    expected: "no other span of this run",
};

impl Suite {
    pub(crate) async fn counters(&self) -> Option<Result<Counters, String>> {
        let url = format!("{}/api/v1/status", self.target.query.as_ref()?);
        Some(self.client.ask(&url, None).await.map(|status| {
            let ingest = &status["ingest"];
            let number = |name: &str| ingest[name].as_u64().unwrap_or(0);
            let rejected = ingest["rejected_spans"].as_object();
            Counters {
                received: number("received_spans"),
                accepted: number("accepted_spans"),
                deduplicated: number("deduplicated_spans"),
                rejected: rejected.into_iter().flat_map(|counts| counts.values()).filter_map(Json::as_u64).sum(),
            }
        }))
    }

    /// Looks up everything that was accepted, and the server's counters.
    pub(crate) async fn check_stored(&self, before: Option<Result<Counters, String>>) {
        let Some(url) = self.target.query.clone() else {
            self.skip("O-34", "what was accepted is stored once, with its values; counters reconcile", "--query");
            return;
        };
        self.check_counters(before).await;
        let found = self.find(&url).await;
        let unexpected = found.and_then(|rows| self.check_found(rows));
        self.note(FOUND, None, unexpected);
    }

    /// All rows where some are expected; asked for again until all can be there.
    async fn find(&self, url: &str) -> Result<Vec<Vec<Json>>, String> {
        let pages = self.ledger().pages();
        let deadline = tokio::time::Instant::now() + self.target.found_within;
        let mut found = Vec::new();
        for Page { first, end, expected } in pages {
            loop {
                let rows = self.rows(url, &first, &end).await;
                let is_whole = rows.as_ref().is_ok_and(|rows| self.ledger().expected_among(rows) >= expected);
                if is_whole || tokio::time::Instant::now() > deadline {
                    found.extend(rows?);
                    break;
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(found)
    }

    /// Compares what was found with what was accepted.
    pub(crate) fn check_found(&self, found: Vec<Vec<Json>>) -> Verdict {
        let Ledger { mut expected, tolerated, .. } = std::mem::take(&mut *self.ledger());
        let mut unexpected = Ok("none".to_owned());
        for row in found.into_iter().map(comparable) {
            let ids = ids(&row);
            if tolerated.contains(&ids) {
                continue;
            }
            let candidates = expected.entry(ids.clone()).or_default();
            // Of two spans with the same ids the one with the same values is meant.
            let same = candidates.iter().position(|candidate| candidate.row == row);
            match same.or((!candidates.is_empty()).then_some(0)).map(|index| candidates.swap_remove(index)) {
                Some(expected) => self.note_found(&expected, difference(&expected.row, &row)),
                None => {
                    unexpected = Err(format!("span {} of trace {} should not be there, or not twice", ids.1, ids.0))
                }
            }
        }
        for missing in expected.into_values().flatten() {
            self.note_found(&missing, Err(format!("not found: {}", json!(missing.row))));
        }
        unexpected
    }

    fn note_found(&self, expected: &Expected, verdict: Verdict) {
        let name = format!("stored: {}", expected.name.trim_start_matches("golden: "));
        let case = Case {
            item: expected.item,
            level: Level::Daytwo,
            name: &name,
            expected: "each accepted span once, with its values",
        };
        self.note(case, Some(expected.transport), verdict);
    }

    async fn rows(&self, url: &str, first: &str, end: &str) -> Result<Vec<Vec<Json>>, String> {
        let columns = COLUMNS.join(", ");
        let query = format!("SELECT {columns} FROM spans WHERE trace_id >= X'{first}' AND trace_id < X'{end}'");
        let body = Bytes::from(json!({ "query": query }).to_string());
        let mut answer = self.client.ask(&format!("{url}/api/v1/sql"), Some(body)).await?;
        let missing = answer["partial"].as_array().map_or(0, Vec::len);
        if missing > 0 || answer["truncated"] == true {
            return Err(format!("the answer is incomplete: {}", answer["partial"]));
        }
        serde_json::from_value(answer["rows"].take()).map_err(|error| error.to_string())
    }

    async fn check_counters(&self, before: Option<Result<Counters, String>>) {
        let case = Case {
            item: "O-34",
            level: Level::Daytwo,
            name: "counters reconcile over the whole run",
            expected: "received = accepted + repeated + rejected, each as the model counts",
        };
        let verdict = match (before, self.counters().await) {
            (Some(Ok(before)), Some(Ok(after))) => {
                let ledger = self.ledger();
                let accepted = ledger.received - ledger.rejected - ledger.repeated;
                let grown = Counters {
                    received: after.received - before.received,
                    accepted: after.accepted - before.accepted,
                    deduplicated: after.deduplicated - before.deduplicated,
                    rejected: after.rejected - before.rejected,
                };
                let model = Counters {
                    received: ledger.received,
                    accepted,
                    deduplicated: ledger.repeated,
                    rejected: ledger.rejected,
                };
                // What was refused for now after it had been written is a duplicate when it comes again.
                let loose = self.client.was_postponed();
                let holds = if loose { grown.adds_up_to(model) } else { grown == model };
                if holds { Ok("they do".to_owned()) } else { Err(format!("{grown:?} instead of {model:?}")) }
            }
            (Some(Err(error)), _) | (_, Some(Err(error))) => Err(error),
            _ => Err("no counters".to_owned()),
        };
        self.note(case, None, verdict);
    }
}

/// The first columns that differ.
fn difference(expected: &[Json], found: &[Json]) -> Verdict {
    let differs = |(index, column): (usize, &&str)| {
        let (expected, found) = (expected.get(index), found.get(index));
        (expected != found).then(|| format!("{column} is {} instead of {}", json!(found), json!(expected)))
    };
    let different: Vec<String> = COLUMNS.iter().enumerate().filter_map(differs).take(3).collect();
    if different.is_empty() {
        return Ok("each once, with its values".to_owned());
    }
    let ids = found.first().and_then(Json::as_str).unwrap_or_default();
    Err(format!("span of {ids}: {}", different.join("; ")))
}
