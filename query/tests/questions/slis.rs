//! Cells as SQL sees them, against the spans that they were made of.

use std::sync::Arc;

use daytwo_query::{Clock, EngineAtRest, EngineConfig, QueryConfig, QueryEngine};
use daytwo_storage::testing::{Seeded, TestSpan};
use serde_json::{Value, json};

use crate::harness::{RECEIVED, World};

/// The world with an engine that has measured what is stored.
async fn measured(mut world: World) -> World {
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let cells = EngineAtRest::new(EngineConfig::default(), Arc::clone(&clock), world.store.snapshot());
    let spill_dir = world.store.snapshot().table_dir.join("../spill");
    let config = QueryConfig { spill_dir, partitions: 2, ..QueryConfig::default() };
    let engine = QueryEngine::new(config, Arc::clone(&world.store), clock, cells).unwrap();
    world.engine = engine;
    world
}

fn now() -> u64 {
    u64::try_from(RECEIVED.0).unwrap()
}

/// Calls of three services over five hours, every fourth sampled at one in four, with durations over five decades.
fn calls() -> Vec<TestSpan> {
    let mut number = 0_u64;
    let mut next = || {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        number >> 33
    };
    (1..=3_000_u64)
        .map(|id| {
            let service = ["shop", "pay", "cart"][usize::try_from(next() % 3).unwrap()];
            let decade = 10_u64.pow(u32::try_from(next() % 5).unwrap());
            let span = TestSpan::new(u128::from(id), id)
                .service(service)
                .name(["a", "b"][usize::try_from(next() % 2).unwrap()]);
            let span = span.at(now() - next() % 18_000 * 1_000_000_000).lasting((next() % 900 + 100) * 1_000 * decade);
            let span = if next().is_multiple_of(4) { span.state("ot=th:c") } else { span };
            if next().is_multiple_of(7) { span.error() } else { span }
        })
        .collect()
}

/// For how many spans one stands.
fn weight(span: &TestSpan) -> u64 {
    if span.state.is_empty() { 1 } else { 4 }
}

/// Durations of some spans, ascending, each as often as it stands for.
fn durations<'a>(spans: impl Iterator<Item = &'a TestSpan>) -> Vec<u64> {
    let each = spans.flat_map(|span| (0..weight(span)).map(move |_| span.end - span.start));
    let mut durations: Vec<u64> = each.collect();
    durations.sort_unstable();
    durations
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

/// Scenario: cells of ten seconds and, for the older part, of five minutes, merged by service, by operation, and all together.
/// Guarantees: quantiles lie within 1 % of the exact rank over the same spans, sampled ones as often as they stand for, whatever the
/// grouping; counts are those of the spans, and beside them those that they stand for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_cells_have_the_quantiles_of_their_spans() {
    let world = World::new().await;
    let spans = calls();
    world.add(&spans[..1_500]).await;
    world.flush().await;
    world.add(&spans[1_500..]).await;
    let world = measured(world).await;
    let widths = world.rows("SELECT DISTINCT window_s FROM slis ORDER BY 1").await;
    assert_eq!(widths, [[json!("10")], [json!("300")]]);
    for (group, groups) in [("service", 3), ("operation", 2), ("'all'", 1)] {
        let rows = world
            .rows(&format!(
                "SELECT g, n, a, hdr_count(h), hdr_quantile(h, 0.5), hdr_quantile(h, 0.95), hdr_quantile(h, 0.99), f FROM \
                 (SELECT {group} AS g, sum(spans) AS n, sum(spans_adjusted) AS a, hdr_merge(latency) AS h, \
                         sum(errors_adjusted) AS f FROM slis GROUP BY 1) ORDER BY 1"
            ))
            .await;
        assert_eq!(rows.len(), groups);
        for row in rows {
            let name = row[0].as_str().unwrap();
            let own = |span: &&TestSpan| [span.service.as_str(), span.name.as_str(), "all"].contains(&name);
            let mine: Vec<&TestSpan> = spans.iter().filter(own).collect();
            let sorted = durations(mine.iter().copied());
            let failed = durations(mine.iter().copied().filter(|span| span.status == 2)).len();
            assert_eq!(number(&row[1]), mine.len() as u64);
            assert_eq!((row[2].as_f64().unwrap(), number(&row[3])), (sorted.len() as f64, sorted.len() as u64));
            assert_eq!(row[7].as_f64().unwrap(), failed as f64);
            for (thousandths, got) in [500, 950, 990].into_iter().zip(&row[4..7]) {
                let exact = sorted[(thousandths * sorted.len()).div_ceil(1_000) - 1];
                assert!(number(got).abs_diff(exact) * 100 <= exact, "{name}: {got} for {exact}");
            }
        }
    }
}

/// Scenario: calls from `shop` that `pay` answers, that `cart` answers and that nobody answers.
/// Guarantees: a row for each who answered, with gaps of these calls alone; self times without what the answer took; the slowest traces
/// and those that failed by name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_tell_who_answered_and_the_gap() {
    let world = World::new().await;
    let mut spans = Vec::new();
    for trace in 1..=9_u64 {
        let at = now() - 60_000_000_000;
        let id = u128::from(trace);
        let client =
            TestSpan::new(id, 1).service("shop").name("call").kind(3).at(at).lasting(50_000_000 + trace * 1_000_000);
        spans.push(if trace == 2 { client.error() } else { client });
        if let Some(answer) =
            [Some("pay"), Some("cart"), None].into_iter().cycle().nth(usize::try_from(trace).unwrap()).flatten()
        {
            let answer = TestSpan::new(id, 2).parent(1).service(answer).name("answer").at(at + 1_000_000);
            spans.push(answer.lasting(40_000_000));
        }
    }
    world.add(&spans).await;
    let world = measured(world).await;
    let rows = world
        .rows("SELECT peer, spans, hdr_count(edge_gap), edge_gap_p50_ns, hdr_quantile(edge_gap, 0.5), self_p50_ns, exemplars FROM slis WHERE kind = 3 ORDER BY peer")
        .await;
    let about =
        |value: &Value, exact: u64| assert!(number(value).abs_diff(exact) * 100 <= exact, "{value} for {exact}");
    // Traces 3, 6, 9 are answered by pay; 1, 4, 7 by cart; 2, 5, 8 by nobody.
    let expected = [("", [2, 5, 8], false), ("cart", [1, 4, 7], true), ("pay", [3, 6, 9], true)];
    for (row, (peer, traces, answered)) in rows.iter().zip(expected) {
        assert_eq!((row[0].as_str().unwrap(), number(&row[1])), (peer, 3));
        let middle = (10 + traces[1]) * 1_000_000;
        if answered {
            assert_eq!(number(&row[2]), 3);
            [&row[3], &row[4], &row[5]].into_iter().for_each(|value| about(value, middle));
        } else {
            assert_eq!([&row[2], &row[3], &row[4]], [&Value::Null; 3]);
            about(&row[5], middle + 40_000_000);
        }
        let exemplars: Value = serde_json::from_str(row[6].as_str().unwrap()).unwrap();
        let named = |trace: u64, why: &str| json!({"trace_id": format!("{trace:032x}"), "duration_ns": ((50 + trace) * 1_000_000).to_string(), "why": why});
        let mut slow = vec![named(traces[2], "slow"), named(traces[1], "slow")];
        slow.extend(traces.contains(&2).then(|| named(2, "failed")));
        assert_eq!(exemplars, Value::Array(slow));
    }
    assert_eq!(rows.len(), 3);
}

/// Scenario: two pages of `shop`, one of which calls `pay` and then `mail`, and the other only `mail`; a call of `mail` whose root is missing.
/// Guarantees: `mail` has a row for each journey, named by the root and the first call, and one for that which is not known; over all
/// journeys they are what they were; a question by journey has the rows of that alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_tell_journeys_apart() {
    let world = World::new().await;
    let at = now() - 60_000_000_000;
    let page = |trace: u64, name: &str| {
        TestSpan::new(u128::from(trace), 1).service("shop").name(name).at(at).lasting(90_000_000)
    };
    let work = |trace: u64, id: u64, service: &str, ms: u64| {
        let span = TestSpan::new(u128::from(trace), id).parent(1).service(service).name("work");
        span.at(at + id * 10_000_000).lasting(ms * 1_000_000)
    };
    let mut spans = Vec::new();
    for trace in 1..=3 {
        spans.extend([page(trace, "buy"), work(trace, 2, "pay", 5), work(trace, 3, "mail", 20)]);
    }
    spans.extend([page(4, "ask"), work(4, 2, "mail", 5), work(5, 2, "mail", 5)]);
    world.add(&spans).await;
    let world = measured(world).await;
    let rows = world
        .rows("SELECT journey, sum(spans), hdr_quantile(hdr_merge(latency), 0.5) FROM slis WHERE service = 'mail' GROUP BY 1 ORDER BY 1")
        .await;
    let expected = [("", 1, 5), ("shop:ask > mail:work", 1, 5), ("shop:buy > pay:work", 3, 20)];
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    for (row, (journey, count, ms)) in rows.iter().zip(expected) {
        assert_eq!((row[0].as_str().unwrap(), number(&row[1])), (journey, count));
        assert!(number(&row[2]).abs_diff(ms * 1_000_000) * 100 <= ms * 1_000_000, "{row:?}");
    }
    let all = world.rows("SELECT sum(spans), hdr_count(hdr_merge(latency)) FROM slis WHERE service = 'mail'").await;
    assert_eq!([number(&all[0][0]), number(&all[0][1])], [5, 5]);
    let one = world.rows("SELECT service, spans FROM slis WHERE journey = 'shop:buy > pay:work' ORDER BY 1").await;
    assert_eq!(one, ["mail", "pay", "shop"].map(|service| vec![json!(service), json!("3")]));
}

/// Scenario: cells of three services, two environments, two versions and both widths; eighty questions with ranges of time, some of them empty,
/// and lists of names and kinds drawn at random, among them names that nobody has.
/// Guarantees: each answer has exactly those of all rows that meet the question, whichever columns it asks for; the plan asks the cells for no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_the_cells_is_what_all_rows_would_answer() {
    let world = World::new().await;
    let mut random = Seeded::new(7);
    let mut spans = calls();
    let pick =
        |random: &mut Seeded, names: &[&'static str]| names[usize::try_from(random.below(names.len() as u64)).unwrap()];
    for span in &mut spans {
        span.environment = Some(pick(&mut random, &["prod", "test"]).to_owned());
        span.version = Some(pick(&mut random, &["v1", "v2"]).to_owned());
        span.kind = if random.below(2) == 0 { 2 } else { 3 };
    }
    world.add(&spans).await;
    let world = measured(world).await;
    const COLUMNS: &str = "window_start_unix_nano, environment, service, version, operation, kind, window_s, spans, errors_adjusted, latency, p99_ns, journey";
    let order = "ORDER BY 1, 2, 3, 4, 5, 6, 7";
    let all = world.rows(&format!("SELECT {COLUMNS} FROM slis {order}")).await;
    assert!(all.len() > 500, "{}", all.len());
    let mut found = 0;
    for question in 0..80 {
        let mut texts = |names: &[&'static str]| [(); 2].map(|()| pick(&mut random, names));
        let services = texts(&["shop", "pay", "cart", "nobody"]);
        let environments = texts(&["prod", "test"]);
        let versions = texts(&["v1", "v2", "v3"]);
        let [from, to] = [(); 2].map(|()| RECEIVED.0 - i64::try_from(random.below(20_000)).unwrap() * 1_000_000_000);
        let (from, to) = if question % 5 == 0 { (from, to) } else { (from.min(to), from.max(to)) };
        let kind = [2, 3][question % 2];
        let time = |row: &Vec<Value>| row[0].as_str().unwrap().parse::<i64>().unwrap();
        let is = |row: &Vec<Value>, column: usize, names: &[&str]| names.contains(&row[column].as_str().unwrap());
        type Meets<'a> = Box<dyn Fn(&Vec<Value>) -> bool + 'a>;
        let (filter, meets): (String, Meets<'_>) = match question % 5 {
            0 => (
                format!(
                    "window_start_unix_nano >= {from} AND window_start_unix_nano < {to} AND service = '{}'",
                    services[0]
                ),
                Box::new(|row| (from..to).contains(&time(row)) && is(row, 2, &services[..1])),
            ),
            1 => (
                format!(
                    "window_start_unix_nano BETWEEN {from} AND {to} AND service IN ('{}', '{}') AND kind = {kind}",
                    services[0], services[1]
                ),
                Box::new(|row| (from..=to).contains(&time(row)) && is(row, 2, &services) && row[5] == json!(kind)),
            ),
            2 => (
                format!(
                    "{from} < window_start_unix_nano AND environment = '{}' AND (version = '{}' OR version = '{}')",
                    environments[0], versions[0], versions[1]
                ),
                Box::new(|row| from < time(row) && is(row, 1, &environments[..1]) && is(row, 3, &versions)),
            ),
            3 => (
                format!("journey IN ('{}:a', '{}:b') AND peer = ''", services[0], services[1]),
                Box::new(|row| is(row, 11, &[&format!("{}:a", services[0]), &format!("{}:b", services[1])])),
            ),
            _ => (
                format!(
                    "(service = '{}' OR environment = '{}') AND NOT window_start_unix_nano > {to} AND service <> '{}'",
                    services[0], environments[0], services[1]
                ),
                Box::new(|row| {
                    (is(row, 2, &services[..1]) || is(row, 1, &environments[..1]))
                        && time(row) <= to
                        && !is(row, 2, &services[1..])
                }),
            ),
        };
        let expected: Vec<&Vec<Value>> = all.iter().filter(|row| meets(row)).collect();
        let rows = world.rows(&format!("SELECT {COLUMNS} FROM slis WHERE {filter} {order}")).await;
        assert_eq!(rows.iter().collect::<Vec<_>>(), expected, "{filter}");
        let count = world.rows(&format!("SELECT count(*), sum(spans) FROM slis WHERE {filter}")).await;
        assert_eq!(number_or_zero(&count[0][0]), expected.len() as u64, "{filter}");
        assert_eq!(number_or_zero(&count[0][1]), expected.iter().map(|row| number(&row[7])).sum::<u64>(), "{filter}");
        found += expected.len();
    }
    assert!(found > 5_000, "{found}");
    let hour = "CAST(now() - INTERVAL '1 hour' AS BIGINT)";
    let plan = world
        .rows(&format!("EXPLAIN SELECT spans FROM slis WHERE service = 'pay' AND window_start_unix_nano > {hour}"))
        .await;
    let plan = format!("{plan:?}");
    assert!(plan.contains("partial_filters=[slis.service = "), "{plan}");
    assert!(plan.contains("slis.window_start_unix_nano > Int64(1"), "a constant, in nanoseconds: {plan}");
}

fn number_or_zero(value: &Value) -> u64 {
    if value.is_null() { 0 } else { number(value) }
}
