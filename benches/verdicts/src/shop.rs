//! Synthetic traffic with a known effect: `edge -> shop -> {stock, pay -> ledger}`, log-normal own times.
//!
//! One operation of `pay` is made slower in a share of the new version's traces; its ancestors wait for it, so their durations grow and their
//! own times do not. Same seed, same traces.

use std::sync::Arc;

use daytwo_query::measure::TraceRecord;
use daytwo_query::trace::{SpanResource, TraceSpan, Weight, kind};
use daytwo_query::{SpanId, TraceId};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::deploy::records;

/// The judged service.
pub(crate) const CULPRIT: &str = "pay";
/// Its ancestors.
pub(crate) const ANCESTORS: [&str; 2] = ["edge", "shop"];
/// When a simulation begins.
pub(crate) const START: i64 = 1_700_000_000_000_000_000;

/// What the new version does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effect {
    /// Its charge takes this many times as long ...
    pub(crate) factor: f64,
    /// ... in this share of its traces.
    pub(crate) share: f64,
    /// Share of its traces in which it fails.
    pub(crate) errors: f64,
    /// Share of its traces that are purchases, which take much longer than the others.
    pub(crate) purchases: f64,
}

/// No effect; 1 % of errors, half of the traces are purchases.
pub(crate) const NONE: Effect = Effect { factor: 1.0, share: 1.0, errors: 0.01, purchases: 0.5 };

/// A seeded source of traces.
#[derive(Debug)]
pub(crate) struct Shop {
    random: StdRng,
    sigma: f64,
    traces: u64,
}

struct Builder {
    trace: u64,
    spans: Vec<TraceSpan>,
}

impl Shop {
    /// A shop whose own times have this standard deviation of their logarithm.
    pub(crate) fn new(seed: u64, sigma: f64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), sigma, traces: 0 }
    }

    /// A uniform number below one.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.random.random()
    }

    fn time(&mut self, median_ms: f64) -> i64 {
        let normal: f64 = (0..12).map(|_| self.random.random::<f64>()).sum::<f64>() - 6.0;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds to minutes")]
        let ns = (median_ms * 1e6 * (self.sigma * normal).exp()) as i64;
        ns
    }

    /// The next trace, which starts at `at`.
    pub(crate) fn trace(&mut self, at: i64, effect: &Effect) -> Option<TraceRecord> {
        self.traces += 1;
        let purchase = self.uniform() < effect.purchases;
        let (root, operation, median) =
            if purchase { ("POST /buy", "charge", 40.0) } else { ("GET /bill", "read", 4.0) };
        let slow = self.uniform() < effect.share;
        let plain = self.time(median);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "milliseconds to minutes")]
        let pay = if slow { (plain as f64 * effect.factor) as i64 } else { plain };
        let failed = self.uniform() < effect.errors;
        let (ledger, stock) = (self.time(3.0), self.time(2.0));
        let [gap_a, gap_b, gap_c, gap_d] = [0.5, 0.6, 0.4, 0.5].map(|median| self.time(median));
        let (shop, edge) = (self.time(5.0), self.time(2.0));
        let mut trace = Builder { trace: self.traces, spans: Vec::new() };
        let to_ledger = ledger + gap_d;
        let to_pay = pay + to_ledger + gap_c;
        let to_stock = stock + gap_b;
        let to_shop = shop + to_stock + to_pay + gap_a;
        let top = trace.push(None, "edge", root, kind::SERVER, at, edge + to_shop);
        let call = trace.push(Some(top), "edge", "call shop", kind::CLIENT, at + edge / 2, to_shop);
        let inner = at + edge / 2 + gap_a / 2;
        let middle = trace.push(Some(call), "shop", root, kind::SERVER, inner, to_shop - gap_a);
        let call = trace.push(Some(middle), "shop", "call stock", kind::CLIENT, inner + shop / 2, to_stock);
        trace.push(Some(call), "stock", "reserve", kind::SERVER, inner + shop / 2 + gap_b / 2, stock);
        let paying = inner + shop / 2 + to_stock;
        let call = trace.push(Some(middle), "shop", "call pay", kind::CLIENT, paying, to_pay);
        let bottom = trace.push(Some(call), CULPRIT, operation, kind::SERVER, paying + gap_c / 2, to_pay - gap_c);
        if let Some(span) = trace.spans.last_mut() {
            span.status = if failed { 2 } else { 0 };
        }
        let call =
            trace.push(Some(bottom), CULPRIT, "call ledger", kind::CLIENT, paying + gap_c / 2 + pay / 2, to_ledger);
        trace.push(Some(call), "ledger", "append", kind::SERVER, paying + gap_c / 2 + pay / 2 + gap_d / 2, ledger);
        records(std::iter::once(trace.spans.as_slice())).pop()
    }
}

impl Builder {
    fn push(&mut self, parent: Option<u64>, service: &str, operation: &str, kind: i32, start: i64, length: i64) -> u64 {
        let number = self.spans.len() as u64 + 1;
        let mut id = [1_u8; 16];
        id[8..].copy_from_slice(&self.trace.to_be_bytes());
        let span_id = |number: u64| SpanId::from_bytes(&number.to_be_bytes()).ok();
        let (Ok(trace_id), Some(own)) = (TraceId::from_bytes(&id), span_id(number)) else { return number };
        self.spans.push(TraceSpan {
            trace_id,
            span_id: own,
            parent_span_id: parent.and_then(span_id),
            resource: Arc::new(SpanResource {
                service: service.into(),
                version: "".into(),
                environment: "".into(),
                instance: "".into(),
                traits: Arc::from([]),
            }),
            operation: operation.into(),
            kind,
            start_ns: start,
            duration_ns: length,
            status: 0,
            has_events: false,
            has_links: false,
            received_ns: start,
            weight: Weight::default(),
            flags: None,
        });
        number
    }
}
