//! The histogram functions against exact answers.

use daytwo_storage::testing::TestSpan;
use serde_json::json;

use crate::harness::{RECEIVED, World};

fn durations(spans: &[TestSpan], service: &str) -> Vec<u64> {
    let mine = spans.iter().filter(|span| span.service == service);
    let mut durations: Vec<u64> = mine.map(|span| span.end.saturating_sub(span.start)).collect();
    durations.sort_unstable();
    durations
}

/// Scenario: quantiles by service over seeded spans, directly and by merging histograms of (service, operation).
/// Guarantees: both equal each other and lie within 1 % of the exact rank.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quantiles_are_exact_within_one_percent() {
    let world = World::new().await;
    let mut spans = world.seed(3, 3_000).await;
    world.flush().await;
    spans.extend(world.seed(4, 2_000).await);
    for thousandths in [500, 950, 990] {
        let q = format!("0.{thousandths}");
        let direct = format!(
            "SELECT service_name, hdr_quantile(hdr_histogram(duration_time_unix_nano), {q}) FROM spans GROUP BY 1 ORDER BY 1"
        );
        let merged = format!(
            "SELECT service_name, hdr_quantile(hdr_merge(h), {q}) FROM \
             (SELECT service_name, name, hdr_histogram(duration_time_unix_nano) AS h FROM spans GROUP BY 1, 2) \
             GROUP BY 1 ORDER BY 1"
        );
        let direct = world.rows(&direct).await;
        assert_eq!(direct, world.rows(&merged).await);
        for row in direct {
            let sorted = durations(&spans, row[0].as_str().unwrap());
            let exact = sorted[(thousandths * sorted.len()).div_ceil(1_000) - 1];
            let got: u64 = row[1].as_str().unwrap().parse().unwrap();
            assert!(got.abs_diff(exact) * 100 <= exact, "{row:?}: exact {exact}");
        }
    }
}

/// Scenario: a service whose every call goes from 1.09 s to 1.90 s with a new version.
/// Guarantees: the p99 of each version is right within 1 %.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_regression_within_one_octave_shows() {
    let world = World::new().await;
    let at = u64::try_from(RECEIVED.0).unwrap();
    let spans = |version: &str, ns: u64, first: u64| -> Vec<TestSpan> {
        let span =
            |n: u64| TestSpan::new(u128::from(first + n), n + 1).service("pay").version(version).at(at).lasting(ns);
        (0..200).map(span).collect()
    };
    world.add(&spans("v1", 1_090_000_000, 1)).await;
    world.add(&spans("v2", 1_900_000_000, 1_000)).await;
    let sql = "SELECT service_version, hdr_quantile(hdr_histogram(duration_time_unix_nano), 0.99) FROM spans GROUP BY 1 ORDER BY 1";
    let rows = world.rows(sql).await;
    for (row, exact) in rows.iter().zip([1_090_000_000_u64, 1_900_000_000]) {
        let got: u64 = row[1].as_str().unwrap().parse().unwrap();
        assert!(got.abs_diff(exact) * 100 <= exact, "{row:?}");
    }
}

/// Scenario: no rows, nulls, negative and fractional numbers, a filter, a window.
/// Guarantees: null without values; a negative number counts as 0; the rest as numbers do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_inputs_are_counted_as_documented() {
    let world = World::new().await;
    let one = |sql: &'static str| {
        let world = &world;
        async move { world.value(sql).await }
    };
    assert_eq!(one("SELECT hdr_histogram(x) FROM (VALUES (1)) t(x) WHERE x > 1").await, json!(null));
    assert_eq!(one("SELECT hdr_count(hdr_histogram(x)) FROM (VALUES (1), (NULL), (3)) t(x)").await, json!("2"));
    assert_eq!(one("SELECT hdr_quantile(hdr_histogram(x), 1.0) FROM (VALUES (-5), (-7)) t(x)").await, json!("0"));
    assert_eq!(
        one("SELECT hdr_quantile(hdr_histogram(x), 0.5) FROM (VALUES (2.4), (2.6), (100.0)) t(x)").await,
        json!("3")
    );
    assert_eq!(
        one("SELECT hdr_count(hdr_histogram(x) FILTER (WHERE x > 1)) FROM (VALUES (1), (2), (3)) t(x)").await,
        json!("2")
    );
    assert_eq!(one("SELECT hdr_quantile(NULL, 0.5)").await, json!(null));
    let running = "SELECT hdr_count(hdr_histogram(x) OVER (ORDER BY x)) FROM (VALUES (1), (2), (3)) t(x) ORDER BY x";
    assert_eq!(world.rows(running).await, vec![vec![json!("1")], vec![json!("2")], vec![json!("3")]]);
}
