//! The protobuf wire format, written and read by hand: the suite damages messages in ways that no generated encoder can,
//! and shares no code with any server it judges.

/// One message being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Bytes as they are, well formed or not.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Wire type 0.
    pub(crate) fn varint(mut self, field: u32, value: u64) -> Self {
        push_varint(&mut self.0, u64::from(field) << 3);
        push_varint(&mut self.0, value);
        self
    }

    /// Wire type 0 in more bytes than needed, which the format allows.
    pub(crate) fn long_varint(mut self, field: u32, value: u64) -> Self {
        push_varint(&mut self.0, u64::from(field) << 3);
        for shift in (0..63).step_by(7) {
            self.0.push(low_byte(value >> shift) | 0x80);
        }
        self.0.push(low_byte(value >> 63));
        self
    }

    /// Wire type 1.
    pub(crate) fn fixed64(mut self, field: u32, value: u64) -> Self {
        push_varint(&mut self.0, u64::from(field) << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Wire type 2.
    pub(crate) fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        push_varint(&mut self.0, u64::from(field) << 3 | 2);
        push_varint(&mut self.0, length(bytes));
        self.raw(bytes)
    }

    /// Wire type 2 with a message in it.
    pub(crate) fn message(self, field: u32, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    /// Wire type 5.
    pub(crate) fn fixed32(mut self, field: u32, value: u32) -> Self {
        push_varint(&mut self.0, u64::from(field) << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }
}

fn low_byte(value: u64) -> u8 {
    u8::try_from(value & 0x7F).unwrap_or(0)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7F {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

/// One field of a message that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire types 1 and 5, which no answer uses.
    Fixed,
    /// Wire type 2.
    Bytes(&'a [u8]),
}

/// The fields of a message in order, or why it is none.
pub(crate) fn read(mut rest: &[u8]) -> Result<Vec<(u64, Field<'_>)>, String> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let key = take_varint(&mut rest)?;
        let field = match key & 7 {
            0 => Field::Varint(take_varint(&mut rest)?),
            1 => take(&mut rest, 8).map(|_| Field::Fixed)?,
            2 => {
                let length = usize::try_from(take_varint(&mut rest)?).unwrap_or(usize::MAX);
                Field::Bytes(take(&mut rest, length)?)
            }
            5 => take(&mut rest, 4).map(|_| Field::Fixed)?,
            other => return Err(format!("wire type {other}")),
        };
        fields.push((key >> 3, field));
    }
    Ok(fields)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, left) = rest.split_at_checked(length).ok_or("a message that ends inside a field")?;
    *rest = left;
    Ok(taken)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?.first().copied().unwrap_or(0);
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a varint that does not end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a message with a field of every wire type, numbers short and long, and one that is cut off.
    /// Guarantees: the bytes are those of the published wire format, and reading gives back what was written.
    #[test]
    fn messages_are_written_as_published() {
        let message = Message::new().varint(1, 150).bytes(2, b"testing").fixed32(3, 1).fixed64(4, 2).into_bytes();
        let expected = [0x08, 0x96, 0x01, 0x12, 7, b't', b'e', b's', b't', b'i', b'n', b'g', 0x1D, 1, 0, 0, 0, 0x21];
        assert_eq!(message[..18], expected);
        let fields = [(1, Field::Varint(150)), (2, Field::Bytes(b"testing")), (3, Field::Fixed), (4, Field::Fixed)];
        assert_eq!(read(&message).unwrap(), fields);
        assert!(read(&message[..10]).is_err());
        let long = Message::new().long_varint(1, 5).into_bytes();
        assert_eq!((long.len(), read(&long).unwrap()), (11, vec![(1, Field::Varint(5))]));
    }
}
