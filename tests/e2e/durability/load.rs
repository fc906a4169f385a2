//! Clients that send without pause, over any number of lives of the server, and keep a ledger.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use daytwo_traffic::ledger::{self, Entry, Ledger, Outcome};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::json;

use crate::harness::{Server, eventually, pause, post, sql, try_request};

/// Spans in every request; each request is one trace.
const SPANS: u64 = 40;
const CLIENTS: usize = 6;
const RUN: &str = "durability";
/// 2023-11-14T22:13:20Z.
const START: u64 = 1_700_000_000_000_000_000;

/// What a client does about a request that was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Sends it again until it is, to the next life of the server if need be.
    UntilAcknowledged,
    /// Goes on with the next one.
    Never,
}

/// Clients and their ledger.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    at: Mutex<Option<SocketAddr>>,
    next: AtomicU64,
    acknowledged: AtomicU64,
    postponed: AtomicU64,
    stop: AtomicBool,
    retry: Retry,
    ledger: Mutex<Ledger>,
    path: PathBuf,
}

impl Load {
    /// Clients that wait for a server.
    pub(crate) fn start(folder: &Path, retry: Retry) -> Self {
        let path = folder.join("ledger.jsonl");
        let ledger = Ledger::create(&path, RUN, usize::try_from(SPANS).unwrap(), "http").unwrap();
        let shared = Arc::new(Shared {
            at: Mutex::new(None),
            next: AtomicU64::new(1),
            acknowledged: AtomicU64::new(0),
            postponed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            retry,
            ledger: Mutex::new(ledger),
            path,
        });
        let client = |_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.send_until_stopped())
        };
        Self { clients: (0..CLIENTS).map(client).collect(), shared }
    }

    /// Tells the clients where the server is now.
    pub(crate) fn send_to(&self, server: &Server) {
        *self.shared.at.lock().unwrap() = Some(server.at.http);
    }

    /// Lets the clients wait for a server.
    pub(crate) fn hold(&self) {
        *self.shared.at.lock().unwrap() = None;
    }

    /// Requests acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Answers so far that asked to send the request later.
    pub(crate) fn postponed(&self) -> u64 {
        self.shared.postponed.load(Ordering::SeqCst)
    }

    /// Waits until that many more requests are acknowledged.
    pub(crate) fn wait_for(&self, more: u64) {
        let goal = self.acknowledged() + more;
        eventually("requests are acknowledged", Duration::from_secs(120), || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client gave up");
            (self.acknowledged() >= goal).then_some(())
        });
    }

    /// Compares what is stored with the ledger so far, while the clients go on.
    pub(crate) fn check(&self, server: &Server, context: &str) -> ledger::Checked {
        let (run, entries) = ledger::read(&self.shared.path).unwrap();
        let body = json!({"query": ledger::question(&run)}).to_string();
        let headers = [("content-type", "application/json")];
        let answer = post(server.at.web, "/api/v1/sql", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{context}: {}", answer.text());
        let stored = ledger::stored(&answer.json()).unwrap_or_else(|error| panic!("{context}: {error}"));
        let checked = ledger::check(&entries, &stored, Some(SPANS));
        assert!(checked.is_clean(), "{context}: {:#}", checked.to_json());
        checked
    }

    /// Ends the clients, then compares everything: counts, content, and a few traces asked for by id.
    pub(crate) fn finish(mut self, server: &Server, context: &str) -> ledger::Checked {
        self.shared.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
        let checked = self.check(server, context);
        let (_, entries) = ledger::read(&self.shared.path).unwrap();
        let acknowledged: Vec<u64> =
            entries.iter().filter(|entry| entry.outcome == Outcome::Ack).map(|entry| entry.seq).collect();
        assert!(!acknowledged.is_empty(), "{context}: nothing was acknowledged");
        check_content(server, context);
        for seq in acknowledged.iter().step_by(acknowledged.len() / 10 + 1) {
            let found = sql(
                server.at.web,
                &format!(
                    "SELECT count(*), count(DISTINCT span_id) FROM spans WHERE trace_id = trace_id('{}')",
                    hex(*seq)
                ),
            );
            assert_eq!(found[0], [json!(SPANS.to_string()), json!(SPANS.to_string())], "{context}: trace {seq}");
        }
        checked
    }
}

/// Every stored span says what its request's number says it should.
fn check_content(server: &Server, context: &str) {
    let wrong = sql(
        server.at.web,
        &format!(
            "SELECT count(*) FROM spans WHERE name <> concat('work ', attr(attributes, '{}')) \
             OR duration_time_unix_nano <> CAST(attr(attributes, '{}') AS BIGINT) * 1000 OR start_time_unix_nano <> {START}",
            ledger::SEQ,
            ledger::SEQ
        ),
    );
    assert_eq!(wrong[0][0], "0", "{context}: spans with other content than was sent");
}

impl Shared {
    fn send_until_stopped(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            let seq = self.next.fetch_add(1, Ordering::SeqCst);
            let entry = self.send(seq, &request(seq).encode_to_vec());
            self.ledger.lock().unwrap().note(entry).unwrap();
            if entry.outcome == Outcome::Ack {
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
            } else {
                pause();
            }
        }
    }

    /// Sends a request until its fate is known, or the clients are stopped.
    fn send(&self, seq: u64, body: &[u8]) -> Entry {
        let mut entry = Entry { seq, spans: SPANS, outcome: Outcome::Nack, attempts: 0, lost_before: false };
        while !self.stop.load(Ordering::SeqCst) {
            let Some(at) = *self.at.lock().unwrap() else {
                pause();
                continue;
            };
            entry.attempts += 1;
            entry.outcome = self.attempt(at, body);
            match entry.outcome {
                Outcome::Ack | Outcome::Refused => return entry,
                Outcome::Nack | Outcome::Unknown if self.retry == Retry::Never => return entry,
                Outcome::Nack => {}
                Outcome::Unknown => entry.lost_before = true,
            }
            pause();
        }
        if entry.lost_before && entry.outcome == Outcome::Nack {
            entry.outcome = Outcome::Unknown;
        }
        entry
    }

    fn attempt(&self, at: SocketAddr, body: &[u8]) -> Outcome {
        let headers = [("content-type", "application/x-protobuf")];
        match try_request(at, "POST", "/v1/traces", &headers, body) {
            Ok(answer) if answer.status == 200 => Outcome::Ack,
            Ok(answer) => {
                // Whatever fails, the client is told to come again, and when.
                assert_eq!(answer.status, 503, "{}", answer.text());
                assert!(answer.headers.contains("retry-after"), "{}", answer.headers);
                self.postponed.fetch_add(1, Ordering::SeqCst);
                Outcome::Nack
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Outcome::Nack,
            Err(_) => Outcome::Unknown,
        }
    }
}

fn hex(seq: u64) -> String {
    format!("{:032x}", u128::from(seq) << 64 | 0xDA)
}

fn request(seq: u64) -> ExportTraceServiceRequest {
    let mut name = "work ".to_owned();
    write!(name, "{seq}").unwrap();
    let attribute = |key: &str, value: Value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let spans = (1..=SPANS).map(|number| Span {
        trace_id: (u128::from(seq) << 64 | 0xDA).to_be_bytes().to_vec(),
        span_id: (seq << 8 | number).to_be_bytes().to_vec(),
        name: name.clone(),
        start_time_unix_nano: START,
        end_time_unix_nano: START + seq * 1000,
        attributes: vec![
            attribute(ledger::RUN, Value::StringValue(RUN.to_owned())),
            attribute(ledger::SEQ, Value::IntValue(i64::try_from(seq).unwrap())),
        ],
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}
