//! Lengths of time as OpenSLO writes them: `250ms`, `1.5s`, `30m`, `1h`, `28d`, `4w`.

use std::time::Duration;

/// Number and unit of a length.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.find(|letter: char| letter.is_alphabetic())?)?;
    Some((number.trim(), unit))
}

/// Reads a length of a fixed time.
pub(super) fn read(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let number: f64 = number.parse().ok()?;
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: every unit, numbers with a fraction, and what is no length.
    /// Guarantees: the length, or nothing; months have no fixed one.
    #[test]
    fn lengths() {
        let cases = [
            ("250ms", 0.25),
            ("1.5s", 1.5),
            ("30m", 1_800.0),
            ("1h", 3_600.0),
            ("28d", 2_419_200.0),
            (" 4 w ", 2_419_200.0),
        ];
        for (text, seconds) in cases {
            assert_eq!(read(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "5", "d", "forever", "-1d", "1M", "1 d d", "1e400d", "NaNs"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("3µs"), Some(Duration::from_nanos(3_000)));
    }
}
