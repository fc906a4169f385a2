//! Trace and span ids: fixed-size, never all zero, hexadecimal when shown.

use std::fmt;

/// Why bytes or text are not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The id has another length than the type's.
    #[error("id has the wrong length")]
    Length,
    /// The id is all zero, which OpenTelemetry defines as invalid.
    #[error("id is all zero")]
    Zero,
    /// The text holds something else than hexadecimal digits.
    #[error("id is not hexadecimal")]
    NotHex,
}

/// 16 bytes that name a trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// 8 bytes that name a span within its trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// Reads the 16 raw bytes of OTLP.
    ///
    /// # Errors
    /// [`IdError::Length`] for another length, [`IdError::Zero`] for sixteen zeros.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        nonzero(bytes).map(Self)
    }

    /// Reads 32 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`IdError::Length`], [`IdError::NotHex`] or [`IdError::Zero`].
    pub fn from_hex(text: &str) -> Result<Self, IdError> {
        from_hex::<16>(text).and_then(|bytes| Self::from_bytes(&bytes))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// Reads the 8 raw bytes of OTLP.
    ///
    /// # Errors
    /// [`IdError::Length`] for another length, [`IdError::Zero`] for eight zeros.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        nonzero(bytes).map(Self)
    }

    /// Reads 16 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`IdError::Length`], [`IdError::NotHex`] or [`IdError::Zero`].
    pub fn from_hex(text: &str) -> Result<Self, IdError> {
        from_hex::<8>(text).and_then(|bytes| Self::from_bytes(&bytes))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

fn nonzero<const N: usize>(bytes: &[u8]) -> Result<[u8; N], IdError> {
    let array: [u8; N] = bytes.try_into().map_err(|_| IdError::Length)?;
    if array == [0; N] { Err(IdError::Zero) } else { Ok(array) }
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return Err(IdError::Length);
    }
    let mut out = [0_u8; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().try_fold(0_u8, |high, &digit| nibble(digit).map(|low| high << 4 | low))?;
    }
    Ok(out)
}

fn nibble(digit: u8) -> Result<u8, IdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(IdError::NotHex),
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: ids of every shape a client may send.
    /// Guarantees: only whole, non-zero, hexadecimal ids exist, and text round-trips.
    #[test]
    fn only_valid_ids_exist() {
        assert_eq!(TraceId::from_bytes(&[0; 16]), Err(IdError::Zero));
        assert_eq!(TraceId::from_bytes(&[1; 15]), Err(IdError::Length));
        assert_eq!(SpanId::from_hex("00000000000000zz"), Err(IdError::NotHex));
        assert_eq!(SpanId::from_hex("0"), Err(IdError::Length));
        let id = TraceId::from_hex("0AF7651916CD43dd8448eb211c80319c").unwrap();
        assert_eq!(id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    }
}
