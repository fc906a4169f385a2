//! The store as its users see it: opened, filled, killed, opened again.

mod basics;
mod compaction;
mod crash;
mod damage;
mod disk;
mod files;
mod indexes;
mod object;
mod peers;
mod repeats;
mod retention;
mod support;
