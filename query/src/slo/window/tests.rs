use super::*;

fn nanos(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
}

fn calendar(count: u32, unit: &str, start: &str, zone: &str) -> Window {
    let start = NaiveDateTime::parse_from_str(start, "%Y-%m-%d %H:%M:%S").unwrap();
    Window::Calendar(Calendar { count, unit: Unit::of(unit).unwrap(), start, zone: zone.parse().unwrap() })
}

/// Every window between the first and the last of `begins` is asked for in its first and last nanosecond and in its middle.
fn check(window: Window, begins: &[&str]) {
    let begins: Vec<i64> = begins.iter().map(|text| nanos(text)).collect();
    for pair in begins.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        for now in [from, from + (to - from) / 2, to - 1] {
            let bounds = window.bounds(UnixNanos(now));
            assert_eq!(bounds, Bounds { from: UnixNanos(from), to: Some(UnixNanos(to)) }, "{window:?} at {now}");
            assert!(now - from <= i64::try_from(window.longest().as_nanos()).unwrap());
        }
    }
}

/// Scenario: days and weeks in Berlin and New York over the nights in which clocks are set forward and back.
/// Guarantees: the days have 23 and 25 hours, and begin when the local clock says so.
#[test]
fn days_follow_the_clocks() {
    let begins = ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"];
    check(calendar(1, "d", "2026-01-01 00:00:00", "Europe/Berlin"), &begins);
    let begins = ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"];
    check(calendar(1, "d", "2026-01-01 00:00:00", "Europe/Berlin"), &begins);
    let begins = ["2026-03-02T14:30:00Z", "2026-03-09T13:30:00Z", "2026-03-16T13:30:00Z"];
    check(calendar(1, "w", "2026-01-05 09:30:00", "America/New_York"), &begins);
}

/// Scenario: days that begin at an hour which the clocks leave out or show twice, and a whole day that Samoa left out.
/// Guarantees: what is left out begins at its end; what comes twice begins the first time.
#[test]
fn hours_that_are_not_or_come_twice() {
    let begins = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    check(calendar(1, "d", "2026-01-01 02:30:00", "Europe/Berlin"), &begins);
    let begins = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    check(calendar(1, "d", "2026-01-01 02:30:00", "Europe/Berlin"), &begins);
    let begins = ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"];
    check(calendar(1, "d", "2011-01-01 00:00:00", "Pacific/Apia"), &begins);
}

/// Scenario: months that begin on the 31st, in a leap year; quarters over two shifts of the clocks; years that begin on a leap day.
/// Guarantees: a month that lacks the day begins on its last one, and the next has the day again.
#[test]
fn months_quarters_and_years() {
    let begins = ["2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z", "2024-04-30T00:00:00Z"];
    check(calendar(1, "M", "2023-12-31 00:00:00", "UTC"), &begins);
    let begins = ["2025-12-31T23:00:00Z", "2026-03-31T22:00:00Z", "2026-06-30T22:00:00Z", "2026-09-30T22:00:00Z"];
    check(calendar(1, "Q", "2020-01-01 00:00:00", "Europe/Berlin"), &begins);
    let begins = ["2024-02-29T05:00:00Z", "2025-02-28T05:00:00Z", "2026-02-28T05:00:00Z", "2027-02-28T05:00:00Z"];
    check(calendar(1, "Y", "2024-02-29 00:00:00", "America/New_York"), &begins);
    check(calendar(4, "Y", "2024-02-29 00:00:00", "UTC"), &["2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"]);
}

/// Scenario: a start that is still to come, and one long past, in a zone of 45 minutes.
/// Guarantees: windows reach both ways from the start.
#[test]
fn windows_reach_both_ways() {
    let begins = ["2025-12-31T18:15:00Z", "2026-01-14T18:15:00Z", "2026-01-28T18:15:00Z"];
    check(calendar(2, "w", "2026-01-15 00:00:00", "Asia/Kathmandu"), &begins);
    check(calendar(2, "w", "2030-01-10 00:00:00", "Asia/Kathmandu"), &begins);
    check(calendar(2, "w", "1990-01-04 00:00:00", "Asia/Kathmandu"), &begins);
}

/// Scenario: a rolling window, and a calendar at the end of what nanoseconds can say.
/// Guarantees: the one never starts anew, the other rolls there.
#[test]
fn rolling_has_no_end() {
    let rolling = Window::Rolling(DAY * 28);
    assert_eq!(rolling.bounds(UnixNanos(0)), Bounds { from: UnixNanos(0).saturating_sub(DAY * 28), to: None });
    let last = calendar(1, "M", "2026-01-01 00:00:00", "UTC");
    assert_eq!(last.bounds(UnixNanos(i64::MAX)).to, None);
    assert_eq!(last.usual(), DAY * 30);
}
