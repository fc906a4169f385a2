//! A disk that fails on demand: the k-th write, sync or rename, a full disk, or a crash after which nothing works.

mod power;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Event, Operation};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// `EIO`; nothing is written.
    Io,
    /// `ENOSPC`; nothing is written.
    NoSpace,
    /// `EIO` after this many bytes of a write.
    ShortWrite(usize),
}

#[derive(Debug)]
struct Fault {
    operation: Operation,
    skip: u64,
    times: u64,
    kind: FaultKind,
}

/// One operation that does not return.
#[derive(Debug)]
struct Hold {
    operation: Operation,
    taken: bool,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    operations: u64,
    crash_at: Option<u64>,
    crashed: bool,
    disk_full: bool,
    free_bytes: Option<u64>,
    used_bytes: u64,
    hold: Option<Hold>,
    /// A file whose next read fails.
    unreadable: Option<PathBuf>,
    /// Kept only where a test wants to cut the power.
    unsynced: Option<power::Unsynced>,
}

/// What a test orders the disk to do. Share it with [`crate::Store::open_with_faults`].
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
    released: Condvar,
}

/// 1 TiB free, unless a test says otherwise.
const SPACIOUS: u64 = 1 << 40;
const NO_SPACE: io::ErrorKind = io::ErrorKind::StorageFull;

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next `times` operations of this kind fail, after `skip` that succeed.
    pub fn fail(&self, operation: Operation, skip: u64, times: u64, kind: FaultKind) {
        self.state().faults.push(Fault { operation, skip, times, kind });
    }

    /// Makes the next read of this file fail, whoever else reads other files meanwhile.
    pub fn fail_read_of(&self, path: &Path) {
        self.state().unreadable = Some(path.to_owned());
    }

    pub(super) fn is_unreadable(&self, path: &Path) -> bool {
        self.state().unreadable.take_if(|unreadable| unreadable == path).is_some()
    }

    /// Forgets all faults that are still to come, and gives room on the disk again.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.disk_full = false;
        state.free_bytes = None;
        state.used_bytes = 0;
    }

    /// Makes every write and creation fail with `ENOSPC` until [`Faults::heal`].
    pub fn fill_disk(&self) {
        self.state().disk_full = true;
    }

    /// Makes the file system say that this much is free, and more with each file that is removed, until
    /// [`Faults::heal`]. Writes still succeed: it is for those who ask before they write.
    pub fn leave_free(&self, bytes: u64) {
        self.state().free_bytes = Some(bytes);
    }

    /// As [`Faults::leave_free`], with this much in use.
    pub fn set_space(&self, used_bytes: u64, free_bytes: u64) {
        let mut state = self.state();
        (state.used_bytes, state.free_bytes) = (used_bytes, Some(free_bytes));
    }

    /// Makes the next operation of this kind wait for [`Faults::let_go`], as on a disk that does not answer.
    pub fn hold(&self, operation: Operation) {
        self.state().hold = Some(Hold { operation, taken: false });
    }

    /// Whether an operation is being held.
    pub fn is_holding(&self) -> bool {
        self.state().hold.as_ref().is_some_and(|hold| hold.taken)
    }

    /// Ends a hold.
    pub fn let_go(&self) {
        self.state().hold = None;
        self.released.notify_all();
    }

    fn wait_while_held(&self, operation: Operation) {
        let mut state = self.state();
        match &mut state.hold {
            Some(hold) if hold.operation == operation && !hold.taken => hold.taken = true,
            _ => return,
        }
        while state.hold.is_some() {
            state = self.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// From the operation of this number on (counted from 1 over all kinds), nothing works: the process is dead
    /// as far as the disk can tell. A write that dies leaves its first half.
    pub fn crash_at(&self, operation: u64) {
        self.state().crash_at = Some(operation);
    }

    /// Keeps note of what is not synced from now on, so that [`Faults::cut_power`] can take it back.
    pub fn watch_syncs(&self) {
        self.state().unsynced = Some(power::Unsynced::default());
    }

    /// Takes back what was written and not synced, or part of it. To be called when nobody uses the folder.
    ///
    /// # Errors
    /// What kept a file from being put back.
    pub fn cut_power(&self, random: &mut crate::testing::Seeded) -> io::Result<()> {
        self.state().unsynced.as_mut().map_or(Ok(()), |unsynced| unsynced.cut(random))
    }

    pub(super) fn note(&self, event: &Event<'_>) -> io::Result<()> {
        let mut state = self.state();
        if let (Event::Removed(path), Some(free)) = (event, &mut state.free_bytes) {
            let removed = std::fs::metadata(path).map_or(0, |removed| removed.len());
            *free = free.saturating_add(removed);
            state.used_bytes = state.used_bytes.saturating_sub(removed);
        }
        state.unsynced.as_mut().map_or(Ok(()), |unsynced| unsynced.note(event))
    }

    /// Whether the crash has happened.
    pub fn is_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What the file system says is free, when a test has a say in it.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let state = self.state();
        if state.disk_full { Some(0) } else { state.free_bytes }
    }

    /// Bytes used and free, as a test says: the machine's own disk must not decide how it ends.
    pub(super) fn space(&self) -> (u64, u64) {
        let state = self.state();
        let free = if state.disk_full { 0 } else { state.free_bytes.unwrap_or(SPACIOUS) };
        (state.used_bytes, free)
    }

    pub(super) fn gate(&self, operation: Operation) -> io::Result<()> {
        self.wait_while_held(operation);
        self.state().count(operation, 0).map_or(Ok(()), |(_, kind)| Err(kind.into()))
    }

    /// When a write is to fail: how many bytes of it arrive, and the error.
    pub(super) fn failing_write(&self, length: usize) -> Option<(usize, io::Error)> {
        self.state().count(Operation::Write, length).map(|(written, kind)| (written, kind.into()))
    }
}

impl State {
    /// Counts an operation; when it fails, says how many bytes arrive and which error follows.
    fn count(&mut self, operation: Operation, length: usize) -> Option<(usize, io::ErrorKind)> {
        if self.crashed {
            return Some((0, io::ErrorKind::BrokenPipe));
        }
        self.operations = self.operations.saturating_add(1);
        if self.crash_at.is_some_and(|at| self.operations >= at) {
            self.crashed = true;
            return Some((length / 2, io::ErrorKind::BrokenPipe));
        }
        if self.disk_full && matches!(operation, Operation::Create | Operation::Write) {
            return Some((0, NO_SPACE));
        }
        let fault = self.faults.iter_mut().find(|fault| fault.operation == operation && fault.times > 0)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        Some(match fault.kind {
            FaultKind::Io => (0, io::ErrorKind::Other),
            FaultKind::NoSpace => (0, NO_SPACE),
            FaultKind::ShortWrite(bytes) => (bytes.min(length), io::ErrorKind::Other),
        })
    }
}
