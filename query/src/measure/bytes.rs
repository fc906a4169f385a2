//! Numbers and texts as bytes, for what is kept on disk. Reading gives `None` at the first thing that cannot be.

/// Longest text that is read.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Writes a number, seven bits a byte, the lowest first.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

/// Writes a text after its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads a number.
pub(crate) fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Reads a text.
pub(crate) fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = number(bytes).filter(|length| *length <= TEXT_BYTES_MAX)?;
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: numbers of every length, a text, and all their beginnings.
    /// Guarantees: they are read back; what is cut off, or longer than a number can be, is `None`.
    #[test]
    fn numbers_and_texts_are_read_back() {
        let mut out = Vec::new();
        let numbers: Vec<u64> = (0..64).map(|shift| (1_u64 << shift) - 1).chain([u64::MAX]).collect();
        numbers.iter().for_each(|number| put_number(&mut out, *number));
        put_text(&mut out, "GET /ä");
        let mut bytes = out.as_slice();
        assert!(numbers.iter().all(|expected| number(&mut bytes) == Some(*expected)));
        assert_eq!((text(&mut bytes), bytes), (Some("GET /ä"), &[][..]));
        let mut cut = &[0x85_u8, 0x80][..];
        assert_eq!(number(&mut cut), None);
        assert_eq!(number(&mut &[0xff_u8; 11][..]), None);
        assert_eq!(text(&mut &[5_u8, b'a'][..]), None);
        assert_eq!(text(&mut &[1_u8, 0xff][..]), None);
    }
}
