//! A YAML document as a tree in which every value knows its line, and the way back to text.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and its line, counted from 1; 0 where nobody knows. Two are equal when their values are.
#[derive(Debug, Clone, Default)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: u64,
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Where something begins, which is no part of what it says.
pub(super) type Line = At<()>;

/// A text and its line.
pub(super) type Text = At<String>;

/// Any YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Flag(bool),
    Whole(i64),
    Real(f64),
    Text(String),
    List(Vec<At<Self>>),
    Map(Vec<(Text, At<Self>)>),
}

impl<T> From<Spanned<T>> for At<T> {
    fn from(spanned: Spanned<T>) -> Self {
        Self { line: spanned.referenced.line(), value: spanned.value }
    }
}

impl Node {
    /// The value with no line, for writing.
    pub(super) fn at(self) -> At<Self> {
        At { value: self, line: 0 }
    }

    /// What it is, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Whole(_) | Self::Real(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Flag(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Whole(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        #[expect(clippy::cast_precision_loss, reason = "beyond i64 a YAML number is a real one here")]
        Ok(i64::try_from(value).map_or(Node::Real(value as f64), Node::Whole))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Real(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Node>>()? {
            list.push(item.into());
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Node>>()? {
            map.push((key.into(), value.into()));
        }
        Ok(Node::Map(map))
    }
}

/// Reads one document.
///
/// # Errors
/// The line, where it is known, and the reason.
pub(super) fn read(text: &str) -> Result<At<Node>, (u64, String)> {
    serde_saphyr::from_str::<Spanned<Node>>(text).map(At::from).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let reason = error.without_snippet().to_string();
        (line, reason.lines().next().unwrap_or("is not valid YAML").to_owned())
    })
}

/// Writes one document in block style.
pub(super) fn write(node: &Node) -> String {
    let mut out = String::new();
    match node {
        Node::Map(map) if !map.is_empty() => write_map(map, 0, &mut out),
        Node::List(list) if !list.is_empty() => write_list(list, 0, &mut out),
        other => push_line(&mut out, 0, &scalar(other)),
    }
    out
}

fn push_line(out: &mut String, indent: usize, text: &str) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(text);
    out.push('\n');
}

fn write_map(map: &[(Text, At<Node>)], indent: usize, out: &mut String) {
    for (key, value) in map {
        write_under(&format!("{}:", quoted(&key.value)), &value.value, indent, out);
    }
}

fn write_list(list: &[At<Node>], indent: usize, out: &mut String) {
    list.iter().for_each(|item| write_under("-", &item.value, indent, out));
}

/// A value under its key or dash: on the same line if it is one word, else indented below.
fn write_under(head: &str, value: &Node, indent: usize, out: &mut String) {
    let deeper = indent.saturating_add(2);
    match value {
        Node::Map(map) if !map.is_empty() => {
            push_line(out, indent, head);
            write_map(map, deeper, out);
        }
        Node::List(list) if !list.is_empty() => {
            push_line(out, indent, head);
            write_list(list, deeper, out);
        }
        other => push_line(out, indent, &format!("{head} {}", scalar(other))),
    }
}

fn scalar(node: &Node) -> String {
    match node {
        Node::Null => "null".to_owned(),
        Node::Flag(value) => value.to_string(),
        Node::Whole(value) => value.to_string(),
        Node::Real(value) if value.is_nan() => ".nan".to_owned(),
        Node::Real(value) if value.is_infinite() => if *value > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
        // Debug is the shortest form that reads back as the same number, and always a real one.
        Node::Real(value) => format!("{value:?}"),
        Node::Text(text) => quoted(text),
        Node::List(_) => "[]".to_owned(),
        Node::Map(_) => "{}".to_owned(),
    }
}

/// Words that YAML 1.1 or 1.2 takes for something else than text.
const RESERVED: [&str; 11] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "inf", "nan"];

/// The text as it is where every reader takes it for a text, else in double quotes.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/_-.".contains(letter);
    let begins = text.chars().next().is_some_and(|letter| letter.is_ascii_alphabetic());
    if begins && text.chars().all(plain) && !RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ if letter.is_alphanumeric() => out.push(letter),
            _ => out.push_str(&format!("\\U{:08X}", u32::from(letter))),
        }
    }
    out.push('"');
    out
}
