//! What a power cut takes back: everything that no sync has confirmed.
//!
//! Each write, creation, rename and removal is noted with the way back; a sync of the file or folder crosses its notes
//! out. [`Unsynced::cut`] then goes back, file by file to a random one of the states since its last sync, and over all
//! folders to a random point, as a journal would. Data and names are independent of each other: that is what a
//! missing sync between a write and a rename is caught by.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use crate::fs::{Event, parent};
use crate::testing::Seeded;

#[derive(Debug)]
enum Undo {
    Data { inode: u64, file: File, offset: u64, old: Vec<u8>, old_length: u64 },
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
            Event::SyncedDir(folder) => self.0.retain(|undo| match undo {
                Undo::Data { .. } => true,
                Undo::Created(path) | Undo::Renamed { to: path, .. } | Undo::Removed { path, .. } => {
                    parent(path) != folder
                }
            }),
        }
        Ok(())
    }

    fn note_change(&mut self, file: &File, offset: u64, length: u64) -> io::Result<()> {
        let (file, metadata) = (file.try_clone()?, file.metadata()?);
        let present = metadata.len().saturating_sub(offset).min(length);
        let mut old = vec![0; usize::try_from(present).unwrap_or(0)];
        file.read_exact_at(&mut old, offset)?;
        self.0.push(Undo::Data { inode: metadata.ino(), file, offset, old, old_length: metadata.len() });
        Ok(())
    }

    /// Takes back what a power cut takes back.
    pub(super) fn cut(&mut self, random: &mut Seeded) -> io::Result<()> {
        let entries = self.0.iter().filter(|undo| !matches!(undo, Undo::Data { .. })).count();
        let mut entries_lost = random.below(entries as u64 + 1);
        let mut kept = std::collections::HashSet::new();
        for undo in std::mem::take(&mut self.0).into_iter().rev() {
            match undo {
                Undo::Data { inode, file, offset, old, old_length } => {
                    // Once one change of a file is kept, the earlier ones are.
                    if kept.contains(&inode) || random.percent(40) {
                        kept.insert(inode);
                        continue;
                    }
                    file.write_all_at(&old, offset)?;
                    file.set_len(old_length)?;
                }
                entry if entries_lost > 0 => {
                    entries_lost -= 1;
                    take_back(entry)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn take_back(entry: Undo) -> io::Result<()> {
    match entry {
        Undo::Created(path) if path.is_dir() => std::fs::remove_dir_all(path),
        Undo::Created(path) => std::fs::remove_file(path),
        Undo::Renamed { from, to } => std::fs::rename(to, from),
        Undo::Removed { path, mut file } => {
            // An empty folder that went with its last file comes back with it.
            std::fs::create_dir_all(parent(&path))?;
            let mut copy = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
            io::copy(&mut file, &mut copy).map(|_| ())
        }
        Undo::Data { .. } => Ok(()),
    }
}
