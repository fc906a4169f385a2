use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::{FakeCollector, Reply};
use crate::{Corpus, CorpusConfig, Model, ModelConfig};

const KINDS: [Export; 5] = [Export::Grpc, Export::GrpcGzip, Export::Http, Export::HttpGzip, Export::HttpJson];

fn body() -> Bytes {
    let model = Model::new(ModelConfig::default());
    Corpus::new(&model, CorpusConfig { batch_spans: 8, ..CorpusConfig::default() }).next().unwrap().body
}

async fn export(kind: Export, collector: &FakeCollector) -> Sent {
    let exporter = Exporter::new(kind, &collector.endpoints, Duration::from_secs(10)).unwrap();
    let policy = RetryPolicy { attempts: 4, delay: Duration::from_millis(10), delay_max: Duration::from_millis(20) };
    let body = exporter.prepare(&body());
    send_until_answered(&exporter, body, &policy, &mut StdRng::seed_from_u64(1), &CancellationToken::new()).await
}

/// Scenario: a collector that takes every request at once, for each protocol, encoding and compression.
/// Guarantees: the wire form is one that the collector can read, and the answer is understood.
#[tokio::test]
async fn every_kind_arrives() {
    for kind in KINDS {
        let collector = FakeCollector::start(|_| Reply::Accept).await;
        let sent = export(kind, &collector).await;
        assert_eq!(sent, Sent { answer: Answer::Accepted { rejected_spans: 0 }, attempts: 1, lost_before: false });
        assert_eq!(collector.spans(), 8, "{kind:?}");
    }
}

/// Scenario: a collector that is busy twice, then well.
/// Guarantees: the same body is sent again until it is accepted.
#[tokio::test]
async fn busy_is_retried() {
    for kind in KINDS {
        let collector = FakeCollector::start(|nth| if nth < 2 { Reply::Busy } else { Reply::Accept }).await;
        let sent = export(kind, &collector).await;
        assert_eq!((sent.attempts, sent.lost_before), (3, false), "{kind:?}: {sent:?}");
        assert_eq!(sent.answer, Answer::Accepted { rejected_spans: 0 });
    }
}

/// Scenario: a collector that finds the request invalid, and one that stays busy.
/// Guarantees: the first is asked once; the second as often as the policy allows, no more.
#[tokio::test]
async fn attempts_are_bounded() {
    for kind in KINDS {
        let invalid = FakeCollector::start(|_| Reply::Invalid).await;
        let sent = export(kind, &invalid).await;
        assert!(matches!(sent.answer, Answer::Refused { .. }), "{kind:?}: {sent:?}");
        assert_eq!((sent.attempts, invalid.requests()), (1, 1));
        let busy = FakeCollector::start(|_| Reply::Busy).await;
        let sent = export(kind, &busy).await;
        assert!(matches!(sent.answer, Answer::Retry { .. }), "{kind:?}: {sent:?}");
        assert_eq!((sent.attempts, busy.requests()), (4, 4));
    }
}

/// Scenario: nobody listens at the endpoint.
/// Guarantees: the request counts as not taken, which may be retried, rather than as lost on the way.
#[tokio::test]
async fn a_refused_connection_is_not_a_lost_request() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let endpoints = Endpoints::new(&free, &free).unwrap();
    let exporter = Exporter::new(Export::Grpc, &endpoints, Duration::from_secs(10)).unwrap();
    assert!(matches!(exporter.send(Bytes::new()).await, Answer::Retry { .. }));
}

/// Scenario: a collector that hangs up after reading the request.
/// Guarantees: the request is marked as one that the collector may have seen.
#[tokio::test]
async fn a_cut_answer_is_a_lost_request() {
    for kind in KINDS {
        let collector = FakeCollector::start(|nth| if nth == 0 { Reply::HangUp } else { Reply::Accept }).await;
        let sent = export(kind, &collector).await;
        assert!(sent.lost_before && sent.attempts == 2, "{kind:?}: {sent:?}");
    }
}

/// Scenario: endpoints that are not `host:port`.
/// Guarantees: the error names what was given.
#[test]
fn bad_endpoints_are_named() {
    let error = Endpoints::new("127.0.0.1:4317", "not a host").unwrap_err();
    assert!(error.to_string().contains("not a host"));
}
