//! [`Suite`]: what all cases share: the connections, the book of results, and what has been sent.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;

use crate::answer::Answer;
use crate::answer::code::INVALID_ARGUMENT;
use crate::cases;
use crate::client::{Call, Client};
use crate::golden::{self, GoldenConfig, Input};
use crate::model::{self, Broken, Request, Span, stored};
use crate::report::{Book, Case, Report, Verdict};
use crate::stored::{Expected, Ledger};
use crate::transport::{Compression, Transport};

/// What is judged, and how far.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port` of OTLP/gRPC.
    pub grpc: String,
    /// `host:port` of OTLP/HTTP.
    pub http: String,
    /// Web address of a Daytwo server, `http://host:port`: then what was accepted is looked up too. Nobody else may send
    /// meanwhile.
    pub query: Option<String>,
    /// Bearer token that the endpoint wants.
    pub token: Option<String>,
    /// An origin whose pages may export; without one no browser is played.
    pub origin: Option<String>,
    /// Its limit of a request after decompression.
    pub request_bytes_max: usize,
    /// How long an accepted span may take to be found.
    pub found_within: Duration,
    /// What the golden inputs are made from.
    pub golden: GoldenConfig,
}

/// Golden inputs under way at once.
const GOLDEN_AT_ONCE: usize = 8;

/// Numbers of inputs from here on belong to cases that are no golden inputs.
const FIRST_SINGLE: u32 = 0x8000_0000;

/// One run.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) client: Client,
    pub(crate) target: Target,
    book: Mutex<Book>,
    ledger: Mutex<Ledger>,
    singles: AtomicU32,
}

/// Runs all cases and golden inputs against an endpoint.
pub async fn run(target: Target) -> Report {
    let suite = Suite::new(target);
    let before = suite.counters().await;
    let golden_inputs = suite.golden_inputs();
    tokio::join!(suite.run_golden(), Box::pin(cases::run(&suite)));
    suite.check_stored(before).await;
    cases::whole_run(&suite);
    suite.into_report(golden_inputs)
}

impl Suite {
    pub(crate) fn new(target: Target) -> Self {
        let client = Client::new(target.grpc.clone(), target.http.clone(), target.token.clone());
        let singles = AtomicU32::new(FIRST_SINGLE);
        Self { client, target, book: Mutex::default(), ledger: Mutex::default(), singles }
    }

    fn into_report(self, golden_inputs: u64) -> Report {
        self.book.into_inner().unwrap_or_else(PoisonError::into_inner).into_report(golden_inputs)
    }

    fn golden_inputs(&self) -> u64 {
        golden::inputs(&self.target.golden).map(|_| 1).sum()
    }

    async fn run_golden(&self) {
        let inputs = golden::inputs(&self.target.golden);
        futures::stream::iter(inputs).for_each_concurrent(GOLDEN_AT_ONCE, |input| self.run_input(input)).await;
    }

    async fn run_input(&self, input: Input) {
        let Input { family, transport, compression, request, body } = input;
        let answer = self.client.send(Call::export(transport, compression, &body)).await;
        let answered = answer.and_then(|answer| judge(&request, &answer).map(|seen| (answer, seen)));
        let name = format!("golden: {}", family.name);
        let case = Case { item: family.item, level: family.level, name: &name, expected: expectation(family.item) };
        match answered {
            Ok((answer, seen)) => {
                self.note(case, Some(transport), Ok(seen));
                if answer.is_success() {
                    self.expect_stored(family.item, &name, transport, &request);
                }
            }
            Err(seen) => {
                let example = format!("{seen} ({compression:?}, {} bytes: {})", body.len(), excerpt(&body));
                self.note(case, Some(transport), Err(example));
            }
        }
    }

    /// Notes a result.
    pub(crate) fn note(&self, case: Case<'_>, transport: Option<Transport>, verdict: Verdict) {
        self.book().note(case, transport, verdict);
    }

    pub(crate) fn skip(&self, item: &'static str, case: &'static str, needs: &'static str) {
        self.book().skip(item, case, needs);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a call and notes what `judge` says of the answer.
    pub(crate) async fn check(&self, case: Case<'_>, call: Call, judge: impl FnOnce(&Answer) -> Verdict) {
        let transport = call.transport;
        let verdict = self.client.send(call).await.and_then(|answer| judge(&answer));
        self.note(case, Some(transport), verdict);
    }

    /// Sends a request of the model, which has to be answered as the model says.
    pub(crate) async fn accepts(&self, case: Case<'_>, transport: Transport, request: &Request) {
        self.accepts_call(case, Call::export(transport, Compression::None, &written(transport, request)), request)
            .await;
    }

    /// The same with a call of its own that carries the request.
    pub(crate) async fn accepts_call(&self, case: Case<'_>, call: Call, request: &Request) {
        let transport = call.transport;
        let verdict = self.client.send(call).await.and_then(|answer| judge(request, &answer));
        if verdict.is_ok() {
            self.expect_stored(case.item, case.name, transport, request);
        }
        self.note(case, Some(transport), verdict);
    }

    /// A new span with ids of its own.
    pub(crate) fn span(&self) -> Span {
        let number = self.singles.fetch_add(1, Ordering::Relaxed);
        Span {
            trace_id: [&self.target.golden.run.to_be_bytes()[..], &number.to_be_bytes(), &[0; 4]].concat(),
            span_id: [0xC0_00_00_00_u32, number].iter().flat_map(|half| half.to_be_bytes()).collect(),
            name: b"single".to_vec(),
            start: 1_544_712_660_000_000_000,
            end: 1_544_712_660_000_000_001,
            ..Span::default()
        }
    }

    /// A request with one ordinary span.
    pub(crate) fn request(&self) -> Request {
        Request::of(vec![self.span()])
    }

    /// A span that was sent and may be stored or not, in whatever shape.
    pub(crate) fn expect_any(&self, span: &Span) {
        self.ledger().tolerate(span);
    }

    /// The storable spans of a request that was answered with success.
    pub(crate) fn expect_stored(&self, item: &'static str, name: &str, transport: Transport, request: &Request) {
        if self.target.query.is_none() {
            return;
        }
        let mut ledger = self.ledger();
        ledger.received += request.received();
        ledger.rejected += request.rejected();
        for resource in &request.resources {
            for scope in &resource.scopes {
                for span in scope.spans.iter().filter(|span| span.is_storable()) {
                    let row = stored::row(resource, scope, span);
                    ledger.expect(Expected { item, name: name.to_owned(), transport, row });
                }
            }
        }
    }
}

/// The request in the transport's encoding, in its plainest form.
pub(crate) fn written(transport: Transport, request: &Request) -> Vec<u8> {
    match transport {
        Transport::HttpJson => model::json::write(request, model::json::Style::default()),
        Transport::Grpc | Transport::HttpProtobuf => model::protobuf::write(request, model::protobuf::Style::default()),
    }
}

/// Whether the answer is the one that the model gives.
fn judge(request: &Request, answer: &Answer) -> Verdict {
    let (rejected, received) = (request.rejected(), request.received());
    match request.broken {
        Some(Broken::Cut | Broken::Tail(_)) => answer.refused(&[400], &[INVALID_ARGUMENT]),
        // All invalid: the specification leaves open whether that is a partial success or a bad request.
        None if rejected == received && rejected > 0 && !answer.is_success() => {
            answer.refused(&[400], &[INVALID_ARGUMENT])
        }
        None => answer.rejects(rejected),
    }
}

/// What the model says, in words, by item.
fn expectation(item: &str) -> &'static str {
    match item {
        "O-42" => "400 or INVALID_ARGUMENT, with a Status",
        "O-33" => "success with all rejected, or 400 or INVALID_ARGUMENT",
        "O-32" | "O-70" | "O-83" => "success with exactly the bad spans rejected",
        _ => "success; partial_success exactly where the model rejects spans",
    }
}

/// The first bytes, for a message.
fn excerpt(bytes: &[u8]) -> String {
    bytes.iter().take(160).flat_map(|&byte| std::ascii::escape_default(byte)).map(char::from).collect()
}

#[cfg(test)]
mod tests;
