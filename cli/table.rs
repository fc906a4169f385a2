//! A server's JSON answer as aligned columns, for people at a terminal.

use serde_json::Value;

/// Columns wider than this are cut, with an ellipsis.
const WIDTH_MAX: usize = 120;

/// The answer as aligned columns, a line of facts below. Control characters of the data are escaped, so that a span's name cannot
/// drive the terminal.
pub(crate) fn render(answer: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let header: Vec<String> = list(&answer["columns"]).iter().map(|column| cell(&column["name"])).collect();
    let rows = list(&answer["rows"]);
    let mut lines = vec![header];
    lines.extend(rows.iter().map(|row| list(row).iter().map(cell).collect::<Vec<String>>()));
    aligned(&lines) + &facts(answer, rows.len())
}

/// Rows under the names of their columns.
pub(crate) fn rows(columns: &[&str], rows: &[Vec<Value>]) -> String {
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|name| (*name).to_owned()).collect()];
    lines.extend(rows.iter().map(|row| row.iter().map(cell).collect()));
    aligned(&lines)
}

fn facts(answer: &Value, rows: usize) -> String {
    let plural = if rows == 1 { "" } else { "s" };
    let mut facts = format!("({rows} row{plural}, {:.1} ms)\n", answer["elapsed_ms"].as_f64().unwrap_or(0.0));
    if answer["truncated"] == true {
        facts.push_str(&format!("not whole: truncated after {rows} rows\n"));
    }
    for lack in answer["partial"].as_array().into_iter().flatten() {
        facts.push_str(&format!("not whole: {}\n", cell(lack)));
    }
    facts
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == WIDTH_MAX {
            shown.push('…');
            break;
        }
        if character.is_control() { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    shown
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut out = String::new();
    for line in lines.iter().take(1).chain([&rule]).chain(lines.iter().skip(1)) {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<String>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Scenario: an answer with numbers as text, a null, a control sequence, and marks that it is not whole.
    /// Guarantees: columns align, the sequence is escaped, and what is missing is said.
    #[test]
    fn shows_an_answer() {
        let answer = json!({
            "columns": [{"name": "service", "type": "VARCHAR"}, {"name": "n", "type": "BIGINT"}],
            "rows": [["checkout", "12"], ["\u{1b}[2J", null]],
            "truncated": true, "partial": ["a file is missing"], "elapsed_ms": 1.25
        });
        let expected = "service    n\n---------  ----\ncheckout   12\n\\u{1b}[2J  NULL\n(2 rows, 1.2 ms)\n\
                        not whole: truncated after 2 rows\nnot whole: a file is missing\n";
        assert_eq!(render(&answer), expected);
    }
}
