//! What cannot be read is set aside under `quarantine/`, never deleted: the bytes, and beside them a JSON sidecar
//! that says where they came from and why. The sidecars are also the memory of what is missing from answers: as
//! long as one lies there, every snapshot names it. An operator who has dealt with a loss removes both files.
//!
//! Data files of a table in a store are set aside in that store, bytes of the write-ahead log on the local disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::failpoint::{Point, hit};
use crate::fs::{Fs, parent};
use crate::object::Remote;
use crate::place::Place;
use crate::{Clock, Result};

const FOLDER: &str = "quarantine";
const SIDECAR: &str = ".json";

/// A sidecar: what was set aside, from where, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    /// Path below the data folder.
    pub(crate) source: String,
    /// First byte that was set aside.
    pub(crate) offset: u64,
    /// How many bytes.
    pub(crate) length: u64,
    /// Why, in words.
    pub(crate) reason: String,
    /// When, nanoseconds since the Unix epoch.
    pub(crate) set_aside_unix_nano: i64,
    /// Rows that are missing from answers, if known.
    pub(crate) rows: Option<u64>,
}

impl Sidecar {
    fn parse(bytes: &[u8], path: &str) -> Self {
        serde_json::from_slice(bytes).unwrap_or_else(|error| Self {
            source: path.to_owned(),
            offset: 0,
            length: 0,
            reason: format!("sidecar cannot be read: {error}"),
            set_aside_unix_nano: 0,
            rows: None,
        })
    }

    /// The line that a snapshot shows.
    pub(crate) fn hole(&self) -> String {
        let rows = self.rows.map(|rows| format!(", {rows} rows")).unwrap_or_default();
        format!("{} bytes {}+{}{rows}: {}", self.source, self.offset, self.length, self.reason)
    }
}

/// The folder of things set aside.
#[derive(Debug, Clone)]
pub(crate) struct Quarantine {
    fs: Fs,
    folder: PathBuf,
    remote: Option<Arc<Remote>>,
    read_only: bool,
}

impl Quarantine {
    /// The quarantine of a data folder and of the place of its data files; a read-only one remembers nothing.
    pub(crate) fn new(place: &Place, data_dir: &Path, read_only: bool) -> Self {
        let (fs, remote) = (place.fs().clone(), place.store().map(Arc::clone));
        Self { fs, folder: data_dir.join(FOLDER), remote, read_only }
    }

    /// Everything set aside so far.
    pub(crate) fn sidecars(&self) -> Result<Vec<Sidecar>> {
        let mut names = self.fs.list(&self.folder)?;
        names.sort();
        let sidecars = names.iter().filter(|name| name.ends_with(SIDECAR) && !name.starts_with('.'));
        let local = sidecars.map(|name| {
            let path = self.folder.join(name);
            Ok(Sidecar::parse(&self.fs.read(&path)?, &path.display().to_string()))
        });
        let mut all = local.collect::<Result<Vec<Sidecar>>>()?;
        for (path, _) in self.remote.iter().map(|remote| remote.list(FOLDER)).collect::<Result<Vec<_>>>()?.concat() {
            let bytes = self.remote.as_ref().filter(|_| path.ends_with(SIDECAR)).map(|remote| remote.find(&path));
            all.extend(bytes.transpose()?.flatten().map(|bytes| Sidecar::parse(&bytes, &path)));
        }
        Ok(all)
    }

    /// Copies bytes of a file that stays where it is. Doing it again after a restart changes nothing.
    pub(crate) fn copy(&self, name: &str, bytes: &[u8], sidecar: &Sidecar) -> Result<()> {
        let target = self.folder.join(name);
        if self.read_only || self.fs.size(&sidecar_path(&target))?.is_some() {
            return Ok(());
        }
        self.make_folder()?;
        self.fs.write_durably(&target, bytes)?;
        self.write_sidecar(&target, sidecar)
    }

    /// Keeps bytes of an object that will go, in the store. Doing it again after a restart changes nothing.
    pub(crate) fn copy_to_store(&self, name: &str, bytes: &[u8], sidecar: &Sidecar) -> Result<()> {
        let Some(remote) = self.remote.as_ref().filter(|_| !self.read_only) else {
            return Ok(());
        };
        let note = format!("{FOLDER}/{name}{SIDECAR}");
        if remote.size(&note)?.is_some() {
            return Ok(());
        }
        remote.put(&format!("{FOLDER}/{name}"), bytes.to_vec())?;
        remote.put(&note, serde_json::to_vec_pretty(sidecar).unwrap_or_default())
    }

    /// Names a file that is about to be moved here, so that a crash before the move leaves a named hole.
    pub(crate) fn note(&self, sidecar: &Sidecar) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        if let Some(remote) = &self.remote {
            let note = format!("{FOLDER}/{}{SIDECAR}", flat_name(&sidecar.source));
            return remote.put(&note, serde_json::to_vec_pretty(sidecar).unwrap_or_default());
        }
        self.make_folder()?;
        self.write_sidecar(&self.folder.join(flat_name(&sidecar.source)), sidecar)
    }

    /// Moves the data file at `path` here. The sidecar goes first: a crash between the two leaves a named hole, not a silent one.
    pub(crate) fn take(&self, place: &Place, path: &str, sidecar: &Sidecar) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        if let Some(remote) = &self.remote {
            self.note(sidecar)?;
            hit(Point::QuarantineNoted)?;
            if remote.copy(&sidecar.source, &format!("{FOLDER}/{}", flat_name(&sidecar.source)))? {
                hit(Point::QuarantineMoved)?;
                place.remove(path)?;
            }
            return Ok(());
        }
        let file = &place.dir().join(path);
        self.make_folder()?;
        let target = self.folder.join(flat_name(&sidecar.source));
        self.write_sidecar(&target, sidecar)?;
        hit(Point::QuarantineNoted)?;
        if self.fs.size(file)?.is_some() {
            self.fs.rename(file, &target)?;
            hit(Point::QuarantineMoved)?;
            self.fs.sync_dir(&self.folder)?;
            self.fs.sync_dir(parent(file))?;
        }
        Ok(())
    }

    fn make_folder(&self) -> Result<()> {
        if !self.folder.is_dir() {
            self.fs.create_dir_all(&self.folder)?;
            self.fs.sync_dir(parent(&self.folder))?;
        }
        Ok(())
    }

    fn write_sidecar(&self, target: &Path, sidecar: &Sidecar) -> Result<()> {
        let json = serde_json::to_vec_pretty(sidecar).unwrap_or_default();
        self.fs.write_durably(&sidecar_path(target), &json)
    }
}

fn sidecar_path(target: &Path) -> PathBuf {
    let name = target.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    target.with_file_name(format!("{name}{SIDECAR}"))
}

/// A path as one file name.
fn flat_name(path: &str) -> String {
    path.replace('/', "__")
}

/// A sidecar dated now.
pub(crate) fn sidecar(clock: &dyn Clock, source: String, range: std::ops::Range<u64>, reason: String) -> Sidecar {
    let length = range.end.saturating_sub(range.start);
    Sidecar { source, offset: range.start, length, reason, set_aside_unix_nano: clock.now().0, rows: None }
}
