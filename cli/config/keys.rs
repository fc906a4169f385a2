//! Which keys exist: unknown ones are named together with the nearest that does.

use std::sync::LazyLock;

use toml::{Table, Value};

use super::{Config, Problem};

/// The defaults as TOML; the keys in it are all keys there are.
pub(super) static DEFAULTS: LazyLock<Table> = LazyLock::new(|| Table::try_from(Config::default()).unwrap_or_default());

/// The default of a key, if there is such a key.
pub(super) fn default_of(section: &str, key: &str) -> Option<&'static Value> {
    DEFAULTS.get(section)?.as_table()?.get(key)
}

/// The text of an environment variable as a value of its key's type.
pub(super) fn value_like_default(section: &str, key: &str, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    match default_of(section, key) {
        None | Some(Value::String(_)) => as_text(),
        Some(Value::Array(_)) if !text.trim_start().starts_with('[') => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        Some(_) => format!("value = {text}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(as_text),
    }
}

/// Sections and keys that do not exist.
pub(super) fn unknown(table: &Table) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (section, entries) in table {
        let Some(known) = DEFAULTS.get(section).and_then(Value::as_table) else {
            problems.push(Problem::new(
                section,
                "",
                format!("there is no such section{}", nearest(section, DEFAULTS.keys())),
            ));
            continue;
        };
        for (key, value) in entries.as_table().into_iter().flatten().filter(|(key, _)| !known.contains_key(*key)) {
            let rule = format!("there is no such key in [{section}]{}", nearest(key, known.keys()));
            problems.push(Problem::new(format!("{section}.{key}"), value, rule));
        }
    }
    problems
}

/// `; did you mean …?`, or nothing when no name is near.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a String>) -> String {
    let near = names.map(|name| (strsim::jaro_winkler(wrong, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, name)) if likeness > 0.7 => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}
