//! A seeded shop of four services: frontend calls checkout and account pages, both call payment, checkout also
//! calls cart. Payment is released as a canary, or at once; what the new version does is the test's choice.

use std::sync::Arc;
use std::time::Duration;

use daytwo_storage::{SpanId, TraceId, UnixNanos};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::super::{CohortKey, Cohorts, Verdict, VerdictConfig, judge};
use crate::measure::{TraceRecord, measure_trace};
use crate::trace::{SpanResource, TraceSpan, Weight, kind, stitch};

pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const START: i64 = 1_700_000_000 * SECOND;
const MS: f64 = 1e6;

/// What the new version of payment does differently.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effect {
    pub(super) charge_factor: f64,
    pub(super) gap_ms: f64,
    pub(super) error_share: f64,
    /// Share of checkouts among its traces (the old version's is one half).
    pub(super) checkout_share: f64,
    /// Calls it makes to the ledger.
    pub(super) ledger_calls: usize,
    /// Share of traffic; `None` moves all traffic over at once.
    pub(super) canary: Option<f64>,
}

pub(super) const NOTHING: Effect = Effect {
    charge_factor: 1.0,
    gap_ms: 0.0,
    error_share: 0.002,
    checkout_share: 0.5,
    ledger_calls: 1,
    canary: Some(0.5),
};

pub(super) struct Shop {
    pub(super) random: StdRng,
    next_id: u64,
}

impl Shop {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), next_id: 1 }
    }

    fn time(&mut self, median_ms: f64, sigma: f64) -> f64 {
        let normal: f64 = (0..12).map(|_| self.random.random::<f64>()).sum::<f64>() - 6.0;
        median_ms * MS * (sigma * normal).exp()
    }

    #[expect(clippy::too_many_arguments, clippy::cast_possible_truncation, reason = "a row of a span table")]
    fn span(
        &mut self,
        trace: u64,
        parent: Option<u64>,
        service: (&str, &str),
        operation: &str,
        kind: i32,
        start: f64,
        length: f64,
    ) -> TraceSpan {
        self.next_id += 1;
        let mut id = [1_u8; 16];
        id[8..].copy_from_slice(&trace.to_be_bytes());
        TraceSpan {
            trace_id: TraceId::from_bytes(&id).unwrap(),
            span_id: SpanId::from_bytes(&self.next_id.to_be_bytes()).unwrap(),
            parent_span_id: parent.map(|parent| SpanId::from_bytes(&parent.to_be_bytes()).unwrap()),
            resource: Arc::new(SpanResource {
                service: service.0.into(),
                version: service.1.into(),
                environment: "prod".into(),
                instance: "".into(),
                traits: Arc::from([]),
            }),
            operation: operation.into(),
            kind,
            start_ns: start as i64,
            duration_ns: length as i64,
            status: 0,
            has_events: false,
            has_links: false,
            received_ns: start as i64,
            weight: Weight::default(),
            flags: None,
        }
    }

    /// One trace at `at`, through payment `version` with the given effect.
    pub(super) fn trace(&mut self, number: u64, at: i64, version: &str, effect: &Effect) -> Vec<TraceSpan> {
        let checkout = self.random.random::<f64>() < effect.checkout_share;
        let charge =
            self.time(if checkout { 20.0 } else { 6.0 }, 0.3) * if checkout { effect.charge_factor } else { 1.0 };
        let ledger: Vec<f64> = (0..effect.ledger_calls).map(|_| self.time(3.0, 0.3)).collect();
        let payment = charge + ledger.iter().sum::<f64>() + ledger.len() as f64 * 0.4 * MS;
        let gap = self.time(0.8, 0.3) + effect.gap_ms * MS;
        let middle = self.time(5.0, 0.3);
        let front = self.time(4.0, 0.3);
        let failed = self.random.random::<f64>() < effect.error_share;
        let (root_name, operation) =
            if checkout { ("POST /checkout", "POST /charge") } else { ("GET /account", "GET /cards") };
        let at = at as f64;
        let call = payment + gap;
        let root = self.span(number, None, ("frontend", "f1"), root_name, kind::SERVER, at, front + middle + call);
        let root_id = self.next_id;
        let inner = self.span(number, Some(root_id), ("frontend", "f1"), "prepare", 1, at + front / 2.0, middle + call);
        let inner_id = self.next_id;
        let client = self.span(
            number,
            Some(inner_id),
            ("frontend", "f1"),
            "call payment",
            kind::CLIENT,
            at + front / 2.0 + middle / 2.0,
            call,
        );
        let client_id = self.next_id;
        let start = at + front / 2.0 + middle / 2.0 + gap / 2.0;
        let mut server =
            self.span(number, Some(client_id), ("payment", version), operation, kind::SERVER, start, payment);
        server.status = if failed { 2 } else { 0 };
        let server_id = self.next_id;
        let mut spans = vec![root, inner, client, server];
        let mut next = start + charge / 2.0;
        for time in ledger {
            spans.push(self.span(
                number,
                Some(server_id),
                ("payment", version),
                "call ledger",
                kind::CLIENT,
                next,
                time + 0.4 * MS,
            ));
            let ledger_client = self.next_id;
            spans.push(self.span(
                number,
                Some(ledger_client),
                ("ledger", "l1"),
                "append",
                kind::SERVER,
                next + 0.2 * MS,
                time,
            ));
            next += time + 0.4 * MS;
        }
        spans
    }

    /// A minute of the old version, then `seconds` with the new one, so many traces a second.
    pub(super) fn records(&mut self, effect: &Effect, per_second: u64, seconds: u64) -> Vec<TraceRecord> {
        let mut records = Vec::new();
        for number in 0..(60 + seconds) * per_second {
            let at = START + i64::try_from(number).unwrap() * SECOND / i64::try_from(per_second).unwrap();
            let after = at >= START + 60 * SECOND;
            let new = after && effect.canary.is_none_or(|share| self.random.random::<f64>() < share);
            let spans = if new { self.trace(number, at, "v2", effect) } else { self.trace(number, at, "v1", &NOTHING) };
            records.push(measure_trace(&stitch(spans)).unwrap());
        }
        records
    }
}

pub(super) fn cohorts_for(service: &str, config: &VerdictConfig) -> Cohorts {
    let key = CohortKey {
        environment: "prod".into(),
        service: service.into(),
        flag: None,
        candidate: "v2".into(),
        baseline: Some("v1".into()),
        first_seen: UnixNanos(START + 60 * SECOND),
    };
    Cohorts::new(key, config.lookback, config.bake)
}

pub(super) fn filled<'a>(records: impl IntoIterator<Item = &'a TraceRecord>, config: &VerdictConfig) -> Cohorts {
    let mut cohorts = cohorts_for("payment", config);
    records.into_iter().for_each(|record| cohorts.add(record));
    cohorts
}

pub(super) fn now(seconds: u64) -> UnixNanos {
    UnixNanos(START).saturating_add(Duration::from_secs(60 + seconds))
}

pub(super) fn verdict_of(seed: u64, effect: Effect, per_second: u64, seconds: u64) -> Verdict {
    let config = VerdictConfig::default();
    let records = Shop::new(seed).records(&effect, per_second, seconds);
    judge(&filled(&records, &config), now(seconds), &config)
}
