//! Cutting a file into its YAML documents.

use crate::slo::{SloFile, SloProblem};

/// A document's text and the number of lines above it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: String,
    offset: u64,
}

impl Source<'_> {
    /// A line of the document (0 where unknown) and a message, as a line of the file.
    pub(super) fn problem(&self, (line, message): (u64, String)) -> SloProblem {
        let line = (line > 0).then(|| line.saturating_add(self.offset));
        SloProblem { file: self.file.to_owned(), line, message }
    }
}

/// The documents of a file; those with nothing in them are none.
pub(super) fn split(file: &SloFile) -> Vec<Source<'_>> {
    let mut found = Vec::new();
    let mut text = String::new();
    let mut offset = 0;
    let whole = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    for (number, line) in (1_u64..).zip(whole.lines()) {
        match between(line) {
            Some(rest) => {
                found.push(Source { file: &file.name, text: std::mem::take(&mut text), offset });
                offset = number.saturating_sub(u64::from(!rest.is_empty()));
                if !rest.is_empty() {
                    text = format!("{rest}\n");
                }
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    found.push(Source { file: &file.name, text, offset });
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    found.retain(|source| !source.text.lines().all(blank));
    found
}

/// What stands behind a line that parts documents: `---`, or `...` which ends one.
fn between(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
    let parts = rest.is_empty() || rest.starts_with([' ', '\t']);
    parts.then(|| rest.trim())
}
