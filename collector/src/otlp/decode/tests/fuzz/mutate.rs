//! Changes at random, from a seed: of any bytes, of protobuf fields, of JSON tokens.

use super::*;

/// SplitMix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64).max(1)).unwrap()
    }

    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A part of so many things; it may be empty.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let (one, other) = (self.below(length + 1), self.below(length + 1));
        one.min(other)..one.max(other)
    }
}

/// Changes `body` once; `other` is where splices come from.
pub(super) fn mutate(format: PayloadFormat, body: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if body.is_empty() || random.below(3) == 0 {
        return mutate_bytes(body, other, random);
    }
    match format {
        PayloadFormat::Protobuf => *body = mutate_fields(body, other, random, 0),
        PayloadFormat::Json => mutate_tokens(body, other, random),
    }
}

fn mutate_bytes(body: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(body.len());
    match random.below(5) {
        0 if !body.is_empty() => body[at] ^= 1 << random.below(8),
        1 if !body.is_empty() => body[at] = *random.pick(&[0, 1, 0x7F, 0x80, 0xFF, b'"', b'\\']),
        2 => body.truncate(at),
        3 => {
            let (cut, splice) = (random.range(body.len()), random.range(other.len()));
            body.splice(cut, other[splice].iter().copied());
        }
        _ => {
            let part = random.range(body.len());
            let copy = body[part].to_vec();
            body.splice(at..at, copy);
        }
    }
    // Splices would double it again and again.
    body.truncate(64 << 10);
}

/// A field as it stands: its key and length, and its content when it has a length.
pub(super) struct Field<'b> {
    whole: &'b [u8],
    pub(super) key: u64,
    pub(super) content: Option<&'b [u8]>,
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F).checked_shl(7 * shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The fields of a message; none when it is no message.
pub(super) fn fields(message: &[u8]) -> Option<Vec<Field<'_>>> {
    let (mut rest, mut found) = (message, Vec::new());
    while !rest.is_empty() {
        let start = rest;
        let key = varint(&mut rest)?;
        let length = match key & 7 {
            0 => {
                varint(&mut rest)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let content = rest.get(..length)?;
        rest = &rest[length..];
        let whole = &start[..start.len() - rest.len()];
        found.push(Field { whole, key, content: (key & 7 == 2).then_some(content) });
    }
    Some(found)
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7F {
        out.push(u8::try_from(value & 0x7F | 0x80).unwrap());
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

/// Changes a field of a message, or one within it.
fn mutate_fields(message: &[u8], other: &[u8], random: &mut Random, depth: usize) -> Vec<u8> {
    let Some(found) = fields(message).filter(|found| !found.is_empty()) else {
        let mut bytes = message.to_vec();
        mutate_bytes(&mut bytes, other, random);
        return bytes;
    };
    let mut parts: Vec<Vec<u8>> = found.iter().map(|field| field.whole.to_vec()).collect();
    let (at, to) = (random.below(parts.len()), random.below(parts.len()));
    let field = &found[at];
    if let Some(content) = field.content.filter(|_| depth < 12 && random.below(4) > 0) {
        let inner = mutate_fields(content, other, random, depth + 1);
        parts[at] = with_length(field.key, inner.len() as u64, &inner);
        return parts.concat();
    }
    match random.below(7) {
        0 => parts.insert(to, field.whole.to_vec()),
        1 => parts.swap(at, to),
        2 => drop(parts.remove(at)),
        3 => {
            let odd = *random.pick(&[0, 1, 127, 128, 1 << 31, u64::MAX >> 1, u64::MAX]);
            parts[at] = with_length(field.key, odd, field.content.unwrap_or_default());
        }
        4 => {
            let key = field.key ^ *random.pick(&[1, 2, 3, 4, 5, 7, 8, 16, 1 << 20]);
            parts[at] =
                with_length(key, field.content.unwrap_or_default().len() as u64, field.content.unwrap_or_default());
        }
        5 => {
            let foreign = fields(other).unwrap_or_default();
            parts.extend(foreign.get(random.below(foreign.len())).map(|field| field.whole.to_vec()));
        }
        _ => {
            let mut value = Vec::new();
            put_varint(field.key & !7, &mut value);
            put_varint(random.next() >> random.below(64), &mut value);
            parts.insert(to, value);
        }
    }
    parts.concat()
}

fn with_length(key: u64, length: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(key, &mut out);
    put_varint(length, &mut out);
    [out, content.to_vec()].concat()
}

/// What a token may become.
const TOKENS: &[&str] = &[
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "[{}]",
    "\"\"",
    "0",
    "-0",
    "-1",
    "1",
    "1.5",
    "1e3",
    "1e400",
    "-1e-400",
    "0x1",
    "01",
    "\"1\"",
    "\"-1\"",
    "\"1e3\"",
    "18446744073709551615",
    "18446744073709551616",
    "\"9223372036854775807\"",
    "-9223372036854775808",
    "\"NaN\"",
    "\"Infinity\"",
    "\"-Infinity\"",
    "NaN",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0000\"",
    "\"0af7651916cd43dd8448eb211c80319c\"",
    "\"b7ad6b7169203331\"",
    "\"resourceSpans\"",
    "\"scopeSpans\"",
    "\"spans\"",
    "\"traceId\"",
    "\"spanId\"",
    "\"attributes\"",
    "\"value\"",
    "\"stringValue\"",
    "\"kvlistValue\"",
    "\"arrayValue\"",
    "\"values\"",
    "\"bytesValue\"",
    "\"7+8py1==\"",
    "\"SPAN_KIND_SERVER\"",
    "\"kind\"",
    "\"status\"",
    "\"events\"",
    "\"links\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    " ",
    "\u{FEFF}",
];

/// Where tokens begin and end: punctuation, strings, and everything between.
pub(super) fn tokens(text: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let start = at;
        at += 1;
        if text[start] == b'"' {
            while at < text.len() && text[at] != b'"' {
                at += if text[at] == b'\\' { 2 } else { 1 };
            }
            at = (at + 1).min(text.len());
        } else if !b"{}[],: ".contains(&text[start]) {
            while at < text.len() && !b"{}[],: \"".contains(&text[at]) {
                at += 1;
            }
        }
        found.push(start..at);
    }
    found
}

/// The tokens from `first` that make one value.
fn value_from(text: &[u8], found: &[std::ops::Range<usize>], first: usize) -> std::ops::Range<usize> {
    let (mut depth, mut last) = (0_usize, first);
    for (index, token) in found.iter().enumerate().skip(first) {
        last = index;
        match text[token.start] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found[first].start..found[last].end
}

fn mutate_tokens(body: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let (found, foreign) = (tokens(body), tokens(other));
    let (one, another) = (random.below(found.len()), random.below(found.len()));
    let whole = value_from(body, &found, one);
    match random.below(6) {
        0 => drop(body.splice(found[one].clone(), random.pick(TOKENS).bytes())),
        1 => drop(body.splice(whole, random.pick(TOKENS).bytes())),
        2 => {
            let copy = body[whole].to_vec();
            body.splice(value_from(body, &found, another), copy);
        }
        3 if !foreign.is_empty() => {
            let from = value_from(other, &foreign, random.below(foreign.len()));
            body.splice(whole, other[from].iter().copied());
        }
        4 => {
            // A member or element twice, or moved to where another one ends.
            let copy = [b",", &body[whole]].concat();
            let at = found[another].end;
            body.splice(at..at, copy);
        }
        _ => drop(body.splice(whole, [])),
    }
    body.truncate(64 << 10);
}
