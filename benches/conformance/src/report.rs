//! What the suite found: one [`Row`] per item, transport and case, and the table of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::transport::Transport;

/// The items of the checklist: what OTLP asks of a receiver, and what Daytwo adds. `docs/conformance.md` says of each
/// what became of it.
pub const ITEMS: &[&str] = &[
    "O-01", "O-02", "O-03", "O-04", "O-05", "O-06", "O-07", "O-08", "O-10", "O-11", "O-12", "O-13", "O-20", "O-21",
    "O-30", "O-31", "O-32", "O-33", "O-34", "O-40", "O-41", "O-42", "O-43", "O-44", "O-45", "O-50", "O-51", "O-52",
    "O-53", "O-54", "O-55", "O-56", "O-57", "O-60", "O-61", "O-62", "O-70", "O-71", "O-72", "O-73", "O-74", "O-75",
    "O-76", "O-77", "O-78", "O-80", "O-81", "O-82", "O-83", "O-84",
];

/// How binding a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The specification says MUST, or it follows from protobuf's or HTTP's own rules.
    Must,
    /// The specification says SHOULD.
    Should,
    /// Left open, or about robustness: what Daytwo promises.
    Daytwo,
}

impl Level {
    /// As tables show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Daytwo => "Daytwo",
        }
    }
}

/// Result of one case, which may have many inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The item of the checklist, `O-11`.
    pub item: &'static str,
    /// Where it was tried; none where the case is about the connection or the whole run.
    pub transport: Option<Transport>,
    /// What was tried.
    pub case: String,
    /// How binding it is.
    pub level: Level,
    /// What the answer has to be.
    pub expected: String,
    /// Inputs tried.
    pub inputs: u64,
    /// Of these, inputs answered as expected.
    pub passed: u64,
    /// What was seen: of the first failure, else of the last input.
    pub seen: String,
}

impl Row {
    /// Whether every input was answered as expected.
    pub fn is_pass(&self) -> bool {
        self.inputs > 0 && self.passed == self.inputs
    }

    fn transport_name(&self) -> &'static str {
        self.transport.map_or("any", Transport::name)
    }
}

/// A case that was not tried, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The item of the checklist.
    pub item: &'static str,
    /// The case.
    pub case: &'static str,
    /// What it would need.
    pub needs: &'static str,
}

/// All that one run found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Results, by item, transport and case.
    pub rows: Vec<Row>,
    /// What this run could not try.
    pub skipped: Vec<Skipped>,
    /// Golden inputs among the inputs of the rows.
    pub golden_inputs: u64,
}

type Key = (&'static str, Option<Transport>, String);

/// Results while they come in.
#[derive(Debug, Default)]
pub(crate) struct Book {
    rows: BTreeMap<Key, Row>,
    skipped: Vec<Skipped>,
}

/// What a case is, before its results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'c> {
    pub(crate) item: &'static str,
    pub(crate) level: Level,
    pub(crate) name: &'c str,
    pub(crate) expected: &'c str,
}

/// What was seen, if it was right, or else.
pub(crate) type Verdict = Result<String, String>;

impl Book {
    /// Notes the result of one input.
    pub(crate) fn note(&mut self, case: Case<'_>, transport: Option<Transport>, verdict: Verdict) {
        let row = self.rows.entry((case.item, transport, case.name.to_owned())).or_insert_with(|| Row {
            item: case.item,
            transport,
            case: case.name.to_owned(),
            level: case.level,
            expected: case.expected.to_owned(),
            inputs: 0,
            passed: 0,
            seen: String::new(),
        });
        let was_pass = row.passed == row.inputs;
        row.inputs += 1;
        match verdict {
            Ok(seen) => {
                row.passed += 1;
                if was_pass {
                    row.seen = seen;
                }
            }
            Err(seen) if was_pass => row.seen = seen,
            Err(_) => {}
        }
    }

    pub(crate) fn skip(&mut self, item: &'static str, case: &'static str, needs: &'static str) {
        self.skipped.push(Skipped { item, case, needs });
    }

    pub(crate) fn into_report(self, golden_inputs: u64) -> Report {
        Report { rows: self.rows.into_values().collect(), skipped: self.skipped, golden_inputs }
    }
}

impl Report {
    /// Whether every case passed. What was skipped does not count.
    pub fn is_pass(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Row::is_pass)
    }

    /// One line: how many of each level passed.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        for level in [Level::Must, Level::Should, Level::Daytwo] {
            let rows = || self.rows.iter().filter(|row| row.level == level);
            let passed = rows().filter(|row| row.is_pass()).count();
            // Writing to a String cannot fail.
            write!(out, "{} {passed} of {} cases, ", level.name(), rows().count()).ok();
        }
        let inputs: u64 = self.rows.iter().map(|row| row.inputs).sum();
        write!(out, "{inputs} checks, {} golden inputs, {} cases skipped", self.golden_inputs, self.skipped.len()).ok();
        out
    }

    /// The table with what was seen, in columns for a terminal.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let verdict = if row.is_pass() { "pass" } else { "FAIL" };
            let Row { item, case, expected, inputs, passed, seen, level, .. } = row;
            let transport = row.transport_name();
            writeln!(
                out,
                "{verdict} {item:5} {transport:13} {:6} {passed}/{inputs} {case} | expected: {expected} | seen: {seen}",
                level.name()
            )
            .ok();
        }
        for Skipped { item, case, needs } in &self.skipped {
            writeln!(out, "skip {item:5} {case} | needs {needs}").ok();
        }
        writeln!(out, "{}", self.summary()).ok();
        out
    }

    /// The table as the documentation keeps it, the same for every run with the same results.
    pub fn to_markdown(&self) -> String {
        let mut out =
            "| item | transport | case | level | expected | checks | result |\n|---|---|---|---|---|---|---|\n"
                .to_owned();
        for row in &self.rows {
            let Row { item, case, expected, inputs, .. } = row;
            let result = if row.is_pass() { "pass".to_owned() } else { format!("**FAIL**: {}", row.seen) };
            let (transport, level) = (row.transport_name(), row.level.name());
            writeln!(out, "| {item} | {transport} | {case} | {level} | {expected} | {inputs} | {result} |").ok();
        }
        out
    }

    /// Everything, for programs.
    pub fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "item": row.item, "transport": row.transport_name(), "case": row.case, "level": row.level.name(),
                "expected": row.expected, "seen": row.seen, "inputs": row.inputs, "passed": row.passed, "pass": row.is_pass(),
            })
        });
        let skipped = self.skipped.iter();
        let skipped = skipped.map(|skip| json!({ "item": skip.item, "case": skip.case, "needs": skip.needs }));
        json!({
            "pass": self.is_pass(),
            "golden_inputs": self.golden_inputs,
            "rows": rows.collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case<'_> = Case { item: "O-1", level: Level::Must, name: "case", expected: "200" };

    /// Scenario: a case with two good inputs and two bad ones between; a report without any case.
    /// Guarantees: the case fails and shows the first failure; nothing tried is no pass.
    #[test]
    fn one_failure_fails_the_case() {
        let mut book = Book::default();
        for verdict in [Ok("a"), Err("b"), Err("c"), Ok("d")] {
            book.note(CASE, None, verdict.map(str::to_owned).map_err(str::to_owned));
        }
        let report = book.into_report(0);
        let row = report.rows.first().unwrap();
        assert_eq!((row.inputs, row.passed, row.seen.as_str(), report.is_pass()), (4, 2, "b", false));
        assert!(report.to_text().contains("FAIL") && report.to_markdown().contains("**FAIL**: b"));
        assert!(!Report::default().is_pass());
    }
}
