//! Values of the configuration that carry a unit: `"250ms"`, `"64MiB"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes, written as `"64MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

/// A length of time, written as `"250ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

impl ByteSize {
    /// The size as a length in memory.
    pub(crate) fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Units of size, the largest first; decimal ones are read but never shown.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of time in nanoseconds, the largest first.
const TIMES: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a whole number followed by one of `units`; zero may stand alone.
fn read(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    if text == "0" {
        return Some(0);
    }
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    count.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes `count` in the largest unit that keeps it whole.
fn write(f: &mut fmt::Formatter<'_>, count: u64, units: &[(&str, u64)]) -> fmt::Result {
    if count == 0 {
        return write!(f, "0");
    }
    let fitting = units.iter().find(|(_, factor)| count.is_multiple_of(*factor));
    let (name, factor) = fitting.copied().unwrap_or(("", 1));
    write!(f, "{}{name}", count / factor)
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = read(text, &SIZES);
        bytes
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no size; write a whole number and KiB, MiB or GiB, as in \"64MiB\""))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary: [(&str, u64); 5] = [SIZES[0], SIZES[1], SIZES[2], SIZES[3], SIZES[8]];
        write(f, self.0, &binary)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let nanos = read(text, &TIMES).map(Duration::from_nanos);
        nanos.map(Self).ok_or_else(|| {
            format!("{text:?} is no length of time; write a whole number and ms, s, m, h or d, as in \"250ms\"")
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX), &TIMES)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: sizes with binary and decimal units, without one, negative, fractional and too large.
    /// Guarantees: only whole numbers with a unit are sizes.
    #[test]
    fn sizes_need_a_unit() {
        for (text, bytes) in [
            ("64MiB", Some(64 << 20)),
            ("1 GiB", Some(1 << 30)),
            ("10MB", Some(10_000_000)),
            ("0", Some(0)),
            ("5B", Some(5)),
            ("64", None),
            ("-1MiB", None),
            ("1.5GiB", None),
            ("MiB", None),
            ("99999999TiB", None),
        ] {
            assert_eq!(text.parse::<ByteSize>().ok(), bytes.map(ByteSize), "{text:?}");
        }
    }

    /// Scenario: times in each unit and without one.
    /// Guarantees: what is shown reads back to the same value.
    #[test]
    fn times_round_trip() {
        for (text, millis) in
            [("250ms", 250), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("28d", 2_419_200_000)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span, Span(Duration::from_millis(millis)));
            assert_eq!(span.to_string(), text);
        }
        assert!("10".parse::<Span>().is_err());
        assert_eq!(Span(Duration::ZERO).to_string().parse(), Ok(Span(Duration::ZERO)));
        assert_eq!(ByteSize(0).to_string().parse(), Ok(ByteSize(0)));
        assert_eq!(ByteSize(1536 << 10).to_string(), "1536KiB");
    }
}
