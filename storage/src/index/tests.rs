//! Sidecars against a loop over the spans they were made from.

#![expect(clippy::cast_possible_truncation, reason = "rows of a test are few")]

use std::collections::{BTreeMap, BTreeSet};

use super::parts::Source;
use super::tail::{Identity, Tail};
use super::*;
use crate::testing::{Seeded, TestSpan, batch_of, spans};
use crate::{StorageError, TraceId, UnixNanos};

const RECEIVED: UnixNanos = UnixNanos(1_700_000_000_000_000_000);
const IDENTITY: Identity = Identity { content_hash: 7, size_bytes: 9 };

/// Spans in the order of the file, and where its row groups begin.
struct Rows {
    spans: Vec<TestSpan>,
    row_groups: Vec<usize>,
}

impl Rows {
    fn seeded(seed: u64, row_groups: &[usize]) -> Self {
        let mut spans = spans(seed, row_groups.iter().sum(), RECEIVED);
        // Traces in several runs, as requests of several processes bring them.
        let mut random = Seeded::new(seed);
        for _ in 0..spans.len() / 4 {
            let (a, b) = (random.below(spans.len() as u64), random.below(spans.len() as u64));
            spans.swap(a as usize, b as usize);
        }
        Self { spans, row_groups: row_groups.to_vec() }
    }

    fn sidecar(&self) -> Vec<u8> {
        let mut builder = Builder::default();
        let mut rest = self.spans.as_slice();
        for &rows in &self.row_groups {
            builder.begin_row_group();
            let (group, after) = rest.split_at(rows);
            rest = after;
            group.chunks(700).for_each(|spans| builder.push(batch_of(RECEIVED, spans).record_batch()).unwrap());
        }
        builder.finish(IDENTITY, Vec::new()).unwrap()
    }

    fn file(&self) -> DataFile {
        DataFile {
            path: "received_hour=2026-01-01T00/spans-1.parquet".to_owned(),
            size_bytes: IDENTITY.size_bytes,
            rows: self.spans.len() as u64,
            start_range: None,
            received_hour: "2026-01-01T00".to_owned(),
            content_hash: Some(IDENTITY.content_hash),
        }
    }

    fn open(&self, bytes: Vec<u8>) -> Result<FileIndex> {
        FileIndex::open(Source::Memory(bytes), &self.file())
    }

    /// Rows of each trace.
    fn traces(&self) -> BTreeMap<TraceId, BTreeSet<u32>> {
        let mut traces: BTreeMap<TraceId, BTreeSet<u32>> = BTreeMap::new();
        for (row, span) in (0..).zip(&self.spans) {
            traces.entry(span.trace_id()).or_default().insert(row);
        }
        traces
    }

    /// The block of each row.
    fn block_of_rows(&self) -> Vec<u32> {
        let mut blocks = Vec::new();
        let mut next = 0;
        for &rows in &self.row_groups {
            blocks.extend((0..rows).map(|row| next + row as u32 / BLOCK_ROWS));
            next += rows.div_ceil(BLOCK_ROWS as usize) as u32;
        }
        blocks
    }

    /// Blocks with a span for which `holds`.
    fn blocks(&self, holds: impl Fn(&TestSpan) -> bool) -> BTreeSet<u32> {
        let blocks = self.block_of_rows();
        let having = self.spans.iter().zip(blocks).filter(|(span, _)| holds(span));
        having.map(|(_, block)| block).collect()
    }

    /// Everything that a reader asks, against the loop.
    fn check(&self, index: &FileIndex) {
        for (trace, rows) in self.traces() {
            let keys = TraceKeys::of(&[trace]);
            assert!(index.may_hold(&keys));
            assert_eq!(numbers(&index.rows_of(&keys).unwrap()), rows);
        }
        type Model = Box<dyn Fn(&TestSpan) -> bool>;
        let text = |value: &'static str| move |span: &TestSpan| format!("{:?}", span.attributes).contains(value);
        let cases: Vec<(Vec<Term>, Model)> = vec![
            (vec![], Box::new(|_| true)),
            (vec![Term::service("cart")], Box::new(|span| span.service == "cart")),
            (vec![Term::operation("charge")], Box::new(|span| span.name == "charge")),
            (vec![Term::status(2)], Box::new(|span| span.status == 2)),
            (
                vec![Term::service_operation("cart", "charge")],
                Box::new(|span| span.service == "cart" && span.name == "charge"),
            ),
            (vec![Term::service_status("cart", 2)], Box::new(|span| span.service == "cart" && span.status == 2)),
            (vec![Term::attribute("tenant", "grün")], Box::new(text("grün"))),
            (vec![Term::attribute("http.response.status_code", "404")], Box::new(text("Integer(404)"))),
            (vec![Term::attribute("ratio", "0.5")], Box::new(text("0.5"))),
            (vec![Term::attribute("needle", "7")], Box::new(text("needle"))),
            (vec![Term::attribute("deployment.environment.name", "test")], Box::new(|_| true)),
            (vec![Term::attribute("tenant", "purple")], Box::new(|_| false)),
        ];
        for (terms, model) in cases {
            assert_eq!(numbers(&index.blocks_with(&terms).unwrap()), self.blocks(model), "{terms:?}");
        }
        self.check_blocks(index);
        self.check_catalogue(&index.catalogue().unwrap());
    }

    fn check_blocks(&self, index: &FileIndex) {
        let mut rows = 0_u32;
        for block in index.blocks() {
            assert_eq!(block.first_row, rows);
            let (from, to) = (rows as usize, (rows + block.rows) as usize);
            let starts: Vec<i64> = self.spans[from..to].iter().map(|span| span.start as i64).collect();
            assert_eq!(block.bounds.start, (*starts.iter().min().unwrap(), *starts.iter().max().unwrap()));
            let durations = self.spans[from..to].iter().map(|span| span.end.saturating_sub(span.start) as i64);
            assert_eq!(block.bounds.duration.1, durations.max().unwrap());
            rows += block.rows;
        }
        assert_eq!(rows as usize, self.spans.len());
    }

    fn check_catalogue(&self, catalogue: &Catalogue) {
        let mut operations: BTreeMap<OperationName, u64> = BTreeMap::new();
        let mut keys: BTreeMap<String, u64> = BTreeMap::new();
        let mut versions: BTreeMap<VersionName, u64> = BTreeMap::new();
        for span in &self.spans {
            let (service, operation) = (span.service.clone(), span.name.clone());
            *operations.entry(OperationName { service, operation, kind: span.kind }).or_default() += 1;
            let (service, version) = (span.service.clone(), span.version.clone().unwrap());
            *versions.entry(VersionName { service, version }).or_default() += 1;
            for (key, _) in &span.attributes {
                *keys.entry(key.text().to_owned()).or_default() += 1;
            }
        }
        assert_eq!(catalogue.operations, Names { counts: operations, overflow: false });
        assert_eq!(catalogue.versions, Names { counts: versions, overflow: false });
        assert_eq!(catalogue.span_keys, Names { counts: keys, overflow: false });
        let all = BTreeMap::from([("test".to_owned(), self.spans.len() as u64)]);
        assert_eq!(catalogue.environments, Names { counts: all, overflow: false });
    }
}

fn numbers(found: &Found) -> BTreeSet<u32> {
    found.runs.iter().flat_map(|run| run.start..run.end()).collect()
}

/// Scenario: seeded spans in one row group and in several, one of them with a rare attribute.
/// Guarantees: rows of every trace, blocks of every kind of term, bounds and catalogue are those of a loop over the spans.
#[test]
fn a_sidecar_knows_its_rows() {
    for (seed, row_groups) in [(1, vec![1]), (2, vec![3_000]), (3, vec![9_000, 5_000, 4_096, 17])] {
        let mut rows = Rows::seeded(seed, &row_groups);
        let last = rows.spans.len() - 1;
        rows.spans[last] = rows.spans[last].clone().integer("needle", 7);
        rows.check(&rows.open(rows.sidecar()).unwrap());
    }
}

/// Scenario: three sidecars are merged, then a fourth is added, one of them with a trace of another.
/// Guarantees: the result answers as one made from all rows, row groups kept apart.
#[test]
fn a_merged_sidecar_knows_all_rows() {
    let mut parts: Vec<Rows> = [(4, vec![5_000, 100]), (5, vec![4_096]), (6, vec![1]), (7, vec![6_000])]
        .map(|(s, g)| Rows::seeded(s, &g))
        .into();
    parts[1].spans[9] = parts[0].spans[17].clone();
    let merged = |parts: Vec<Vec<u8>>| {
        let input = |bytes| {
            let source = Source::Memory(bytes);
            Input { tail: Tail::open(&source).unwrap().0, source }
        };
        let inputs: Vec<Input> = parts.into_iter().map(input).collect();
        merge::merge(&inputs, IDENTITY, Vec::new(), Path::new("merged")).unwrap()
    };
    let first = merged(parts[..3].iter().map(Rows::sidecar).collect());
    let all = merged(vec![first, parts[3].sidecar()]);
    let rows = Rows {
        spans: parts.iter().flat_map(|part| part.spans.clone()).collect(),
        row_groups: parts.iter().flat_map(|part| part.row_groups.clone()).collect(),
    };
    rows.check(&rows.open(all).unwrap());
}

/// Scenario: every byte of a sidecar is flipped in turn, and it is cut at every length.
/// Guarantees: whatever is still answered is right; nothing panics, and no row is missed.
#[test]
fn damage_never_hides_a_row() {
    let rows = Rows::seeded(8, &[300]);
    let whole = rows.sidecar();
    let traces: Vec<(TraceKeys, BTreeSet<u32>)> =
        rows.traces().into_iter().map(|(trace, rows)| (TraceKeys::of(&[trace]), rows)).collect();
    let check = |bytes: Vec<u8>| {
        let Ok(index) = rows.open(bytes) else { return };
        for (keys, expected) in &traces {
            assert!(index.may_hold(keys));
            if let Ok(found) = index.rows_of(keys) {
                assert_eq!(&numbers(&found), expected);
            }
        }
        if let Ok(found) = index.blocks_with(&[Term::attribute("tenant", "blue")]) {
            assert_eq!(numbers(&found), BTreeSet::from([0]));
        }
        drop(index.catalogue());
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        check(bytes);
        assert!(rows.open(whole[..at].to_vec()).is_err());
    }
    check(whole);
}

/// Scenario: a sidecar of another data file, by hash, by size and by rows.
/// Guarantees: it is refused.
#[test]
fn another_files_sidecar_is_refused() {
    let rows = Rows::seeded(9, &[10]);
    let open = |change: fn(&mut DataFile)| {
        let mut file = rows.file();
        change(&mut file);
        FileIndex::open(Source::Memory(rows.sidecar()), &file)
    };
    assert!(open(|_| ()).is_ok());
    assert!(open(|file| file.content_hash = None).is_ok());
    let others: [fn(&mut DataFile); 3] =
        [|file| file.content_hash = Some(8), |file| file.size_bytes = 10, |file| file.rows = 11];
    for change in others {
        assert!(matches!(open(change), Err(StorageError::Corrupt { .. })));
    }
}

/// Scenario: a block whose spans have 40 attributes each, all different, between two usual ones.
/// Guarantees: it may hold anything; the others are still told apart.
#[test]
fn a_crowded_block_may_hold_anything() {
    let mut rows = Rows::seeded(10, &[12_000]);
    for (row, span) in rows.spans.iter_mut().enumerate().skip(4_096).take(4_096) {
        for attribute in 0..40 {
            *span = span.clone().integer(&format!("key{attribute}"), row as i64 * 40 + attribute);
        }
    }
    let index = rows.open(rows.sidecar()).unwrap();
    let blocks = |key: &str, value: &str| numbers(&index.blocks_with(&[Term::attribute(key, value)]).unwrap());
    assert_eq!(blocks("nowhere", "x"), BTreeSet::from([1]));
    assert_eq!(blocks("tenant", "blue"), BTreeSet::from([0, 1, 2]));
}
