//! The configuration: one TOML file with a section for each part, `DAYTWO__SECTION__KEY` over it, a few flags over that.
//!
//! Loading never stops at the first mistake: [`load`] returns every problem, each with its key, its value and the rule.

pub(crate) mod alerts;
mod keys;
mod meanings;
mod memory;
mod rules;
mod sections;
mod text;
mod units;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

pub(crate) use sections::Config;
pub(crate) use text::render;
pub(crate) use units::{ByteSize, Span};

/// Prefix of environment variables that set keys.
const ENV_PREFIX: &str = "DAYTWO__";

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The key, as `section.key`; empty when the file as a whole is meant.
    pub(crate) key: String,
    /// The value found, as TOML.
    pub(crate) value: String,
    /// The rule that it breaks, and what to write instead.
    pub(crate) rule: String,
}

impl Problem {
    fn new(key: impl Into<String>, value: impl fmt::Display, rule: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.to_string(), rule: rule.into() }
    }

    fn whole(rule: impl Into<String>) -> Self {
        Self::new("", "", rule)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.value.as_str()) {
            ("", _) => write!(f, "{}", self.rule),
            (key, "") => write!(f, "{key}: {}", self.rule),
            (key, value) => write!(f, "{key} = {value}: {}", self.rule),
        }
    }
}

/// Where values come from, the weakest first.
#[derive(Debug, Default)]
pub(crate) struct Sources<'a> {
    /// The configuration file, if one was named.
    pub(crate) file: Option<&'a Path>,
    /// The process's environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Values of flags, by `(section, key)`.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
    /// Bytes of memory that the process may have, which budgets without a value of their own follow.
    pub(crate) memory: Option<u64>,
}

/// The configuration in force.
///
/// # Errors
/// Everything that is wrong, in file, environment and flags together.
pub(crate) fn load(sources: &Sources<'_>) -> Result<Config, Vec<Problem>> {
    let mut table = match sources.file {
        Some(path) => read(path).map_err(|problem| vec![problem])?,
        None => Table::new(),
    };
    let mut problems = overlay_environment(&mut table, &sources.environment);
    for (section, key, value) in &sources.flags {
        set(&mut table, section, key, Value::String(value.clone()));
    }
    problems.extend(keys::unknown(&table));
    problems.extend(badly_typed(&table));
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut config = Config::deserialize(table.clone()).map_err(|error| vec![Problem::whole(error.message())])?;
    if let Some(memory) = sources.memory {
        memory::fit(&mut config, memory, |section, key| {
            table.get(section).is_some_and(|section| section.get(key).is_some())
        });
    }
    let problems = rules::broken(&config);
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn read(path: &Path) -> Result<Table, Problem> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::whole(format!("cannot read the configuration {}: {error}", path.display())))?;
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        Problem::whole(format!("{} is no TOML at line {line}: {}", path.display(), error.message()))
    })
}

/// Puts `DAYTWO__SECTION__KEY` variables over the table.
fn overlay_environment(table: &mut Table, environment: &[(String, String)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
        let Some((section, key)) = rest.split_once("__") else {
            problems.push(Problem::new(
                name,
                format!("{text:?}"),
                "write DAYTWO__SECTION__KEY, with two underscores each",
            ));
            continue;
        };
        let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
        let value = keys::value_like_default(&section, &key, text);
        set(table, &section, &key, value);
    }
    problems
}

fn set(table: &mut Table, section: &str, key: &str, value: Value) {
    let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Some(section) = entry.as_table_mut() {
        section.insert(key.to_owned(), value);
    }
}

/// Tries each value alone, over the defaults, so that every one of the wrong type is named.
fn badly_typed(table: &Table) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (section, entries) in table {
        let Some(entries) = entries.as_table() else {
            problems.push(Problem::new(
                section,
                entries,
                format!("this is a section; write [{section}] and keys below it"),
            ));
            continue;
        };
        for (key, value) in entries.iter().filter(|(key, _)| keys::default_of(section, key).is_some()) {
            let mut alone = Table::new();
            set(&mut alone, section, key, value.clone());
            if let Err(error) = Config::deserialize(alone) {
                problems.push(Problem::new(format!("{section}.{key}"), value, error.message()));
            }
        }
    }
    problems
}
