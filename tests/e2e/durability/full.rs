//! Disks that run full under load and get room again: a file system in memory, and a small one in a file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::load::{Load, Retry};
use super::options;
use crate::harness::{PATIENCE, Server, eventually, get_json, sql};

const SEGMENTS: &str = "[storage]\nflush_interval = \"500ms\"\nwal_segment_bytes = \"4MiB\"\n";

/// A small file system, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, arguments: &[&str]) -> Result<Self, String> {
        let path = folder.join("disk");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount").args(arguments).arg(&path).output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&mounted.stderr).into_owned();
        if mounted.status.success() { Ok(Self(path)) } else { Err(said) }
    }

    fn in_memory(folder: &Path) -> Result<Self, String> {
        Self::mount(folder, &["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
    }

    fn in_a_file(folder: &Path) -> Result<Self, String> {
        let image = folder.join("image");
        fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&image).output().map_err(|error| error.to_string())?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self::mount(folder, &["-o", "loop", image.to_str().unwrap()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// Scenario: another program fills a file system in memory to the last byte under load, three times, and each time frees it again.
/// Guarantees: as [`fill_and_free`].
#[test]
fn a_full_file_system_in_memory_sheds_and_recovers() {
    let folder = TempDir::new().unwrap();
    match SmallDisk::in_memory(folder.path()) {
        Ok(disk) => fill_and_free(&disk, folder.path()),
        Err(reason) => eprintln!("skipped: a tmpfs cannot be mounted here: {reason}"),
    }
}

/// Scenario: the same on a small ext4 in a file.
/// Guarantees: as [`fill_and_free`].
#[test]
fn a_full_ext4_sheds_and_recovers() {
    let folder = TempDir::new().unwrap();
    match SmallDisk::in_a_file(folder.path()) {
        Ok(disk) => fill_and_free(&disk, folder.path()),
        Err(reason) => eprintln!("skipped: a loop device cannot be mounted here: {reason}"),
    }
}

/// Exports are refused with a hint when to come again and the status says why; queries go on; with room again, exports resume by
/// themselves; after a kill and a restart everything acknowledged is there exactly once.
fn fill_and_free(disk: &SmallDisk, ledger_folder: &Path) {
    let options = options(&disk.0, SEGMENTS);
    let load = Load::start(ledger_folder, Retry::UntilAcknowledged);
    let server = Server::start_with(&options);
    load.send_to(&server);
    let ballast = disk.0.join("ballast");
    let mut resumed = Vec::new();
    for _ in 0..3 {
        load.wait_for(50);
        fill(&ballast);
        let before = load.postponed();
        eventually("exports are refused", PATIENCE, || (load.postponed() > before + 5).then_some(()));
        eventually("the status says why", PATIENCE, || {
            let status = get_json(server.at.web, "/api/v1/status").to_string();
            status.contains("disk is full").then_some(())
        });
        assert_ne!(sql(server.at.web, "SELECT count(*) FROM spans")[0][0], "0");
        fs::remove_file(&ballast).unwrap();
        let (freed, acknowledged) = (Instant::now(), load.acknowledged());
        eventually("exports resume", PATIENCE, || (load.acknowledged() > acknowledged).then_some(()));
        resumed.push(freed.elapsed());
    }
    load.check(&server, "full and freed");
    drop(server.kill());
    let server = Server::start_with(&options);
    load.send_to(&server);
    let checked = load.finish(&server, "full, freed and restarted");
    eprintln!("resumed after {resumed:?}: {:#}", checked.to_json());
    assert!(resumed.iter().all(|took| *took < Duration::from_secs(60)));
}

fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [1 << 20, 64 << 10, 4 << 10, 1] {
        let block = vec![0_u8; size];
        while file.write_all(&block).is_ok() {}
    }
    file.sync_all().ok();
}
