//! Real exporters whose server dies under them, or has no room for a while. What an exporter says was exported is there, and
//! everything is there at most once; bringing the rest is its own business, and its own retry is what does it here.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use crate::harness::{
    Client, Doorway, Exporter, Fates, PATIENCE, Server, ServerOptions, eventually, get, get_json, quick_folder,
    quick_server, stored_spans,
};

const SERVICE: &str = "under-attack";
/// More spans than fit into one batch of an SDK (512), fewer than its queue drops (2048).
const TRACES: usize = 400;

fn connected(exporter: Exporter, protocol: &str, at: SocketAddr) -> Client {
    Client::start(exporter, &[], protocol, &format!("http://{at}"), "gzip", SERVICE)
}

/// Has 20 traces made which arrive, so that the connection is there; gives the fates of all that were made until then.
fn first_spans(exporter: Exporter, protocol: &str, client: &mut Client) -> Fates {
    let mut all = Fates { exported: Vec::new(), failed: Vec::new() };
    loop {
        client.make(20);
        let fates = client.fates();
        let arrived = fates.failed.is_empty();
        all.exported.extend(fates.exported);
        all.failed.extend(fates.failed);
        if arrived {
            return all;
        }
        assert!(!exporter.sends_again(protocol), "{exporter:?} over {protocol}: spans that failed");
    }
}

/// Whether an exporter sends again when the connection ends before the answer. The SDK for Go (1.47) does not over HTTP.
fn sends_again_after_a_cut(exporter: Exporter, protocol: &str) -> bool {
    exporter.sends_again(protocol) && (exporter, protocol) != (Exporter::Go, "http")
}

/// Fails unless each span that was exported is stored, and nothing twice or of unknown origin. Gives the spans that failed and are
/// stored all the same: their answers did not get through.
fn assert_exactly_once(server: &Server, context: &str, first: &Fates, fates: &Fates) -> usize {
    let stored = stored_spans(server, SERVICE);
    let distinct: BTreeSet<&String> = stored.iter().collect();
    assert_eq!(stored.len(), distinct.len(), "{context}: spans stand twice");
    let exported: BTreeSet<&String> = first.exported.iter().chain(&fates.exported).collect();
    let lost: Vec<_> = exported.difference(&distinct).collect();
    assert!(lost.is_empty(), "{context}: exported and not there: {} such as {}", lost.len(), lost[0]);
    let failed: BTreeSet<&String> = first.failed.iter().chain(&fates.failed).collect();
    let unknown: Vec<_> = distinct.iter().filter(|span| !exported.contains(*span) && !failed.contains(*span)).collect();
    assert!(unknown.is_empty(), "{context}: there and never sent: {} such as {}", unknown.len(), unknown[0]);
    distinct.intersection(&failed).count()
}

/// What became of the spans made last, of which none may be forgotten, after which the exporter ends.
fn finished(exporter: Exporter, mut client: Client) -> Fates {
    let fates = client.fates();
    client.end();
    assert_eq!(fates.exported.len() + fates.failed.len(), TRACES * exporter.spans(), "{exporter:?}");
    fates
}

/// The server takes a request, and is killed before its answer gets through; another one starts on its folder.
fn restarted_under(exporter: Exporter, protocol: &str) {
    let context = format!("{exporter:?} over {protocol}");
    let folder = quick_folder();
    let options = quick_server(&folder);
    let (server, doorway) = (Server::start_with(&options), Doorway::open());
    doorway.lead_to(server.port(protocol));
    let mut client = connected(exporter, protocol, doorway.at);
    let first = first_spans(exporter, protocol, &mut client);
    let before = stored_spans(&server, SERVICE).len();
    doorway.hold_answers();
    client.make(TRACES);
    eventually("a request is stored whose answer is held back", PATIENCE, || {
        (stored_spans(&server, SERVICE).len() > before).then_some(())
    });
    let killed = server.kill();
    doorway.cut();
    let server = Server::start_with(&options);
    doorway.lead_to(server.port(protocol));
    let fates = finished(exporter, client);
    drop(killed);
    let in_doubt = assert_exactly_once(&server, &context, &first, &fates);
    let came_again = get_json(server.at.web, "/api/v1/status")["ingest"]["deduplicated_spans"].as_u64();
    if sends_again_after_a_cut(exporter, protocol) {
        assert_eq!(fates.failed.len(), 0, "{context}: spans that failed");
        assert!(came_again > Some(0), "{context}: what was stored did not come again");
    } else {
        assert!(in_doubt > 0, "{context}: what was stored is not called failed");
    }
}

/// A value of `/metrics`, once it is there.
fn metric(server: &Server, series: &str) -> Option<u64> {
    let text = get(server.at.web, "/metrics").text();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Requests without an end, which hold a small budget but for what no exporter's first request gets along with. Each may be as long as the
/// room is for what it would take in the end, and holds what came of it once it is found to go no further.
fn take_the_budget(server: &Server) -> Vec<TcpStream> {
    let (mut held, mut taken) = (Vec::new(), 0);
    while BUDGET - taken > LEFT {
        let length = (BUDGET - taken) / 5 * 2;
        let mut stream = TcpStream::connect(server.at.http).unwrap();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![0; length - 1]).unwrap();
        held.push(stream);
        taken += length - 1;
        eventually("the budget is taken", PATIENCE, || {
            (metric(server, "daytwo_inflight_bytes") == Some(taken as u64)).then_some(())
        });
    }
    held
}

const BUDGET: usize = 2 << 20;
const LEFT: usize = 100 << 10;

/// Others hold the server's whole budget until it has refused requests of the exporter, and then leave.
fn overloaded_under(exporter: Exporter, protocol: &str) {
    let context = format!("{exporter:?} over {protocol}");
    let limits = [("REQUEST_BYTES_MAX", "1MiB"), ("INFLIGHT_BYTES_MAX", "2MiB")];
    let environment = limits.map(|(key, value)| (format!("DAYTWO__COLLECTOR__{key}"), value.to_owned())).to_vec();
    let folder = quick_folder();
    let server = Server::start_with(&ServerOptions { environment, ..quick_server(&folder) });
    let doorway = Doorway::open();
    doorway.lead_to(server.port(protocol));
    let mut client = connected(exporter, protocol, doorway.at);
    let first = first_spans(exporter, protocol, &mut client);
    // The budget can be held for some seconds only, so the exporter is ready before.
    doorway.hold_requests();
    client.make(TRACES);
    eventually("the exporter has sent", PATIENCE, || doorway.requests_wait().then_some(()));
    let held = take_the_budget(&server);
    doorway.let_requests_pass();
    eventually("requests are refused", PATIENCE, || {
        metric(&server, "daytwo_shed_requests_total{reason=\"memory_budget\"}").map(drop)
    });
    drop(held);
    let fates = finished(exporter, client);
    let in_doubt = assert_exactly_once(&server, &context, &first, &fates);
    assert!(fates.failed.is_empty() == exporter.sends_again(protocol), "{context}: {} failed", fates.failed.len());
    assert!(in_doubt == 0 || !exporter.sends_again(protocol), "{context}: {in_doubt} in doubt");
}

fn attacked(exporter: Exporter) {
    for protocol in ["grpc", "http"] {
        restarted_under(exporter, protocol);
        overloaded_under(exporter, protocol);
    }
}

/// Scenario: the SDK for Python exports over gRPC and HTTP, with gzip; the server is killed after it has stored a request and before its answer
/// gets through, or has no room for a while.
/// Guarantees: what was exported is stored, everything stored is there once, and nothing fails that the exporter sends again.
#[test]
fn python_under_attack() {
    attacked(Exporter::Python);
}

/// Scenario: the SDK for Node exports over gRPC and HTTP, with gzip; the server is killed after it has stored a request and before its answer
/// gets through, or has no room for a while.
/// Guarantees: what was exported is stored, everything stored is there once, and nothing fails that the exporter sends again.
#[test]
fn node_under_attack() {
    attacked(Exporter::Node);
}

/// Scenario: the SDK for Go exports over gRPC and HTTP, with gzip; the server is killed after it has stored a request and before its answer
/// gets through, or has no room for a while.
/// Guarantees: what was exported is stored, everything stored is there once, and nothing fails that the exporter sends again.
#[test]
fn go_under_attack() {
    attacked(Exporter::Go);
}

/// Scenario: the SDK for Java exports over gRPC and HTTP, with gzip; the server is killed after it has stored a request and before its answer
/// gets through, or has no room for a while.
/// Guarantees: what was exported is stored, everything stored is there once, and nothing fails that the exporter sends again.
#[test]
fn java_under_attack() {
    attacked(Exporter::Java);
}

/// Scenario: the Collector exports over gRPC and HTTP, with gzip; the server is killed after it has stored a request and before its answer
/// gets through, or has no room for a while.
/// Guarantees: what was exported is stored, everything stored is there once, and nothing fails that the exporter sends again.
#[test]
fn collector_under_attack() {
    attacked(Exporter::Collector);
}
