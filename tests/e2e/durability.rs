//! `kill -9` under load, again and again, against a ledger kept by the clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tempfile::TempDir;

use crate::harness::{Server, ServerOptions, pause, sql, try_request};

/// Spans in every request; each request is one trace.
const SPANS: u64 = 40;
const CLIENTS: u64 = 8;
const CYCLES: u64 = 5;

/// What a client knows of a request it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Acknowledged,
    Unknown,
}

/// Trace id to outcome, over all cycles.
type Ledger = Arc<Mutex<BTreeMap<String, Outcome>>>;

/// Scenario: eight clients send without pause; the process is killed at an odd moment, five times over, and started again on its folder;
/// flushes happen every second, so that kills fall into flushes and commits as well.
/// Guarantees: every acknowledged span is there exactly once; an unanswered request is there wholly, once, or not at all.
#[test]
fn kill_9_under_load_loses_and_doubles_nothing() {
    let folder = TempDir::new().unwrap();
    let options = ServerOptions {
        config: "[storage]\nflush_interval = \"1s\"\nwal_segment_bytes = \"4MiB\"\n".to_owned(),
        data_dir: Some(folder.path().join("data")),
    };
    let ledger = Ledger::default();
    for cycle in 0..CYCLES {
        let server = Server::start_with(&options);
        check(&server, &ledger);
        let load = Load::start(&server, &ledger, cycle);
        load.wait_for(150 + cycle * 170);
        drop(server.kill());
        load.join();
    }
    check(&Server::start_with(&options), &ledger);
    let acknowledged = ledger.lock().unwrap().values().filter(|outcome| **outcome == Outcome::Acknowledged).count();
    assert!(acknowledged as u64 >= CYCLES * 150, "only {acknowledged} requests were acknowledged");
}

/// Compares what is stored with the ledger.
fn check(server: &Server, ledger: &Ledger) {
    let rows = sql(server.at.web, "SELECT trace_id, count(*), count(DISTINCT span_id) FROM spans GROUP BY trace_id");
    let stored: BTreeMap<String, (u64, u64)> = rows
        .iter()
        .map(|row| {
            let number = |index: usize| row[index].as_str().unwrap().parse().unwrap();
            (row[0].as_str().unwrap().to_owned(), (number(1), number(2)))
        })
        .collect();
    for (trace, outcome) in ledger.lock().unwrap().iter() {
        match (outcome, stored.get(trace)) {
            (Outcome::Unknown, None) => {}
            (_, found) => assert_eq!(found, Some(&(SPANS, SPANS)), "{trace} {outcome:?}"),
        }
    }
}

/// Clients that send until their server is gone.
struct Load {
    acknowledged: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(server: &Server, ledger: &Ledger, cycle: u64) -> Self {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let at = server.at.http;
        let clients = (0..CLIENTS).map(|client| {
            let (ledger, acknowledged) = (Arc::clone(ledger), Arc::clone(&acknowledged));
            std::thread::spawn(move || send_until_gone(at, cycle * CLIENTS + client + 1, &ledger, &acknowledged))
        });
        Self { clients: clients.collect(), acknowledged }
    }

    /// Waits until that many requests of this cycle are acknowledged.
    fn wait_for(&self, requests: u64) {
        while self.acknowledged.load(Ordering::SeqCst) < requests {
            assert!(!self.clients.iter().all(JoinHandle::is_finished), "all clients gave up");
            pause();
        }
    }

    fn join(self) {
        for client in self.clients {
            client.join().unwrap();
        }
    }
}

fn send_until_gone(at: SocketAddr, client: u64, ledger: &Ledger, acknowledged: &AtomicU64) {
    for number in 1.. {
        let trace: [u8; 16] = (u128::from(client) << 64 | number).to_be_bytes();
        let name = trace.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        ledger.lock().unwrap().insert(name.clone(), Outcome::Unknown);
        let headers = [("content-type", "application/x-protobuf")];
        match try_request(at, "POST", "/v1/traces", &headers, &request(trace).encode_to_vec()) {
            Ok(answer) if answer.status == 200 => {
                ledger.lock().unwrap().insert(name, Outcome::Acknowledged);
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            _ => return,
        }
    }
}

fn request(trace: [u8; 16]) -> ExportTraceServiceRequest {
    let spans = (1..=SPANS).map(|number| Span {
        trace_id: trace.to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: "work".to_owned(),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_001_000_000,
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}
