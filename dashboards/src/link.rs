//! Names in links: what a path or query string gives a meaning to is written as `%` and two digits.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as one segment of a path or one value of a query string.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: names with every kind of character that a path or query string gives a meaning to.
    /// Guarantees: only unreserved characters stay as they are.
    #[test]
    fn names_are_encoded() {
        assert_eq!(encoded("POST /charge?a=b&c#d"), "POST%20%2Fcharge%3Fa%3Db%26c%23d");
        assert_eq!(encoded("v1.2-rc_3~x"), "v1.2-rc_3~x");
        assert_eq!(encoded("\u{e9}"), "%C3%A9");
    }
}
