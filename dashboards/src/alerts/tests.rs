//! Alerts against a receiver in this process: what it is told, and what happens while it is down, slow, hostile, or we restart.

use std::collections::VecDeque;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use daytwo_query::{EngineConfig, SystemClock};
use daytwo_storage::clock::ManualClock;
use daytwo_storage::testing::{TestSpan, batch_of};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// 2026-11-22T10:30:00Z.
const NOW: UnixNanos = UnixNanos(1_795_343_400_000_000_000);

/// What a receiver was sent, and how it is to answer.
#[derive(Debug, Clone, Default)]
struct Log {
    requests: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
    /// Answers to give, one a request; then 200.
    script: Arc<Mutex<VecDeque<Response>>>,
    /// Bodies with this text are refused with 400.
    hated: Arc<Mutex<Option<&'static str>>>,
}

impl Log {
    fn bodies(&self) -> Vec<Value> {
        self.requests.lock().unwrap().iter().map(|(_, _, body)| body.clone()).collect()
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn answer(&self, answers: impl IntoIterator<Item = Response>) {
        self.script.lock().unwrap().extend(answers);
    }
}

async fn take(State(log): State<Log>, uri: http::Uri, headers: HeaderMap, body: String) -> Response {
    log.requests.lock().unwrap().push((uri.to_string(), headers, serde_json::from_str(&body).unwrap()));
    if log.hated.lock().unwrap().is_some_and(|hated| body.contains(hated)) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    log.script.lock().unwrap().pop_front().unwrap_or_else(|| StatusCode::OK.into_response())
}

/// A receiver on a free port.
async fn receiver() -> (SocketAddr, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, log) = (listener.local_addr().unwrap(), Log::default());
    let router = Router::new().fallback(take).with_state(log.clone());
    let stop = CancellationToken::new();
    tokio::spawn(crate::serve(listener, router, stop, Duration::from_secs(1)));
    (address, log)
}

fn webhook(format: WebhookFormat, url: &str) -> WebhookConfig {
    WebhookConfig {
        name: "ops".to_owned(),
        target: Target::parse(url, true).unwrap(),
        format,
        pages: true,
        tickets: true,
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ca_pem: None,
        bearer_token: None,
        signing_key: None,
        repeat: Duration::from_secs(60),
    }
}

fn condition(service: &str, severity: &str, summary: &str) -> Condition {
    let text = |text: &str| text.to_owned();
    let pairs = [("alertname", "SloBurnRate"), ("service", service), ("severity", severity)];
    Condition {
        labels: pairs.map(|(name, value)| (text(name), text(value))).into(),
        annotations: [(text("summary"), text(summary))].into(),
        page: format!("/slos/{service}"),
    }
}

/// Alerts whose clock the test holds, and whose deliveries it orders one by one.
struct Rig {
    folder: TempDir,
    clock: Arc<ManualClock>,
    alerts: Arc<Alerts>,
}

impl Rig {
    fn new(configs: Vec<WebhookConfig>) -> Self {
        Self::with_resolver(configs, &Resolver::System)
    }

    fn with_resolver(configs: Vec<WebhookConfig>, resolver: &Resolver) -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), Arc::new(ManualClock::at(NOW)));
        let alerts = Self::open(&folder, &clock, configs, resolver);
        Self { folder, clock, alerts }
    }

    fn open(
        folder: &TempDir,
        clock: &Arc<ManualClock>,
        configs: Vec<WebhookConfig>,
        resolver: &Resolver,
    ) -> Arc<Alerts> {
        let document = Document::in_folder(folder.path(), "alerts.json", ALERTS_BYTES_MAX);
        let board = Some("https://board.example/".to_owned());
        Alerts::with_resolver(configs, board, document, Arc::clone(clock) as Arc<dyn Clock>, resolver).unwrap()
    }

    /// The process ends without a word and starts again.
    async fn restart(&mut self) {
        self.alerts.save().await;
        let configs = self.alerts.webhooks.iter().map(|webhook| webhook.config.clone()).collect();
        self.alerts = Self::open(&self.folder, &self.clock, configs, &Resolver::System);
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// One delivery to the first webhook.
    async fn deliver(&self) -> Delivery {
        self.alerts.deliver(&self.alerts.webhooks[0]).await
    }

    fn status(&self) -> WebhookStatus {
        self.alerts.webhooks().remove(0)
    }
}

/// Scenario: an alert fires, goes on past its repetition, and ends; Alertmanager's form.
/// Guarantees: each is told once, in the form of its API, to the path of the URL: it ends by itself if we fall silent, and now when it is over.
#[tokio::test]
async fn alertmanager_hears_the_life_of_an_alert() {
    let (address, log) = receiver().await;
    let rig = Rig::new(vec![webhook(WebhookFormat::Alertmanager, &format!("http://{address}/api/v2/alerts"))]);
    let burning = || condition("checkout", "page", "burns 20 times too fast");
    assert_eq!(rig.deliver().await, Delivery::Nothing);
    rig.alerts.take(vec![burning()]);
    assert_eq!(rig.deliver().await, Delivery::Done);
    assert_eq!(rig.deliver().await, Delivery::Nothing);
    let first = json!([{
        "labels": {"alertname": "SloBurnRate", "service": "checkout", "severity": "page"},
        "annotations": {"summary": "burns 20 times too fast"},
        "startsAt": "2026-11-22T10:30:00.000Z", "endsAt": "2026-11-22T10:33:00.000Z",
        "generatorURL": "https://board.example/slos/checkout",
    }]);
    assert_eq!(log.bodies(), std::slice::from_ref(&first));
    assert_eq!(log.requests.lock().unwrap()[0].0, "/api/v2/alerts");
    rig.pass(59);
    rig.alerts.take(vec![burning()]);
    assert_eq!(rig.deliver().await, Delivery::Nothing);
    rig.pass(1);
    assert_eq!(rig.deliver().await, Delivery::Done);
    rig.pass(9);
    rig.alerts.take(Vec::new());
    assert_eq!(rig.deliver().await, Delivery::Done);
    assert_eq!(rig.deliver().await, Delivery::Nothing);
    let ends: Vec<Value> = log.bodies().iter().map(|body| body[0]["endsAt"].clone()).collect();
    assert_eq!(ends, ["2026-11-22T10:33:00.000Z", "2026-11-22T10:34:00.000Z", "2026-11-22T10:31:09.000Z"]);
    rig.alerts.take(Vec::new());
    assert_eq!((rig.alerts.counts(), rig.alerts.shown().len()), ((0, 0), 0));
    assert_eq!((rig.status().delivered, rig.status().failed, rig.status().pending), (3, 0, 0));
}

/// Scenario: two alerts of one service and one of another, for a receiver of plain JSON with a token and a key that wants no tickets.
/// Guarantees: one request a service, with token and signature; the ticket is kept from it.
#[tokio::test]
async fn plain_json_is_grouped_by_service_and_signed() {
    let (address, log) = receiver().await;
    let config = WebhookConfig {
        tickets: false,
        bearer_token: Some(Secret::new("letmein\n")),
        signing_key: Some(Secret::new("key")),
        ..webhook(WebhookFormat::Json, &format!("http://{address}/hook?team=a"))
    };
    let rig = Rig::new(vec![config]);
    let mut second = condition("cart", "page", "two");
    second.labels.insert("alertname".to_owned(), "DeploymentFailed".to_owned());
    rig.alerts.take(vec![
        condition("cart", "page", "one"),
        condition("pay", "page", "three"),
        condition("pay", "ticket", "four"),
        second,
    ]);
    assert_eq!(
        (rig.deliver().await, rig.deliver().await, rig.deliver().await),
        (Delivery::Done, Delivery::Done, Delivery::Nothing)
    );
    let bodies = log.bodies();
    let services: Vec<(&Value, usize)> =
        bodies.iter().map(|body| (&body["group"]["service"], body["alerts"].as_array().unwrap().len())).collect();
    assert_eq!(services, [(&json!("cart"), 2), (&json!("pay"), 1)]);
    let pay = json!({
        "version": "1", "webhook": "ops", "status": "firing", "group": {"service": "pay"},
        "alerts": [{
            "status": "firing", "labels": {"alertname": "SloBurnRate", "service": "pay", "severity": "page"},
            "annotations": {"summary": "three"}, "starts_at": "2026-11-22T10:30:00.000Z", "ends_at": null,
            "url": "https://board.example/slos/pay",
        }],
    });
    assert_eq!(bodies[1], pay);
    let requests = log.requests.lock().unwrap();
    let (path, headers, _) = &requests[0];
    let header = |name: &str| headers[name].to_str().unwrap();
    assert_eq!((path.as_str(), header("authorization")), ("/hook?team=a", "Bearer letmein"));
    assert_eq!((header("x-daytwo-timestamp"), header("x-daytwo-signature").len()), ("1795343400", 71));
    assert!(!format!("{:?}", rig.alerts).contains("letmein"));
}

/// Scenario: a body, a key and a time whose signature another implementation has computed.
/// Guarantees: ours is the same: HMAC-SHA256 of `time.body`.
#[test]
fn signatures_are_hmac_sha256() {
    let expected = "a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
    assert_eq!(client::signature("key", 1_700_000_000, br#"{"a":1}"#), expected);
}

/// Scenario: nobody listens; then the receiver is overloaded and says when to come back; then it fails; meanwhile the alert ends.
/// Guarantees: every failure is counted and named, nothing is lost, the receiver's wish is heard, and what is told at last is the end.
#[tokio::test]
async fn an_outage_delays_and_loses_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = Rig::new(vec![webhook(WebhookFormat::Json, &format!("http://{gone}/"))]);
    nobody.alerts.take(vec![condition("cart", "page", "one")]);
    assert_eq!(nobody.deliver().await, Delivery::Failed(Duration::ZERO));
    assert!(nobody.status().last_error.unwrap().contains("cannot connect"), "{:?}", nobody.status());

    let (address, log) = receiver().await;
    let rig = Rig::new(vec![webhook(WebhookFormat::Json, &format!("http://{address}/"))]);
    log.answer([
        (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")]).into_response(),
        StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "86400")]).into_response(),
    ]);
    rig.alerts.take(vec![condition("cart", "page", "one")]);
    assert_eq!(rig.deliver().await, Delivery::Failed(Duration::from_secs(7)));
    assert_eq!(rig.deliver().await, Delivery::Failed(Duration::ZERO));
    assert_eq!(rig.deliver().await, Delivery::Failed(Duration::from_secs(300)));
    assert_eq!((rig.status().failed, rig.status().pending), (3, 1));
    rig.pass(3_600);
    rig.alerts.take(Vec::new());
    assert_eq!((rig.deliver().await, rig.deliver().await), (Delivery::Done, Delivery::Nothing));
    let last = log.bodies().pop().unwrap();
    assert_eq!(
        (&last["status"], &last["alerts"][0]["ends_at"]),
        (&json!("resolved"), &json!("2026-11-22T11:30:00.000Z"))
    );
    assert_eq!((rig.status().last_error, rig.status().delivered), (None, 1));
    nobody.pass(86_400);
    nobody.alerts.take(Vec::new());
    nobody.pass(86_400);
    nobody.alerts.take(Vec::new());
    assert_eq!(nobody.alerts.counts(), (0, 1), "an end nobody could be told of for a day is dropped, and counted");
}

/// Scenario: a restart after an alert was told, a second one during its recovery, one with a book that is no JSON.
/// Guarantees: what was told is not told again, what recovered meanwhile is told as over; a bad book is set aside.
#[tokio::test]
async fn a_restart_repeats_and_forgets_nothing() {
    let (address, log) = receiver().await;
    let mut rig = Rig::new(vec![webhook(WebhookFormat::Json, &format!("http://{address}/"))]);
    rig.alerts.take(vec![condition("cart", "page", "one"), condition("pay", "page", "two")]);
    assert_eq!((rig.deliver().await, rig.deliver().await), (Delivery::Done, Delivery::Done));
    rig.restart().await;
    assert_eq!(rig.deliver().await, Delivery::Nothing);
    rig.pass(10);
    rig.alerts.take(vec![condition("cart", "page", "one")]);
    rig.restart().await;
    assert_eq!((rig.deliver().await, rig.deliver().await), (Delivery::Done, Delivery::Nothing));
    let last = log.bodies().pop().unwrap();
    assert_eq!((&last["group"]["service"], &last["status"]), (&json!("pay"), &json!("resolved")));
    assert_eq!(last["alerts"][0]["starts_at"], "2026-11-22T10:30:00.000Z");
    std::fs::write(rig.folder.path().join("alerts.json"), "{").unwrap();
    let configs = vec![rig.alerts.webhooks[0].config.clone()];
    let fresh = Rig::open(&rig.folder, &rig.clock, configs, &Resolver::System);
    assert!(fresh.shown().is_empty() && rig.folder.path().join("alerts.json.damaged").exists());
}

/// Scenario: a receiver that redirects to another one; names that point to this machine, to metadata, to a mix, and to something else the
/// second time; an address instead of a name.
/// Guarantees: nothing is followed; only allowed addresses are connected to, and the address that was checked is the one that is used.
#[tokio::test]
async fn requests_go_where_the_configuration_allows() {
    let ((first, log), (second, other)) = (receiver().await, receiver().await);
    let rig = Rig::new(vec![webhook(WebhookFormat::Json, &format!("http://{first}/"))]);
    log.answer([Redirect::temporary(&format!("http://{second}/")).into_response()]);
    rig.alerts.take(vec![condition("cart", "page", "one")]);
    assert_eq!(rig.deliver().await, Delivery::Failed(Duration::ZERO));
    assert_eq!((log.count(), other.count()), (1, 0));
    assert!(rig.status().last_error.unwrap().contains("redirects are not followed"));

    let named = |config: WebhookConfig, answers: Vec<Vec<SocketAddr>>| {
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let rig = Rig::with_resolver(vec![config], &Resolver::Fixed(Arc::clone(&answers)));
        rig.alerts.take(vec![condition("cart", "page", "one")]);
        (rig, answers)
    };
    let config = webhook(WebhookFormat::Json, &format!("http://hooks.example:{}/", first.port()));
    let metadata: SocketAddr = format!("169.254.169.254:{}", first.port()).parse().unwrap();
    let closed = WebhookConfig { allow_networks: Vec::new(), ..config.clone() };
    for (config, addresses) in
        [(closed.clone(), vec![first]), (config.clone(), vec![metadata]), (closed, vec![first, metadata])]
    {
        let (rig, _) = named(config, vec![addresses]);
        assert_eq!(rig.deliver().await, Delivery::Failed(Duration::ZERO));
        assert!(rig.status().last_error.unwrap().contains("no address that is allowed"), "{:?}", rig.status());
    }
    assert_eq!(log.count(), 1);
    let (rig, answers) = named(config.clone(), vec![vec![metadata, first], vec![metadata]]);
    assert_eq!(rig.deliver().await, Delivery::Done);
    assert_eq!((log.count(), answers.lock().unwrap().len()), (2, 1), "asked once, connected to what was checked");
    let plain = WebhookConfig {
        target: Target::parse(&format!("http://{first}/"), true).unwrap(),
        allow_networks: Vec::new(),
        ..config
    };
    let (rig, _) = named(plain.clone(), vec![vec![first]]);
    assert_eq!(rig.deliver().await, Delivery::Failed(Duration::ZERO));
    let system = Rig::new(vec![plain]);
    system.alerts.take(vec![condition("cart", "page", "one")]);
    assert_eq!(system.deliver().await, Delivery::Failed(Duration::ZERO));
    assert_eq!(log.count(), 2);
}

/// A receiver that answers whatever comes with some bytes, and then others again and again.
async fn raw(first: &'static [u8], more: &'static [u8], times: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut start = [0; 16];
            stream.read_exact(&mut start).await.unwrap();
            let parts = std::iter::once(first).chain(std::iter::repeat_n(more, times));
            for part in parts {
                // Whoever has seen enough goes away.
                if stream.write_all(part).await.is_err() {
                    break;
                }
            }
            held.push(stream);
        }
    });
    address
}

/// Scenario: receivers that never answer, stop within a head, send a head without end, answer nonsense, or promise a long body.
/// Guarantees: each request ends by itself, as a failure; a body is not waited for, for the status is all that counts.
#[tokio::test]
async fn hostile_receivers_cost_a_bounded_time() {
    const FAILED: Delivery = Delivery::Failed(Duration::ZERO);
    let head = b"HTTP/1.1 200 OK\r\nx: ";
    let silent: &'static [u8] = b"";
    for (first, more, times, delivery) in [
        (silent, silent, 0, FAILED),
        (head, silent, 0, FAILED),
        (head, b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 100_000, FAILED),
        (b"SSH-2.0-OpenSSH_9.6\r\n", silent, 0, FAILED),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nabc", silent, 0, Delivery::Done),
    ] {
        let address = raw(first, more, times).await;
        let rig = Rig::new(vec![webhook(WebhookFormat::Json, &format!("http://{address}/"))]);
        rig.alerts.take(vec![condition("cart", "page", "one")]);
        assert_eq!(rig.deliver().await, delivery, "{:?}", rig.status());
    }
}

/// Scenario: a thousand alerts and one more; among them one that the receiver will not have.
/// Guarantees: the one over the limit is counted; requests hold at most a hundred; the hated one is counted, not repeated, and keeps
/// none of the others back.
#[tokio::test]
async fn limits_hold_and_one_bad_alert_blocks_none() {
    let (address, log) = receiver().await;
    *log.hated.lock().unwrap() = Some("service-0500");
    let rig = Rig::new(vec![webhook(WebhookFormat::Alertmanager, &format!("http://{address}/"))]);
    let service = |number| condition(&format!("service-{number:04}"), "page", "x");
    rig.alerts.take((0..=book::ALERTS_MAX).map(service).collect());
    assert_eq!(rig.alerts.counts(), (1_000, 1));
    while rig.deliver().await == Delivery::Done {}
    let status = rig.status();
    assert_eq!((status.pending, status.refused), (0, 1));
    let mut told: Vec<String> = Vec::new();
    for body in log.bodies() {
        let alerts = body.as_array().unwrap();
        assert!(alerts.len() <= 100);
        told.extend(alerts.iter().map(|alert| alert["labels"]["service"].as_str().unwrap().to_owned()));
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 1_000);
    let before = log.count();
    rig.pass(60);
    while rig.deliver().await == Delivery::Done {}
    assert_eq!(log.count() - before, 10, "the refused one is not repeated");
}

/// Scenario: a receiver behind TLS, with its authority trusted, with only others trusted, and under another name.
/// Guarantees: only the first is told.
#[tokio::test]
async fn tls_is_checked() {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ServerConfig, crypto};
    let authority = include_bytes!("tls/authority.pem");
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(include_bytes!("tls/server.pem")).map(|one| one.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = Arc::new(server.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(server);
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = vec![0; 4_096];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    let trusting = |host: &str, ca: &[u8]| WebhookConfig {
        target: Target::parse(&format!("https://{host}:{}/", address.port()), false).unwrap(),
        ca_pem: Some(ca.to_vec()),
        ..webhook(WebhookFormat::Json, "http://unused.example/")
    };
    let here = Resolver::Fixed(Arc::new(Mutex::new(VecDeque::from([vec![address]]))));
    for (config, delivery) in [
        (trusting("localhost", authority), Delivery::Done),
        (trusting("localhost", include_bytes!("tls/server.pem")), Delivery::Failed(Duration::ZERO)),
        (trusting("hooks.example", authority), Delivery::Failed(Duration::ZERO)),
    ] {
        let rig = Rig::with_resolver(vec![config], &here);
        rig.alerts.take(vec![condition("cart", "page", "one")]);
        assert_eq!(rig.deliver().await, delivery, "{:?}", rig.status());
    }
    let folder = TempDir::new().unwrap();
    let document = Document::in_folder(folder.path(), "alerts.json", 1_000);
    let none = Alerts::new(vec![trusting("localhost", b"")], None, document, Arc::new(SystemClock));
    assert!(none.unwrap_err().contains("no certificate to trust"));
}

const SLO: &str = "apiVersion: openslo/v1
kind: SLO
metadata: {name: pay-ok, displayName: Payments work}
spec:
  indicator:
    spec:
      ratioMetric:
        good: {metricSource: {type: daytwo, spec: {signal: availability, service: pay}}}
        total: {metricSource: {type: daytwo, spec: {service: pay}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  objectives: [{target: 0.99}]
";

/// Scenario: half of the calls to a service fail for a while; then none does for hours.
/// Guarantees: page and ticket are conditions with the numbers in words; the page is over first; while nothing was read from the store
/// nothing is said at all, so that a restart ends no alert.
#[test]
fn a_burning_budget_is_a_condition() {
    let clock = Arc::new(ManualClock::at(NOW));
    let engine = Correlator::new(EngineConfig::default(), Arc::clone(&clock) as Arc<dyn Clock>);
    engine.set_slos(&[daytwo_query::slo::SloFile { name: "a.yaml".to_owned(), text: SLO.to_owned() }]);
    let mut trace = 0_u128;
    let mut minute = |failing: bool| {
        let spans: Vec<TestSpan> = (0..60_u64)
            .map(|number| {
                trace += 1;
                let at = u64::try_from(clock.now().0).unwrap() + number;
                let span = TestSpan::new(trace, 1).service("pay").version("v1").at(at);
                if failing && number % 2 == 0 { span.error() } else { span }
            })
            .collect();
        engine.observe(&batch_of(clock.now(), &spans));
        clock.advance(Duration::from_secs(60));
        engine.tick();
    };
    (0..10).for_each(|_| minute(true));
    assert_eq!(watch::conditions(&engine), None);
    let severities = |found: &[Condition]| found.iter().map(|one| one.labels["severity"].clone()).collect::<Vec<_>>();
    let found = watch::found(&engine);
    assert_eq!(severities(&found), ["page", "ticket"]);
    assert_eq!(found[0].labels["slo"], "pay-ok");
    assert_eq!(found[0].annotations["summary"], "Payments work burns its error budget 50.0 times too fast");
    assert!(found[0].annotations["description"].contains("50.0 over 1h and 50.0 over 5m (limit 14.4)"), "{found:?}");
    assert_eq!(found[0].page, "/slos/pay-ok");
    (0..60).for_each(|_| minute(false));
    assert_eq!(severities(&watch::found(&engine)), ["ticket"]);
    (0..360).for_each(|_| minute(false));
    assert_eq!(watch::found(&engine), []);
}

/// Scenario: half of the calls fail, and the objective has a policy of its own.
/// Guarantees: the policy's condition alone alerts, once it has held as long as it says, and is described in its own words.
#[test]
fn a_policys_condition_is_described() {
    let clock = Arc::new(ManualClock::at(NOW));
    let engine = Correlator::new(EngineConfig::default(), Arc::clone(&clock) as Arc<dyn Clock>);
    let policy = "  alertPolicies: [{metadata: {name: own}, spec: {conditions: [{metadata: {name: c}, spec: {severity: ticket, condition: {kind: burnrate, threshold: 10, lookbackWindow: 10m, alertAfter: 2m}}}]}}]\n";
    engine.set_slos(&[daytwo_query::slo::SloFile { name: "a.yaml".to_owned(), text: format!("{SLO}{policy}") }]);
    let mut trace = 0_u128;
    let mut minute = || {
        let spans: Vec<TestSpan> = (0..60_u64)
            .map(|number| {
                trace += 1;
                let at = u64::try_from(clock.now().0).unwrap() + number;
                let span = TestSpan::new(trace, 1).service("pay").version("v1").at(at);
                if number % 2 == 0 { span.error() } else { span }
            })
            .collect();
        engine.observe(&batch_of(clock.now(), &spans));
        clock.advance(Duration::from_secs(60));
        engine.tick();
        watch::found(&engine)
    };
    assert_eq!(minute(), []);
    let mut found = Vec::new();
    (0..4).for_each(|_| found = minute());
    assert_eq!(found.iter().map(|one| one.labels["severity"].as_str()).collect::<Vec<_>>(), ["ticket"]);
    let described = &found[0].annotations["description"];
    assert!(described.contains("50.0 over 10m, at least 50.0 for 2m (own, limit 10)"), "{described}");
}

/// Scenario: a release that fails beside the version before, then a rollback.
/// Guarantees: the failed release is a condition while it serves, and none once the traffic has left it, although its verdict stays FAIL.
#[test]
fn a_failed_release_is_a_condition_while_it_serves() {
    let clock = Arc::new(ManualClock::at(NOW));
    let engine = Correlator::new(EngineConfig::default(), Arc::clone(&clock) as Arc<dyn Clock>);
    let mut trace = 0_u128;
    let mut second = |version: &str, factor: u64| {
        let mut spans = Vec::new();
        for number in 0..40_u64 {
            trace += 1;
            let at = u64::try_from(clock.now().0).unwrap() + number * 1_000_000;
            let (version, factor) = if number % 2 == 0 { ("v1", 1) } else { (version, factor) };
            let wobble = u64::try_from(trace).unwrap() * 7_919 % 100 * 50_000;
            let work = (20_000_000 + wobble) * factor;
            spans.push(TestSpan::new(trace, 1).service("pay").version(version).at(at).lasting(work));
        }
        engine.observe(&batch_of(clock.now(), &spans));
        clock.advance(Duration::from_secs(1));
        engine.tick();
    };
    (0..20).for_each(|_| second("v1", 1));
    (0..60).for_each(|_| second("v2", 2));
    let found = watch::found(&engine);
    assert_eq!(found.len(), 1, "{found:?}");
    let labels = [("alertname", "DeploymentFailed"), ("service", "pay"), ("severity", "page"), ("version", "v2")];
    for (name, value) in labels {
        assert_eq!(found[0].labels[name], value);
    }
    assert!(found[0].annotations["summary"].contains("made it worse"), "{found:?}");
    assert_eq!(found[0].page, "/deployments/pay/v2");
    (0..180).for_each(|_| second("v1", 1));
    assert_eq!(watch::found(&engine), []);
}
