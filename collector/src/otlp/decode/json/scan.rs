//! JSON text as slices: one pass that accepts or refuses the whole document, then [`Value`]s that borrow from it.
//!
//! Nothing here recurses, so nesting of any depth costs one byte per level while the document is checked and
//! nothing after that. Strings may hold bytes that are not UTF-8; they are repaired where they are read.

/// Where and why a document is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub(crate) struct SyntaxError {
    pub(crate) what: &'static str,
    pub(crate) offset: usize,
}

/// The document's one value, without a byte order mark and the space around it.
pub(crate) fn document(body: &[u8]) -> Result<Value<'_>, SyntaxError> {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut cursor = Cursor { rest: text };
    let checked = check_document(&mut cursor);
    checked.map_err(|what| SyntaxError { what, offset: body.len().saturating_sub(cursor.rest.len()) })?;
    Ok(Value { raw: text.trim_ascii() })
}

fn check_document(cursor: &mut Cursor<'_>) -> Result<(), &'static str> {
    let mut open: Vec<u8> = Vec::new();
    loop {
        cursor.skip_space();
        match cursor.peek() {
            Some(b'{') => {
                cursor.bump();
                cursor.skip_space();
                if !cursor.take(b'}') {
                    open.push(b'}');
                    cursor.key()?;
                    continue;
                }
            }
            Some(b'[') => {
                cursor.bump();
                cursor.skip_space();
                if !cursor.take(b']') {
                    open.push(b']');
                    continue;
                }
            }
            _ => cursor.scalar()?,
        }
        if check_after_value(cursor, &mut open)? {
            return Ok(());
        }
    }
}

/// Closes what ends here; true at the end of the document, false where another value must follow.
fn check_after_value(cursor: &mut Cursor<'_>, open: &mut Vec<u8>) -> Result<bool, &'static str> {
    loop {
        cursor.skip_space();
        let Some(&closing) = open.last() else {
            return if cursor.rest.is_empty() { Ok(true) } else { Err("trailing bytes after the document") };
        };
        if cursor.take(b',') {
            if closing == b'}' {
                cursor.skip_space();
                cursor.key()?;
            }
            return Ok(false);
        }
        if !cursor.take(closing) {
            return Err("expected a comma or the end of the container");
        }
        open.pop();
    }
}

#[derive(Debug, Clone)]
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    fn bump(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.bump();
        }
        found
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.bump();
        }
    }

    fn key(&mut self) -> Result<(), &'static str> {
        self.string()?;
        self.skip_space();
        if self.take(b':') { Ok(()) } else { Err("expected a colon") }
    }

    fn scalar(&mut self) -> Result<(), &'static str> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(_) => Err("expected a value"),
            None => Err("the document ends early"),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), &'static str> {
        self.rest = self.rest.strip_prefix(word).ok_or("expected a value")?;
        Ok(())
    }

    fn number(&mut self) -> Result<(), &'static str> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), &'static str> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = self.rest.get(count..).unwrap_or_default();
        if count == 0 { Err("expected a digit") } else { Ok(()) }
    }

    fn string(&mut self) -> Result<(), &'static str> {
        if !self.take(b'"') {
            return Err("expected a string");
        }
        loop {
            let plain = self.rest.iter().take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= 0x20).count();
            self.rest = self.rest.get(plain..).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.bump();
                    return Ok(());
                }
                Some(b'\\') => {
                    self.bump();
                    self.escape()?;
                }
                Some(_) => return Err("a control character in a string"),
                None => return Err("a string does not end"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.bump();
                Ok(())
            }
            Some(b'u') => {
                self.bump();
                let (digits, rest) = self.rest.split_first_chunk::<4>().ok_or("an escape does not end")?;
                self.rest = rest;
                if digits.iter().all(u8::is_ascii_hexdigit) { Ok(()) } else { Err("an escape is not hexadecimal") }
            }
            _ => Err("an unknown escape"),
        }
    }

    /// Steps over one value of a document that was checked.
    fn skip_value(&mut self) -> Value<'a> {
        self.skip_space();
        let before = self.rest;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => self.skip_checked_string(),
                Some(b'{' | b'[') => {
                    depth = depth.saturating_add(1);
                    self.bump();
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.bump();
                }
                Some(b',' | b':' | b' ' | b'\n' | b'\r' | b'\t') => self.bump(),
                Some(_) => {
                    let is_scalar = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                    let length = self.rest.iter().take_while(|byte| is_scalar(byte)).count().max(1);
                    self.rest = self.rest.get(length..).unwrap_or_default();
                }
                None => break,
            }
            if depth == 0 {
                break;
            }
        }
        let length = before.len().saturating_sub(self.rest.len());
        Value { raw: before.get(..length).unwrap_or_default() }
    }

    fn skip_checked_string(&mut self) {
        self.bump();
        loop {
            let plain = self.rest.iter().take_while(|&&byte| byte != b'"' && byte != b'\\').count();
            self.rest = self.rest.get(plain..).unwrap_or_default();
            if self.peek() != Some(b'\\') {
                return self.bump();
            }
            self.rest = self.rest.get(2..).unwrap_or_default();
        }
    }
}

/// One value of a checked document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Value<'a> {
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// Its text.
    pub(crate) fn raw(self) -> &'a [u8] {
        self.raw
    }

    pub(crate) fn is_null(self) -> bool {
        self.raw == b"null"
    }

    /// What stands between the quotes, if it is a string.
    pub(crate) fn quoted(self) -> Option<&'a [u8]> {
        self.raw.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// The entries, if it is an object: key as it stands between its quotes, and value. `null` is an empty object.
    pub(crate) fn entries(self) -> Option<Entries<'a>> {
        self.inside(b'{').map(|rest| Entries { cursor: Cursor { rest } })
    }

    /// The elements, if it is an array. `null` is an empty array.
    pub(crate) fn elements(self) -> Option<Elements<'a>> {
        self.inside(b'[').map(|rest| Elements { cursor: Cursor { rest } })
    }

    fn inside(self, bracket: u8) -> Option<&'a [u8]> {
        match self.raw {
            [first, inside @ .., _] if *first == bracket => Some(inside),
            _ if self.is_null() => Some(&[]),
            _ => None,
        }
    }
}

/// Entries of an object, in order.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.skip_space();
        self.cursor.take(b',');
        self.cursor.skip_space();
        self.cursor.peek()?;
        let key = self.cursor.skip_value().quoted().unwrap_or_default();
        self.cursor.skip_space();
        self.cursor.take(b':');
        Some((key, self.cursor.skip_value()))
    }
}

/// Elements of an array, in order.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.skip_space();
        self.cursor.take(b',');
        self.cursor.skip_space();
        self.cursor.peek()?;
        Some(self.cursor.skip_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: documents that are JSON and documents that are nearly so.
    /// Guarantees: the same answer as an independent parser, for each.
    #[test]
    fn syntax_agrees_with_serde_json() {
        let documents = [
            "{}",
            "[]",
            " [1, 2.5e-3,\t-0] ",
            "{\"a\":{\"b\":[null,true,false]}}",
            "\"\\u00e9\\n\"",
            "-",
            "01",
            "1.",
            ".5",
            "1e",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "[1,]",
            "[1 2]",
            "[",
            "]",
            "{\"a\":[}",
            "nul",
            "\"\\x\"",
            "\"a",
            "\"\\u12g4\"",
            "",
            "{} x",
            "[[[[[]]]]",
            "NaN",
            "'a'",
            "\"\u{1}\"",
            "{\"a\":1 \"b\":2}",
            "tru",
            "+1",
            "[,]",
            "{,}",
        ];
        for text in documents {
            let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(document(text.as_bytes()).is_ok(), expected, "{text}");
        }
    }

    /// Scenario: a document nested a million levels deep, whole and cut short.
    /// Guarantees: it is accepted or refused without recursion.
    #[test]
    fn depth_costs_no_stack() {
        let whole = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(document(whole.as_bytes()).unwrap().elements().unwrap().count(), 1);
        assert!(document(&whole.as_bytes()[1..]).is_err());
    }

    /// Scenario: an object with space, nested containers and brackets inside strings.
    /// Guarantees: iteration gives each entry's own text.
    #[test]
    fn entries_are_slices() {
        let value = document(b"\xEF\xBB\xBF { \"a\" : [1, \"]}\\\"\"] , \"b\":{\"c\": {}} ,\"d\": -1.5e3 }\n").unwrap();
        let entries: Vec<_> = value.entries().unwrap().map(|(key, value)| (key, value.raw())).collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"a", b"[1, \"]}\\\"\"]"), (b"b", b"{\"c\": {}}"), (b"d", b"-1.5e3")];
        assert_eq!(entries, expected);
    }
}
