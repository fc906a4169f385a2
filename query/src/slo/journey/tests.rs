//! What single traces are to a journey, and where their errors and their time are charged.

use super::*;
use crate::trace::testing::{client, server, span};
use crate::trace::{TraceSpan, stitch};

/// Buying at `web` within 100, with a charge at `pay` and no error of `cart`'s own.
fn buying() -> Calls {
    let step = Step { service: "pay".to_owned(), operation: "charge".to_owned() };
    Calls {
        service: "web".into(),
        operation: Some("buy".into()),
        environment: None,
        kind: ObjectiveKind::Latency { threshold_ns: 100 },
        journey: Some(Journey { steps: vec![step], critical: vec!["cart".to_owned()] }),
    }
}

/// A sound one: the call to `pay` takes 60, of which 20 on the way; that to `cart` 10, of which 5 on the way; 20 are `web`'s own.
fn sound() -> Vec<TraceSpan> {
    vec![
        server(1, None, "web", "buy", 0, 90),
        client(2, Some(1), "web", "call pay", 5, 60),
        server(3, Some(2), "pay", "charge", 15, 40),
        client(4, Some(1), "web", "call cart", 70, 10),
        server(5, Some(4), "cart", "reserve", 72, 5),
    ]
}

/// The same with the spans of these numbers failed.
fn failed(numbers: &[usize]) -> Vec<TraceSpan> {
    let mut spans = sound();
    numbers.iter().for_each(|number| spans[number - 1].status = 2);
    spans
}

fn without(spans: Vec<TraceSpan>, numbers: &[u64]) -> Vec<TraceSpan> {
    let gone = |span: &TraceSpan| numbers.iter().any(|number| *span.span_id.as_bytes() == number.to_be_bytes());
    spans.into_iter().filter(|span| !gone(span)).collect()
}

fn service(name: &str) -> Cause {
    Cause::Error(Blamed { place: Place { service: name.into(), caller: "".into() }, version: "".into() })
}

fn way(caller: &str, name: &str) -> Cause {
    Cause::Error(Blamed { place: Place { service: name.into(), caller: caller.into() }, version: "".into() })
}

fn seen(spans: Vec<TraceSpan>, fragment: bool) -> Option<(Outcome, Vec<u16>, Cause)> {
    let trace = stitch(spans);
    travelled(&buying(), &trace, fragment).map(|found| (found.outcome, found.failed, found.cause))
}

/// Scenario: each way in which a whole trace meets or misses a condition. Conditions: 0 the root, 1 its time, 2 the charge, 3 the cart.
/// Guarantees: bad exactly when one is missed, and which; an error is charged to where it began, also to the way to a service; what a service only
/// passes on is not its own; a retry that succeeded is a success.
#[test]
fn whole_traces_are_good_or_bad() {
    let good = Some((Outcome::Good, vec![], Cause::Unattributed));
    let bad = |conditions: &[u16], cause| Some((Outcome::Bad, conditions.to_vec(), cause));
    let with = |spans: &[TraceSpan]| [sound(), spans.to_vec()].concat();
    let slow = |mut spans: Vec<TraceSpan>| {
        spans[0].duration_ns = 101;
        spans
    };
    let mut passed_on = span(6, Some(5), "store", "get", 1, 73, 1);
    passed_on.status = 2;
    let retried = {
        let mut spans = failed(&[3]);
        spans.push(server(7, Some(2), "pay", "charge", 56, 5));
        spans
    };
    assert_eq!(seen(sound(), false), good);
    assert_eq!(seen(retried, false), good);
    assert_eq!(seen([failed(&[5]), vec![passed_on]].concat(), false), good);
    assert_eq!(seen(failed(&[1]), false), bad(&[0], service("web")));
    assert_eq!(seen(failed(&[1, 2, 3]), false), bad(&[0, 2], service("pay")));
    assert_eq!(seen(failed(&[1, 2]), false), bad(&[0], way("web", "pay")));
    assert_eq!(seen(failed(&[1, 3]), false), bad(&[0, 2], service("web")), "not joined to the root's error");
    assert_eq!(seen(failed(&[3]), false), bad(&[2], service("pay")));
    assert_eq!(seen(failed(&[5]), false), bad(&[3], service("cart")));
    assert_eq!(seen(failed(&[3, 5]), false), bad(&[2, 3], service("cart")));
    assert_eq!(seen(slow(sound()), false), bad(&[1], Cause::Slow));
    assert_eq!(seen(slow(failed(&[5])), false), bad(&[1, 3], service("cart")));
    assert_eq!(seen(without(sound(), &[2, 3]), false), bad(&[2], Cause::Unattributed), "it was never charged");
    let more = span(8, Some(1), "web", "render", 1, 85, 2);
    assert_eq!(seen(with(&[more]), false), good);
}

/// Scenario: traces that lack spans: an answer, a caller, the root; late parts of a trace that cannot be put together; other journeys.
/// Guarantees: unknown only where the step may be among what is missing and nothing else is known to be wrong; what is no such journey is nothing.
#[test]
fn what_cannot_be_seen_is_unknown() {
    let unknown = Some((Outcome::Unknown, vec![], Cause::Unattributed));
    let good = Some((Outcome::Good, vec![], Cause::Unattributed));
    assert_eq!(seen(without(sound(), &[3]), false), unknown, "nobody answered: it may have been charged");
    assert_eq!(seen(without(sound(), &[2, 3, 4]), false), unknown, "a caller is missing");
    assert_eq!(seen(without(sound(), &[2, 3]), true), unknown);
    assert_eq!(seen(without(sound(), &[4]), false), good, "the charge was seen");
    assert_eq!(seen(sound(), true), good);
    let failed_root = seen(without(failed(&[1]), &[3]), false);
    assert_eq!(failed_root, Some((Outcome::Bad, vec![0], service("web"))));
    assert_eq!(seen(without(sound(), &[1]), false), unknown, "no root, but a charge");
    assert_eq!(seen(without(sound(), &[1, 3]), false), None);
    let mut other = sound();
    other[0].operation = "browse".into();
    assert_eq!(seen(other, false), None);
    let elsewhere = Calls { environment: Some("prod".into()), ..buying() };
    assert!(travelled(&elsewhere, &stitch(sound()), false).is_none());
}

/// Scenario: the sound journey, and one whose charge is done by two versions of `pay`.
/// Guarantees: the times are those worked out by hand and add up to the root's; the version is that of the longer part.
#[test]
fn time_is_where_it_was_spent() {
    let of = |spans: Vec<TraceSpan>| {
        let trace = stitch(spans);
        let found = travelled(&buying(), &trace, false).unwrap();
        assert_eq!(found.times.values().map(|(ns, _)| ns).sum::<i64>(), found.duration_ns);
        let times = found.times.into_iter();
        times
            .map(|(place, (ns, version))| (format!("{}>{}", place.caller, place.service), ns, version.to_string()))
            .collect::<Vec<_>>()
    };
    let row = |place: &str, ns: i64, version: &str| (place.to_owned(), ns, version.to_owned());
    let rest = [row(">web", 20, ""), row("web>cart", 5, "")];
    let expected =
        [vec![row(">cart", 5, ""), row(">pay", 40, "")], rest.to_vec(), vec![row("web>pay", 20, "")]].concat();
    let mut times = of(sound());
    times.sort();
    assert_eq!(times, expected);
    let mut spans = sound();
    spans[2].duration_ns = 10;
    spans[2].resource = crate::trace::testing::resource("pay", "v1");
    let mut second = server(9, Some(2), "pay", "charge", 30, 25);
    second.resource = crate::trace::testing::resource("pay", "v2");
    spans.push(second);
    let times = of(spans);
    assert!(times.contains(&row(">pay", 35, "v2")), "{times:?}");
}
