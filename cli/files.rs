//! Small files that the configuration names: certificates, keys, tokens.

use std::fs;
use std::io;
use std::path::Path;

/// Bytes of such a file.
const BYTES_MAX: u64 = 1 << 20;

/// The content of a file.
///
/// # Errors
/// Why there is none, in a sentence with its path.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > BYTES_MAX {
        return Err(format!("{} has {size} bytes, at most {BYTES_MAX} are read", path.display()));
    }
    fs::read(path).map_err(failed)
}

/// The same for a file that is read again and again: a pipe, which can be read once and may block for ever, is none.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_regular(path: &Path) -> Result<Vec<u8>, String> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(format!("{} is no file", path.display())),
        _ => read(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a file, one that is too large, a folder, one that is not there.
    /// Guarantees: the first is read; for the others the sentence names what is wrong with which.
    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("good"), b"x").unwrap();
        fs::write(path("large"), vec![0; usize::try_from(BYTES_MAX).unwrap() + 1]).unwrap();
        assert_eq!(read_regular(&path("good")), Ok(b"x".to_vec()));
        let wrong = |name: &str| read_regular(&path(name)).unwrap_err();
        assert!(wrong("large").contains("large has 1048577 bytes, at most 1048576"));
        assert!(wrong("").ends_with(" is no file"));
        assert!(wrong("gone").starts_with("cannot read ") && wrong("gone").contains("gone: "));
    }
}
