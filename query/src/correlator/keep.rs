//! What the engine keeps over a restart: declared deployments and flags, budgets, and cells by the hour.
//!
//! Everything else is measured again from the stored spans. A crash loses nothing that these hold; of what was counted since
//! it was written down last, the spans of `rebuild_window` give the rest.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use daytwo_storage::{Document, DocumentFolder, UnixNanos};

use super::Correlator;
use crate::deployment::{Declaration, DeclaredSet};
use crate::error::Result;
use crate::flag::{DeclaredFlags, FlagDeclaration};
use crate::measure::KeptHour;
use crate::slo;

/// Budgets and cells are written down this often.
const EVERY: Duration = Duration::from_secs(300);
/// Ending of an hour of cells.
const CELLS: &str = ".cells";

/// Where budgets and cells are kept, and when they were written down last.
#[derive(Debug)]
pub(super) struct History {
    budgets: Document,
    cells: DocumentFolder,
    saved: UnixNanos,
}

/// Name of an hour's document: it sorts as time does.
fn name_of(start: i64) -> String {
    format!("{}{CELLS}", DateTime::<Utc>::from_timestamp_nanos(start).format("%Y-%m-%dT%H"))
}

impl Correlator {
    /// Takes up the budgets and cells that are kept, and writes them down there from now on. To be called before objectives are set.
    ///
    /// # Errors
    /// When budgets cannot be read, or were written by a later version: going on would overwrite them; when there can be no folder for cells.
    pub fn keep_history_in(&self, budgets: Document, cells: DocumentFolder) -> Result<()> {
        cells.create()?;
        let kept = slo::kept::read(&budgets)?;
        self.take_up(&cells)?;
        self.state().kept = kept;
        let history = History { budgets, cells, saved: self.clock.now() };
        *self.history.lock().unwrap_or_else(PoisonError::into_inner) = Some(history);
        Ok(())
    }

    /// Reads the kept hours, the newest first, while there is room for them. One that is damaged is set aside: of it remains what the stored
    /// spans give.
    fn take_up(&self, cells: &DocumentFolder) -> Result<()> {
        let oldest = name_of(self.clock.now().saturating_sub(self.config.retention).0);
        let mut memory = 0_usize;
        for name in cells.names()?.iter().rev().filter(|name| name.ends_with(CELLS) && **name >= oldest) {
            let document = cells.document(name);
            let Some(bytes) = document.read()? else { continue };
            let taken = self.state().cells.take_kept(&bytes);
            match taken {
                Ok(taken) => memory = memory.saturating_add(taken),
                Err(reason) => {
                    let aside = document.set_aside()?;
                    tracing::error!(name, reason, aside = %aside.display(), "an hour of cells cannot be read and was set aside");
                }
            }
            if memory > self.config.cells_bytes_max {
                tracing::info!(
                    name,
                    limit = self.config.cells_bytes_max,
                    "older cells stay on disk, for there is no room for them"
                );
                break;
            }
        }
        Ok(())
    }

    /// Writes down what is due.
    pub(super) fn save_if_due(&self) {
        let now = self.clock.now();
        let due = match &mut *self.history.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(history) if now.since(history.saved) >= EVERY || now < history.saved => {
                history.saved = now;
                true
            }
            _ => false,
        };
        if due {
            self.save(false);
        }
    }

    /// Writes down budgets and changed hours of cells. Before everything that is stored was counted there is nothing to add to what is written.
    pub(super) fn save(&self, at_the_end: bool) {
        let place = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(history) = &*place else { return };
        let now = self.clock.now();
        let (counters, hours) = {
            let mut state = self.state();
            if state.rebuilds == 0 {
                return;
            }
            (state.counters(), state.cells.take_changed(now, at_the_end))
        };
        let written = slo::kept::write(&counters).and_then(|bytes| Ok(history.budgets.replace(&bytes)?));
        if let Err(error) = written {
            tracing::warn!(%error, "the budgets cannot be written down, trying again in a few minutes");
        }
        self.save_cells(&history.cells, hours);
        if let Err(error) = self.forget_cells(&history.cells, now) {
            tracing::warn!(%error, "old cells cannot be removed, trying again in a few minutes");
        }
    }

    fn save_cells(&self, cells: &DocumentFolder, hours: Vec<KeptHour>) {
        for hour in hours {
            if let Err(error) = cells.document(&name_of(hour.start)).replace(&hour.bytes) {
                tracing::warn!(%error, "an hour of cells cannot be written down, trying again in a few minutes");
                self.state().cells.keep_changed(hour.start);
            }
        }
    }

    /// Removes hours older than cells are kept.
    fn forget_cells(&self, cells: &DocumentFolder, now: UnixNanos) -> Result<()> {
        let oldest = name_of(now.saturating_sub(self.config.retention).0);
        for name in cells.names()?.iter().filter(|name| name.ends_with(CELLS) && **name < oldest) {
            cells.document(name).remove()?;
        }
        Ok(())
    }

    /// Takes up the declared deployments that `document` keeps, and keeps further ones there.
    ///
    /// # Errors
    /// When they cannot be read, or were written by a later version: going on would overwrite them.
    pub fn keep_declared_in(&self, document: Document) -> Result<()> {
        let kept = DeclaredSet::load(&document)?;
        let mut place = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(document);
        self.state().declared = Arc::new(kept);
        Ok(())
    }

    /// Takes a declared deployment: as it is kept, and whether one of the same id was there, whose place it takes. It is on disk, where there
    /// is a place for it, before it is visible. Waits for the disk: not for a thread that must not.
    ///
    /// # Errors
    /// What kept it from being written; nothing has changed then.
    pub fn declare(&self, declaration: Declaration) -> Result<(Declaration, bool)> {
        let place = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Arc::clone(&self.state().declared);
        let (declared, kept, known) = before.with(declaration);
        if let Some(document) = &*place {
            declared.save(document)?;
        }
        self.state().declared = Arc::new(declared);
        Ok((kept, known))
    }

    /// Takes up the declared weights of flags that `document` keeps, and keeps further ones there.
    ///
    /// # Errors
    /// When they cannot be read, or were written by a later version: going on would overwrite them.
    pub fn keep_declared_flags_in(&self, document: Document) -> Result<()> {
        let kept = DeclaredFlags::load(&document)?;
        let mut place = self.declared_flags.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(document);
        self.state().declared_flags = Arc::new(kept);
        Ok(())
    }

    /// Takes declared weights of a flag; whether some of the same id were there, whose place they take. They are on disk, where there
    /// is a place for them, before they count. Waits for the disk: not for a thread that must not.
    ///
    /// # Errors
    /// What kept them from being written; nothing has changed then.
    pub fn declare_flag(&self, declaration: FlagDeclaration) -> Result<bool> {
        let place = self.declared_flags.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Arc::clone(&self.state().declared_flags);
        let (declared, known) = before.with(declaration);
        if let Some(document) = &*place {
            declared.save(document)?;
        }
        self.state().declared_flags = Arc::new(declared);
        Ok(known)
    }
}
