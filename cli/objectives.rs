//! The folder of OpenSLO files: read at start, on SIGHUP, and when something in it changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daytwo_query::Correlator;
use daytwo_query::slo::{Objective, Parsed, SloFile, SloProblem, parse};
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

/// The folder's OpenSLO files, each with its text or why it cannot be read; or why the folder cannot be read.
type Texts = Result<BTreeMap<String, Result<String, String>>, SloProblem>;

/// What was read of the folder, and what is in force.
#[derive(Debug, Default)]
struct Watched {
    /// The texts as they were read last.
    seen: Option<Texts>,
    /// The objectives of each file when it last had no problem. Objectives and not texts, for what a file refers to in others may go or break too.
    good: BTreeMap<String, Vec<Objective>>,
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
        if self.seen.as_ref() == Some(&read) {
            return;
        }
        let parsed = self.take(read);
        info!(objectives = parsed.objectives.len(), problems = parsed.problems.len(), "objectives read");
        for problem in &parsed.problems {
            warn!(file = %problem.file, line = problem.line, reason = %problem.message, "an objective's file cannot be used");
        }
        for note in &parsed.notes {
            info!(file = %note.file, line = note.line, reason = %note.message, "part of an objective's file has no effect");
        }
        correlator.set_parsed_slos(parsed);
    }

    /// What is put in force: what the files say, but of a file with a problem what it said when it last had none.
    fn take(&mut self, read: Texts) -> Parsed {
        let parsed = match &read {
            Ok(texts) => self.take_texts(texts),
            Err(problem) => {
                let objectives = self.good.values().flatten().cloned().collect();
                Parsed { objectives, problems: vec![still_in_force(problem.clone())], notes: Vec::new() }
            }
        };
        self.seen = Some(read);
        parsed
    }

    fn take_texts(&mut self, texts: &BTreeMap<String, Result<String, String>>) -> Parsed {
        self.good.retain(|name, _| texts.contains_key(name));
        let files = texts.iter().filter_map(|(name, text)| {
            text.as_ref().ok().map(|text| SloFile { name: name.clone(), text: text.clone() })
        });
        let mut parsed = parse(&files.collect::<Vec<_>>());
        let unreadable = texts.iter().filter_map(|(name, text)| {
            text.as_ref().err().map(|reason| SloProblem { file: name.clone(), line: None, message: reason.clone() })
        });
        parsed.problems.extend(unreadable);
        let mut new: BTreeMap<String, Vec<Objective>> = BTreeMap::new();
        for objective in parsed.objectives {
            new.entry(objective.file.clone()).or_default().push(objective);
        }
        parsed.objectives = self.in_force(texts, new, &mut parsed.problems);
        parsed
    }

    /// The objectives of each file: the new ones, or those of its last good state while it has a problem.
    fn in_force(
        &mut self,
        texts: &BTreeMap<String, Result<String, String>>,
        mut new: BTreeMap<String, Vec<Objective>>,
        problems: &mut [SloProblem],
    ) -> Vec<Objective> {
        let (mut sound, mut kept) = (Vec::new(), Vec::new());
        for name in texts.keys() {
            let own = new.remove(name).unwrap_or_default();
            let broken = problems.iter().any(|problem| problem.file == *name);
            match self.good.get(name) {
                Some(good) if broken => {
                    kept.extend(good.iter().cloned());
                    let own = problems.iter_mut().filter(|problem| problem.file == *name);
                    own.for_each(|problem| *problem = still_in_force(problem.clone()));
                }
                // Never good: what can be read of it counts.
                None if broken => sound.extend(own),
                _ => {
                    self.good.insert(name.clone(), own.clone());
                    sound.extend(own);
                }
            }
        }
        // An objective that moved to another file is that file's now.
        for objective in kept {
            if !sound.iter().any(|other: &Objective| other.id == objective.id) {
                sound.push(objective);
            }
        }
        sound
    }
}

fn still_in_force(problem: SloProblem) -> SloProblem {
    SloProblem { message: format!("{}; the file's last good state stays in force", problem.message), ..problem }
}

fn read(folder: &Path) -> Texts {
    let entries = fs::read_dir(folder).map_err(|error| SloProblem {
        file: folder.display().to_string(),
        line: None,
        message: format!("cannot be read: {error}"),
    })?;
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
    Ok(paths.iter().enumerate().map(text).collect())
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

    fn folder(files: &[(&str, &str)]) -> Texts {
        Ok(files.iter().map(|(name, text)| ((*name).to_owned(), Ok((*text).to_owned()))).collect())
    }

    /// Names of the objectives in force, and what each promises.
    fn ids(parsed: &Parsed) -> Vec<(String, f64)> {
        parsed.objectives.iter().map(|objective| (objective.id.clone(), objective.target)).collect()
    }

    /// Scenario: a shop's file is good, then broken, then the folder cannot be read, then the file is gone.
    /// Guarantees: while it is broken or unreadable its good objectives stay in force and the problem says so; once gone, nothing is left of it.
    #[test]
    fn the_last_good_state_stays() {
        let (name, good) = daytwo_traffic::SLO_FILES[0];
        let mut watched = Watched::default();
        let first = watched.take(folder(&[(name, good)]));
        assert!(!first.objectives.is_empty() && first.problems.is_empty(), "{first:?}");
        let missing = SloProblem { file: "slo".to_owned(), line: None, message: "cannot be read: gone".to_owned() };
        for broken in [folder(&[(name, "kind: [")]), Err(missing)] {
            let parsed = watched.take(broken);
            assert_eq!(parsed.objectives, first.objectives);
            assert!(parsed.problems[0].message.contains("last good state stays in force"), "{parsed:?}");
        }
        let last = watched.take(folder(&[]));
        assert_eq!((last.objectives.len(), last.problems.len()), (0, 0));
        assert!(watched.good.is_empty());
    }

    const SLO: &str = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: pay}\nspec:\n  indicatorRef: pay-ok\n  timeWindow: [{duration: 7d}]\n  objectives: [{target: 0.99}]\n  alertPolicies: [{alertPolicyRef: fast}]\n";
    const SLI: &str = "apiVersion: openslo/v1\nkind: SLI\nmetadata: {name: pay-ok}\nspec:\n  ratioMetric:\n    good: {metricSource: {type: daytwo, spec: {signal: availability, service: pay}}}\n    total: {metricSource: {type: daytwo, spec: {service: pay}}}\n";
    const POLICY: &str = "apiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {name: fast}\nspec:\n  conditions:\n    - kind: AlertCondition\n      metadata: {name: fast}\n      spec: {severity: page, condition: {kind: burnrate, threshold: 10, lookbackWindow: 1h, alertAfter: 5m}}\n";

    /// Scenario: an SLO refers to an indicator and a policy of other files; these break, are renamed, and come back, while the SLO itself changes; then it
    /// moves to another file, and what is left of the old one is broken.
    /// Guarantees: the SLO stays in force as it last was good, is named with what it lacks, and takes the new state once all is whole.
    #[test]
    fn what_a_file_refers_to_may_break_alone() {
        let mut watched = Watched::default();
        let other = |target: &str| SLO.replace("name: pay", "name: other").replace("0.99", target);
        let whole = [("a.yaml", SLO), ("b.yaml", SLI), ("c.yaml", POLICY), ("d.yaml", &other("0.5"))];
        let first = watched.take(folder(&whole));
        assert_eq!(first.problems, []);
        assert_eq!(ids(&first), [("pay".to_owned(), 0.99), ("other".to_owned(), 0.5)]);
        let stricter = SLO.replace("0.99", "0.999");
        let breaks = [
            (SLI.replace("signal: availability", "signal: speed"), POLICY.to_owned()),
            (SLI.replace("pay-ok", "pay-fine"), POLICY.to_owned()),
            (SLI.to_owned(), POLICY.replace("burnrate", "weather")),
        ];
        for (sli, policy) in &breaks {
            let parsed = watched.take(folder(&[("a.yaml", &stricter), ("b.yaml", sli), ("c.yaml", policy)]));
            assert_eq!(ids(&parsed), [("pay".to_owned(), 0.99)], "{parsed:?}");
            assert_eq!(parsed.objectives[0], first.objectives[0]);
            let named = parsed.problems.iter().filter(|problem| problem.file == "a.yaml");
            assert!(
                named.clone().count() > 0 && named.into_iter().all(|problem| problem.message.contains("last good"))
            );
        }
        let parsed = watched.take(folder(&[("a.yaml", &stricter), ("b.yaml", SLI), ("c.yaml", POLICY)]));
        assert_eq!((ids(&parsed), parsed.problems.len()), (vec![("pay".to_owned(), 0.999)], 0));
        let moved = stricter.replace("0.999", "0.9999");
        let parsed =
            watched.take(folder(&[("a.yaml", "kind: ["), ("b.yaml", SLI), ("c.yaml", POLICY), ("e.yaml", &moved)]));
        assert_eq!(ids(&parsed), [("pay".to_owned(), 0.9999)], "an objective that moved is not kept beside itself");
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
        let read = read(folder.path()).unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["a.yaml", "b.yml", "large.yaml"]);
        assert!(read["large.yaml"].as_ref().is_err_and(|reason| reason.contains("at most")));
        assert!(
            super::read(&folder.path().join("none")).is_err_and(|problem| problem.message.contains("cannot be read"))
        );
    }
}
