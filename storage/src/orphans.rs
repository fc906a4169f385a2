//! Files of ours that no list names, as an open finds them: what a crash cut short goes, what was removed waits for the
//! vacuum, and what may hold the only copy of spans is set aside.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::fs::TEMPORARY_SUFFIX;
use crate::partition::FileName;
use crate::place::Place;
use crate::quarantine::{Quarantine, Sidecar, sidecar};
use crate::vacuum::Dead;
use crate::wal::replay::Replayed;
use crate::{Clock, DataFile, Result, UnixNanos};

/// How long a file in a store is kept that no list names and that is not of this server's making.
const UNKNOWN_KEPT: Duration = Duration::from_secs(86_400);

/// What an open knows when it looks at the files.
pub(crate) struct Finder<'a> {
    pub(crate) place: &'a Place,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) quarantine: &'a Quarantine,
    /// Everything that lies where data files do.
    pub(crate) present: &'a [(String, Option<u64>)],
    /// Files of the log's list.
    pub(crate) listed: &'a [DataFile],
    /// Those of them that are not on disk.
    pub(crate) missing: &'a [DataFile],
    /// What was set aside before.
    pub(crate) aside: &'a [Sidecar],
    /// Files that the log remembers as removed.
    pub(crate) tombstones: &'a HashMap<String, UnixNanos>,
    /// Requests up to this seq are in listed files.
    pub(crate) watermark: u64,
    /// What the write-ahead log holds.
    pub(crate) replayed: &'a Replayed,
}

/// What became of them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// For the vacuum.
    pub(crate) dead: Vec<Dead>,
    /// Removed: a flush or a compaction was cut short.
    pub(crate) removed: u64,
    /// Set aside now.
    pub(crate) holes: Vec<String>,
}

/// What is to become of a file.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Remove,
    Vacuum(UnixNanos),
    SetAside(&'static str),
}

impl Finder<'_> {
    /// Looks at every file below the table's folder.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`] when a folder cannot be listed or a file not be moved.
    pub(crate) fn run(&self) -> Result<Found> {
        let mut found = Found::default();
        let listed: HashSet<&str> = self.listed.iter().map(|file| file.path.as_str()).collect();
        for (path, size) in self.present.iter().filter(|(path, _)| !listed.contains(path.as_str())) {
            self.unlisted(path.clone(), *size, &mut found)?;
        }
        Ok(found)
    }

    fn unlisted(&self, path: String, size: Option<u64>, found: &mut Found) -> Result<()> {
        if path.ends_with(TEMPORARY_SUFFIX) {
            found.removed += 1;
            return self.place.remove(&path);
        }
        let source = Place::source(&path);
        if let Some(aside) = self.aside.iter().find(|aside| aside.source == source) {
            // A crash came between the note and the move.
            return self.quarantine.take(self.place, &path, aside);
        }
        let Some(file_name) = FileName::parse(&path) else {
            return Ok(());
        };
        let size = size.map_or_else(|| self.place.size(&path), |size| Ok(Some(size)))?;
        let size_bytes = size.unwrap_or(0);
        match self.fate(&path, file_name) {
            Fate::Remove => {
                self.place.remove(&path)?;
                found.removed += 1;
            }
            Fate::Vacuum(removed) => {
                found.dead.push(Dead { path, size_bytes, removed, generation: 0, durable: true });
            }
            Fate::SetAside(reason) => {
                tracing::error!(path, reason, "a data file that no list names is set aside");
                let aside = sidecar(self.clock, source, 0..size_bytes, reason.to_owned());
                self.quarantine.take(self.place, &path, &aside)?;
                found.holes.push(aside.hole());
            }
        }
        Ok(())
    }

    fn fate(&self, path: &str, name: FileName) -> Fate {
        if let Some(&removed) = self.tombstones.get(path) {
            return Fate::Vacuum(removed);
        }
        if self.replaces_a_missing_file(path, name) {
            return Fate::SetAside("no list names it, and files that it may have been made of are missing");
        }
        if self.place.is_remote() && name.last_seq > self.watermark && !self.log_holds(name) {
            // Another server's, whose commit it lost: the requests are in that server's write-ahead log.
            tracing::warn!(path, "a data file that no list names is removed in a day, unless a list names it then");
            return Fate::Vacuum(self.clock.now().saturating_add(UNKNOWN_KEPT));
        }
        if name.last_seq > self.watermark && !self.log_holds(name) {
            return Fate::SetAside(
                "no list names it, and the write-ahead log does not hold its requests; was an older copy of the Delta \
                 log put back?",
            );
        }
        if name.last_seq > self.watermark || name.merged {
            return Fate::Remove;
        }
        // Its tombstone has left the log.
        Fate::Vacuum(self.clock.now())
    }

    fn replaces_a_missing_file(&self, path: &str, name: FileName) -> bool {
        let folder = path.split_once('/').map_or("", |(folder, _)| folder);
        self.missing.iter().any(|missing| {
            let part = FileName::parse(&missing.path);
            missing.path.starts_with(folder)
                && part.is_some_and(|part| name.first_seq <= part.first_seq && part.last_seq <= name.last_seq)
        })
    }

    /// Whether every request that the file may hold, beyond the watermark, can be read from the write-ahead log.
    fn log_holds(&self, name: FileName) -> bool {
        let seqs = self.replayed.remembered.iter().map(|one| one.seq);
        let (first, last) = (seqs.clone().min(), seqs.max());
        let needed = name.first_seq.max(self.watermark.saturating_add(1));
        self.replayed.holes.is_empty()
            && first.is_some_and(|first| first <= needed)
            && last.is_some_and(|last| name.last_seq <= last)
    }
}
