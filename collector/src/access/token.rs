//! [`Token`]: what `Authorization: Bearer …` of an export is compared with. Only hashes are kept and compared.

use aws_lc_rs::{constant_time, digest};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::kept::{Reading, SettingFile};
use crate::error::Result;

/// 4 KiB: a quarter of what a request's headers may have.
const TOKEN_BYTES_MAX: usize = 4 << 10;

const SCHEME: &[u8] = b"Bearer ";

/// SHA-256 of a token.
pub(super) struct Token(digest::Digest);

impl Token {
    fn of(text: &[u8]) -> Self {
        Self(digest::digest(&digest::SHA256, text))
    }

    /// Reads a file with one token. White space around it, as at the end of a file, is left out.
    ///
    /// # Errors
    /// The file cannot be read, or holds what no header could; nothing is as bad as too much, for an empty token would let
    /// everybody in.
    pub(super) fn read(file: &SettingFile, reading: &mut Reading<'_>) -> Result<Self> {
        let bytes = reading.bytes(file)?;
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Err(file.unfit("is empty; write a token into it"));
        }
        if text.len() > TOKEN_BYTES_MAX || !text.iter().all(u8::is_ascii_graphic) {
            return Err(file.unfit(format_args!(
                "must hold one token of at most {TOKEN_BYTES_MAX} visible ASCII characters, without white space"
            )));
        }
        Ok(Self::of(text))
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub(super) fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_ref(), other.0.as_ref()).is_ok()
    }
}

/// The token that a request shows: there is one `Authorization`, and its scheme, in any case, is `Bearer`.
pub(super) fn shown(headers: &HeaderMap) -> Option<Token> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| Token::of(token.trim_ascii()))
}
