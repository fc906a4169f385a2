//! Bodies that take many times their size once they are decoded, and how much of it is counted.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayData};

use super::properties::request_of_raw_spans;
use super::*;

/// A field with a length prefix.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 127 {
        out.push(u8::try_from(length & 127 | 128).unwrap());
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    [out, content.to_vec()].concat()
}

/// A span of nothing but ids, and what is put after them.
fn bare(id: usize, rest: &[u8]) -> Vec<u8> {
    [field(1, &[7; 16]), field(2, &(id as u64 + 1).to_be_bytes()), rest.to_vec()].concat()
}

fn attribute(key: &str, value: &[u8]) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, value)].concat()
}

/// As an SDK writes it: a route, numbers, texts.
fn ordinary(id: usize) -> Vec<u8> {
    let attributes = (0..19).map(|n| text(&format!("semantic.convention.{n}"), "a value of twenty by")).collect();
    Span { attributes, ..span(id as u64 + 1) }.encode_to_vec()
}

/// A thousand fields of a span, which is as many as are kept.
fn thousand(content: &[u8]) -> Vec<u8> {
    content.repeat(1024)
}

/// Each body by what it is made of, a few hundred KiB.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let spans =
        |count: usize, span: &dyn Fn(usize) -> Vec<u8>| request_of_raw_spans(&(0..count).map(span).collect::<Vec<_>>());
    let with = |field: Vec<u8>| spans(150, &|id| bare(id, &thousand(&field)));
    let keys: Vec<u8> = (0..1000).flat_map(|n| field(9, &attribute(&format!("{n:x}"), &[]))).collect();
    let empties = field(9, &attribute("k", &field(5, &thousand(&field(1, &[])))));
    let lists = field(9, &attribute("k", &field(6, &thousand(&field(1, &[])))));
    let group = |id: usize| field(1, &field(2, &field(2, &bare(id, &[]))));
    let resource = |id: usize| {
        field(
            1,
            &[field(1, &field(1, &attribute("k", &field(1, &[1; 50])))), field(2, &field(2, &bare(id, &[])))].concat(),
        )
    };
    vec![
        ("spans of an SDK", spans(500, &ordinary)),
        ("spans of ids alone", spans(10_000, &|id| bare(id, &[]))),
        ("a resource for each span", (0..10_000).flat_map(group).collect()),
        ("resources that are escaped", (0..5_000).flat_map(resource).collect()),
        ("empty spans", spans(100_000, &|_| Vec::new())),
        ("empty events", with(field(11, &[]))),
        ("events with a name to escape", with(field(11, &field(2, &[1; 8])))),
        ("events with an empty attribute", with(field(11, &field(3, &[])))),
        ("events that dropped", with(field(11, &[0x20, 1]))),
        ("empty links", with(field(13, &[]))),
        ("links that dropped", with(field(13, &[0x28, 1]))),
        ("small keys", spans(50, &|id| bare(id, &keys))),
        ("arrays of nothing", spans(100, &|id| bare(id, &empties))),
        ("lists of nothing", spans(100, &|id| bare(id, &lists))),
    ]
}

/// Adds every buffer below `data` once: bytes in use and bytes allocated by address.
fn buffers(data: &ArrayData, seen: &mut BTreeMap<usize, (usize, usize)>) {
    let nulls = data.nulls().map(|nulls| nulls.inner().inner());
    for buffer in data.buffers().iter().chain(nulls) {
        seen.insert(buffer.data_ptr().as_ptr() as usize, (buffer.len(), buffer.capacity()));
    }
    data.child_data().iter().for_each(|child| buffers(child, seen));
}

/// Bytes in use and bytes allocated by a batch and the list of rejected positions.
fn held(decoded: &Decoded) -> (usize, usize) {
    let mut seen = BTreeMap::new();
    // A column without a value that may be left out shares its memory with those of all other batches.
    let parent = decoded.batch.record_batch().column_by_name("parent_span_id");
    let columns = decoded.batch.record_batch().columns().iter().filter(|column| column.null_count() < column.len());
    for column in columns.chain(parent) {
        buffers(&column.to_data(), &mut seen);
    }
    let rejected = &decoded.rejected;
    let own = (4 * rejected.len(), 4 * rejected.capacity());
    seen.values().fold(own, |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

fn decode_within(body: &[u8], bytes_max: usize, take: &mut dyn FnMut(usize) -> bool) -> Result<Decoded, DecodeError> {
    let limits = Limits::default();
    let mut take = |bytes| take(bytes);
    within(body, PayloadFormat::Protobuf, RECEIVED, &limits, Room { bytes_max, take: &mut take })
}

/// Scenario: the bodies above, without a limit.
/// Guarantees: what is taken of the budget is what the columns use, within a tenth, and half of what they have allocated at
/// least; what an SDK sends stays below twice its body, and no body takes more than sixteen times its size.
#[test]
fn what_is_taken_is_what_is_used() {
    for (what, body) in bodies() {
        let mut taken = 0;
        let decoded = decode_within(&body, usize::MAX, &mut |bytes| {
            taken += bytes;
            true
        })
        .unwrap();
        let (used, allocated) = held(&decoded);
        let times = taken as f64 / body.len() as f64;
        println!(
            "{what:32} body {:>8} taken {taken:>8} used {used:>8} allocated {allocated:>8} factor {times:.1}",
            body.len()
        );
        assert!(taken >= used * 9 / 10 && taken <= used * 11 / 10 + (32 << 10), "{what}");
        assert!(allocated <= 2 * taken + (64 << 10), "{what}: {allocated} of {taken}");
        assert!(times < if what == "spans of an SDK" { 2.0 } else { 16.5 }, "{what}: {times}");
    }
}

/// Scenario: the same with room for a tenth of what they need; then with a budget that runs dry there.
/// Guarantees: the first is refused for good, the second for now; neither takes more than there is.
#[test]
fn a_body_stops_at_the_end_of_its_room() {
    for (what, body) in bodies() {
        let needed = held(&decode_within(&body, usize::MAX, &mut |_| true).unwrap()).0;
        let room = needed / 10;
        let mut left = room;
        let mut take = |bytes: usize| {
            let fits = bytes <= left;
            left -= if fits { bytes } else { 0 };
            fits
        };
        let refused = decode_within(&body, room, &mut take).unwrap_err();
        assert!(matches!(refused, DecodeError::TooLarge { bytes_max } if bytes_max == room), "{what}: {refused}");
        let mut left = room;
        let mut take = |bytes: usize| {
            let fits = bytes <= left;
            left -= if fits { bytes } else { 0 };
            fits
        };
        let refused = decode_within(&body, usize::MAX, &mut take).unwrap_err();
        assert!(matches!(refused, DecodeError::NoRoom), "{what}: {refused}");
    }
}

/// Scenario: a resource, and a scope, of more than a span may be, whole and in parts; a good one after it.
/// Guarantees: its spans are rejected as too large, and the others stored.
#[test]
fn large_groups_cost_their_own_spans() {
    let filler = |bytes: usize| field(1, &attribute("k", &field(1, &vec![b'x'; bytes])));
    let good = field(1, &field(2, &field(2, &bare(1, &[]))));
    let spans = field(2, &bare(2, &[]));
    let halves = [field(1, &filler(600 << 10)), field(1, &filler(600 << 10))].concat();
    let scope = field(3, &attribute("k", &field(1, &vec![b'x'; 2 << 20])));
    for large in [
        field(1, &[field(1, &filler(2 << 20)), field(2, &spans)].concat()),
        field(1, &[halves, field(2, &spans)].concat()),
        field(1, &field(2, &[field(1, &scope), spans].concat())),
    ] {
        let decoded = protobuf(&[large, good.clone()].concat(), RECEIVED, &Limits::default()).unwrap();
        assert_eq!((decoded.batch.len(), decoded.rejected.as_slice()), (1, &[0][..]));
        assert_eq!(decoded.reasons.counts().collect::<Vec<_>>(), [(Reason::TooLarge, 1)]);
    }
    let filler = "x".repeat(2 << 20);
    let span = r#"{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}"#;
    let group = |extra: &str| format!(r#"{{{extra}"scopeSpans":[{{"spans":[{span}]}}]}}"#);
    let large = group(&format!(r#""resource":{{"x":"{filler}"}},"#));
    let body = format!(r#"{{"resourceSpans":[{large},{}]}}"#, group(""));
    let decoded = json(body.as_bytes(), RECEIVED, &Limits::default()).unwrap();
    assert_eq!((decoded.batch.len(), decoded.rejected.as_slice()), (1, &[0][..]));
}
