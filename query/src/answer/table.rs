//! A table for people at a terminal.

use serde_json::Value;

use super::{json, lacks};
use crate::{Result, SqlAnswer};

/// Columns wider than this are cut, with an ellipsis.
const WIDTH_MAX: usize = 120;

/// The whole answer as aligned columns, a line of facts below. Control characters of the data are shown as `\u{…}`, so that
/// a span's name cannot drive the terminal.
///
/// # Errors
/// As [`SqlAnswer::next`].
pub async fn text_table(answer: &mut SqlAnswer) -> Result<String> {
    let mut lines = vec![header(answer)];
    for batch in answer.collect().await? {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| Ok(cell(&json::value(column.as_ref(), row)?)));
            lines.push(cells.collect::<Result<Vec<String>>>()?);
        }
    }
    let mut out = aligned(&lines);
    out.push_str(&facts(answer));
    Ok(out)
}

fn header(answer: &SqlAnswer) -> Vec<String> {
    answer.schema().fields().iter().map(|field| printable(field.name())).collect()
}

fn facts(answer: &SqlAnswer) -> String {
    let rows = answer.row_count();
    let plural = if rows == 1 { "" } else { "s" };
    let mut facts = format!("({rows} row{plural}, {:.1} ms)\n", answer.elapsed_ms());
    for lack in lacks(answer) {
        facts.push_str("not whole: ");
        facts.push_str(&printable(&lack));
        facts.push('\n');
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
    let cut = text.chars().count() > WIDTH_MAX;
    let mut shown = String::new();
    for character in text.chars().take(if cut { WIDTH_MAX.saturating_sub(1) } else { WIDTH_MAX }) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if cut {
        shown.push('…');
    }
    shown
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<String>>().join("  ").trim_end());
        out.push('\n');
        if number == 0 {
            let rules = widths.iter().map(|&width| "-".repeat(width));
            out.push_str(&rules.collect::<Vec<String>>().join("  "));
            out.push('\n');
        }
    }
    out
}
