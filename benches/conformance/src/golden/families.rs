//! The families of golden inputs: what each is about, and how one is made.

use super::random::Generator;
use crate::model::stored::FUTURE;
use crate::model::{Broken, Damage, Request, Resource, Scope, Span, Value, json, protobuf};
use crate::report::Level;
use crate::transport::Transport;

/// Encodings in which a family makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encodings {
    Both,
    Protobuf,
    Json,
}

impl Encodings {
    pub(super) fn has(self, transport: Transport) -> bool {
        match self {
            Self::Both => true,
            Self::Protobuf => transport != Transport::HttpJson,
            Self::Json => transport == Transport::HttpJson,
        }
    }
}

/// Inputs of one kind.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) item: &'static str,
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(super) encodings: Encodings,
    pub(super) make: fn(&mut Generator) -> Request,
    pub(super) json: fn(&mut Generator) -> json::Style,
    pub(super) protobuf: fn(&mut Generator) -> protobuf::Style,
}

impl Family {
    const fn new(item: &'static str, name: &'static str, level: Level, make: fn(&mut Generator) -> Request) -> Self {
        let (json, protobuf) = (Generator::json_style, Generator::protobuf_style);
        Self { item, name, level, encodings: Encodings::Both, make, json, protobuf }
    }

    const fn protobuf(self, style: fn(&mut Generator) -> protobuf::Style) -> Self {
        Self { encodings: Encodings::Protobuf, protobuf: style, ..self }
    }

    const fn json(self, style: fn(&mut Generator) -> json::Style) -> Self {
        Self { encodings: Encodings::Json, json: style, ..self }
    }
}

/// All families.
pub(super) static FAMILIES: &[Family] = &[
    Family::new("O-30", "ordinary spans", Level::Must, ordinary),
    Family::new("O-31", "nothing in it: empty envelopes", Level::Should, empty),
    Family::new("O-32", "some spans can never be stored", Level::Must, some_bad),
    Family::new("O-33", "no span can ever be stored", Level::Must, all_bad),
    Family::new("O-42", "not a request: cut off, or more than one", Level::Must, broken),
    Family::new("O-55", "values that are empty, bytes, mixed arrays and lists", Level::Must, values),
    Family::new("O-70", "ids of a wrong length, or all zero", Level::Daytwo, bad_ids),
    Family::new("O-71", "parents that are none, wrong, the span itself, in a circle", Level::Daytwo, parents),
    Family::new("O-72", "times missing, backwards, at both ends of the range", Level::Daytwo, times),
    Family::new("O-73", "kinds and status codes without a meaning", Level::Must, unknown_enums),
    Family::new("O-74", "all bits of flags", Level::Must, flags),
    Family::new("O-75", "keys of attributes twice", Level::Daytwo, twice_keys),
    Family::new("O-76", "ids twice with different content", Level::Daytwo, twice_ids),
    Family::new("O-78", "every field set", Level::Must, full),
    Family::new("O-80", "values nested 1 to 16 levels deep", Level::Must, nested),
    Family::new("O-81", "text that is not UTF-8, anywhere", Level::Daytwo, not_utf8),
    Family::new("O-77", "unknown fields everywhere, other orders, long numbers", Level::Must, full)
        .protobuf(odd_protobuf),
    Family::new("O-83", "spans with a damaged encoding among good ones", Level::Daytwo, damaged)
        .protobuf(plain_protobuf),
    Family::new("O-50", "ids of either case", Level::Must, full).json(upper_hex),
    Family::new("O-50", "ids that are no hexadecimal digits, base64 among them", Level::Must, bad_id_texts)
        .json(json_style),
    Family::new("O-51", "enums by their names", Level::Daytwo, full).json(enum_names),
    Family::new("O-51", "enum names that nobody knows", Level::Daytwo, bad_enum_names).json(json_style),
    Family::new("O-52", "unknown members of any shape, at every level", Level::Must, full).json(unknown_members),
    Family::new("O-53", "snake_case names are unknown members", Level::Must, full).json(snake_case),
    Family::new("O-54", "integers quoted, bare, with an exponent; NaN; null; base64", Level::Must, full)
        .json(number_forms),
    Family::new("O-57", "escapes, space, a byte order mark", Level::Daytwo, full).json(text_forms),
    Family::new("O-57", "members of the wrong type", Level::Daytwo, wrong_members).json(json_style),
];

fn ordinary(g: &mut Generator) -> Request {
    let spans = g.spans();
    g.request(spans)
}

fn full(g: &mut Generator) -> Request {
    let spans = (0..=g.below(3)).map(|_| g.full_span()).collect();
    g.request(spans)
}

fn empty(g: &mut Generator) -> Request {
    let scope = Scope::default();
    let resources = match g.below(4) {
        0 => Vec::new(),
        1 => vec![Resource::default(); 1 + g.below(3)],
        2 => vec![Resource { scopes: vec![scope; 1 + g.below(3)], ..Resource::default() }],
        _ => {
            let mut request = ordinary(g);
            request.resources.iter_mut().flat_map(|r| &mut r.scopes).for_each(|scope| scope.spans.clear());
            return request;
        }
    };
    Request { resources, broken: None }
}

/// Makes one or more of the spans bad, and leaves one or more good.
fn with_some(g: &mut Generator, spoil: fn(&mut Generator, &mut Span)) -> Request {
    let mut spans: Vec<Span> = (0..2 + g.below(5)).map(|_| g.span()).collect();
    let good = g.below(spans.len());
    let bad = (good + 1) % spans.len();
    for (index, span) in spans.iter_mut().enumerate() {
        if index == bad || index != good && g.chance() {
            spoil(g, span);
        }
    }
    g.request(spans)
}

/// Applies something to every span.
fn with_all(g: &mut Generator, change: fn(&mut Generator, &mut Span)) -> Request {
    let mut spans = g.spans();
    spans.iter_mut().for_each(|span| change(g, span));
    g.request(spans)
}

fn some_bad(g: &mut Generator) -> Request {
    with_some(g, spoil_id)
}

fn all_bad(g: &mut Generator) -> Request {
    with_all(g, spoil_id)
}

fn bad_ids(g: &mut Generator) -> Request {
    with_some(g, spoil_id)
}

fn spoil_id(g: &mut Generator, span: &mut Span) {
    let trace_id = g.chance();
    let (id, right) = if trace_id { (&mut span.trace_id, 16) } else { (&mut span.span_id, 8) };
    match g.below(4) {
        0 => id.clear(),
        1 => id.fill(0),
        2 => *id = vec![1; g.below(40)],
        _ => *id = vec![7; right + 1],
    }
    // The length drawn may be the right one.
    if id.len() == right && id.contains(&1) {
        id.pop();
    }
}

fn broken(g: &mut Generator) -> Request {
    let mut request = ordinary(g);
    let tails: &[&'static [u8]] = if g.is_json() {
        &[b"x", b"{}", b",", b"]", b"}", b"\0"]
    } else {
        &[&[0x0A, 0x7F, 1], &[0x0B], &[0x00, 0x01], &[0x80; 11], &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], &[0x0E]]
    };
    let tail = g.pick(tails).map(Broken::Tail);
    request.broken = if g.below(3) == 0 { Some(Broken::Cut) } else { tail };
    request
}

fn values(g: &mut Generator) -> Request {
    with_all(g, |g, span| {
        span.attributes = (0..8_u8).map(|number| (vec![b'a' + number], g.value(4))).collect();
        let odd = [
            Value::Empty,
            Value::Array(vec![]),
            Value::List(vec![]),
            Value::Bytes(vec![]),
            Value::Text(vec![]),
            Value::Array(vec![Value::Empty, Value::Bool(true), Value::Integer(i64::MIN), Value::Array(vec![])]),
            Value::List(vec![(b"".to_vec(), Value::Bytes(vec![0xFB, 0xFF, 0xFE]))]),
        ];
        span.attributes.extend((b'q'..).map(|key| vec![key]).zip(odd));
    })
}

fn parents(g: &mut Generator) -> Request {
    let mut request = with_all(g, |g, span| {
        span.parent = match g.below(6) {
            0 => vec![],
            1 => vec![0; 8],
            2 => vec![3; g.below(8)],
            3 => vec![3; 9],
            4 => span.span_id.clone(),
            _ => vec![0xEE; 8],
        }
    });
    // A circle of two.
    let mut pair = [g.span(), g.span()];
    let ids = pair.clone().map(|span| span.span_id);
    pair.iter_mut().zip(ids.into_iter().rev()).for_each(|(span, id)| span.parent = id);
    request.resources.extend(Request::of(pair.to_vec()).resources);
    request
}

fn times(g: &mut Generator) -> Request {
    with_all(g, |g, span| {
        let odd = [0, 1, span.start, span.start + 1, FUTURE, i64::MAX.cast_unsigned(), 1 << 63, u64::MAX];
        span.start = g.pick(&odd).unwrap_or(0);
        span.end = g.pick(&odd).unwrap_or(0);
    })
}

fn unknown_enums(g: &mut Generator) -> Request {
    with_all(g, |g, span| {
        span.kind = g.pick(&[6, 99, i32::MAX, -1, i32::MIN]).unwrap_or(6);
        span.status_code = g.pick(&[3, 77, i32::MAX, -1, i32::MIN]).unwrap_or(3);
    })
}

fn flags(g: &mut Generator) -> Request {
    with_all(g, |g, span| {
        let random = u32::try_from(g.number() >> 32).unwrap_or(0);
        span.flags = g.pick(&[0, 0xFF, 0x300, 0xFFFF_FC00, u32::MAX, random]).unwrap_or(0);
        span.links = vec![g.link()];
    })
}

fn twice_keys(g: &mut Generator) -> Request {
    with_all(g, |g, span| {
        let first = g.value(2);
        span.attributes = vec![(b"a".to_vec(), first), (b"b".to_vec(), Value::Bool(true)), (b"a".to_vec(), g.value(2))];
    })
}

fn twice_ids(g: &mut Generator) -> Request {
    let span = g.span();
    let twin = Span { name: [&span.name, &b" again"[..]].concat(), ..span.clone() };
    g.request(vec![span, twin])
}

fn nested(g: &mut Generator) -> Request {
    with_all(g, |g, span| {
        let as_list = g.chance();
        let mut value = Value::Text(b"leaf".to_vec());
        // Its own level is the first.
        for _ in 0..g.below(16) {
            value = if as_list {
                Value::List(vec![(b"n".to_vec(), value)])
            } else {
                Value::Array(vec![Value::Empty, value])
            };
        }
        span.attributes = vec![(b"deep".to_vec(), value)];
    })
}

fn not_utf8(g: &mut Generator) -> Request {
    let odd: [&[u8]; 4] = [b"a\xFFb", b"\xC0\x80", b"\xED\xA0\x80", b"caf\xE9"];
    let mut request = full(g);
    for span in request.resources.iter_mut().flat_map(|r| &mut r.scopes).flat_map(|scope| &mut scope.spans) {
        let text = g.pick(&odd).unwrap_or_default().to_vec();
        match g.below(5) {
            0 => span.name = text,
            1 => span.attributes = vec![(text.clone(), Value::Text(text))],
            2 => span.status_message = text,
            3 => span.events.push(crate::model::Event { name: text, ..g.event() }),
            _ => span.attributes = vec![(b"list".to_vec(), Value::Array(vec![Value::Text(text)]))],
        }
    }
    request
}

fn damaged(g: &mut Generator) -> Request {
    with_some(g, |g, span| {
        let tails: [&'static [u8]; 6] =
            [&[0x4A, 0x7F], &[0x0B], &[0x00, 0x00], &[0x80; 11], &[0x4A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], &[0x29, 1, 2]];
        span.damage = g.pick(&tails).map(Damage::Tail);
    })
}

fn bad_id_texts(g: &mut Generator) -> Request {
    with_some(g, |g, span| {
        let base64 = "7+8py1/TsTgB9Ydj0IvXZw==".to_owned();
        let texts = [
            "x",
            "abc",
            "0x5b8efff798038103d269b633813fc60",
            "5b8efff798038103 d269b633813fc60c",
            "5b8efff7-9803-8103",
        ];
        let text = g.pick(&texts).map_or_else(String::new, str::to_owned);
        span.damage = Some(match g.below(3) {
            0 => Damage::TraceIdText(base64),
            1 => Damage::TraceIdText(text),
            _ => Damage::SpanIdText(text),
        });
    })
}

fn bad_enum_names(g: &mut Generator) -> Request {
    with_some(g, |g, span| {
        let members =
            [("kind", "\"SPAN_KIND_NONE\""), ("kind", "\"server\""), ("status", r#"{"code":"STATUS_CODE_BAD"}"#)];
        span.damage = g.pick(&members).map(|(name, value)| Damage::Member(name, value));
    })
}

fn wrong_members(g: &mut Generator) -> Request {
    with_some(g, |g, span| {
        let members = [
            ("name", "5"),
            ("name", "[\"a\"]"),
            ("startTimeUnixNano", "\"soon\""),
            ("startTimeUnixNano", "-1"),
            ("endTimeUnixNano", "1.5"),
            ("endTimeUnixNano", "18446744073709551616"),
            ("endTimeUnixNano", "1e400"),
            ("flags", "4294967296"),
            ("attributes", "{}"),
            ("attributes", "[5]"),
            ("attributes", r#"[{"key":"a","value":"bare"}]"#),
            ("attributes", r#"[{"key":"a","value":{"intValue":"9223372036854775808"}}]"#),
            ("attributes", r#"[{"key":"a","value":{"bytesValue":"***"}}]"#),
            ("droppedEventsCount", "-1"),
            ("status", "\"STATUS_CODE_OK\""),
        ];
        span.damage = g.pick(&members).map(|(name, value)| Damage::Member(name, value));
    })
}

fn json_style(g: &mut Generator) -> json::Style {
    g.json_style()
}

fn upper_hex(g: &mut Generator) -> json::Style {
    json::Style { upper_hex: true, ..g.json_style() }
}

fn enum_names(g: &mut Generator) -> json::Style {
    json::Style { enum_names: true, ..g.json_style() }
}

fn unknown_members(g: &mut Generator) -> json::Style {
    json::Style { unknown_members: true, ..g.json_style() }
}

fn snake_case(g: &mut Generator) -> json::Style {
    json::Style { snake_case_twins: true, ..g.json_style() }
}

fn number_forms(g: &mut Generator) -> json::Style {
    let numbers = g.pick(&[json::Numbers::Quoted, json::Numbers::Bare, json::Numbers::Exponent]).unwrap_or_default();
    let base64 = u8::try_from(g.below(4)).unwrap_or(0);
    json::Style { numbers, base64, nulls: g.chance(), ..g.json_style() }
}

fn text_forms(g: &mut Generator) -> json::Style {
    json::Style { escapes: g.chance(), spaces: true, byte_order_mark: g.chance(), ..g.json_style() }
}

fn odd_protobuf(g: &mut Generator) -> protobuf::Style {
    protobuf::Style { unknown_fields: true, backwards: g.chance(), defaults: g.chance(), long_varints: g.chance() }
}

/// In plain order, so that damage at the end of a span comes after its ids.
fn plain_protobuf(_: &mut Generator) -> protobuf::Style {
    protobuf::Style::default()
}
