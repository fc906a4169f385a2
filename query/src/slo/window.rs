//! The time over which a budget counts: rolling, or aligned with the calendar of a time zone.

use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveDateTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use daytwo_storage::UnixNanos;

/// A day.
const DAY: Duration = Duration::from_secs(86_400);
/// A gap of local time is at most a day: Samoa left out 30 December 2011.
const GAP_MINUTES_MAX: i64 = 24 * 60 + 1;

/// The time over which a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// So long before now.
    Rolling(Duration),
    /// From one date of the calendar to the next.
    Calendar(Calendar),
}

/// What calendar windows are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `d`
    Day,
    /// `w`
    Week,
    /// `M`
    Month,
    /// `Q`
    Quarter,
    /// `Y`
    Year,
}

impl Unit {
    /// The unit of this letter of OpenSLO.
    pub(super) fn of(letter: &str) -> Option<Self> {
        match letter {
            "d" => Some(Self::Day),
            "w" => Some(Self::Week),
            "M" => Some(Self::Month),
            "Q" => Some(Self::Quarter),
            "Y" => Some(Self::Year),
            _ => None,
        }
    }

    /// Usual and greatest length in days.
    fn days(self) -> (u32, u32) {
        match self {
            Self::Day => (1, 1),
            Self::Week => (7, 7),
            Self::Month => (30, 31),
            Self::Quarter => (91, 92),
            Self::Year => (365, 366),
        }
    }

    /// How many months it has, or else how many days.
    fn length(self) -> Result<i64, i64> {
        match self {
            Self::Day => Err(1),
            Self::Week => Err(7),
            Self::Month => Ok(1),
            Self::Quarter => Ok(3),
            Self::Year => Ok(12),
        }
    }
}

/// Windows that follow one another without a gap: the first begins at `start`, as the clocks of `zone` show it, and each of the others, before
/// and after it, a number of units later. A month that lacks the day begins on its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// How many units a window has.
    pub count: u32,
    /// What it is counted in.
    pub unit: Unit,
    /// Begin of one of the windows in local time.
    pub start: NaiveDateTime,
    /// The time zone.
    pub zone: Tz,
}

/// A window of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) from: UnixNanos,
    /// When the budget starts anew; never for a rolling window.
    pub(crate) to: Option<UnixNanos>,
}

impl Window {
    /// Its usual length, to which alerts are scaled.
    pub fn usual(&self) -> Duration {
        match self {
            Self::Rolling(length) => *length,
            Self::Calendar(calendar) => DAY.saturating_mul(calendar.unit.days().0.saturating_mul(calendar.count)),
        }
    }

    /// How far back its events reach at most; clocks that are set back for a day included.
    pub(crate) fn longest(&self) -> Duration {
        match self {
            Self::Rolling(length) => *length,
            Self::Calendar(calendar) => {
                DAY.saturating_mul(calendar.unit.days().1.saturating_mul(calendar.count).saturating_add(1))
            }
        }
    }

    /// The window in which `now` lies. After the year 2261, where nanoseconds end, a calendar window rolls.
    pub(crate) fn bounds(&self, now: UnixNanos) -> Bounds {
        let rolling = Bounds { from: now.saturating_sub(self.longest()), to: None };
        match self {
            Self::Rolling(_) => rolling,
            Self::Calendar(calendar) => calendar.bounds(now.0).unwrap_or(rolling),
        }
    }
}

impl Calendar {
    fn bounds(&self, now: i64) -> Option<Bounds> {
        let mut number = self.guess(now).saturating_add(2);
        let mut to = self.begin(number)?;
        loop {
            number = number.checked_sub(1)?;
            let from = self.begin(number)?;
            if from <= now {
                return Some(Bounds { from: UnixNanos(from), to: Some(UnixNanos(to)) });
            }
            to = from;
        }
    }

    /// The number of the window in which `now` lies, give or take one.
    fn guess(&self, now: i64) -> i64 {
        let local = self.zone.from_utc_datetime(&DateTime::from_timestamp_nanos(now).naive_utc()).naive_local();
        let count = i64::from(self.count.max(1));
        match self.unit.length() {
            Err(days) => {
                local.date().signed_duration_since(self.start.date()).num_days().div_euclid(days.saturating_mul(count))
            }
            Ok(months) => {
                let month = |date: NaiveDateTime| i64::from(date.year()) * 12 + i64::from(date.month0());
                (month(local) - month(self.start)).div_euclid(months.saturating_mul(count))
            }
        }
    }

    /// When the window of this number begins.
    fn begin(&self, number: i64) -> Option<i64> {
        let count = number.checked_mul(i64::from(self.count.max(1)))?;
        let local = match self.unit.length() {
            Err(days) => self.start.checked_add_signed(TimeDelta::try_days(count.checked_mul(days)?)?)?,
            Ok(months) => {
                let months = count.checked_mul(months)?;
                let length = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
                if months < 0 {
                    self.start.checked_sub_months(length)?
                } else {
                    self.start.checked_add_months(length)?
                }
            }
        };
        self.instant(local)
    }

    /// When the zone's clocks show this: for the first time when they show it twice, and when they leave it out the end of what they leave out.
    fn instant(&self, local: NaiveDateTime) -> Option<i64> {
        let shown = |local: NaiveDateTime| self.zone.from_local_datetime(&local).earliest();
        let minute = || local.with_second(0)?.with_nanosecond(0);
        let after_gap = || {
            let minute = minute()?;
            (1..=GAP_MINUTES_MAX).find_map(|later| shown(minute.checked_add_signed(TimeDelta::try_minutes(later)?)?))
        };
        shown(local).or_else(after_gap)?.timestamp_nanos_opt()
    }
}

#[cfg(test)]
mod tests;
