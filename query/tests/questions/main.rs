//! Questions put to an engine over a real store: SQL, lookups, searches.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod damage;
mod forms;
mod harness;
mod hdr;
mod hostile;
mod indexes;
mod journeys;
mod late;
mod limits;
mod lookups;
mod remote;
mod searches;
mod slis;
mod tables;
