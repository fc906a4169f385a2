//! The protobuf wire format, read field by field and borrowed from the body.
//!
//! Never allocates and never looks past the slice it was given, whatever a length prefix claims.

/// Why bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The message ends inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint of more than ten bytes or 64 bits.
    #[error("a varint is longer than 64 bits")]
    VarintOverflow,
    /// Field number 0 or past 2^29-1.
    #[error("a field number is out of range")]
    FieldNumber,
    /// Groups (wire types 3 and 4) and the unused wire types 6 and 7.
    #[error("wire type {0} is not used by OTLP")]
    WireType(u8),
    /// A known field with another wire type than its own.
    #[error("field {0} has the wrong wire type")]
    FieldType(u32),
}

/// A field's value, by wire type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// Reads the fields of one message in order.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over a whole message.
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field with its number, or `None` at the end of the message.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::FieldNumber)?;
        if number == 0 || number > 0x1FFF_FFFF {
            return Err(WireError::FieldNumber);
        }
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => Field::Bytes(self.length_delimited()?),
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(WireError::WireType(u8::try_from(other).unwrap_or(u8::MAX))),
        };
        Ok(Some((number, field)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest.split_first() {
            Some((&first, rest)) if first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first))
            }
            Some(_) => self.long_varint(),
            None => Err(WireError::Truncated),
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

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    fn length_delimited(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        let (head, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: each way in which a single field can be damaged.
    /// Guarantees: its own error, without allocation or reading past the slice.
    #[test]
    fn damaged_fields_are_errors() {
        let check =
            |bytes: &[u8], expected: WireError| assert_eq!(Reader::new(bytes).next(), Err(expected), "{bytes:?}");
        check(&[0x08], WireError::Truncated);
        check(&[0x80], WireError::Truncated);
        check(&[0x0A, 5, 1, 2], WireError::Truncated);
        check(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], WireError::Truncated);
        check(&[0x09, 1, 2, 3], WireError::Truncated);
        check(&[0x0D, 1, 2, 3], WireError::Truncated);
        check(&[0x00, 1], WireError::FieldNumber);
        check(&[0x0B], WireError::WireType(3));
        check(&[0x0C], WireError::WireType(4));
        check(&[0x0E], WireError::WireType(6));
        check(&[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], WireError::VarintOverflow);
        check(&[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], WireError::VarintOverflow);
    }

    /// Scenario: one field of each wire type, and the longest varint.
    /// Guarantees: values come back whole, then the end.
    #[test]
    fn whole_fields_are_read() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1D, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.next(), Ok(Some((1, Field::Varint(150)))));
        assert_eq!(reader.next(), Ok(Some((2, Field::Bytes(b"hi")))));
        assert_eq!(reader.next(), Ok(Some((3, Field::Fixed32(1)))));
        assert_eq!(reader.next(), Ok(Some((4, Field::Fixed64(2)))));
        assert_eq!(reader.next(), Ok(None));
        let longest = [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        assert_eq!(Reader::new(&longest).next(), Ok(Some((1, Field::Varint(u64::MAX)))));
    }
}
