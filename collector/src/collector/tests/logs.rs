//! Log records over both transports: evaluations of feature flags are stored as spans, everything else is told why not.

use ::http::{Method, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::http::{JSON, PROTOBUF, send};
use super::*;

fn record(event: &str) -> LogRecord {
    let text = |key: &str, value: &str| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.into())) }),
        ..KeyValue::default()
    };
    LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        attributes: vec![text("feature_flag.key", "new-tax"), text("feature_flag.result.variant", "on")],
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: event.into(),
        ..LogRecord::default()
    }
}

fn logs(records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
        .encode_to_vec()
}

const JSON_LOGS: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
    {"timeUnixNano":"1700000000000000000","traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","eventName":"feature_flag.evaluation",
     "attributes":[{"key":"feature_flag.key","value":{"stringValue":"new-tax"}},{"key":"feature_flag.result.variant","value":{"stringValue":"on"}}]},
    {"timeUnixNano":"1700000000000000000","body":{"stringValue":"hello"}}]}]}]}"#;

/// Scenario: evaluations and other records over HTTP in protobuf and JSON, plain, gzip and zstd; the same request again; only other records;
/// no records; a body over the limit, one that is damaged, and another path.
/// Guarantees: 200 in the request's encoding with `rejectedLogRecords` and reasons where there are any; one span a kept record reaches the
/// store, none for the rest; refusals are those of traces; the counters add up.
#[tokio::test]
async fn log_records_over_http() {
    let running = start(CollectorConfig { request_bytes_max: 1 << 20, ..CollectorConfig::default() }).await;
    let post = |kind: &'static str, encoding: &'static str, body: Vec<u8>| {
        let running = &running;
        let headers = [("content-type", kind), ("content-encoding", encoding)];
        async move { send(running, Method::POST, "/v1/logs", &headers, body, false).await }
    };
    let mixed = logs(vec![record("feature_flag.evaluation"), record("other"), record("feature_flag")]);
    let packed =
        [("none", mixed.clone()), ("gzip", gzip(&mixed)), ("zstd", zstd::encode_all(mixed.as_slice(), 1).unwrap())];
    for (encoding, body) in packed {
        let answer = post(PROTOBUF, encoding, body).await;
        assert_eq!(answer.status, StatusCode::OK);
        let partial = ExportLogsServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
        assert_eq!(partial.rejected_log_records, 1);
        assert!(
            partial.error_message.contains("1 of 3 log records rejected: 1 not events named feature_flag.evaluation"),
            "{}",
            partial.error_message
        );
        assert_eq!(running.shelf.spans(), 2, "sent again it is recognised");
    }
    let answer = post(JSON, "none", JSON_LOGS.into()).await;
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &json["partialSuccess"]["rejectedLogRecords"]), (StatusCode::OK, &"1".into()));
    assert_eq!(running.shelf.spans(), 3);
    let answer = post(PROTOBUF, "none", logs(vec![record("feature_flag.evaluation")])).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    let answer = post(PROTOBUF, "none", logs(vec![record("other")])).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(post(PROTOBUF, "none", Vec::new()).await.status, StatusCode::OK);
    assert_eq!(running.shelf.spans(), 4);
    assert_eq!(post(PROTOBUF, "none", vec![0; 2 << 20]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post(PROTOBUF, "none", vec![0x0a, 0x09]).await.status, StatusCode::BAD_REQUEST);
    let elsewhere = send(&running, Method::POST, "/v1/metrics", &[("content-type", JSON)], Vec::new(), false).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
    let counted = running.telemetry.snapshot().log_records;
    assert_eq!(counted, [("kept", 8), ("not_an_evaluation", 5)].into());
    let spans = running.telemetry.snapshot();
    assert_eq!((spans.accepted_spans, spans.deduplicated_spans, spans.received_spans), (4, 4, 8));
}

/// Scenario: a call of `LogsService/Export` with an evaluation and another record; then one while the store asks for a pause.
/// Guarantees: status OK with the count of the rejected one; the second is shed with a delay, as traces are, and nothing of it is stored.
#[tokio::test]
async fn log_records_over_grpc() {
    let running = start(CollectorConfig::default()).await;
    let call = || async {
        let message = logs(vec![record("feature_flag.evaluation"), record("other")]);
        let mut framed = vec![0];
        framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        framed.extend_from_slice(&message);
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let uri = format!("http://{}/opentelemetry.proto.collector.logs.v1.LogsService/Export", running.grpc);
        let request = ::http::Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
        let response = client.request(request.body(Full::new(Bytes::from(framed))).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = trailers
            .get("grpc-status")
            .or_else(|| parts.headers.get("grpc-status"))
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (status, body.to_bytes())
    };
    let (status, body) = call().await;
    assert_eq!(status, "0");
    let answer = ExportLogsServiceResponse::decode(body.slice(5..)).unwrap();
    assert_eq!(answer.partial_success.unwrap().rejected_log_records, 1);
    assert_eq!(running.shelf.spans(), 1);
    running.shelf.set(Mood::Busy);
    assert_eq!(call().await.0, "14");
    assert_eq!(running.shelf.spans(), 1);
}
