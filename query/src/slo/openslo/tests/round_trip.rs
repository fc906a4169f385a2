//! What was read is written and read again: the same.

use std::time::Duration;

use proptest::prelude::*;

use super::super::document::*;
use super::super::yaml::{At, Line, Node, Text};
use super::super::{parse, read_one, rewrite, source, write};
use super::{GOOD, file};
use crate::slo::window::{Calendar, Unit, Window};

fn at<T>(value: T) -> At<T> {
    At { value, line: 0 }
}

/// Any text that is not empty, and those that YAML likes to take for something else.
fn text() -> BoxedStrategy<Text> {
    let odd = [
        "null",
        "~",
        "yes",
        "No",
        "1.5",
        "1e3",
        "0x1f",
        "- a",
        "a: b",
        "# x",
        " x ",
        "'",
        "\"",
        "\\",
        "---",
        "<<",
        "*a",
        "&a",
        "!!int 3",
        "a\nb\n",
        "\t",
        "\u{feff}",
        "2026-01-01",
        ".inf",
    ];
    prop_oneof![
        4 => "[a-zA-Z][a-zA-Z0-9/_.-]{0,12}",
        2 => any::<String>().prop_filter("texts are not empty", |text| !text.is_empty()),
        2 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
    ]
    .prop_map(at)
    .boxed()
}

fn number() -> BoxedStrategy<At<f64>> {
    prop_oneof![any::<f64>().prop_filter("finite", |number| number.is_finite()), (1..100_i32).prop_map(f64::from)]
        .prop_map(at)
        .boxed()
}

fn positive() -> BoxedStrategy<At<f64>> {
    number().prop_map(|number| at(number.value.abs().max(f64::MIN_POSITIVE))).boxed()
}

fn flag() -> BoxedStrategy<At<bool>> {
    any::<bool>().prop_map(at).boxed()
}

fn map(inner: impl Strategy<Value = Node> + 'static) -> BoxedStrategy<Node> {
    prop::collection::btree_map(text().prop_map(|text| text.value), inner, 0..4)
        .prop_map(|map| Node::Map(map.into_iter().map(|(key, value)| (at(key), at(value))).collect()))
        .boxed()
}

fn free() -> BoxedStrategy<At<Node>> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Flag),
        any::<i64>().prop_map(Node::Whole),
        number().prop_map(|number| Node::Real(number.value)),
        any::<String>().prop_map(Node::Text),
        text().prop_map(|text| Node::Text(text.value)),
    ];
    let deep = leaf.prop_recursive(3, 12, 3, |inner| {
        let list = prop::collection::vec(inner.clone().prop_map(at), 0..3).prop_map(Node::List);
        prop_oneof![list, map(inner)]
    });
    map(deep).prop_map(at).boxed()
}

fn metadata() -> BoxedStrategy<Metadata> {
    let parts = (text(), prop::option::of(text()), prop::option::of(free()), prop::option::of(free()));
    parts
        .prop_map(|(name, display_name, labels, annotations)| Metadata { name, display_name, labels, annotations })
        .boxed()
}

fn given<T: Clone + std::fmt::Debug + 'static>(inner: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Given<T>> {
    prop_oneof![
        text().prop_map(Given::Named),
        (prop::option::of(metadata()), inner).prop_map(|(metadata, inner)| Given::Here(metadata, inner)),
    ]
    .boxed()
}

fn metric() -> BoxedStrategy<Metric> {
    let parts = (prop::option::of(text()), prop::option::of(text()), prop::option::of(free()));
    parts.prop_map(|(source, kind, spec)| Metric { line: Line::default(), source, kind, spec }).boxed()
}

fn sli() -> BoxedStrategy<Sli> {
    let metrics = (prop::option::of(metric()), prop::option::of(metric()), prop::option::of(metric()));
    let rest = (prop::option::of(flag()), prop::option::of(free()), prop::option::of(text()));
    let ratio = (metrics, rest).prop_map(|((good, bad, total), (counter, raw, raw_type))| Ratio {
        line: Line::default(),
        counter,
        good,
        bad,
        total,
        raw,
        raw_type,
    });
    let either = prop_oneof![ratio.prop_map(Ok), free().prop_map(Err)];
    (prop::option::of(text()), either)
        .prop_map(|(description, either)| {
            let (threshold_metric, ratio) = match either {
                Ok(ratio) => (None, Some(ratio)),
                Err(metric) => (Some(metric), None),
            };
            Sli { line: Line::default(), description, threshold_metric, ratio }
        })
        .boxed()
}

fn window() -> BoxedStrategy<TimeWindow> {
    let rolling = (1..=90_u32, any::<bool>()).prop_map(|(days, said)| TimeWindow {
        duration: at(format!("{days}d")),
        rolling: said.then(|| at(true)),
        start: None,
        zone: None,
        window: Window::Rolling(Duration::from_secs(u64::from(days) * 86_400)),
    });
    let zones = [chrono_tz::Europe::Berlin, chrono_tz::Asia::Kathmandu, chrono_tz::UTC, chrono_tz::America::New_York];
    let units = [("d", Unit::Day), ("w", Unit::Week), ("M", Unit::Month), ("Q", Unit::Quarter), ("Y", Unit::Year)];
    let parts =
        (prop::sample::select(units.to_vec()), prop::sample::select(zones.to_vec()), 0..60_000_i64, any::<bool>());
    let calendar = parts.prop_map(|((letter, unit), zone, minutes, said)| {
        let start = chrono::DateTime::from_timestamp(minutes * 60 * 997, 0).unwrap().naive_utc();
        TimeWindow {
            duration: at(format!("1{letter}")),
            rolling: said.then(|| at(false)),
            start: Some(at(start.format("%Y-%m-%d %H:%M:%S").to_string())),
            zone: Some(at(zone.name().to_owned())),
            window: Window::Calendar(Calendar { count: 1, unit, start, zone }),
        }
    });
    prop_oneof![rolling, calendar].boxed()
}

fn goal() -> BoxedStrategy<Goal> {
    let share = 0.000_001..0.999_999_f64;
    let target = prop_oneof![
        share.clone().prop_map(|share| Target::Share(at(share))),
        share.prop_map(|share| Target::Percent(at(share * 100.0))),
    ];
    let parts = (prop::option::of(text()), prop::option::of(text()), prop::option::of(number()), target);
    let rest = (prop::option::of(given(sli())), prop::option::of(positive()));
    (parts, rest)
        .prop_map(|((display_name, op, value, target), (indicator, weight))| Goal {
            line: Line::default(),
            display_name,
            op,
            value,
            target,
            indicator,
            weight,
        })
        .boxed()
}

fn condition() -> BoxedStrategy<AlertCondition> {
    let length = || prop::sample::select(vec!["10s", "5m", "1h", "3d", "2w"]).prop_map(|text| at(text.to_owned()));
    let severity =
        prop::sample::select(vec!["page", "Critical", "ticket", "info"]).prop_map(|text| at(text.to_owned()));
    let op = prop::option::of(prop::sample::select(vec!["gt", "gte"]).prop_map(|text| at(text.to_owned())));
    let parts = (prop::option::of(text()), severity, op, positive(), length(), prop::option::of(length()));
    parts
        .prop_map(|(description, severity, op, threshold, lookback, after)| AlertCondition {
            description,
            severity,
            op,
            threshold,
            lookback,
            after,
        })
        .boxed()
}

fn policy() -> BoxedStrategy<AlertPolicy> {
    let flags = (prop::option::of(flag()), prop::option::of(flag()), prop::option::of(flag()));
    let conditions = prop::collection::vec(given(condition()), 1..3);
    let targets = prop::option::of(prop::collection::vec(free(), 0..3).prop_map(at));
    (prop::option::of(text()), flags, conditions, targets)
        .prop_map(|(description, flags, conditions, targets)| AlertPolicy {
            description,
            when_no_data: flags.0,
            when_resolved: flags.1,
            when_breaching: flags.2,
            conditions,
            targets,
        })
        .boxed()
}

fn slo() -> BoxedStrategy<Slo> {
    let method = prop::option::of(Just(at("Occurrences".to_owned())));
    let head = (prop::option::of(text()), prop::option::of(text()), prop::option::of(given(sli())), method);
    let lists = (prop::collection::vec(goal(), 1..4), prop::collection::vec(given(policy()), 0..3));
    (head, window(), lists)
        .prop_map(|((description, service, indicator, method), window, (objectives, policies))| Slo {
            line: Line::default(),
            description,
            service,
            indicator,
            window,
            method,
            objectives,
            policies,
        })
        .boxed()
}

fn document() -> BoxedStrategy<Document> {
    let source = (prop::option::of(text()), prop::option::of(text()), prop::option::of(free()))
        .prop_map(|(description, kind, connection)| Body::DataSource(DataSource { description, kind, connection }));
    let target = (prop::option::of(text()), prop::option::of(text()))
        .prop_map(|(description, target)| Body::AlertNotificationTarget(NotificationTarget { description, target }));
    let body = prop_oneof![
        4 => slo().prop_map(|slo| Body::Slo(Box::new(slo))),
        2 => sli().prop_map(|sli| Body::Sli(Box::new(sli))),
        2 => policy().prop_map(Body::AlertPolicy),
        1 => condition().prop_map(Body::AlertCondition),
        1 => prop::option::of(text()).prop_map(Body::Service),
        1 => source,
        1 => target,
    ];
    (metadata(), body).prop_map(|(metadata, body)| Document { metadata, body }).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Scenario: documents of every kind with any texts, numbers and free maps, all in one file.
    /// Guarantees: each reads back equal, in its order.
    #[test]
    fn what_is_written_reads_back_equal(documents in prop::collection::vec(document(), 1..4)) {
        let text: Vec<String> = documents.iter().map(write::write).collect();
        let written = file(&text.join("---\n"));
        let read: Vec<_> = source::split(&written).iter().map(|source| read_one(source).1).collect();
        let expected: Vec<_> = documents.into_iter().map(Ok).collect();
        prop_assert_eq!(read, expected, "{}", written.text);
    }
}

/// Scenario: the test's own file, written and read, twice.
/// Guarantees: the same objectives, but for the text that is shown; writing what was written changes nothing.
#[test]
fn rewriting_a_file_keeps_its_meaning() {
    let once = rewrite(&file(GOOD));
    let plain = |text: &str| {
        let mut parsed = parse(&[file(text)]);
        parsed.objectives.iter_mut().for_each(|objective| objective.yaml.clear());
        parsed
    };
    assert_eq!(plain(&once), plain(GOOD));
    assert_eq!(rewrite(&file(&once)), once);
    assert_eq!(rewrite(&file("kind: [")), "");
}
