//! What a power cut takes back: everything that no sync has confirmed, or any part of it.
//!
//! Each write, creation, rename and removal is noted with the way back; a sync of the file or folder crosses its notes
//! out. [`Unsynced::cut`] then goes back. Of a file's bytes, each sector goes to a random one of its states since the last
//! sync, independent of all others, and so does the file's length: a disk reorders as it likes. The names in a folder go back to a
//! random point, as a journal would; folders do so together or each on its own. Data and names are independent of each other:
//! that is what a missing sync between a write and a rename is caught by.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::fs::{Event, parent};
use crate::testing::Seeded;

/// What a disk writes wholly or not at all.
const SECTOR_BYTES: u64 = 512;
/// How likely a change is to have reached the disk.
const KEPT_PERCENT: u64 = 40;

#[derive(Debug)]
enum Undo {
    Data { inode: u64, file: File, offset: u64, old: Vec<u8>, old_length: u64, new_length: u64 },
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf },
    Removed { path: PathBuf, file: File },
}

/// What was done and not synced, in order.
#[derive(Debug, Default)]
pub(super) struct Unsynced(Vec<Undo>);

impl Unsynced {
    /// Notes what is about to be done, or crosses out what a sync has confirmed.
    pub(super) fn note(&mut self, event: &Event<'_>) -> io::Result<()> {
        match *event {
            Event::Change { file, offset, length } => self.note_change(file, offset, length)?,
            Event::Append(file) => self.note_change(file, file.metadata()?.len(), 0)?,
            Event::Created(path) => self.0.push(Undo::Created(path.to_owned())),
            Event::Renamed { from, to } => {
                self.0.push(Undo::Renamed { from: from.to_owned(), to: to.to_owned() });
            }
            Event::Removed(path) if path.is_file() => {
                self.0.push(Undo::Removed { path: path.to_owned(), file: File::open(path)? });
            }
            Event::Removed(_) => {}
            Event::Synced(file) => {
                let synced = file.metadata()?.ino();
                self.0.retain(|undo| !matches!(undo, Undo::Data { inode, .. } if *inode == synced));
            }
            Event::SyncedDir(folder) => self.0.retain(|undo| undo.folder() != Some(folder)),
        }
        Ok(())
    }

    fn note_change(&mut self, file: &File, offset: u64, length: u64) -> io::Result<()> {
        let (file, metadata) = (file.try_clone()?, file.metadata()?);
        let present = metadata.len().saturating_sub(offset).min(length);
        let mut old = vec![0; usize::try_from(present).unwrap_or(0)];
        file.read_exact_at(&mut old, offset)?;
        let old_length = metadata.len();
        let new_length = if length == u64::MAX { offset } else { old_length.max(offset.saturating_add(length)) };
        self.0.push(Undo::Data { inode: metadata.ino(), file, offset, old, old_length, new_length });
        Ok(())
    }

    /// Takes back what a power cut takes back.
    pub(super) fn cut(&mut self, random: &mut Seeded) -> io::Result<()> {
        let mut names = LostNames::choose(&self.0, random);
        let mut kept = HashSet::new();
        for undo in std::mem::take(&mut self.0).into_iter().rev() {
            match undo {
                Undo::Data { inode, file, offset, old, old_length, new_length } => {
                    // Once one change of a sector is kept, the earlier ones of it are.
                    let mut lost = |what: u64| {
                        if kept.contains(&(inode, what)) || random.percent(KEPT_PERCENT) {
                            kept.insert((inode, what));
                            return false;
                        }
                        true
                    };
                    if old_length != new_length && lost(u64::MAX) {
                        file.set_len(old_length)?;
                    }
                    restore(&file, offset, &old, lost)?;
                }
                entry if names.is_lost(&entry) => take_back(entry)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Undo {
    /// The folder whose sync confirms it.
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Data { .. } => None,
            Self::Created(path) | Self::Renamed { to: path, .. } | Self::Removed { path, .. } => Some(parent(path)),
        }
    }
}

/// Puts back the old bytes of the sectors that are lost, as far as the file still reaches.
fn restore(file: &File, offset: u64, old: &[u8], mut lost: impl FnMut(u64) -> bool) -> io::Result<()> {
    let length = file.metadata()?.len();
    let end = length.min(offset.saturating_add(old.len() as u64));
    let mut at = offset;
    while at < end {
        let sector = at / SECTOR_BYTES;
        let next = (sector.saturating_add(1)).saturating_mul(SECTOR_BYTES).min(end);
        if lost(sector) {
            let range = |position: u64| usize::try_from(position.saturating_sub(offset)).unwrap_or(usize::MAX);
            file.write_all_at(old.get(range(at)..range(next)).unwrap_or_default(), at)?;
        }
        at = next;
    }
    Ok(())
}

/// How many of the last changes of names are lost: over all folders, or for each.
struct LostNames {
    over_all: Option<u64>,
    by_folder: HashMap<PathBuf, u64>,
}

impl LostNames {
    fn choose(undos: &[Undo], random: &mut Seeded) -> Self {
        let mut by_folder: HashMap<PathBuf, u64> = HashMap::new();
        let mut folders: Vec<&Path> = undos.iter().filter_map(Undo::folder).collect();
        if random.percent(50) {
            return Self { over_all: Some(random.below(folders.len() as u64 + 1)), by_folder };
        }
        let all = folders.clone();
        folders.sort();
        folders.dedup();
        for folder in folders {
            let changes = all.iter().filter(|other| **other == folder).count() as u64;
            by_folder.insert(folder.to_owned(), random.below(changes + 1));
        }
        Self { over_all: None, by_folder }
    }

    /// To be asked from the last change on.
    fn is_lost(&mut self, undo: &Undo) -> bool {
        let of_folder = undo.folder().and_then(|folder| self.by_folder.get_mut(folder));
        let Some(left) = self.over_all.as_mut().or(of_folder) else {
            return false;
        };
        let lost = *left > 0;
        *left = left.saturating_sub(1);
        lost
    }
}

/// A name whose folder is gone with it needs no way back.
fn take_back(entry: Undo) -> io::Result<()> {
    let outcome = match entry {
        Undo::Created(path) if path.is_dir() => std::fs::remove_dir_all(path),
        Undo::Created(path) => std::fs::remove_file(path),
        Undo::Renamed { from, to } => std::fs::rename(to, from),
        Undo::Removed { path, mut file } => put_back(&path, &mut file),
        Undo::Data { .. } => Ok(()),
    };
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn put_back(path: &Path, file: &mut File) -> io::Result<()> {
    // An empty folder that went with its last file comes back with it.
    std::fs::create_dir_all(parent(path))?;
    let mut copy = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    io::copy(file, &mut copy).map(|_| ())
}
