//! From span batches to answers, with the clock in the test's hand.

mod at_rest;
mod budgets;
mod deployments;
mod flags;
mod journeys;
mod late;
mod objectives;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::batch::{ResourceRow, ScopeRow, SpanBatchBuilder, SpanRow};
use daytwo_storage::clock::ManualClock;
use daytwo_storage::{Clock, SpanBatch, SpanId, TraceId, UnixNanos};

use super::*;
use crate::deployment::DeploymentKind;
use crate::slo::SloState;
use crate::verdict::State;
use crate::{EngineTable, EngineTables};

const START: i64 = 1_700_000_000_000_000_000;
const MS: i64 = 1_000_000;

/// One span to send.
#[derive(Debug, Clone)]
struct Sent {
    trace: u64,
    id: u64,
    parent: Option<u64>,
    service: &'static str,
    version: &'static str,
    name: String,
    kind: i32,
    start: i64,
    duration: i64,
    error: bool,
    /// Its trace state.
    state: &'static str,
}

fn batch(received: i64, spans: &[Sent]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(received);
    for span in spans {
        builder.begin_resource(&ResourceRow {
            service_name: Some(span.service.into()),
            service_version: Some(span.version.into()),
            environment: Some("prod".into()),
            ..ResourceRow::default()
        });
        builder.begin_scope(&ScopeRow::default());
        let id = |id: u64| SpanId::from_bytes(&id.to_be_bytes()).unwrap();
        let mut trace = [9_u8; 16];
        trace[8..].copy_from_slice(&span.trace.to_be_bytes());
        let row = SpanRow {
            trace_id: TraceId::from_bytes(&trace).unwrap(),
            span_id: id(span.id),
            parent_span_id: span.parent.map(id),
            trace_state: span.state.into(),
            flags: 0,
            name: Cow::Borrowed(&span.name),
            kind: span.kind,
            start_time_unix_nano: span.start.try_into().unwrap(),
            end_time_unix_nano: (span.start + span.duration).try_into().unwrap(),
            status_code: if span.error { 2 } else { 0 },
            status_message: "".into(),
            events_json: None,
            links_json: None,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            anomalies: 0,
        };
        builder.append(&row, []);
    }
    builder.finish().unwrap()
}

fn server(trace: u64, service: &'static str, version: &'static str, start: i64, duration: i64) -> Sent {
    let name = "GET /".to_owned();
    Sent { trace, id: 1, parent: None, service, version, name, kind: 2, start, duration, error: false, state: "" }
}

/// A call from `shop` to `pay` and what `pay` does.
fn call(trace: u64, version: &'static str, start: i64, work: i64) -> Vec<Sent> {
    let root = server(trace, "shop", "s1", start, work + 6 * MS);
    let client = Sent { id: 2, parent: Some(1), kind: 3, start: start + MS, duration: work + 2 * MS, ..root.clone() };
    let answer = Sent {
        id: 3,
        parent: Some(2),
        kind: 2,
        service: "pay",
        version,
        name: "POST /pay".to_owned(),
        start: start + 2 * MS,
        duration: work,
        ..root.clone()
    };
    vec![root, client, answer]
}

struct Rig {
    clock: Arc<ManualClock>,
    engine: Arc<Correlator>,
}

fn rig(config: EngineConfig) -> Rig {
    let clock = Arc::new(ManualClock::at(UnixNanos(START)));
    let engine = Correlator::new(config, Arc::clone(&clock) as Arc<dyn Clock>);
    Rig { clock, engine }
}

impl Rig {
    fn send(&self, spans: &[Sent]) {
        self.engine.observe(&batch(self.clock.now().0, spans));
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.engine.tick();
    }

    fn window(&self) -> TimeWindow {
        TimeWindow { from: UnixNanos(START), to: self.clock.now() }
    }
}

/// Scenario: calls of which one in four fails, in one service and environment.
/// Guarantees: nothing shows before the trace is quiet; then counts, error share and quantiles within 1 % do.
#[test]
fn calls_become_indicators() {
    let rig = rig(EngineConfig::default());
    for number in 0..100_u64 {
        let mut span = server(number + 1, "shop", "s1", START, (i64::try_from(number).unwrap() + 1) * MS);
        span.error = number % 4 == 0;
        rig.send(&[span]);
    }
    rig.pass(4);
    assert_eq!(rig.engine.services(rig.window(), None), []);
    assert_eq!(rig.engine.status().open_traces, 100);
    rig.pass(6);
    let services = rig.engine.services(rig.window(), Some("prod"));
    let shop = &services[0];
    assert_eq!((shop.spans, shop.errors_fraction, shop.operations), (100, Some(0.25), 1));
    assert_eq!(shop.versions, ["s1"]);
    for (got, exact) in [(shop.p50_ms, 50.0), (shop.p95_ms, 95.0), (shop.p99_ms, 99.0)] {
        assert!((got.unwrap() - exact).abs() <= exact * 0.01, "{got:?} {exact}");
    }
    assert_eq!(rig.engine.operations("shop", rig.window(), None)[0].calls, 100);
    assert_eq!(rig.engine.services(rig.window(), Some("test")), []);
    for table in EngineTable::ALL {
        rig.engine.table(table).unwrap();
    }
    assert_eq!(rig.engine.table(EngineTable::Slis).unwrap().num_rows(), 1);
}

/// Scenario: a server span that comes before its trace is closed, one a little late, one long after, and one sent twice.
/// Guarantees: late spans are counted, the trace is measured anew rather than twice, and a copy counts once.
#[test]
fn late_spans_replace_and_never_add_twice() {
    let rig = rig(EngineConfig::default());
    let spans = call(1, "p1", START, 20 * MS);
    rig.send(&spans[..2]);
    rig.pass(10);
    let client_self = |rig: &Rig| {
        let shop = rig.engine.operations("shop", rig.window(), None);
        shop.iter().find(|row| row.kind == "CLIENT").and_then(|row| row.self_p50_ms).unwrap()
    };
    assert!((client_self(&rig) - 22.0).abs() < 0.3);
    rig.send(&spans[2..]);
    rig.send(&spans[2..]);
    rig.pass(10);
    assert!((client_self(&rig) - 2.0).abs() < 0.1, "{}", client_self(&rig));
    assert_eq!(rig.engine.operations("shop", rig.window(), None).iter().map(|row| row.calls).sum::<u64>(), 2);
    assert_eq!(rig.engine.operations("pay", rig.window(), None)[0].calls, 1);
    rig.pass(120);
    let mut stray = spans[2].clone();
    stray.id = 4;
    rig.send(&[stray]);
    rig.pass(10);
    assert_eq!(rig.engine.operations("pay", rig.window(), None)[0].calls, 2);
    let status = rig.engine.status();
    assert_eq!((status.closed_traces, status.fragment_spans), (2, 1));
    assert!(status.late_spans >= 2, "{status:?}");
}

/// Scenario: more spans than may be held, all between two ticks, and more operations than may be told apart.
/// Guarantees: both stay within the limit, and what was done about it is counted.
#[test]
fn limits_are_kept_and_counted() {
    let rig = rig(EngineConfig { open_spans_max: 50, series_max: 10, ..EngineConfig::default() });
    for number in 0..200_u64 {
        let mut span = server(number + 1, "shop", "s1", START, MS);
        span.name = format!("GET /{number}");
        rig.send(&[span]);
    }
    let status = rig.engine.status();
    assert!(status.open_spans <= 50 && status.evicted_traces >= 150, "{status:?}");
    rig.pass(10);
    let status = rig.engine.status();
    assert!(status.overflowed_spans >= 180, "{status:?}");
    assert_eq!(rig.engine.services(rig.window(), None)[0].spans, 200);
}

/// The calls of one second, 20 of each arm: from the 20th on, the second arm is `pay` p2, 80 % slower.
fn a_second_of_a_bad_release(second: u64, now: i64) -> Vec<Vec<Sent>> {
    let (version, work) = if second >= 20 { ("p2", 36 * MS) } else { ("p1", 20 * MS) };
    let pairs = (0..20_u64).flat_map(|part| {
        let trace = 2 * (second * 20 + part) + 2;
        let wobble = i64::try_from((trace * 7_919) % 100).unwrap() * MS / 20;
        let at = now + i64::try_from(part).unwrap() * MS;
        [call(trace, "p1", at, 20 * MS + wobble), call(trace + 1, version, at, work + wobble)]
    });
    pairs.collect()
}

/// Scenario: `pay` p2 comes beside p1 and takes 80 % longer; 40 traces a second.
/// Guarantees: the release is found, FAILs within a minute, is on the list, and its traces are named.
#[test]
fn a_bad_release_is_found_and_judged() {
    let rig = rig(EngineConfig::default());
    for second in 0..70_u64 {
        for spans in a_second_of_a_bad_release(second, rig.clock.now().0) {
            rig.send(&spans);
        }
        rig.pass(1);
    }
    let verdict = rig.engine.verdict("pay", "p2", Some("prod")).unwrap();
    assert_eq!(verdict.state, State::Fail, "{verdict:#?}");
    assert_eq!(verdict.findings[0].operation.as_deref(), Some("POST /pay"));
    assert_eq!(verdict.exemplars.len(), 3);
    let listed = rig.engine.deployments(&DeploymentFilter { service: Some("pay".to_owned()), environment: None });
    let found: Vec<_> = listed.iter().map(|row| (row.version.as_str(), row.kind, row.state)).collect();
    assert_eq!(found[0], ("p2", DeploymentKind::Release, State::Fail));
    assert_eq!(found[1], ("p1", DeploymentKind::First, State::NoData));
    assert_eq!(listed[0].previous_version.as_deref(), Some("p1"));
    assert!((listed[0].share.unwrap() - 0.5).abs() < 0.2);
    let distribution = rig.engine.distribution("pay", "p2", Some("POST /pay"), None).unwrap();
    assert!((distribution.bins.iter().map(|bin| bin.after).sum::<f64>() - 1.0).abs() < 1e-9);
    let table = rig.engine.table(EngineTable::Verdicts).unwrap();
    assert_eq!(table.num_rows(), 3);
}

const SLO: &str = "apiVersion: openslo/v1
kind: SLO
metadata: {name: shop-ok}
spec:
  indicator:
    spec:
      ratioMetric:
        good: {metricSource: {type: daytwo, spec: {signal: latency, service: shop, threshold: 50ms}}}
        total: {metricSource: {type: daytwo, spec: {service: shop}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  objectives: [{target: 0.9}]
";

/// Scenario: no call; then 100 calls of which 5, 20 and 90 are at, just over and far over the threshold or failed.
/// Guarantees: no data is never good; counters are exact at the threshold; the alert needs both windows.
#[test]
fn objectives_count_exactly() {
    let rig = rig(EngineConfig::default());
    rig.engine.set_slos(&[SloFile { name: "a.yaml".to_owned(), text: SLO.to_owned() }]);
    let empty = &rig.engine.slos(None).slos[0];
    assert_eq!((empty.state, empty.sli, empty.budget_left), (SloState::NoData, None, None));
    for number in 0..100_u64 {
        let duration = if number < 5 { 50 * MS + 1 } else { 50 * MS };
        let mut span = server(number + 1, "shop", "s1", START, duration);
        span.error = (5..20).contains(&number);
        rig.send(&[span]);
    }
    rig.pass(10);
    let slo = &rig.engine.slos(None).slos[0];
    assert_eq!((slo.good, slo.bad, slo.total), (80, 20, 100));
    assert!((slo.budget_left.unwrap() + 1.0).abs() < 1e-9);
    assert_eq!(slo.state, SloState::Spent);
    assert!(slo.alerts.iter().all(|alert| alert.firing == (alert.threshold < 2.0)), "{:?}", slo.alerts);
    let detail = rig.engine.slo_detail("shop-ok").unwrap();
    assert_eq!((detail.by_operation[0].bad, detail.bad_traces.len()), (20, 20));
    assert_eq!(detail.series.iter().map(|point| point.bad).sum::<u64>(), 20);
    rig.pass(29 * 86_400);
    assert_eq!(rig.engine.slos(None).slos[0].state, SloState::NoData);
}

fn rebuilt_from(rig: &Rig, fresh: &mut state::State, received: i64, spans: &[Sent]) {
    fresh.observe(batch(received, spans).record_batch());
    fresh.close_quiet(rig.clock.now());
}

/// Scenario: an objective is set while the stored spans are read at start, which knew of none.
/// Guarantees: it stays, another rebuild is wanted for its counter, and that one counts the stored spans.
#[test]
fn objectives_set_during_a_rebuild_stay() {
    let rig = rig(EngineConfig::default());
    let mut fresh = rig.engine.state().fresh();
    let broken = SloFile { name: "b.yaml".to_owned(), text: "kind: [".to_owned() };
    rig.engine.set_slos(&[SloFile { name: "a.yaml".to_owned(), text: SLO.to_owned() }, broken]);
    assert!(!rig.engine.state().wants_rebuild);
    rig.clock.advance(Duration::from_secs(20));
    rebuilt_from(&rig, &mut fresh, START, &[server(1, "shop", "s1", START, MS)]);
    rig.engine.state().replace(fresh);
    let board = rig.engine.slos(None);
    assert_eq!((board.slos.len(), board.problems.len()), (1, 1));
    assert!(rig.engine.state().wants_rebuild);
    let mut again = rig.engine.state().fresh();
    rebuilt_from(&rig, &mut again, START, &[server(1, "shop", "s1", START, MS)]);
    rig.engine.state().replace(again);
    assert!(!rig.engine.state().wants_rebuild);
    assert_eq!(rig.engine.slos(None).slos[0].total, 1);
}

/// Scenario: ten bad calls, two days later five good ones of which a cut-off engine saw one; the rebuild reads a day only.
/// Guarantees: the budget keeps the older calls, gets those missed, and counts none twice.
#[test]
fn a_rebuild_keeps_what_is_older_than_it_reads() {
    let rig = rig(EngineConfig::default());
    rig.engine.set_slos(&[SloFile { name: "a.yaml".to_owned(), text: SLO.to_owned() }]);
    let slow: Vec<Sent> = (1..=10).map(|trace| server(trace, "shop", "s1", START, 60 * MS)).collect();
    rig.send(&slow);
    rig.pass(2 * 86_400);
    let later = rig.clock.now().0;
    let good: Vec<Sent> = (11..=15).map(|trace| server(trace, "shop", "s1", later, MS)).collect();
    rig.send(&good[..1]);
    rig.pass(20);
    let mut fresh = rig.engine.state().fresh();
    rebuilt_from(&rig, &mut fresh, later, &good);
    rig.engine.state().replace(fresh);
    let slo = &rig.engine.slos(None).slos[0];
    assert_eq!((slo.bad, slo.good), (10, 5));
    assert_eq!(rig.engine.slo_detail("shop-ok").unwrap().bad_traces.len(), 10);
    assert!(!rig.engine.state().wants_rebuild);
}

/// Scenario: `pay` p2 comes after p1; one of its traces has a clock two hours slow.
/// Guarantees: one deployment of p2, first seen no more than minutes before it was received.
#[test]
fn a_slow_clock_does_not_move_a_deployment() {
    let rig = rig(EngineConfig::default());
    for second in 0..60_u64 {
        let now = rig.clock.now().0;
        let version = if second < 30 { "p1" } else { "p2" };
        let skew = if second == 40 { 7_200_000 * MS } else { 0 };
        rig.send(&call(second + 1, version, now - skew, 20 * MS));
        rig.pass(1);
    }
    rig.pass(20);
    let filter = DeploymentFilter { service: Some("pay".to_owned()), environment: None };
    let listed = rig.engine.deployments(&filter);
    let seen: Vec<i64> = listed.iter().filter(|row| row.version == "p2").map(|row| row.first_seen_unix_nano).collect();
    assert_eq!(seen.len(), 1, "{listed:#?}");
    assert!(seen[0] >= START - 300_000 * MS, "{seen:?}");
}
