//! Journeys from spans to the board: exact where aggregates are not, replaced when spans come late, and charged.

use super::*;
use crate::slo::{PlaceShare, SloDetail, SloReport};

const BUYING: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata: {name: buying}
spec:
  service: shop
  timeWindow: [{duration: 28d, isRolling: true}]
  indicator:
    metadata: {name: buying}
    spec:
      ratioMetric:
        good: {metricSource: {type: daytwo, spec: {scope: journey, root: "shop:GET /", signal: latency, threshold: 100ms, steps: ["pay:POST /pay"], critical: [pay, cart, mail]}}}
        total: {metricSource: {type: daytwo, spec: {scope: journey, root: "shop:GET /"}}}
  objectives: [{target: 0.9}]
"#;

fn buying_rig() -> Rig {
    let rig = rig(EngineConfig::default());
    rig.engine.set_slos(&[SloFile { name: "buying.yaml".to_owned(), text: BUYING.to_owned() }]);
    rig
}

impl Rig {
    fn buying(&self) -> SloReport {
        self.detail().slo
    }

    fn detail(&self) -> SloDetail {
        assert_eq!(self.engine.slos(None).problems, []);
        self.engine.slo_detail("buying").unwrap()
    }
}

/// A call to `pay`, then others to `cart` and `mail`; of these services some fail, which `shop` lives with.
fn buy(trace: u64, start: i64, work: i64, failing: &[&str]) -> Vec<Sent> {
    let mut spans = call(trace, "p1", start, work);
    for (service, id) in [("cart", 4), ("mail", 6)] {
        let client = Sent { id, start: start + work + 4 * MS, duration: MS, ..spans[1].clone() };
        let answer = Sent {
            id: id + 1,
            parent: Some(id),
            service,
            name: "take".to_owned(),
            duration: MS / 2,
            ..spans[2].clone()
        };
        spans.extend([client.clone(), Sent { start: client.start + MS / 4, ..answer }]);
    }
    for span in &mut spans {
        span.error = span.kind == 2 && failing.contains(&span.service);
    }
    spans
}

fn about(got: Option<f64>, expected: f64) {
    assert!(got.is_some_and(|got| (got - expected).abs() < 1e-9), "{got:?} for {expected}");
}

/// Scenario: 1,000 journeys; three services fail in one in ten of them each: all three in the same ones, and in another run each in its own.
/// Guarantees: bad are exactly those in which something failed. Where they fail together the product of what each of them shows says more than twice as
/// many; the bounds hold both times, and are reached. Charges add up to what was bad.
#[test]
fn failures_that_come_together_are_counted_once() {
    for together in [true, false] {
        let rig = buying_rig();
        let spans: Vec<Sent> = (0..1_000_u64)
            .flat_map(|number| {
                let fails = |at: u64| number % 10 == if together { 0 } else { at };
                let failing: Vec<&str> = [("pay", 0), ("cart", 1), ("mail", 2)]
                    .into_iter()
                    .filter(|(_, at)| fails(*at))
                    .map(|(service, _)| service)
                    .collect();
                let work = if failing.contains(&"pay") { 20 * MS } else { 10 * MS };
                buy(number + 1, START, work, &failing)
            })
            .collect();
        rig.send(&spans);
        rig.pass(10);
        let slo = rig.buying();
        let bad = if together { 100 } else { 300 };
        // A charge that failed misses the step, too.
        assert_eq!((slo.kind, slo.good, slo.bad, slo.unknown), ("journey", 1_000 - bad, bad, 0));
        let bounds = slo.bounds.clone().unwrap();
        let slis: Vec<f64> = bounds.conditions.iter().map(|condition| condition.sli).collect();
        assert_eq!(slis, [1.0, 1.0, 0.9, 0.9, 0.9, 0.9], "{:?}", bounds.conditions);
        about(Some(bounds.product), 0.9_f64.powi(4));
        about(Some(bounds.low), 0.6);
        about(Some(bounds.high), 0.9);
        let (exact, product) = (1.0 - slo.sli.unwrap(), 1.0 - bounds.product);
        assert!(bounds.low <= 1.0 - exact + 1e-12 && 1.0 - exact <= bounds.high + 1e-12);
        assert_eq!(together, product > 2.0 * exact, "{product} for {exact}");
        let shares: Vec<(Option<&str>, f64)> = rig
            .detail()
            .by_service
            .iter()
            .map(|share| (share.service.as_deref(), share.bad))
            .map(|(service, bad)| (service.map(|service| if service == "pay" { "pay" } else { "other" }), bad))
            .collect();
        about(Some(shares.iter().map(|(_, bad)| bad).sum()), bad as f64);
        let pay: f64 = shares.iter().filter(|(service, _)| *service == Some("pay")).map(|(_, bad)| bad).sum();
        about(Some(pay), 100.0);
        assert_eq!(rig.detail().bad_traces.len(), 50);
    }
}

/// Scenario: fifty journeys as usual; then ten in which `pay` works 300 ms longer, ten in which its answers are 300 ms on the way, and ten that failed at
/// `pay` and rose; a sampled one among them stands for four.
/// Guarantees: thirty are bad; each ten are charged where their time or error was, with the version; by weight they add up.
#[test]
fn bad_journeys_are_charged_to_where_they_went_wrong() {
    let rig = buying_rig();
    rig.send(&(1..=50).flat_map(|trace| buy(trace, START, 20 * MS, &[])).collect::<Vec<_>>());
    rig.pass(10);
    assert_eq!((rig.buying().good, rig.buying().bad), (50, 0));
    let now = rig.clock.now().0;
    let slow = (101..=110).flat_map(|trace| buy(trace, now, 320 * MS, &[]));
    let on_the_way = (201..=210).flat_map(|trace| {
        let mut spans = buy(trace, now, 320 * MS, &[]);
        let answer = spans.iter_mut().find(|span| span.service == "pay").unwrap();
        (answer.start, answer.duration) = (answer.start + 300 * MS, 20 * MS);
        spans
    });
    let failed = (301..=310).flat_map(|trace| {
        let mut spans = buy(trace, now, 20 * MS, &["pay"]);
        spans.iter_mut().take(2).for_each(|span| span.error = true);
        let state = if trace == 301 { "ot=th:c" } else { "" };
        spans.into_iter().map(move |span| Sent { state, ..span })
    });
    rig.send(&slow.chain(on_the_way).chain(failed).collect::<Vec<_>>());
    rig.pass(10);
    let detail = rig.detail();
    assert_eq!((detail.slo.good, detail.slo.bad), (50, 30));
    let share = |service: &str, caller: Option<&str>| {
        let of = |share: &&PlaceShare| share.service.as_deref() == Some(service) && share.caller.as_deref() == caller;
        detail.by_service.iter().filter(of).map(|share| share.bad).sum::<f64>()
    };
    // Ten slow ones, ten that failed of which one counts four times; shop's calls wait as long as usual.
    assert!((share("pay", None) - 23.0).abs() < 0.3, "{:?}", detail.by_service);
    assert!((share("pay", Some("shop")) - 10.0).abs() < 0.3, "{:?}", detail.by_service);
    about(Some(detail.by_service.iter().map(|share| share.bad).sum()), 33.0);
    about(Some(detail.by_service.iter().map(|share| share.share).sum()), 1.0);
    assert!(
        detail
            .by_service
            .iter()
            .filter(|share| share.service.as_deref() == Some("pay"))
            .all(|share| share.version == "p1")
    );
    about(detail.slo.sli, 50.0 / 83.0);
    assert!(detail.slo.state_reason.unwrap().starts_with("charged to pay "));
}

/// Scenario: journeys whose charge was not seen, since nobody answered; the answer comes late to one, fails at another, and never to the third; a root that
/// comes after its trace was closed.
/// Guarantees: unknown until it is known, then counted once, as what it was; the interval is what unknown ones leave open.
#[test]
fn what_is_known_later_takes_the_place() {
    let rig = buying_rig();
    let traces: Vec<Vec<Sent>> = (1..=3).map(|trace| buy(trace, START, 20 * MS, &[])).collect();
    let without = |spans: &[Sent], gone: u64| spans.iter().filter(|span| span.id != gone).cloned().collect::<Vec<_>>();
    traces.iter().for_each(|spans| rig.send(&without(spans, 3)));
    let rooted = buy(4, START, 20 * MS, &[]);
    rig.send(&without(&rooted, 1));
    rig.pass(10);
    let slo = rig.buying();
    assert_eq!((slo.good, slo.bad, slo.unknown, slo.sli), (0, 0, 4, None));
    assert_eq!((slo.sli_low, slo.sli_high), (Some(0.0), Some(1.0)));
    rig.send(&traces[0][2..3]);
    rig.send(&[Sent { error: true, ..traces[1][2].clone() }]);
    rig.send(&rooted[..1]);
    rig.pass(10);
    let slo = rig.buying();
    assert_eq!((slo.good, slo.bad, slo.unknown), (2, 1, 1));
    about(slo.sli, 2.0 / 3.0);
    about(slo.sli_low, 0.5);
    about(slo.sli_high, 0.75);
    about(Some(rig.detail().by_service.iter().map(|share| share.bad).sum()), 1.0);
    rig.pass(120);
    assert_eq!(rig.buying().unknown, 1, "nothing more came");
}
