//! The parts of a sidecar: byte ranges with a checksum each, where they come from, and the numbers in its tail.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::fs::Fs;
use crate::object::Sidecars;
use crate::{Result, StorageError};

/// No part is longer: what an open or a lookup allocates at most.
const PART_BYTES_MAX: u32 = 64 << 20;

/// Where a part lies, and the xxh3-64 of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) hash: u64,
}

/// Where the bytes of a sidecar are.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// In a file.
    File(Fs, PathBuf),
    /// In a store, read through a local copy.
    Copy(Arc<Sidecars>, String),
    /// In memory, on their way to being merged.
    Memory(Vec<u8>),
}

impl Source {
    /// How many bytes there are; none when there is no file.
    pub(super) fn size(&self) -> Result<u64> {
        match self {
            Self::File(fs, path) => Ok(fs.size(path)?.unwrap_or(0)),
            Self::Copy(sidecars, name) => sidecars.size(name),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// The bytes of a part.
    ///
    /// # Errors
    /// [`StorageError::Io`]; [`StorageError::Corrupt`] when they are not those that were written.
    pub(super) fn read(&self, extent: Extent) -> Result<Vec<u8>> {
        let bytes = self.bytes(extent.offset, extent.length as usize)?;
        if xxh3_64(&bytes) == extent.hash { Ok(bytes) } else { Err(self.damaged("a part has another checksum")) }
    }

    /// `length` bytes from `offset`, unchecked.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        match self {
            Self::File(fs, path) => {
                let mut bytes = vec![0; length];
                fs.read_exact_at(path, offset, &mut bytes)?;
                Ok(bytes)
            }
            Self::Copy(sidecars, name) => sidecars.read(name, offset, length),
            Self::Memory(all) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = all.get(start..).and_then(|rest| rest.get(..length));
                part.map(<[u8]>::to_vec).ok_or_else(|| self.damaged("it is cut short"))
            }
        }
    }

    /// The error of a sidecar whose bytes are wrong.
    pub(super) fn damaged(&self, reason: &str) -> StorageError {
        let path = match self {
            Self::File(_, path) => path.clone(),
            Self::Copy(_, name) => PathBuf::from(name),
            Self::Memory(_) => PathBuf::from("memory"),
        };
        StorageError::Corrupt { path, reason: reason.to_owned() }
    }
}

/// Where the parts of a new sidecar go, one after another.
#[derive(Debug)]
pub(super) struct Output<W: Write> {
    to: W,
    at: u64,
}

impl<W: Write> Output<W> {
    /// Writes to `to` from its begin.
    pub(super) fn new(to: W) -> Self {
        Self { to, at: 0 }
    }

    /// Writes a part.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<Extent> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= PART_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("a part of a sidecar is too long"))?;
        let extent = Extent { offset: self.at, length, hash: xxh3_64(bytes) };
        self.to.write_all(bytes)?;
        self.at += u64::from(length);
        Ok(extent)
    }

    /// What was written to.
    pub(super) fn into_inner(self) -> W {
        self.to
    }
}

/// Writes numbers and bytes of a part.
#[derive(Debug, Default)]
pub(super) struct PartWriter(pub(super) Vec<u8>);

impl PartWriter {
    /// Seven bits a byte, lowest first.
    pub(super) fn number(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                self.0.push(low & 0x7F);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    /// A number of either sign, small when near zero.
    pub(super) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    /// A length and as many bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A place.
    pub(super) fn extent(&mut self, extent: Extent) {
        self.number(extent.offset);
        self.number(u64::from(extent.length));
        self.0.extend_from_slice(&extent.hash.to_le_bytes());
    }
}

/// Reads what [`PartWriter`] wrote; `None` once something does not fit.
#[derive(Debug, Clone)]
pub(super) struct PartReader<'a>(pub(super) &'a [u8]);

impl<'a> PartReader<'a> {
    /// A number.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number of either sign.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// How many things follow: no more than there are bytes.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    /// Some bytes.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A text.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// A place.
    pub(super) fn extent(&mut self) -> Option<Extent> {
        let offset = self.number()?;
        let length = u32::try_from(self.number()?).ok().filter(|length| *length <= PART_BYTES_MAX)?;
        let (hash, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(Extent { offset, length, hash: u64::from_le_bytes(*hash) })
    }
}
