//! `daytwo inspect`: what a data folder holds, as JSON.

use std::collections::BTreeMap;
use std::process::ExitCode;

use daytwo_storage::{DataFile, Snapshot, StoreStatus};
use serde_json::{Value, json};

use super::folder::store_to_read;
use super::{Failure, Outcome, runtime, say};
use crate::FolderArgs;

/// `daytwo inspect …`.
pub(crate) fn inspect(args: FolderArgs) -> Outcome {
    let found = runtime()?.block_on(async {
        let store = store_to_read(&args).await?;
        let found = described(&store.snapshot(), &store.status());
        store.close().await?;
        Ok::<Value, Failure>(found)
    })?;
    say(&format!("{found:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn described(snapshot: &Snapshot, status: &StoreStatus) -> Value {
    let hours = hours(&snapshot.files);
    json!({
        "files": { "count": status.files, "spans": status.file_rows, "bytes": status.file_bytes },
        "hours": hours.iter().map(|(hour, files)| describe_hour(hour, files)).collect::<Vec<Value>>(),
        "log": { "bytes": status.wal_bytes, "last_seq": status.last_seq, "spans_not_in_files": status.buffer_spans },
        "set_aside": snapshot.holes,
    })
}

fn hours(files: &[DataFile]) -> BTreeMap<&str, Vec<&DataFile>> {
    let mut hours: BTreeMap<&str, Vec<&DataFile>> = BTreeMap::new();
    for file in files {
        hours.entry(&file.received_hour).or_default().push(file);
    }
    hours
}

fn describe_hour(hour: &str, files: &[&DataFile]) -> Value {
    let starts = || files.iter().filter_map(|file| file.start_range);
    json!({
        "received_hour": hour,
        "files": files.len(),
        "spans": files.iter().map(|file| file.rows).sum::<u64>(),
        "bytes": files.iter().map(|file| file.size_bytes).sum::<u64>(),
        "first_start_unix_nano": starts().map(|(first, _)| first).min(),
        "last_start_unix_nano": starts().map(|(_, last)| last).max(),
    })
}
