//! Where files lie: one folder per UTC hour of reception.
//!
//! Reception, not start: a span that comes a day late joins today's files, so files never change once their hour is
//! over, and one client with a wrong clock cannot scatter files over the centuries. The log's bounds on start times
//! prune just as well.

use chrono::{DateTime, Utc};

use crate::UnixNanos;
use crate::schema::col;

/// The partition value of an instant, `YYYY-MM-DDTHH` in UTC.
pub(crate) fn received_hour(received: UnixNanos) -> String {
    DateTime::<Utc>::from_timestamp_nanos(received.0).format("%Y-%m-%dT%H").to_string()
}

/// Path of a new file, below the table's folder. Only characters that no reader escapes stand in it.
/// The seqs tell an uncommitted file from a committed one after a crash.
pub(crate) fn file_path(hour: &str, first_seq: u64, last_seq: u64, unique: u64) -> String {
    format!("{}={hour}/spans-{first_seq:020}-{last_seq:020}-{unique:016x}.parquet", col::RECEIVED_HOUR)
}

/// Last seq in a file of ours, by its name.
pub(crate) fn last_seq(file_name: &str) -> Option<u64> {
    let rest = file_name.strip_prefix("spans-")?.strip_suffix(".parquet")?;
    rest.split('-').nth(1)?.parse().ok()
}

/// Whether the name is that of a partition folder.
pub(crate) fn is_partition(folder: &str) -> bool {
    folder.strip_prefix(col::RECEIVED_HOUR).is_some_and(|rest| rest.starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: instants at both edges of an hour, before 1970 and at the end of the range.
    /// Guarantees: the hour is that of UTC, and every instant has one.
    #[test]
    fn every_instant_has_an_hour() {
        let hour = |ns| received_hour(UnixNanos(ns));
        assert_eq!(hour(0), "1970-01-01T00");
        assert_eq!(hour(3_599_999_999_999), "1970-01-01T00");
        assert_eq!(hour(3_600_000_000_000), "1970-01-01T01");
        assert_eq!(hour(-1), "1969-12-31T23");
        assert_eq!(hour(i64::MAX), "2262-04-11T23");
    }

    /// Scenario: a path of ours and foreign names.
    /// Guarantees: only ours tells its last seq.
    #[test]
    fn a_name_tells_its_last_seq() {
        let path = file_path("2026-01-01T00", 3, 17, 9);
        let (folder, name) = path.split_once('/').unwrap();
        assert!(is_partition(folder));
        assert_eq!(last_seq(name), Some(17));
        assert_eq!(last_seq("part-00000.parquet"), None);
    }
}
