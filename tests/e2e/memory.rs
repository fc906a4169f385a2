//! Little memory and much to take: the server in a control group with a limit, under bombs, the largest requests all at once, questions,
//! and a trace that does not end.
//!
//! `DAYTWO_MEMORY_MIB` says with how much memory (512 unless said; several as in `256,512,1024`), `DAYTWO_MEMORY_SPANS` how long the
//! trace is, `DAYTWO_MEMORY_BINARY` which server, as one built for release. Where no control group can be made, what the process holds
//! at most is compared with the limit instead.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::harness::{PATIENCE, Server, ServerOptions, get_json, pause, post, sql, try_request};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
/// Senders of the long trace.
const SENDERS: u64 = 4;
/// Spans in each of its requests.
const BATCH: u64 = 4096;
/// Large requests of each length.
const LARGE: u64 = 64;
const LARGEST: usize = 64 << 20;

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says how much")]
fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A control group with a limit of memory, below the test's own; removed when dropped.
struct Group(PathBuf);

impl Group {
    /// None where control groups are of version 2, whose limits a group with processes cannot hand on, or not ours to make.
    fn new(limit: u64) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.split_once(":memory:"))?.1.trim_start_matches('/').to_owned();
        let path = Path::new("/sys/fs/cgroup/memory").join(own).join(format!("daytwo-{}-{limit}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = Self(path);
        fs::write(group.0.join("memory.limit_in_bytes"), limit.to_string()).ok()?;
        Some(group)
    }

    fn number(&self, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(self.0.join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was killed leaves it a moment later.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            pause();
        }
    }
}

fn request(trace: u8, first: u64, spans: u64) -> Vec<u8> {
    let span = |number: u64| Span {
        trace_id: vec![trace; 16],
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("step {}", number % 100),
        start_time_unix_nano: 1_700_000_000_000_000_000 + number,
        end_time_unix_nano: 1_700_000_000_000_001_000 + number,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (first..first + spans).map(span).collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
        .encode_to_vec()
}

/// Sends a body until it is accepted; what may be refused for good is not sent here.
fn send_until_accepted(server: &Server, body: &[u8]) {
    loop {
        match post(server.at.http, "/v1/traces", &[PROTOBUF], body).status {
            200 => return,
            503 => pause(),
            other => panic!("answered {other}"),
        }
    }
}

/// Bombs of zeros, compressed by both, which are refused for good or for now.
fn bombs(server: &Server) {
    let zeros = vec![0; LARGEST];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let bombs = [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(zeros.as_slice(), 1).unwrap())];
    drop(zeros);
    for (encoding, bomb) in bombs.iter().cycle().take(16) {
        let status = post(server.at.http, "/v1/traces", &[PROTOBUF, ("content-encoding", encoding)], bomb).status;
        assert!([400, 413, 503].contains(&status), "a bomb of {encoding}: {status}");
    }
}

/// Questions of all kinds, one after the other, until `over`; whether they are answered or refused is theirs to say.
fn questions(server: &Server, over: &AtomicBool) {
    let sql = |query: &str| {
        let body = serde_json::json!({ "query": query }).to_string();
        try_request(server.at.web, "POST", "/api/v1/sql", &[("content-type", "application/json")], body.as_bytes())
    };
    while !over.load(Ordering::Relaxed) {
        let asked = [
            sql("SELECT span_id, name FROM spans ORDER BY duration_time_unix_nano, span_id LIMIT 100000"),
            sql("SELECT span_id, count(*) FROM spans GROUP BY 1 ORDER BY 2 DESC LIMIT 10"),
            try_request(server.at.web, "GET", &format!("/api/v1/traces/{}", "01".repeat(16)), &[], &[]),
        ];
        assert!(asked.iter().flatten().all(|answer| answer.status != 500), "{asked:?}");
    }
}

/// A request of `length` bytes: a span of its own, then filler that no reader knows. The status, none when the connection ended.
fn send_large(at: SocketAddr, number: u64, length: usize) -> Option<u16> {
    let marker = request(2, number, 1);
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(PATIENCE * 4)).ok()?;
    stream.set_write_timeout(Some(PATIENCE * 4)).ok()?;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {}\r\ncontent-length: {length}\r\n\r\n",
        PROTOBUF.1
    );
    stream.write_all(head.as_bytes()).ok()?;
    // Field 100 with the rest as its content: a key of two bytes, a length of four.
    let filler = length - marker.len() - 6;
    let mut start = [marker, vec![0xA2, 0x06]].concat();
    for shift in [0, 7, 14, 21] {
        let more = if shift < 21 { 0x80 } else { 0 };
        start.push(u8::try_from(filler >> shift & 0x7F).unwrap() | more);
    }
    // A server that refuses reads no further.
    let sent = stream.write_all(&start).and_then(|()| {
        let piece = vec![b'x'; 1 << 20];
        (0..filler).step_by(1 << 20).try_for_each(|at| stream.write_all(&piece[..piece.len().min(filler - at)]))
    });
    let mut answer = [0; 12];
    let read = stream.read_exact(&mut answer);
    read.or(sent).ok()?;
    std::str::from_utf8(&answer).ok()?.get(9..12)?.parse().ok()
}

/// What became of the large requests: those of 64 MiB, and as many of the largest that the server takes with its memory.
fn send_all_large(server: &Server, taken: usize) -> (Vec<u64>, Vec<Option<u16>>) {
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..LARGE * 2 {
            let (at, answers, length) = (server.at.http, &answers, if number < LARGE { LARGEST } else { taken });
            scope.spawn(move || {
                let status = send_large(at, number, length);
                answers.lock().unwrap().push((number, status));
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    let accepted = answers.iter().filter(|(_, status)| *status == Some(200)).map(|(number, _)| *number).collect();
    (accepted, answers.into_iter().map(|(_, status)| status).collect())
}

fn survives(limit: u64, spans: u64) {
    let group = Group::new(limit);
    let binary = variable("DAYTWO_MEMORY_BINARY", "");
    let options = ServerOptions {
        config: "[query]\ntimeout = \"5m\"\n".to_owned(),
        group: group.as_ref().map(|group| group.0.clone()),
        binary: Some(PathBuf::from(binary)).filter(|path| !path.as_os_str().is_empty()),
        ..ServerOptions::default()
    };
    let mut server = Server::start_with(&options);
    let limits = get_json(server.at.web, "/api/v1/status")["limits"].clone();
    let taken = LARGEST.min(mebibytes(&limits["collector.request_bytes_max"]));
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut accepted, mut statuses) = (Vec::new(), Vec::new());
    let peak = std::thread::scope(|scope| {
        let at_most = scope.spawn(|| own_memory_peak(&server, &over));
        let mut senders = vec![scope.spawn(|| bombs(&server))];
        senders.extend((0..SENDERS).map(|_| {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(BATCH, Ordering::SeqCst);
                    if first >= spans {
                        return;
                    }
                    send_until_accepted(&server, &request(1, first, BATCH.min(spans - first)));
                }
            })
        }));
        scope.spawn(|| questions(&server, &over));
        (accepted, statuses) = send_all_large(&server, taken);
        let failed = senders.into_iter().map(|sender| sender.join()).any(|ended| ended.is_err());
        over.store(true, Ordering::Relaxed);
        assert!(!failed, "a sender failed");
        at_most.join().unwrap()
    });
    assert!(server.is_running(), "{}", server.log());
    let count = |query: &str| sql(server.at.web, query)[0][0].as_str().unwrap().parse::<u64>().unwrap();
    let trace = "trace_id = trace_id('01010101010101010101010101010101')";
    assert_eq!(count(&format!("SELECT count(*) FROM spans WHERE {trace}")), spans);
    for number in &accepted {
        let span = format!("{:016x}", number + 1);
        let query = format!(
            "SELECT count(*) FROM spans WHERE trace_id = trace_id('{}') AND span_id = span_id('{span}')",
            "02".repeat(16)
        );
        assert_eq!(count(&query), 1, "an accepted request");
    }
    let of = |status| statuses.iter().filter(|answer| **answer == status).count();
    let answers = [Some(200), Some(413), Some(503), None].map(of);
    eprintln!(
        "{} MiB: {spans} spans of a trace stored; {LARGE} requests of 64 and of {} MiB each: [200, 413, 503, cut off] = {answers:?}; \
         memory of its own at most {} MiB, limits {limits}",
        limit >> 20,
        taken >> 20,
        peak >> 20
    );
    assert!(peak <= limit, "{peak} bytes were its own");
    if let Some(group) = &group {
        assert_eq!(group.number("memory.oom_control", "oom_kill "), Some(0));
        eprintln!(
            "the group had at most {} MiB, caches of files included",
            group.number("memory.max_usage_in_bytes", "").unwrap_or_default() >> 20
        );
    }
}

/// A size as the status shows it.
fn mebibytes(size: &serde_json::Value) -> usize {
    size.as_str().and_then(|size| size.strip_suffix("MiB")).unwrap().parse::<usize>().unwrap() << 20
}

/// The most memory that the process had for itself, seen from time to time until `over`.
fn own_memory_peak(server: &Server, over: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !over.load(Ordering::Relaxed) {
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
        peak = peak.max(line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024);
        pause();
    }
    peak
}

/// Scenario: a server with as much memory as is said, default settings; 16 bombs of 64 MiB, 64 requests of 64 MiB and 64 of the largest
/// it takes at once, questions one after the other, and a trace of many spans, sent by four exporters that send again what is refused
/// for now.
/// Guarantees: it is alive at the end and was never out of memory, and all that was accepted is there.
#[test]
fn little_memory_is_enough() {
    let spans = variable("DAYTWO_MEMORY_SPANS", "100000").parse().unwrap();
    for mebibytes in variable("DAYTWO_MEMORY_MIB", "512").split(',') {
        survives(mebibytes.parse::<u64>().unwrap() << 20, spans);
    }
}
