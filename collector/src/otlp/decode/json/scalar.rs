//! Single values as the proto3 JSON mapping writes them, and as senders write them in practice: numbers may be
//! quoted, enums may be named, base64 may be of either alphabet, `null` is the default.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use daytwo_storage::schema::anomaly;

use super::scan::Value;
use crate::otlp::decode::text;

/// A field holds something that its type does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub(crate) struct FieldError(pub(crate) &'static str);

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A string, repaired and cut to `bytes_max`.
pub(super) fn string<'a>(value: Value<'a>, bytes_max: usize, anomalies: &mut i64) -> Result<Cow<'a, str>, FieldError> {
    if value.is_null() {
        return Ok(Cow::Borrowed(""));
    }
    let quoted = value.quoted().ok_or(FieldError("a string"))?;
    Ok(unescaped(quoted, bytes_max, anomalies))
}

/// The text between two quotes, without escapes.
pub(super) fn unescaped<'a>(quoted: &'a [u8], bytes_max: usize, anomalies: &mut i64) -> Cow<'a, str> {
    if !quoted.contains(&b'\\') {
        return text::from_utf8(quoted, bytes_max, anomalies);
    }
    let whole = text::from_utf8(quoted, usize::MAX, anomalies);
    let mut out = String::with_capacity(whole.len());
    let mut rest = whole.as_ref();
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        rest = push_escape(&mut out, escaped, anomalies);
    }
    out.push_str(rest);
    text::cut(Cow::Owned(out), bytes_max, anomalies)
}

/// Appends what the escape after a backslash means; returns what follows it.
fn push_escape<'t>(out: &mut String, escaped: &'t str, anomalies: &mut i64) -> &'t str {
    let mut rest = escaped.chars();
    match rest.next() {
        Some('n') => out.push('\n'),
        Some('t') => out.push('\t'),
        Some('r') => out.push('\r'),
        Some('b') => out.push('\u{8}'),
        Some('f') => out.push('\u{c}'),
        Some('u') => return push_unicode_escape(out, rest.as_str(), anomalies),
        Some(other) => out.push(other),
        None => {}
    }
    rest.as_str()
}

fn push_unicode_escape<'t>(out: &mut String, digits: &'t str, anomalies: &mut i64) -> &'t str {
    let (unit, rest) = code_unit(digits);
    if let Some(low) = rest.strip_prefix("\\u").filter(|_| (0xD800..0xDC00).contains(&unit)) {
        let (second, after) = code_unit(low);
        if let Some(Ok(pair)) = char::decode_utf16([unit, second]).next() {
            out.push(pair);
            return after;
        }
    }
    let character = char::from_u32(u32::from(unit)).unwrap_or_else(|| {
        *anomalies |= anomaly::INVALID_UTF8;
        char::REPLACEMENT_CHARACTER
    });
    out.push(character);
    rest
}

fn code_unit(digits: &str) -> (u16, &str) {
    let (head, rest) = digits.split_at_checked(4).unwrap_or((digits, ""));
    (u16::from_str_radix(head, 16).unwrap_or(0xFFFD), rest)
}

/// The text of a number, quoted or not; `None` for `null`.
fn number_text<'a>(value: Value<'a>, expected: &'static str) -> Result<Option<&'a str>, FieldError> {
    if value.is_null() {
        return Ok(None);
    }
    let raw = value.quoted().unwrap_or(value.raw());
    std::str::from_utf8(raw).ok().filter(|text| !text.is_empty()).map(Some).ok_or(FieldError(expected))
}

/// A whole number in decimal, possibly with a point and an exponent. Exact: a double would round times.
fn whole(text: &str) -> Option<i128> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [before, after].concat();
    let shift = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(after.len()).ok()?)?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    shifted(&digits, shift)?.checked_mul(sign)
}

/// `digits` times ten to the power of `shift`, if that is a whole number.
fn shifted(digits: &str, shift: i64) -> Option<i128> {
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let zeros = i64::try_from(digits.len().checked_sub(significant.len())?).ok()?;
    let power = u32::try_from(shift.checked_add(zeros)?).ok()?;
    significant.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(power)?)
}

fn integer<T: TryFrom<i128> + Default>(value: Value<'_>, expected: &'static str) -> Result<T, FieldError> {
    match number_text(value, expected)? {
        None => Ok(T::default()),
        Some(text) => whole(text).and_then(|number| T::try_from(number).ok()).ok_or(FieldError(expected)),
    }
}

pub(super) fn u64(value: Value<'_>) -> Result<u64, FieldError> {
    integer(value, "an unsigned 64-bit integer")
}

pub(super) fn i64(value: Value<'_>) -> Result<i64, FieldError> {
    integer(value, "a signed 64-bit integer")
}

pub(super) fn u32(value: Value<'_>) -> Result<u32, FieldError> {
    integer(value, "an unsigned 32-bit integer")
}

pub(super) fn f64(value: Value<'_>) -> Result<f64, FieldError> {
    const EXPECTED: FieldError = FieldError("a number");
    match number_text(value, EXPECTED.0)? {
        None => Ok(0.0),
        Some("NaN") => Ok(f64::NAN),
        Some("Infinity") => Ok(f64::INFINITY),
        Some("-Infinity") => Ok(f64::NEG_INFINITY),
        // Rust also reads "inf" and "nan"; JSON does not.
        Some(text) if text.bytes().any(|byte| matches!(byte, b'i' | b'I' | b'a' | b'A')) => Err(EXPECTED),
        Some(text) => text.parse().map_err(|_| EXPECTED),
    }
}

pub(super) fn bool(value: Value<'_>) -> Result<bool, FieldError> {
    match value.quoted().unwrap_or(value.raw()) {
        b"true" => Ok(true),
        b"false" | b"null" => Ok(false),
        _ => Err(FieldError("true or false")),
    }
}

/// An enum as a number or as one of `names`, whose position is their number.
pub(super) fn enumeration(value: Value<'_>, names: &[&str]) -> Result<i32, FieldError> {
    let named = value.quoted().and_then(|name| names.iter().position(|known| known.as_bytes() == name));
    match named.and_then(|position| i32::try_from(position).ok()) {
        Some(number) => Ok(number),
        None => integer(value, "an enum number or one of its names"),
    }
}

/// Base64 of either alphabet, padded or not, as standard base64 of at most `bytes_max` bytes.
pub(super) fn base64<'a>(value: Value<'a>, bytes_max: usize, anomalies: &mut i64) -> Result<Cow<'a, str>, FieldError> {
    const EXPECTED: FieldError = FieldError("base64");
    if value.is_null() {
        return Ok(Cow::Borrowed(""));
    }
    let quoted = value.quoted().ok_or(EXPECTED)?;
    let text = unescaped(quoted, usize::MAX, anomalies).replace('-', "+").replace('_', "/");
    let bytes = LENIENT.decode(text).map_err(|_| EXPECTED)?;
    Ok(text::base64(&bytes, bytes_max, anomalies))
}

#[cfg(test)]
mod tests {
    use super::super::scan::document;
    use super::*;

    fn value(text: &str) -> Value<'_> {
        document(text.as_bytes()).unwrap()
    }

    /// Scenario: integers as numbers, strings, exponents, null, and what is no integer.
    /// Guarantees: exact values to the ends of the range; anything else is an error, never rounded.
    #[test]
    fn integers_are_exact() {
        assert_eq!(u64(value("18446744073709551615")), Ok(u64::MAX));
        assert_eq!(u64(value("\"1700000000000000001\"")), Ok(1_700_000_000_000_000_001));
        assert_eq!(u64(value("1e3")), Ok(1000));
        assert_eq!(u64(value("1.8446744073709551615E+19")), Ok(u64::MAX));
        assert_eq!(u64(value("\"1.700000000000000001e18\"")), Ok(1_700_000_000_000_000_001));
        assert_eq!((u64(value("1500e-2")), u64(value("15.00")), i64(value("-2.5e1"))), (Ok(15), Ok(15), Ok(-25)));
        assert_eq!((u64(value("0e999")), u64(value("0.0e-9"))), (Ok(0), Ok(0)));
        assert_eq!(u64(value("null")), Ok(0));
        assert_eq!(i64(value("\"-9223372036854775808\"")), Ok(i64::MIN));
        assert_eq!(i64(value("-0")), Ok(0));
        for bad in [
            "-1",
            "1.5",
            "18446744073709551616",
            "\"\"",
            "\"x\"",
            "true",
            "[]",
            "1e400",
            "1e-1",
            "15e-2",
            "1e99999999999999999999",
            "\"1e\"",
            "\".\"",
        ] {
            assert!(u64(value(bad)).is_err(), "{bad}");
        }
    }

    /// Scenario: doubles, enums, booleans and base64 in every form a sender uses.
    /// Guarantees: all of them are read; other forms are errors.
    #[test]
    fn lenient_forms_are_read() {
        assert!(f64(value("\"NaN\"")).unwrap().is_nan());
        assert_eq!(f64(value("\"-Infinity\"")), Ok(f64::NEG_INFINITY));
        assert_eq!(f64(value("\"1.5\"")), Ok(1.5));
        assert!(f64(value("\"inf\"")).is_err());
        assert_eq!(enumeration(value("\"B\""), &["A", "B"]), Ok(1));
        assert_eq!(enumeration(value("99"), &["A", "B"]), Ok(99));
        assert!(enumeration(value("\"C\""), &["A", "B"]).is_err());
        assert_eq!(bool(value("true")), Ok(true));
        for text in ["\"+/8=\"", "\"-_8\"", "\"-_8=\""] {
            assert_eq!(base64(value(text), 100, &mut 0), Ok("+/8=".into()), "{text}");
        }
        assert!(base64(value("\"*\""), 100, &mut 0).is_err());
    }

    /// Scenario: escapes, surrogate pairs, lone surrogates and bad UTF-8.
    /// Guarantees: text is right; what is no character becomes U+FFFD and is flagged.
    #[test]
    fn strings_are_unescaped_and_repaired() {
        let check = |raw: &[u8], expected: &str, flags: i64| {
            let mut anomalies = 0;
            assert_eq!(string(document(raw).unwrap(), 100, &mut anomalies).unwrap(), expected);
            assert_eq!(anomalies, flags);
        };
        check(br#""a\"\\\/\b\f\n\r\t\u00e9""#, "a\"\\/\u{8}\u{c}\n\r\t\u{e9}", 0);
        check(br#""\ud83d\ude00!""#, "\u{1F600}!", 0);
        check(br#""\ud83dx""#, "\u{FFFD}x", anomaly::INVALID_UTF8);
        check(br#""\ud83d\u0041""#, "\u{FFFD}A", anomaly::INVALID_UTF8);
        check(br#""\ude00""#, "\u{FFFD}", anomaly::INVALID_UTF8);
        check(b"\"a\xFFb\"", "a\u{FFFD}b", anomaly::INVALID_UTF8);
        check(br#""\u0000""#, "\0", 0);
    }
}
