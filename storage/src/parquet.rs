//! Data files: plain flat Parquet that any engine reads.

pub(crate) mod end;
pub(crate) mod output;
pub(crate) mod properties;
pub(crate) mod writer;
