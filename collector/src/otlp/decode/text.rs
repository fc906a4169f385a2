//! Text as it reaches the columns: valid UTF-8, of bounded length, and JSON where a value has structure.
//!
//! The JSON is lossless: integers are numbers, doubles always carry a fraction or an exponent, bytes are
//! `{"$bytes":"<base64>"}`, doubles outside JSON are `{"$double":"NaN"}`, and a key that begins with `$` gets
//! a second one, so no key of a client is mistaken for ours.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daytwo_storage::batch::AttributeValue;
use daytwo_storage::schema::anomaly;

/// What stands where a value was cut.
pub(super) const TRUNCATED: &str = "…truncated";

/// The bytes as text: cut to `bytes_max` at a character boundary, bad UTF-8 replaced; either leaves a bit in `anomalies`.
#[inline]
pub(super) fn from_utf8<'a>(bytes: &'a [u8], bytes_max: usize, anomalies: &mut i64) -> Cow<'a, str> {
    let bytes = cut_bytes(bytes, bytes_max, anomalies);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            *anomalies |= anomaly::INVALID_UTF8;
            Cow::Owned(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

fn cut_bytes<'a>(bytes: &'a [u8], bytes_max: usize, anomalies: &mut i64) -> &'a [u8] {
    let Some((kept, cut)) = bytes.split_at_checked(bytes_max).filter(|(_, cut)| !cut.is_empty()) else {
        return bytes;
    };
    *anomalies |= anomaly::VALUE_CUT;
    let is_continuation = |byte: &u8| byte & 0xC0 == 0x80;
    if !cut.first().is_some_and(is_continuation) {
        return kept;
    }
    // The cut is inside a character: drop its continuation bytes (at most three) and its first byte.
    let inside = kept.iter().rev().take(3).take_while(|byte| is_continuation(byte)).count().saturating_add(1);
    kept.get(..kept.len().saturating_sub(inside)).unwrap_or_default()
}

/// The text cut to `bytes_max` at a character boundary.
pub(super) fn cut<'a>(text: Cow<'a, str>, bytes_max: usize, anomalies: &mut i64) -> Cow<'a, str> {
    if text.len() <= bytes_max {
        return text;
    }
    *anomalies |= anomaly::VALUE_CUT;
    let end = text.floor_char_boundary(bytes_max);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..end).unwrap_or_default()),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// Standard base64 of the bytes, cut to `bytes_max` bytes first.
pub(super) fn base64<'a>(bytes: &[u8], bytes_max: usize, anomalies: &mut i64) -> Cow<'a, str> {
    let kept = bytes.get(..bytes_max).unwrap_or(bytes);
    if kept.len() < bytes.len() {
        *anomalies |= anomaly::VALUE_CUT;
    }
    Cow::Owned(STANDARD.encode(kept))
}

/// Appends a JSON string with its quotes.
pub(super) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    push_json_escaped(out, text);
    out.push('"');
}

fn push_json_escaped(out: &mut String, text: &str) {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if !text.bytes().any(needs_escape) {
        out.push_str(text);
        return;
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => push_number(out, format_args!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
}

/// Appends a client's key as a JSON string and the colon; one that begins with `$` gets a second `$`.
pub(super) fn push_json_key(out: &mut String, key: &str) {
    out.push('"');
    if key.starts_with('$') {
        out.push('$');
    }
    push_json_escaped(out, key);
    out.push_str("\":");
}

/// Appends formatted text; writing to a `String` cannot fail.
pub(super) fn push_number(out: &mut String, number: std::fmt::Arguments<'_>) {
    out.write_fmt(number).unwrap_or_default();
}

/// Appends a double so that it reads back as the same double and never as an integer.
pub(super) fn push_json_double(out: &mut String, number: f64) {
    if number.is_finite() {
        push_number(out, format_args!("{number:?}"));
    } else if number.is_nan() {
        out.push_str(r#"{"$double":"NaN"}"#);
    } else {
        out.push_str(if number > 0.0 { r#"{"$double":"Infinity"}"# } else { r#"{"$double":"-Infinity"}"# });
    }
}

/// Appends `{"$bytes":"<base64>"}`.
pub(super) fn push_json_bytes(out: &mut String, base64: &str) {
    out.push_str(r#"{"$bytes":""#);
    out.push_str(base64);
    out.push_str("\"}");
}

/// Appends an attribute's value.
pub(super) fn push_json_value(out: &mut String, value: &AttributeValue<'_>) {
    match value {
        AttributeValue::Text(text) => push_json_string(out, text),
        AttributeValue::Integer(number) => push_number(out, format_args!("{number}")),
        AttributeValue::Double(number) => push_json_double(out, *number),
        AttributeValue::Bool(true) => out.push_str("true"),
        AttributeValue::Bool(false) => out.push_str("false"),
        AttributeValue::Bytes(base64) => push_json_bytes(out, base64),
        AttributeValue::Json(json) => out.push_str(json),
        AttributeValue::Empty => out.push_str("null"),
    }
}

/// Lower-case hexadecimal digits of the bytes.
pub(super) fn push_hex(out: &mut String, bytes: &[u8]) {
    bytes.iter().for_each(|byte| push_number(out, format_args!("{byte:02x}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: texts at, below and above the limit, with the limit inside characters of two to four bytes.
    /// Guarantees: the longest whole prefix is kept, and the cut is flagged only where there was one.
    #[test]
    fn cuts_are_at_character_boundaries() {
        let check = |text: &str, max: usize, expected: &str| {
            let (mut raw, mut whole) = (0, 0);
            assert_eq!(from_utf8(text.as_bytes(), max, &mut raw), expected);
            assert_eq!(cut(Cow::Borrowed(text), max, &mut whole), expected);
            let flag = if expected.len() < text.len() { anomaly::VALUE_CUT } else { 0 };
            assert_eq!((raw, whole), (flag, flag));
        };
        check("abc", 3, "abc");
        check("abc", 2, "ab");
        check("aé", 2, "a");
        check("a€b", 3, "a");
        check("a€b", 4, "a€");
        check("😀😀", 7, "😀");
        check("", 0, "");
    }

    /// Scenario: bytes that are not UTF-8.
    /// Guarantees: the good part stays, bad bytes become U+FFFD, flagged.
    #[test]
    fn bad_utf8_is_replaced() {
        let mut anomalies = 0;
        assert_eq!(from_utf8(b"a\xFFb", 10, &mut anomalies), "a\u{FFFD}b");
        assert_eq!(anomalies, anomaly::INVALID_UTF8);
    }

    /// Scenario: every kind of value, and text with quotes, control characters and `$` keys.
    /// Guarantees: an independent JSON reader gets the same values back.
    #[test]
    fn json_is_lossless() {
        let mut out = String::from("[");
        push_json_string(&mut out, "q\"b\\n\n\u{1}é");
        out.push(',');
        push_json_double(&mut out, 1.0);
        out.push(',');
        push_json_double(&mut out, f64::NEG_INFINITY);
        out.push_str(",{");
        push_json_key(&mut out, "$bytes");
        push_json_value(&mut out, &AttributeValue::Bytes("AQI=".into()));
        out.push_str("}]");
        let expected =
            serde_json::json!(["q\"b\\n\n\u{1}é", 1.0, {"$double": "-Infinity"}, {"$$bytes": {"$bytes": "AQI="}}]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), expected);
        assert!(out.contains(",1.0,"));
    }
}
