//! What counts as standing twice.

use super::{Repeats, span_ids};
use crate::testing::{Seeded, TestSpan, batch_of};
use crate::{SpanBatch, UnixNanos};

/// The rows that are left of each batch, in their order.
fn rows_left(batches: &[SpanBatch]) -> (Vec<usize>, u64) {
    let mut ids = Vec::new();
    batches.iter().for_each(|batch| span_ids(batch.record_batch(), &mut ids).unwrap());
    let mut repeats = Repeats::among(ids);
    let left = batches.iter().map(|batch| repeats.without(batch.record_batch()).unwrap().num_rows()).collect();
    (left, repeats.found())
}

fn full() -> TestSpan {
    let span = TestSpan::new(1, 2).parent(3).service("cart").version("1").instance("a").environment("prod");
    let mut span = span.resource(r#"{"host.name":"h"}"#).text("http.route", "/a").text("k", "v").integer("n", 1);
    span.events = Some(r#"[{"name":"e"}]"#.to_owned());
    span.links = Some(r#"[{"trace_id":"00"}]"#.to_owned());
    span.state("a=b")
}

/// Scenario: a span beside the same one received later, and beside ones that differ in one thing each.
/// Guarantees: the first is dropped, whatever else the batches hold; no other is.
#[test]
fn one_difference_is_enough_to_stay() {
    let change = |change: fn(&mut TestSpan)| {
        let mut span = full();
        change(&mut span);
        span
    };
    let others = [
        change(|span| span.trace = 9),
        change(|span| span.parent = None),
        change(|span| span.parent = Some(4)),
        change(|span| span.service = "shop".to_owned()),
        change(|span| span.version = None),
        change(|span| span.version = Some(String::new())),
        change(|span| span.instance = Some("b".to_owned())),
        change(|span| span.environment = None),
        change(|span| span.resource = None),
        change(|span| span.name = "other".to_owned()),
        change(|span| span.kind = 3),
        change(|span| span.start += 1),
        change(|span| span.end += 1),
        change(|span| span.end = 0),
        change(|span| span.status = 1),
        change(|span| span.events = None),
        change(|span| span.links = None),
        change(|span| span.state = String::new()),
        change(|span| drop(span.attributes.pop())),
        change(|span| span.attributes.reverse()),
        change(|span| span.attributes[0].1 = crate::batch::AttributeValue::Text("/b".into())),
        change(|span| span.attributes[1].1 = crate::batch::AttributeValue::Empty),
        change(|span| span.attributes[2].1 = crate::batch::AttributeValue::Text("1".into())),
    ];
    let twin = batch_of(UnixNanos(77), &[TestSpan::new(5, 6).service("before"), full()]);
    assert_eq!(rows_left(&[batch_of(UnixNanos(1), &[full()]), twin]), (vec![1, 1], 1));
    for other in others {
        let both = [batch_of(UnixNanos(1), &[full()]), batch_of(UnixNanos(1), std::slice::from_ref(&other))];
        assert_eq!(rows_left(&both), (vec![1, 1], 0), "{other:?}");
    }
}

/// Scenario: batches of spans drawn from so few that most come several times, with ids that collide.
/// Guarantees: what is left is what a list of all spans seen so far leaves.
#[test]
fn what_is_left_is_what_a_list_leaves() {
    for seed in 0..60 {
        let mut random = Seeded::new(seed);
        let mut draw = || {
            let span = TestSpan::new(u128::from(random.below(3)), random.below(4)).at(1 + random.below(2));
            if random.below(2) == 0 { span.service("other") } else { span.text("k", "v") }
        };
        let drawn: Vec<Vec<TestSpan>> = (0..5).map(|_| (0..8).map(|_| draw()).collect()).collect();
        let batches: Vec<SpanBatch> = (1..).zip(&drawn).map(|(at, spans)| batch_of(UnixNanos(at), spans)).collect();
        let mut seen: Vec<&TestSpan> = Vec::new();
        let expected: Vec<usize> =
            drawn.iter().map(|spans| spans.iter().filter(|span| is_new(&mut seen, span)).count()).collect();
        let found = 40 - expected.iter().sum::<usize>() as u64;
        assert_eq!(rows_left(&batches), (expected, found), "seed {seed}");
    }
}

fn is_new<'a>(seen: &mut Vec<&'a TestSpan>, span: &'a TestSpan) -> bool {
    let new = !seen.contains(&span);
    seen.push(span);
    new
}
