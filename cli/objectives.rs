//! The folder of OpenSLO files: read at start, on SIGHUP, and when something in it changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daytwo_query::Correlator;
use daytwo_query::slo::{SloFile, SloProblem, parse};
use tokio::signal::unix::Signal;
use tracing::{info, warn};

/// How often the folder is looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// Files read of the folder; further ones are named as a problem.
const FILES_MAX: usize = 500;

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where objectives come from.
#[derive(Debug, Clone)]
pub(crate) enum Objectives {
    /// There are none.
    None,
    /// Fixed ones, as for the demo.
    Fixed(Vec<SloFile>),
    /// A folder that is watched.
    Folder(PathBuf),
}

/// What was read of the folder, and what is in force.
#[derive(Debug, Default)]
struct Watched {
    /// The texts as they were read last.
    seen: BTreeMap<String, Result<String, String>>,
    /// The last text of each file that had no problem.
    good: BTreeMap<String, String>,
}

impl Objectives {
    /// Puts the objectives in force and keeps them so; never ends.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub(crate) async fn keep(self, correlator: Arc<Correlator>, mut hangup: Signal) {
        match self {
            Self::None => correlator.set_slos(&[]),
            Self::Fixed(files) => correlator.set_slos(&files),
            Self::Folder(folder) => {
                let mut watched = Watched::default();
                let mut ticks = tokio::time::interval(INTERVAL);
                loop {
                    tokio::select! {
                        _ = ticks.tick() => {}
                        _ = hangup.recv() => info!("SIGHUP, reading the objectives again"),
                    }
                    watched.look(&folder, &correlator).await;
                }
            }
        }
        std::future::pending().await
    }
}

impl Watched {
    /// Reads the folder and, if anything changed, puts it in force.
    async fn look(&mut self, folder: &Path, correlator: &Correlator) {
        let folder = folder.to_owned();
        let Ok(read) = tokio::task::spawn_blocking(move || read(&folder)).await else { return };
        if read == self.seen {
            return;
        }
        let (files, problems) = self.take(read);
        info!(files = files.len(), problems = problems.len(), "objectives read");
        for problem in &problems {
            warn!(file = %problem.file, line = problem.line, reason = %problem.message, "an objective's file cannot be used");
        }
        correlator.set_slos_with(&files, problems);
    }

    /// What is put in force: each file as it is, or its last good text while it has a problem.
    fn take(&mut self, read: BTreeMap<String, Result<String, String>>) -> (Vec<SloFile>, Vec<SloProblem>) {
        self.good.retain(|name, _| read.contains_key(name));
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        for (name, text) in &read {
            let file = |text: &str| SloFile { name: name.clone(), text: text.to_owned() };
            let found = match text {
                Ok(text) => parse(&[file(text)]).1,
                Err(reason) => vec![SloProblem { file: name.clone(), line: None, message: reason.clone() }],
            };
            match (text, self.good.get(name)) {
                (Ok(text), _) if found.is_empty() => {
                    self.good.insert(name.clone(), text.clone());
                    files.push(file(text));
                }
                (_, Some(good)) => {
                    files.push(file(good));
                    problems.extend(found.into_iter().map(still_in_force));
                }
                // Never good: what can be read of it counts, and is said again by whoever puts it in force.
                (Ok(text), None) => files.push(file(text)),
                (Err(_), None) => problems.extend(found),
            }
        }
        self.seen = read;
        (files, problems)
    }
}

fn still_in_force(problem: SloProblem) -> SloProblem {
    SloProblem { message: format!("{}; the file's last good state stays in force", problem.message), ..problem }
}

/// The folder's OpenSLO files, each with its text or why it cannot be read.
fn read(folder: &Path) -> BTreeMap<String, Result<String, String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return BTreeMap::from([(folder.display().to_string(), Err(format!("cannot be read: {error}")))]),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    paths.sort();
    let text = |(index, path): (usize, &PathBuf)| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = if index < FILES_MAX {
            file_text(path)
        } else {
            Err(format!("is beyond the {FILES_MAX} files that are read"))
        };
        (name, text)
    };
    paths.iter().enumerate().map(text).collect()
}

fn file_text(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("has {size} bytes, at most {FILE_BYTES_MAX} are read"));
    }
    fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> BTreeMap<String, Result<String, String>> {
        files.iter().map(|(name, text)| ((*name).to_owned(), Ok((*text).to_owned()))).collect()
    }

    /// Scenario: a shop's file is good, then broken, then gone.
    /// Guarantees: while it is broken the good text stays in force and the problem says so; once gone, nothing is left of it.
    #[test]
    fn the_last_good_text_stays() {
        let (name, good) = daytwo_traffic::SLO_FILES[0];
        let mut watched = Watched::default();
        let (files, problems) = watched.take(folder(&[(name, good)]));
        assert_eq!((files.len(), problems.len()), (1, 0));
        let (files, problems) = watched.take(folder(&[(name, "kind: [")]));
        assert_eq!(files[0].text, good);
        assert!(problems[0].message.contains("last good state stays in force"), "{problems:?}");
        let (files, problems) = watched.take(folder(&[]));
        assert_eq!((files.len(), problems.len()), (0, 0));
        assert!(watched.good.is_empty());
    }

    /// Scenario: a folder with two objectives' files, another file, and one that is too large.
    /// Guarantees: only YAML is read, and the large one is named instead of read.
    #[test]
    fn reads_yaml_within_limits() {
        let folder = tempfile::TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.yaml", "a");
        write("b.yml", "b");
        write("notes.txt", "c");
        write("large.yaml", &"x".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() + 1));
        let read = read(folder.path());
        assert_eq!(read.keys().collect::<Vec<_>>(), ["a.yaml", "b.yml", "large.yaml"]);
        assert!(read["large.yaml"].as_ref().is_err_and(|reason| reason.contains("at most")));
    }
}
