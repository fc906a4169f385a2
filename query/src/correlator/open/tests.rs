use super::*;
use crate::trace::testing::span;

/// Scenario: stored spans of which some wait, one of them twice though it is stored three times, and one waits that is not stored yet.
/// Guarantees: each is taken out as often as it waits; what the store does not have yet takes nothing.
#[test]
fn what_waits_is_taken_out_as_often_as_it_waits() {
    let one = |id: u64| span(id, None, "shop", "GET /", 2, 1_000, 5);
    let stored = vec![one(3), one(1), one(2), one(1), one(1)];
    let left = without(stored, &[one(1), one(3), one(1), one(9)]);
    assert_eq!(left, [one(1), one(2)]);
    let received_later = TraceSpan { received_ns: 2_000, ..one(1) };
    assert_eq!(without(vec![one(1), received_later.clone()], &[received_later]), [one(1)]);
}

fn opened(spans_max: usize) -> OpenTraces {
    let config = EngineConfig { open_spans_max: spans_max, ..EngineConfig::default() };
    let mut open = OpenTraces::new(&config);
    open.can_read = true;
    open
}

fn at(seconds: i64) -> UnixNanos {
    UnixNanos(seconds * 1_000_000_000)
}

fn of(trace: u8, id: u64, received: i64) -> TraceSpan {
    let trace_id = TraceId::from_bytes(&[trace; 16]).unwrap();
    TraceSpan { trace_id, received_ns: at(received).0, ..span(id, None, "shop", "GET /", 2, 1_000, 5) }
}

/// Scenario: a trace is measured and let go; a late span waits; while the trace is read another one comes; then reading fails once.
/// Guarantees: nothing of it is measured before it was read; what was stored before is taken out, all of it put in, the span that came
/// meanwhile included; a failed reading waits again.
#[test]
fn a_trace_that_is_read_again_takes_the_place_of_what_was_measured() {
    let mut open = opened(1_000);
    open.add(of(1, 1, 0));
    assert_eq!(open.close(at(5)).len(), 1);
    assert!(open.close(at(100)).is_empty());
    assert_eq!(open.spans(), 0);
    open.add(of(1, 2, 200));
    assert!(open.close(at(210)).is_empty());
    assert_eq!(open.take_waiting(9).len(), 1);
    open.wait_again();
    let [wanted] = open.take_waiting(9)[..] else { panic!("it waits again") };
    assert_eq!(wanted.received, at(200));
    open.add(of(1, 3, 211));
    assert!(open.close(at(300)).is_empty());
    let stored = vec![of(1, 2, 200), of(1, 1, 0)];
    let closed = open.put_together(wanted.trace, Some(stored), at(300), |_| true).unwrap();
    assert_eq!((closed.measured_before, closed.fragment), (1, false));
    assert_eq!(closed.spans, [of(1, 1, 0), of(1, 2, 200), of(1, 3, 211)]);
    assert_eq!((open.late_spans, open.read_again, open.fragment_spans, open.spans()), (2, 1, 0, 3));
    assert!(open.put_together(wanted.trace, None, at(301), |_| true).is_none());
}

/// Scenario: late spans wait until they are a quarter of what may be held; the trace that is given up then gets another one.
/// Guarantees: the last to come is measured as a fragment and stays one; memory is freed; the first is still read.
#[test]
fn spans_that_wait_are_bounded() {
    let mut open = opened(40);
    [1, 2].into_iter().for_each(|trace| open.add(of(trace, 1, 0)));
    open.close(at(5));
    open.close(at(100));
    (2..10).for_each(|id| open.add(of(1, id, 200)));
    (2..10).for_each(|id| open.add(of(2, id, 201)));
    let [closed] = &open.close(at(210))[..] else { panic!("one is given up") };
    assert_eq!((closed.spans.len(), closed.fragment), (8, true));
    assert_eq!(closed.spans[0].trace_id, of(2, 1, 0).trace_id);
    assert_eq!((open.waiting(), open.spans(), open.fragment_spans), (1, 8, 8));
    open.add(of(2, 20, 220));
    assert!(open.close(at(230))[0].fragment);
    assert_eq!(open.fragment_spans, 9);
}
