//! The store as its users see it: opened, filled, killed, opened again.

mod basics;
mod support;
