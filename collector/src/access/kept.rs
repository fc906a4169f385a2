//! [`Kept`]: what is made of files, and made again when they change.
//!
//! Files are compared by content: a time of change may repeat, and mounted secrets are exchanged by a link to another folder.
//! While a file is being written, or of a pair only one has changed, the old value stays; the next look finds the whole.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_lc_rs::digest;

use crate::error::{CollectorError, Result};

/// Reads a file that the configuration names, whole and within a limit; the error is a sentence with its path.
pub type FileReader = Arc<dyn Fn(&Path) -> Result<Vec<u8>, String> + Send + Sync>;

/// A file that a setting names.
#[derive(Debug, Clone)]
pub(super) struct SettingFile {
    key: &'static str,
    path: PathBuf,
}

impl SettingFile {
    pub(super) fn new(key: &'static str, path: &Path) -> Self {
        Self { key, path: path.to_owned() }
    }

    /// The error of a file whose content is of no use; `reason` goes on after the file's name.
    pub(super) fn unfit(&self, reason: impl fmt::Display) -> CollectorError {
        CollectorError::File { key: self.key, reason: format!("{self} {reason}") }
    }
}

impl fmt::Display for SettingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// Reads files and remembers what was in them.
pub(super) struct Reading<'f> {
    files: &'f FileReader,
    contents: digest::Context,
}

impl Reading<'_> {
    /// The content of a file.
    pub(super) fn bytes(&mut self, file: &SettingFile) -> Result<Vec<u8>> {
        let read = (self.files)(&file.path);
        let bytes = read.map_err(|reason| CollectorError::File { key: file.key, reason })?;
        self.contents.update(&(bytes.len() as u64).to_be_bytes());
        self.contents.update(&bytes);
        Ok(bytes)
    }
}

/// A hash of the contents read, and what was wrong with them.
type Seen = (Vec<u8>, Option<String>);

type Make<T> = dyn Fn(&mut Reading<'_>) -> Result<T> + Send + Sync;

/// Something made of files.
pub(super) struct Kept<T> {
    files: FileReader,
    make: Box<Make<T>>,
    current: RwLock<Arc<T>>,
    seen: Mutex<Seen>,
}

impl<T> Kept<T> {
    /// Makes it for the first time.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(super) fn open(
        files: &FileReader,
        make: impl Fn(&mut Reading<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Self> {
        let (seen, made) = attempt(files, &make);
        let current = RwLock::new(Arc::new(made?));
        Ok(Self { files: Arc::clone(files), make: Box::new(make), current, seen: Mutex::new(seen) })
    }

    /// What is in force.
    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again: `None` while they are as at the last look; else whether what is made of them is in force now.
    pub(super) fn look(&self) -> Option<Result<()>> {
        let (now, made) = attempt(&self.files, &*self.make);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        Some(made.map(|made| *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made)))
    }
}

fn attempt<T>(files: &FileReader, make: &Make<T>) -> (Seen, Result<T>) {
    let mut reading = Reading { files, contents: digest::Context::new(&digest::SHA256) };
    let made = make(&mut reading);
    let wrong = made.as_ref().err().map(ToString::to_string);
    ((reading.contents.finish().as_ref().to_vec(), wrong), made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::testing::TestFiles;

    fn open(files: &TestFiles) -> Result<Kept<usize>> {
        let file = SettingFile::new("collector.number_file", Path::new("number"));
        Kept::open(&files.reader(), move |reading| {
            let text = String::from_utf8_lossy(&reading.bytes(&file)?).into_owned();
            text.parse().map_err(|_| file.unfit("holds no number"))
        })
    }

    /// Scenario: a file is good, as it was, changed, broken, still broken, gone, and good again.
    /// Guarantees: a good change is in force, a bad one is said once with the file and changes nothing.
    #[test]
    fn the_last_good_content_stays() {
        let files = TestFiles::default();
        let error = open(&files).map(drop).unwrap_err().to_string();
        assert_eq!(error, "collector.number_file cannot be used: there is no number");
        files.put("number", b"1");
        let kept = open(&files).unwrap();
        assert_eq!((*kept.get(), kept.look().is_none()), (1, true));
        files.put("number", b"2");
        assert!(kept.look().unwrap().is_ok() && kept.look().is_none());
        assert_eq!(*kept.get(), 2);
        files.put("number", b"two");
        let error = kept.look().unwrap().unwrap_err().to_string();
        assert_eq!(error, "collector.number_file cannot be used: number holds no number");
        assert_eq!((*kept.get(), kept.look().is_none()), (2, true));
        files.remove("number");
        assert!(kept.look().unwrap().is_err() && kept.look().is_none());
        files.put("number", b"3");
        assert!(kept.look().unwrap().is_ok());
        assert_eq!(*kept.get(), 3);
    }
}
