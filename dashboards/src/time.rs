//! Times in query parameters: `now`, `now-15m`, RFC 3339 or epoch milliseconds.

use std::time::Duration;

use chrono::DateTime;
use daytwo_query::{Clock, TimeWindow, UnixNanos};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::{ApiError, ApiResult};

/// What an answer covers when the client does not say.
const DEFAULT_SPAN: Duration = Duration::from_secs(3600);

/// Parameters that most GET requests take.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RangeParams {
    /// Start: `now-15m`, RFC 3339, or epoch milliseconds. Default `now-1h`.
    pub(crate) from: Option<String>,
    /// End, in the same forms. Default `now`.
    pub(crate) to: Option<String>,
    /// `deployment.environment.name`; absent means all.
    pub(crate) env: Option<String>,
}

/// A range of time, `from` included, `to` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeRange {
    /// First instant of it.
    pub(crate) from: UnixNanos,
    /// First instant after it.
    pub(crate) to: UnixNanos,
}

impl TimeRange {
    /// The range as the correlation engine takes it.
    pub(crate) fn window(self) -> TimeWindow {
        TimeWindow { from: self.from, to: self.to }
    }
}

impl RangeParams {
    /// The range asked for, against the clock.
    ///
    /// # Errors
    /// 400 when a time cannot be read or the range is empty.
    pub(crate) fn range(&self, clock: &dyn Clock) -> ApiResult<TimeRange> {
        range(self.from.as_deref(), self.to.as_deref(), clock.now())
    }
}

/// The range between two texts.
///
/// # Errors
/// 400 when a time cannot be read or the range is empty.
pub(crate) fn range(from: Option<&str>, to: Option<&str>, now: UnixNanos) -> ApiResult<TimeRange> {
    let to = to.map_or(Ok(now), |text| instant("to", text, now))?;
    let from = from.map_or_else(|| Ok(to.saturating_sub(DEFAULT_SPAN)), |text| instant("from", text, now))?;
    if from >= to {
        return Err(ApiError::bad_request("`from` must be earlier than `to`"));
    }
    Ok(TimeRange { from, to })
}

fn instant(parameter: &str, text: &str, now: UnixNanos) -> ApiResult<UnixNanos> {
    parse(text, now).ok_or_else(|| {
        ApiError::bad_request(format!(
            "`{parameter}={}` is not a time; use now, now-15m (s, m, h, d), RFC 3339, or epoch milliseconds",
            excerpt(text)
        ))
    })
}

fn parse(text: &str, now: UnixNanos) -> Option<UnixNanos> {
    if let Some(rest) = text.strip_prefix("now") {
        return if rest.is_empty() { Some(now) } else { relative(rest, now) };
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let millis: i64 = text.parse().ok()?;
        return millis.checked_mul(1_000_000).map(UnixNanos);
    }
    DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt().map(UnixNanos)
}

fn relative(offset: &str, now: UnixNanos) -> Option<UnixNanos> {
    let digits = offset.strip_prefix('-')?;
    let unit_at = digits.find(|letter: char| !letter.is_ascii_digit())?;
    let (count, unit) = digits.split_at(unit_at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = count.parse::<u64>().ok()?.checked_mul(seconds)?;
    Some(now.saturating_sub(Duration::from_secs(seconds)))
}

/// The start of a client's text, to repeat in a message without repeating a megabyte of it.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARS: usize = 60;
    let mut short: String = text.chars().take(CHARS).collect();
    if text.chars().nth(CHARS).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    /// Scenario: every form of a time that the contract names, and texts that are none.
    /// Guarantees: each form gives the instant computed by hand; everything else is refused.
    #[test]
    fn reads_each_form_of_a_time() {
        for (text, seconds) in [
            ("now", Some(1_700_000_000)),
            ("now-90s", Some(1_699_999_910)),
            ("now-15m", Some(1_699_999_100)),
            ("now-2h", Some(1_699_992_800)),
            ("now-1d", Some(1_699_913_600)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000)),
            ("2023-11-14T23:13:20+01:00", Some(1_700_000_000)),
            ("1700000000000", Some(1_700_000_000)),
            ("", None),
            ("now+1h", None),
            ("now-", None),
            ("now-1", None),
            ("now-1w", None),
            ("now--1h", None),
            ("nowhere", None),
            ("yesterday", None),
            ("2023-11-14", None),
            ("99999999999999999999", None),
            ("9223372036854775807", None),
        ] {
            assert_eq!(parse(text, NOW), seconds.map(|s: i64| UnixNanos(s * 1_000_000_000)), "{text:?}");
        }
    }

    /// Scenario: ranges with both, one and no end given, and an empty one.
    /// Guarantees: the default is the hour before `to`; an empty range is an error, not an empty answer.
    #[test]
    fn fills_in_the_default_range() {
        let hour = TimeRange { from: NOW.saturating_sub(DEFAULT_SPAN), to: NOW };
        assert_eq!(range(None, None, NOW).unwrap(), hour);
        assert_eq!(range(Some("now-1h"), Some("now"), NOW).unwrap(), hour);
        assert_eq!(range(None, Some("now-1h"), NOW).unwrap().from, NOW.saturating_sub(DEFAULT_SPAN * 2));
        assert!(range(Some("now"), Some("now"), NOW).is_err());
        assert!(range(Some("now"), Some("now-1h"), NOW).is_err());
    }

    /// Scenario: an offset of more days than the clock has.
    /// Guarantees: arithmetic stops at the ends of the range instead of wrapping.
    #[test]
    fn huge_offsets_do_not_wrap() {
        assert!(parse("now-106751991167d", NOW).is_some_and(|time| time < UnixNanos(0)));
        assert_eq!(parse("now-18446744073709551615d", NOW), None);
    }
}
