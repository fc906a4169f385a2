//! `daytwo verify` and `daytwo repair`: whether a data folder still holds what was written, and setting aside what does not.

use std::process::ExitCode;

use daytwo_storage::Verified;
use serde_json::{Value, json};

use super::folder::{store_to_mend, store_to_read};
use super::{Failure, Outcome, runtime, say};
use crate::FolderArgs;

/// `daytwo verify …`: exit code 0 when everything is as written, 1 when not.
pub(crate) fn verify(args: FolderArgs) -> Outcome {
    let (verified, holes) = runtime()?.block_on(async {
        let store = store_to_read(&args).await?;
        let verified = store.verify().await?;
        let holes = store.snapshot().holes;
        store.close().await?;
        Ok::<(Verified, Vec<String>), Failure>((verified, holes))
    })?;
    let mut report = describe(&verified);
    report["set_aside"] = json!(holes);
    say(&format!("{report:#}\n"))?;
    let whole = verified.damaged.is_empty() && verified.unread.is_empty() && holes.is_empty();
    Ok(ExitCode::from(u8::from(!whole)))
}

/// `daytwo repair …`: opening finishes what a crash left (torn log, files of no commit); damaged files are set aside.
pub(crate) fn repair(args: FolderArgs) -> Outcome {
    let report = runtime()?.block_on(async {
        let store = store_to_mend(&args).await?;
        let verified = store.verify().await?;
        for (path, reason) in &verified.damaged {
            store.report_damaged(path, reason).await?;
        }
        let holes = store.snapshot().holes;
        store.close().await?;
        let mut report = describe(&verified);
        report["set_aside"] = json!(holes);
        Ok::<Value, Failure>(report)
    })?;
    say(&format!("{report:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(verified: &Verified) -> Value {
    let named = |files: &[(String, String)]| -> Vec<Value> {
        files.iter().map(|(path, reason)| json!({ "path": path, "reason": reason })).collect()
    };
    json!({
        "files": verified.files,
        "bytes": verified.bytes,
        "damaged": named(&verified.damaged),
        "unread": named(&verified.unread),
    })
}
