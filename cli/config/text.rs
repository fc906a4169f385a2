//! The configuration as text: what `config example` and `config print` show.

use std::fmt::Write;

use toml::{Table, Value};

use super::Config;
use super::meanings::KEYS;

const HEAD: &str = "\
# Configuration of daytwo: every key with its default. Give it with --config FILE; without a file these defaults hold.
# DAYTWO__SECTION__KEY in the environment stands over the file: DAYTWO__STORAGE__FLUSH_INTERVAL=10s.
# Sizes carry a unit (KiB, MiB, GiB), and so do times (ms, s, m, h, d).
";

/// `config` as TOML, each key under its explanation.
pub(crate) fn render(config: &Config) -> String {
    let table = Table::try_from(config).unwrap_or_default();
    let mut text = HEAD.to_owned();
    let mut current = "";
    for (section, key, explanation) in KEYS {
        let mut lines = String::new();
        if current != *section {
            lines.push_str(&format!("\n[{section}]\n"));
            current = section;
        }
        for line in explanation.lines() {
            lines.push_str(&format!("# {line}\n"));
        }
        let value = table.get(*section).and_then(|entries| entries.get(key)).unwrap_or(&Value::Boolean(false));
        // Writing to a String cannot fail.
        writeln!(text, "{lines}{key} = {value}").unwrap_or_default();
    }
    text
}
