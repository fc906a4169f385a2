//! The SQL that an objective of journeys shows, against spans.

use std::sync::Arc;

use daytwo_query::slo::SloFile;
use daytwo_query::{Clock, Correlator, EngineConfig};
use daytwo_storage::testing::TestSpan;
use serde_json::json;

use crate::harness::{RECEIVED, World};

const BUYING: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata: {name: buying}
spec:
  timeWindow: [{duration: 28d, isRolling: true}]
  indicator:
    spec:
      ratioMetric:
        good: {metricSource: {type: daytwo, spec: {scope: journey, root: "web:buy it's", signal: latency, threshold: 100ms, steps: ["pay:charge"], critical: [cart]}}}
        total: {metricSource: {type: daytwo, spec: {scope: journey, root: "web:buy it's"}}}
  objectives: [{target: 0.9}]
"#;

/// A trace: its root, a charge and a reservation; which of them failed, and how long the root took.
fn buy(trace: u128, failed: &[u64], ms: u64) -> Vec<TestSpan> {
    let at = u64::try_from(RECEIVED.0).unwrap() - 60_000_000_000;
    let root = TestSpan::new(trace, 1).service("web").name("buy it's").kind(2).at(at).lasting(ms * 1_000_000);
    let child = |id: u64, service: &str, name: &str| {
        TestSpan::new(trace, id).parent(1).service(service).name(name).kind(2).at(at + 1_000).lasting(1_000_000)
    };
    let spans = [root, child(2, "pay", "charge"), child(3, "cart", "reserve")];
    spans.into_iter().map(|span| if failed.contains(&span.span) { span.error() } else { span }).collect()
}

/// Scenario: traces that miss each condition in turn, one whose cart only passes an error on, one without a charge, and another journey.
/// Guarantees: the statement runs, and counts the good ones, the others and all as the engine does of traces that are whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_of_a_journey_counts_it() {
    let world = World::new().await;
    let engine = Correlator::new(EngineConfig::default(), Arc::clone(&world.clock) as Arc<dyn Clock>);
    engine.set_slos(&[SloFile { name: "buying.yaml".to_owned(), text: BUYING.to_owned() }]);
    assert_eq!(engine.slos(None).problems, []);
    let mut spans = [buy(1, &[], 50), buy(2, &[], 100), buy(3, &[], 101), buy(4, &[1], 50)].concat();
    spans.extend([buy(5, &[2], 50), buy(6, &[3], 50), buy(7, &[3], 50)].concat());
    let at = spans[0].start;
    spans.push(TestSpan::new(7, 4).parent(3).service("store").name("get").at(at + 2_000).lasting(1_000).error());
    spans.extend(buy(8, &[], 50).into_iter().filter(|span| span.service != "pay"));
    spans.push(TestSpan::new(9, 1).service("web").name("browse").kind(2).at(at).lasting(1_000));
    world.add(&spans).await;
    let sql = engine.slo_detail("buying").unwrap().sql;
    assert_eq!(world.rows(&sql).await, [[json!("3"), json!("5"), json!("8")]], "{sql}");
}
