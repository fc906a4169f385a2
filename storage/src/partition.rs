//! Where files lie: one folder per UTC hour of reception.
//!
//! Reception, not start: a span that comes a day late joins today's files, so files never change once their hour is
//! over, and one client with a wrong clock cannot scatter files over the centuries. The log's bounds on start times
//! prune just as well.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::UnixNanos;
use crate::schema::col;

const HOUR: Duration = Duration::from_secs(3600);

/// The partition value of an instant, `YYYY-MM-DDTHH` in UTC.
pub(crate) fn received_hour(received: UnixNanos) -> String {
    DateTime::<Utc>::from_timestamp_nanos(received.0).format("%Y-%m-%dT%H").to_string()
}

/// What the name of a data file of ours tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileName {
    /// Whether a compaction made it of other files.
    pub(crate) merged: bool,
    /// Seq of the first request that it may hold spans of.
    pub(crate) first_seq: u64,
    /// Seq of the last.
    pub(crate) last_seq: u64,
}

const FLUSHED: &str = "spans-";
const MERGED: &str = "merged-";
const ENDING: &str = ".parquet";

impl FileName {
    /// Path of a new file, below the table's folder. Only characters that no reader escapes stand in it.
    pub(crate) fn path(self, hour: &str, unique: u64) -> String {
        let begin = if self.merged { MERGED } else { FLUSHED };
        let Self { first_seq, last_seq, .. } = self;
        format!("{}={hour}/{begin}{first_seq:020}-{last_seq:020}-{unique:016x}{ENDING}", col::RECEIVED_HOUR)
    }

    /// Reads the last part of a path; `None` when it is not a name of ours.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name).strip_suffix(ENDING)?;
        let flushed = name.strip_prefix(FLUSHED).map(|rest| (false, rest));
        let (merged, rest) = flushed.or_else(|| name.strip_prefix(MERGED).map(|rest| (true, rest)))?;
        let mut parts = rest.split('-');
        let (first_seq, last_seq) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { merged, first_seq, last_seq })
    }
}

/// When the hour of a partition ends; `None` when it is not one of ours.
pub(crate) fn hour_end(hour: &str) -> Option<UnixNanos> {
    let begin = NaiveDateTime::parse_from_str(&format!("{hour}:00"), "%Y-%m-%dT%H:%M").ok()?;
    let begin = begin.and_utc().timestamp_nanos_opt()?;
    Some(UnixNanos(begin).saturating_add(HOUR))
}

/// The hour whose folder this is.
pub(crate) fn hour_of(folder: &str) -> Option<&str> {
    folder.strip_prefix(col::RECEIVED_HOUR)?.strip_prefix('=')
}

/// Whether the name is that of a partition folder.
pub(crate) fn is_partition(folder: &str) -> bool {
    hour_of(folder).is_some()
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

    /// Scenario: paths of both kinds and a foreign name.
    /// Guarantees: only ours tell what they are.
    #[test]
    fn a_name_tells_its_seqs() {
        for merged in [false, true] {
            let name = FileName { merged, first_seq: 3, last_seq: 17 };
            let path = name.path("2026-01-01T00", 9);
            let (folder, file) = path.split_once('/').unwrap();
            assert_eq!((hour_of(folder), FileName::parse(file)), (Some("2026-01-01T00"), Some(name)));
            assert_eq!(FileName::parse(&path), Some(name));
        }
        assert_eq!(FileName::parse("part-00000.parquet"), None);
    }

    /// Scenario: the hours of some instants, and texts that are no hours.
    /// Guarantees: an hour ends where the next begins.
    #[test]
    fn an_hour_ends_where_the_next_begins() {
        assert_eq!(hour_end("1970-01-01T00"), Some(UnixNanos(3_600_000_000_000)));
        assert_eq!(hour_end("1969-12-31T23"), Some(UnixNanos(0)));
        assert_eq!(hour_end("2026-11-23T01"), Some(UnixNanos(1_795_399_200_000_000_000)));
        assert_eq!((hour_end(""), hour_end("yesterday")), (None, None));
    }
}
