//! Spans, batches and WAL frames made from a seed.

use bytes::Bytes;

use super::span::{TestSpan, batch_of};
use crate::batch::AttributeValue;
use crate::{Frame, PayloadCompression, PayloadFormat, Replay, SpanBatch, UnixNanos};

/// A small deterministic generator (SplitMix64), so that generated data never changes with a crate version.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// A generator that always gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// Whether an event of this many percent happens.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let index = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
        *items.get(index).expect("the caller passes at least one item")
    }
}

const SERVICES: [&str; 5] = ["frontend", "cart", "checkout", "payment", "inventory"];
const OPERATIONS: [&str; 4] = ["GET /items", "POST /orders", "charge", "reserve"];
const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

/// `rows` spans in small traces. Spans of different seeds have different ids; starts lie in the hour before `received`.
pub fn spans(seed: u64, rows: usize, received: UnixNanos) -> Vec<TestSpan> {
    let mut random = Seeded::new(seed);
    let mut out: Vec<TestSpan> = Vec::with_capacity(rows);
    let mut left_in_trace = 0;
    let mut trace = 0;
    while out.len() < rows {
        let root = left_in_trace == 0;
        if root {
            left_in_trace = 1 + random.below(8);
            trace = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
        }
        left_in_trace -= 1;
        let parent = if root { None } else { out.last().map(|span| span.span) };
        out.push(span(&mut random, trace, parent, received));
    }
    out
}

fn span(random: &mut Seeded, trace: u128, parent: Option<u64>, received: UnixNanos) -> TestSpan {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let latest = u64::try_from(received.0).unwrap_or(0);
    let mut span = TestSpan::new(trace, random.next_u64())
        .service(random.pick(&SERVICES))
        .version(random.pick(&VERSIONS))
        .environment("test")
        .name(random.pick(&OPERATIONS))
        .kind(if parent.is_some() { 3 } else { 2 })
        .at(latest.saturating_sub(random.below(HOUR_NS)))
        .lasting(random.below(200_000_000));
    span.parent = parent;
    if random.percent(3) {
        span = span.error().text("error.type", "timeout");
    }
    if random.percent(2) {
        // A clock that ran backwards.
        span.end = span.start.saturating_sub(5_000);
    }
    add_attributes(span, random)
}

fn add_attributes(mut span: TestSpan, random: &mut Seeded) -> TestSpan {
    let code = random.pick(&[200_i64, 200, 200, 404, 500]);
    span = span.text("http.request.method", "GET").integer("http.response.status_code", code);
    if random.percent(50) {
        span = span.text("tenant", random.pick(&["blue", "green", "grün"])).integer("items", 1);
    }
    if random.percent(10) {
        span.attributes.push(("ratio".into(), AttributeValue::Double(0.5)));
        span.attributes.push(("cached".into(), AttributeValue::Bool(random.percent(50))));
        span.attributes.push(("nothing".into(), AttributeValue::Empty));
        span.events = Some(r#"[{"time_unix_nano":"1","name":"retry"}]"#.into());
    }
    span
}

/// A batch of `rows` seeded spans received at `received`.
pub fn span_batch(seed: u64, rows: usize, received: UnixNanos) -> SpanBatch {
    batch_of(received, &spans(seed, rows, received))
}

/// A frame and its batch, for [`crate::Store::append`]. The payload names the seed, so that [`SeededReplay`]
/// decodes it to the same batch; the request hash differs for different seeds.
pub fn seeded_frame(seed: u64, rows: u32, received: UnixNanos) -> (Frame, SpanBatch) {
    let mut payload = Vec::with_capacity(12);
    payload.extend_from_slice(&seed.to_le_bytes());
    payload.extend_from_slice(&rows.to_le_bytes());
    let frame = Frame {
        request_hash: xxhash_rust::xxh3::xxh3_128(&payload),
        payload: Bytes::from(payload),
        format: PayloadFormat::Protobuf,
        compression: PayloadCompression::None,
        received,
        rejected: Vec::new(),
    };
    let batch = span_batch(seed, rows as usize, received);
    (frame, batch)
}

/// Decodes the frames of [`seeded_frame`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SeededReplay;

impl Replay for SeededReplay {
    fn decode(&self, frame: &Frame) -> Result<SpanBatch, String> {
        let (seed, rest) = frame.payload.split_first_chunk().ok_or("payload is shorter than a seed")?;
        let rows = u32::from_le_bytes(rest.get(..4).and_then(|rows| rows.try_into().ok()).ok_or("no row count")?);
        if rows > 1_000_000 {
            return Err(format!("{rows} rows are more than any test writes"));
        }
        Ok(span_batch(u64::from_le_bytes(*seed), rows as usize, frame.received))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the same seed twice, and another seed; then a frame is decoded again.
    /// Guarantees: generated data depends on the seed alone, and replay gives the batch that was appended.
    #[test]
    fn a_seed_always_gives_the_same_spans() {
        let received = UnixNanos(1_700_000_000_000_000_000);
        assert_eq!(spans(7, 100, received), spans(7, 100, received));
        assert_ne!(spans(7, 100, received), spans(8, 100, received));
        let (frame, batch) = seeded_frame(7, 50, received);
        assert_eq!(SeededReplay.decode(&frame).unwrap().record_batch(), batch.record_batch());
    }
}
