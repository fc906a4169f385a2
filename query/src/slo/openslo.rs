//! OpenSLO v1: the documents of a folder of files, read, checked, joined by their references, and written again.
//!
//! A document with a fault keeps only itself out, and every one of its faults is named with file and line. `source` cuts files into documents, `yaml`
//! and `fields` read one as a tree whose values know their lines, `read` makes it a `document` of its kind, `resolve` follows references, `write` is
//! the way back.

mod document;
mod fields;
mod read;
mod resolve;
mod source;
mod write;
mod yaml;

use std::collections::BTreeMap;

use document::{Document, Kind};
use fields::Faults;
use source::Source;

use super::{Objective, SloFile, SloProblem};

/// Objectives beyond this many are refused.
const OBJECTIVES_MAX: usize = 1_000;
/// Objectives of journeys beyond this many are refused: each holds the usual times of its services, and looks at every trace.
const JOURNEYS_MAX: usize = 100;
/// Notes kept; the rest is one.
const NOTES_MAX: usize = 200;

/// What a set of files says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// What can be measured.
    pub objectives: Vec<Objective>,
    /// What is wrong, by file and line.
    pub problems: Vec<SloProblem>,
    /// What is accepted and has no effect, by file and line.
    pub notes: Vec<SloProblem>,
}

/// Reads files that may refer to one another; what is wrong with one document keeps no other out, unless that one refers to it.
pub fn parse(files: &[SloFile]) -> Parsed {
    let sources: Vec<Source<'_>> = files.iter().flat_map(source::split).collect();
    let mut folder = Folder::default();
    sources.iter().for_each(|source| folder.add(source));
    folder.check_alone();
    let mut parsed = folder.objectives();
    parsed.problems.sort();
    parsed.problems.dedup();
    parsed.notes.sort();
    parsed.notes.dedup();
    if parsed.notes.len() > NOTES_MAX {
        let message = format!("and {} more notes", parsed.notes.len() - NOTES_MAX);
        parsed.notes.truncate(NOTES_MAX);
        parsed.notes.push(SloProblem { file: String::new(), line: None, message });
    }
    parsed
}

/// Writes the documents of a file that have no fault, as OpenSLO YAML that reads back equal; comments and the order of fields are not kept.
pub fn rewrite(file: &SloFile) -> String {
    let read = |source: &Source<'_>| read_one(source).1.ok().map(|document| write::write(&document));
    source::split(file).iter().filter_map(read).collect::<Vec<_>>().join("---\n")
}

/// A document's kind and name if they can be told, and the document or its faults.
type ReadOne = (Option<(Kind, String)>, Result<Document, Vec<(u64, String)>>);

fn read_one(source: &Source<'_>) -> ReadOne {
    let node = match yaml::read(&source.text) {
        Ok(node) => node,
        Err(fault) => return (None, Err(vec![fault])),
    };
    let (head, faults) = (read::head(&node.value), Faults::default());
    match read::document(node, &faults) {
        Some(document) if faults.is_empty() => (head, Ok(document)),
        _ => (head, Err(faults.into_inner())),
    }
}

/// The documents of all files by kind and name.
#[derive(Debug, Default)]
struct Folder<'a> {
    documents: Vec<(&'a Source<'a>, Document)>,
    /// Where a document stands; `None` for one that has a fault.
    named: BTreeMap<(Kind, String), Option<usize>>,
    problems: Vec<SloProblem>,
}

impl<'a> Folder<'a> {
    fn add(&mut self, source: &'a Source<'a>) {
        match read_one(source) {
            (head, Err(faults)) => {
                self.problems.extend(faults.into_iter().map(|fault| source.problem(fault)));
                if let Some(key) = head {
                    self.named.entry(key).or_default();
                }
            }
            (_, Ok(document)) => self.admit(source, document),
        }
    }

    fn admit(&mut self, source: &'a Source<'a>, document: Document) {
        let (kind, name) = (document.body.kind(), &document.metadata.name);
        let known = self.named.entry((kind, name.value.clone())).or_default();
        if let Some((first, _)) = (*known).and_then(|at| self.documents.get(at)) {
            let message =
                format!("a second {} is named {}; the first one, in {}, stays", kind.name(), name.value, first.file);
            self.problems.push(source.problem((name.line, message)));
            return;
        }
        *known = Some(self.documents.len());
        self.documents.push((source, document));
    }
}

#[cfg(test)]
mod tests;
