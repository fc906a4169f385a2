use super::*;
use crate::trace::Weight;
use crate::trace::testing::{client, server, span};
use proptest::prelude::*;

fn kinds(trace: &StitchedTrace) -> Vec<AnomalyKind> {
    trace.anomalies.iter().map(|anomaly| anomaly.kind).collect()
}

/// Scenario: a missing parent, two roots, a circle of two, a span that is its own parent, two spans with one id.
/// Guarantees: each is named as what it is, and every span is kept.
#[test]
fn oddities_are_named() {
    let missing = stitch(vec![server(1, Some(9), "a", "x", 0, 10)]);
    assert_eq!(kinds(&missing), [AnomalyKind::MissingParent]);
    assert!(missing.spans[0].missing_parent && missing.roots == [0]);

    let roots = stitch(vec![server(1, None, "a", "x", 0, 10), server(2, None, "a", "y", 5, 10)]);
    assert_eq!(kinds(&roots), [AnomalyKind::SeveralRoots]);

    let circle = stitch(vec![server(1, Some(2), "a", "x", 5, 10), server(2, Some(1), "a", "y", 0, 10)]);
    assert_eq!(kinds(&circle), [AnomalyKind::Cycle]);
    assert_eq!(&*circle.spans[0].span.operation, "y");
    assert_eq!(circle.spans[1].parent, Some(0));

    let own_parent = stitch(vec![server(1, Some(1), "a", "x", 0, 10)]);
    assert_eq!((own_parent.roots.len(), own_parent.spans.len()), (1, 1));

    let doubled = stitch(vec![server(1, None, "a", "x", 0, 10), span(1, None, "a", "y", 1, 0, 10)]);
    assert!(kinds(&doubled).contains(&AnomalyKind::Duplicate));
    assert_eq!(doubled.spans.len(), 2);

    let copies = stitch(vec![server(1, None, "a", "x", 0, 10), server(1, None, "a", "x", 0, 10)]);
    assert_eq!((copies.spans.len(), copies.duplicates_dropped), (1, 1));
}

/// Scenario: a server that seems to start before it was called, with a child of its own.
/// Guarantees: skew is reported once, and the child moves with its process.
#[test]
fn skew_moves_a_process_as_a_whole() {
    let trace = stitch(vec![
        client(1, None, "a", "call", 1_000, 500),
        server(2, Some(1), "b", "answer", 100, 300),
        span(3, Some(2), "b", "inner", 1, 150, 100),
    ]);
    assert_eq!(kinds(&trace), [AnomalyKind::ClockSkew]);
    assert_eq!(trace.spans[1].adjusted_start_ns, 1_100);
    assert_eq!(trace.spans[2].adjusted_start_ns, 1_150);
}

/// Scenario: 200,001 spans under one root, and a chain 100,000 deep.
/// Guarantees: both are stitched without recursion; the one over the limit is counted.
#[test]
fn size_and_depth_are_fine() {
    let mut flat = vec![server(1, None, "a", "root", 0, 1_000_000)];
    flat.extend((2..=200_001_u64).map(|id| span(id, Some(1), "a", "leaf", 1, id as i64, 1)));
    let trace = stitch(flat);
    assert_eq!(trace.spans.len(), SPANS_MAX);
    assert_eq!(kinds(&trace), [AnomalyKind::Truncated]);
    let deep = (1..=100_000_u64).map(|id| span(id, (id > 1).then(|| id - 1), "a", "x", 1, id as i64, 1_000_000));
    assert_eq!(stitch(deep.collect()).spans[99_999].depth, 99_999);
}

/// A naive check of what the rows promise.
fn assert_well_formed(trace: &StitchedTrace, spans: &[TraceSpan]) {
    for (row, stitched) in trace.spans.iter().enumerate() {
        assert!(stitched.parent.is_none_or(|parent| parent < row));
        assert!(stitched.self_ns >= 0 && stitched.self_ns <= stitched.span.duration_ns);
        if let Some(parent) = stitched.parent {
            assert_eq!(Some(trace.spans[parent].span.span_id), stitched.span.parent_span_id);
            assert_eq!(stitched.depth, trace.spans[parent].depth + 1);
            assert!(row < trace.spans[parent].subtree_end);
        }
    }
    assert!(spans.iter().all(|span| trace.spans.iter().any(|row| row.span.span_id == span.span_id)));
}

prop_compose! {
    fn any_span()(id in 1_u64..12, parent in 0_u64..14, service in 0_usize..3, kind in 0_i32..6, start in -20_i64..200, duration in 0_i64..100, status in 0_i32..3, sampled: bool) -> TraceSpan {
        let mut span = span(id, (parent > 0).then_some(parent), ["a", "b", "c"][service], "op", kind, start, duration);
        span.status = status;
        span.weight = Weight::of(if sampled { "ot=th:8" } else { "" });
        span
    }
}

proptest! {
    /// Scenario: any spans, with wrong parents, circles and equal ids, shuffled and partly sent again.
    /// Guarantees: rows are well formed, and order and repetition change nothing.
    #[test]
    fn order_and_repetition_do_not_matter(spans in prop::collection::vec(any_span(), 0..20), seed in any::<u64>()) {
        let trace = stitch(spans.clone());
        assert_well_formed(&trace, &spans);
        let mut again = spans.clone();
        again.extend(spans.iter().filter(|span| (span.start_ns.cast_unsigned() ^ seed).is_multiple_of(3)).cloned());
        again.sort_by_key(|span| span.start_ns.cast_unsigned().wrapping_mul(seed | 1).wrapping_add(span.duration_ns.cast_unsigned() ^ seed));
        let mut shuffled = stitch(again);
        shuffled.duplicates_dropped = trace.duplicates_dropped;
        prop_assert_eq!(shuffled, trace);
    }
}
