//! The protobuf wire format, read field by field and borrowed from the body.
//!
//! A field begins with its key: number and wire type. Who reads a message asks for the key, and then for the content that belongs to the
//! key; any other key is stepped over, so a known number with another wire type than its own is an unknown field, as it is to the
//! C++ and Go libraries. Never looks past the slice it was given, whatever a length prefix claims.

/// Why bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the message ends inside a field")]
    Truncated,
    #[error("a varint is longer than 64 bits")]
    VarintOverflow,
    #[error("a field number is out of range")]
    FieldNumber,
    #[error("there is no wire type {0}")]
    WireType(u8),
    #[error("field {0} has the wrong wire type")]
    FieldType(u32),
    #[error("a group ends that did not begin, or groups are nested deeper than {GROUPS_MAX}")]
    Group,
}

/// Groups inside each other, as in prost. Proto3 has none any more; those of other senders are stepped over.
const GROUPS_MAX: usize = 100;

/// The key of a varint field.
pub(crate) const fn varint(number: u32) -> u32 {
    number << 3
}

/// The key of a field of eight bytes.
pub(crate) const fn fixed64(number: u32) -> u32 {
    number << 3 | 1
}

/// The key of a field with a length before it: text, bytes or a message.
pub(crate) const fn bytes(number: u32) -> u32 {
    number << 3 | 2
}

/// The key of a field of four bytes.
pub(crate) const fn fixed32(number: u32) -> u32 {
    number << 3 | 5
}

const GROUP_BEGINS: u32 = 3;
const GROUP_ENDS: u32 = 4;

/// Reads the fields of one message.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `message` from its begin.
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The key of the next field; `None` at the end of the message.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Option<u32>, WireError> {
        match self.rest {
            [] => Ok(None),
            [key @ 0x08..=0x7F, rest @ ..] => {
                self.rest = rest;
                Ok(Some(u32::from(*key)))
            }
            _ => self.long_key().map(Some),
        }
    }

    #[cold]
    fn long_key(&mut self) -> Result<u32, WireError> {
        let key = self.varint()?;
        u32::try_from(key).ok().filter(|key| key >> 3 > 0).ok_or(WireError::FieldNumber)
    }

    /// A number of seven bits a byte.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [first @ 0..=0x7F, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut bytes = self.rest.iter();
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let &byte = bytes.next().ok_or(WireError::Truncated)?;
            if shift == 63 && byte > 1 {
                return Err(WireError::VarintOverflow);
            }
            value |= u64::from(byte & 0x7F).wrapping_shl(shift);
            if byte < 0x80 {
                self.rest = bytes.as_slice();
                return Ok(value);
            }
        }
        Err(WireError::VarintOverflow)
    }

    /// Eight bytes, the lowest first.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Four bytes, the lowest first.
    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// A length, and as many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let (length, rest) = match self.rest {
            [length @ 0..=0x7F, rest @ ..] => (usize::from(*length), rest),
            [low, high @ 0..=0x7F, rest @ ..] => (usize::from(*low & 0x7F) | usize::from(*high) << 7, rest),
            _ => {
                let length = usize::try_from(self.long_varint()?).map_err(|_| WireError::Truncated)?;
                (length, self.rest)
            }
        };
        let (head, rest) = rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The content of the next field, if that has this key, of one byte, and fewer than 128 bytes. Nearly all attributes are such fields, one
    /// after another; for any other the answer is `None`, and nothing is read.
    #[inline]
    pub(crate) fn short(&mut self, key: u32) -> Option<&'a [u8]> {
        let [first, length @ 0..=0x7F, rest @ ..] = self.rest else { return None };
        if u32::from(*first) != key {
            return None;
        }
        let (content, rest) = rest.split_at_checked(usize::from(*length))?;
        self.rest = rest;
        Some(content)
    }

    /// Whether the message ends here.
    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Steps over the content that belongs to `key`.
    pub(crate) fn skip(&mut self, key: u32) -> Result<(), WireError> {
        if key & 7 != GROUP_BEGINS {
            return self.skip_field(key);
        }
        let mut open = vec![key >> 3];
        while let Some(number) = open.last().copied() {
            let key = self.key()?.ok_or(WireError::Truncated)?;
            match key & 7 {
                GROUP_BEGINS if open.len() < GROUPS_MAX => open.push(key >> 3),
                GROUP_ENDS if key >> 3 == number => drop(open.pop()),
                GROUP_BEGINS | GROUP_ENDS => return Err(WireError::Group),
                _ => self.skip_field(key)?,
            }
        }
        Ok(())
    }

    /// As [`skip`](Self::skip), in a message of the envelope, whose fields up to `known` all have a length before them. One of those with
    /// another wire type is an error: what is no trace export at all must not pass for an empty one.
    pub(crate) fn skip_in_envelope(&mut self, key: u32, known: u32) -> Result<(), WireError> {
        if key >> 3 <= known && key != bytes(key >> 3) { Err(WireError::FieldType(key >> 3)) } else { self.skip(key) }
    }

    fn skip_field(&mut self, key: u32) -> Result<(), WireError> {
        match key & 7 {
            0 => self.varint().map(drop),
            1 => self.fixed64().map(drop),
            2 => self.bytes().map(drop),
            5 => self.fixed32().map(drop),
            GROUP_ENDS => Err(WireError::Group),
            other => Err(WireError::WireType(u8::try_from(other).unwrap_or(u8::MAX))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader says to the first field.
    fn stepped_over(message: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(message);
        let key = reader.key()?.expect("there is a field");
        reader.skip(key)
    }

    /// Scenario: each way in which a single field can be damaged.
    /// Guarantees: its own error, without reading past the slice.
    #[test]
    fn damaged_fields_are_errors() {
        let check = |bytes: &[u8], expected: WireError| assert_eq!(stepped_over(bytes), Err(expected), "{bytes:?}");
        check(&[0x08], WireError::Truncated);
        check(&[0x80], WireError::Truncated);
        check(&[0x0A], WireError::Truncated);
        check(&[0x0A, 5, 1, 2], WireError::Truncated);
        check(&[0x0A, 0x85, 1, 2], WireError::Truncated);
        check(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], WireError::Truncated);
        check(&[0x09, 1, 2, 3], WireError::Truncated);
        check(&[0x0D, 1, 2, 3], WireError::Truncated);
        check(&[0x00, 1], WireError::FieldNumber);
        check(&[0x02, 1], WireError::FieldNumber);
        check(&[0x80, 0x80, 0x80, 0x80, 0x10, 1], WireError::FieldNumber);
        check(&[0x0E], WireError::WireType(6));
        check(&[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], WireError::VarintOverflow);
        check(&[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], WireError::VarintOverflow);
    }

    /// Scenario: one field of each wire type, lengths of one byte, two and more, and the longest varint.
    /// Guarantees: values come back whole, then the end.
    #[test]
    fn whole_fields_are_read() {
        let message = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1D, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0];
        let mut reader = Reader::new(&message);
        assert_eq!((reader.key(), reader.varint()), (Ok(Some(varint(1))), Ok(150)));
        assert_eq!((reader.key(), reader.bytes()), (Ok(Some(bytes(2))), Ok(&b"hi"[..])));
        assert_eq!((reader.key(), reader.fixed32()), (Ok(Some(fixed32(3))), Ok(1)));
        assert_eq!((reader.key(), reader.fixed64()), (Ok(Some(fixed64(4))), Ok(2)));
        assert_eq!(reader.key(), Ok(None));
        for (length, encoded) in [(0, &[0_u8][..]), (127, &[127]), (128, &[0x80, 1]), (16_383, &[0xFF, 0x7F])] {
            let message = [encoded, &vec![7; length], b"rest"].concat();
            let mut reader = Reader::new(&message);
            assert_eq!((reader.bytes().map(<[u8]>::len), reader.rest), (Ok(length), &b"rest"[..]));
        }
        let message = [&[0x80, 0x80, 1][..], &[7; 16_384]].concat();
        assert_eq!(Reader::new(&message).bytes().map(<[u8]>::len), Ok(16_384));
        assert_eq!(Reader::new(&[0x82, 0x80, 0, 7, 7]).bytes(), Ok(&[7, 7][..]), "longer than it need be");
        let mut short = Reader::new(&[0x4A, 1, 5, 0x4A, 0x81]);
        assert_eq!((short.short(bytes(8)), short.short(bytes(9)), short.short(bytes(9))), (None, Some(&[5][..]), None));
        assert_eq!(short.rest, [0x4A, 0x81], "what is not such a field is left");
        let longest = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        assert_eq!(Reader::new(&longest).varint(), Ok(u64::MAX));
    }

    /// Scenario: groups: empty, with fields and groups inside, as deep as allowed and deeper, not ended, ended as another, ended without
    /// a begin.
    /// Guarantees: whole ones are stepped over, the others are errors.
    #[test]
    fn groups_are_stepped_over() {
        assert_eq!(stepped_over(&[0x0B, 0x0C]), Ok(()));
        assert_eq!(stepped_over(&[0x0B, 0x08, 1, 0x13, 0x12, 1, 0x0C, 0x14, 0x0C]), Ok(()));
        let nested = |depth: usize| [vec![0x0B; depth], vec![0x0C; depth]].concat();
        assert_eq!(stepped_over(&nested(GROUPS_MAX)), Ok(()));
        assert_eq!(stepped_over(&nested(GROUPS_MAX + 1)), Err(WireError::Group));
        assert_eq!(stepped_over(&[0x0B, 0x08, 1]), Err(WireError::Truncated));
        assert_eq!(stepped_over(&[0x0B, 0x14]), Err(WireError::Group));
        assert_eq!(stepped_over(&[0x0C]), Err(WireError::Group));
    }
}
