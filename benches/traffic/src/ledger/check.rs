//! The comparison of a ledger with a table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Entry, Outcome, RUN, SEQ};

/// What a table holds of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Rows.
    pub rows: u64,
    /// Different span ids in them.
    pub spans: u64,
}

/// The SQL query whose answer [`stored`] reads.
pub fn question(run: &str) -> String {
    format!(
        "SELECT attr(attributes, '{SEQ}'), count(*), count(DISTINCT span_id) FROM spans \
         WHERE attr(attributes, '{RUN}') = '{}' GROUP BY 1",
        run.replace('\'', "''")
    )
}

/// Reads the answer to [`question`], as the server gives it in JSON.
///
/// # Errors
/// In words: the answer is incomplete, by its own words, or has another form.
pub fn stored(answer: &Value) -> Result<BTreeMap<u64, Stored>, String> {
    let missing = answer["partial"].as_array().map_or(0, Vec::len);
    if missing > 0 || answer["truncated"] == true {
        return Err(format!("the answer is incomplete: {}, truncated: {}", answer["partial"], answer["truncated"]));
    }
    let number = |value: &Value| value.as_str()?.parse::<u64>().ok();
    let row = |row: &Value| Some((number(&row[0])?, Stored { rows: number(&row[1])?, spans: number(&row[2])? }));
    let rows = answer["rows"].as_array().ok_or_else(|| format!("no rows: {answer}"))?;
    rows.iter().map(|found| row(found).ok_or_else(|| format!("not the row expected: {found}"))).collect()
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Requests that were acknowledged.
    pub acknowledged: u64,
    /// Spans in them.
    pub acknowledged_spans: u64,
    /// Rows of the run in the table.
    pub rows: u64,
    /// Requests without an answer, or without a line, that are stored.
    pub unanswered_yet_stored: u64,
    /// Requests to be sent again later that are stored.
    pub postponed_yet_stored: u64,
    /// Acknowledged requests of which spans are missing.
    pub lost: Vec<u64>,
    /// Requests of which spans stand more than once.
    pub doubled: Vec<u64>,
    /// Requests that were not acknowledged and of which some spans are there and others not.
    pub torn: Vec<u64>,
    /// Requests that were refused for good and are there.
    pub taken_though_refused: Vec<u64>,
}

impl Checked {
    /// Whether the store kept its word.
    pub fn is_clean(&self) -> bool {
        [&self.lost, &self.doubled, &self.torn, &self.taken_though_refused].into_iter().all(Vec::is_empty)
    }

    /// For a report.
    pub fn to_json(&self) -> Value {
        json!({
            "clean": self.is_clean(),
            "acknowledged": self.acknowledged,
            "acknowledged_spans": self.acknowledged_spans,
            "rows": self.rows,
            "unanswered_yet_stored": self.unanswered_yet_stored,
            "postponed_yet_stored": self.postponed_yet_stored,
            "lost": self.lost,
            "doubled": self.doubled,
            "torn": self.torn,
            "taken_though_refused": self.taken_though_refused,
        })
    }
}

/// Compares the lines of a ledger with what is stored. Of a stored request without a line, `spans_of_unlisted` says how many
/// spans it must have, where that is known.
pub fn check(entries: &[Entry], stored: &BTreeMap<u64, Stored>, spans_of_unlisted: Option<u64>) -> Checked {
    let mut checked = Checked { rows: stored.values().map(|stored| stored.rows).sum(), ..Checked::default() };
    for entry in entries {
        let found = stored.get(&entry.seq).copied();
        checked.compare(entry.seq, Some(entry.spans), entry.outcome, found);
    }
    let listed: BTreeSet<u64> = entries.iter().map(|entry| entry.seq).collect();
    for (seq, found) in stored.iter().filter(|(seq, _)| !listed.contains(seq)) {
        checked.compare(*seq, spans_of_unlisted, Outcome::Unknown, Some(*found));
    }
    checked
}

impl Checked {
    fn compare(&mut self, seq: u64, spans: Option<u64>, outcome: Outcome, found: Option<Stored>) {
        if outcome == Outcome::Ack {
            self.acknowledged += 1;
            self.acknowledged_spans += spans.unwrap_or(0);
        }
        let Some(found) = found else {
            if outcome == Outcome::Ack {
                self.lost.push(seq);
            }
            return;
        };
        if found.rows != found.spans {
            self.doubled.push(seq);
        }
        let whole = spans.is_none_or(|spans| found.spans == spans);
        match outcome {
            Outcome::Ack if !whole => self.lost.push(seq),
            Outcome::Refused => self.taken_though_refused.push(seq),
            Outcome::Nack | Outcome::Unknown if !whole => self.torn.push(seq),
            Outcome::Nack => self.postponed_yet_stored += 1,
            Outcome::Unknown => self.unanswered_yet_stored += 1,
            Outcome::Ack => {}
        }
    }
}
