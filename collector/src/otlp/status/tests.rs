use prost::Message;

use super::*;

/// Codes that an OTLP client sends again (RESOURCE_EXHAUSTED only with RetryInfo), and HTTP statuses likewise.
fn is_retryable(code: Code, with_retry_info: bool, status: u16) -> (bool, bool) {
    let grpc = match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => with_retry_info,
        _ => false,
    };
    (grpc, matches!(status, 429 | 502 | 503 | 504))
}

/// Scenario: every refusal there is.
/// Guarantees: its codes are as listed, both transports agree on whether to retry, the three bodies carry the same code.
#[test]
fn every_refusal_has_its_codes() {
    let shed = |reason| Refusal::Shed(reason, "later".into());
    let denied = |reason| Refusal::Denied(Denied { reason, pause: Duration::from_millis(1500) });
    let table = [
        (denied(Reason::Budget), Code::Unavailable, 503),
        (denied(Reason::Store), Code::Unavailable, 503),
        (denied(Reason::Share), Code::Unavailable, 503),
        (Refusal::Unauthenticated, Code::Unauthenticated, 401),
        (Refusal::Malformed("bad".into()), Code::InvalidArgument, 400),
        (Refusal::UnsupportedEncoding("br".into()), Code::Unimplemented, 415),
        (Refusal::EncodingMissing, Code::Internal, 400),
        (Refusal::UnsupportedContentType("text/plain".into()), Code::InvalidArgument, 415),
        (Refusal::MethodNotAllowed, Code::Unimplemented, 405),
        (Refusal::NotFound("/v1/logs".into()), Code::Unimplemented, 404),
        (Refusal::TooLarge { bytes_max: 1 }, Code::ResourceExhausted, 413),
        (Refusal::ExpandsTooMuch { bytes_max: 1 }, Code::ResourceExhausted, 413),
        (Refusal::DeadlineExceeded, Code::DeadlineExceeded, 503),
        (shed(Shed::MemoryBudget), Code::Unavailable, 503),
        (shed(Shed::StoreBusy), Code::Unavailable, 503),
        (shed(Shed::StoreFull), Code::Unavailable, 503),
        (shed(Shed::DiskFull), Code::Unavailable, 503),
        (shed(Shed::ReadOnly), Code::Unavailable, 503),
        (shed(Shed::StoreIo), Code::Unavailable, 503),
        (shed(Shed::SlowBody), Code::Unavailable, 503),
        (shed(Shed::ShuttingDown), Code::Unavailable, 503),
        (shed(Shed::Panic), Code::Unavailable, 503),
        (Refusal::Internal("bug".into()), Code::Internal, 500),
    ];
    for (refusal, code, status) in table {
        let grpc = refusal.to_grpc();
        assert_eq!((grpc.code(), refusal.http_status().as_u16()), (code, status), "{refusal:?}");
        let retry_info = grpc.get_details_retry_info();
        let (grpc_retries, http_retries) = is_retryable(code, retry_info.is_some(), status);
        assert_eq!(grpc_retries, http_retries, "{refusal:?}");
        assert_eq!(retry_info.is_some(), matches!(refusal, Refusal::Shed(..) | Refusal::Denied(_)));
        assert!(refusal.retry_after().is_none_or(|delay| delay >= Duration::from_secs(1)));
        let proto = pb::Status::decode(refusal.to_protobuf().as_slice()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&refusal.to_json()).unwrap();
        assert_eq!((proto.code, json["code"].as_i64()), (i32::from(code), Some(i64::from(i32::from(code)))));
        assert_eq!((proto.message.as_str(), json["message"].as_str()), (grpc.message(), Some(grpc.message())));
        assert_eq!(proto.details.len(), json["details"].as_array().map_or(0, Vec::len));
    }
}

/// Scenario: a refusal with a pause of 1.5 s.
/// Guarantees: both encodings and gRPC tell it to the millisecond.
#[test]
fn pauses_are_told_exactly() {
    let refusal = Refusal::Denied(Denied { reason: Reason::Store, pause: Duration::from_millis(1500) });
    let json: serde_json::Value = serde_json::from_slice(&refusal.to_json()).unwrap();
    assert_eq!(json["details"][0]["retryDelay"], "1.500s");
    let told = refusal.to_grpc().get_details_retry_info().unwrap().retry_delay;
    assert_eq!(told, Some(Duration::from_millis(1500)));
}

/// Scenario: what the store answers.
/// Guarantees: an error that may pass is refused for now, any other for good.
#[test]
fn storage_errors_keep_their_retryability() {
    let io = || std::io::Error::other("x");
    let errors = [
        StorageError::Full { used_bytes: 1, limit_bytes: 1 },
        StorageError::DiskFull { path: "d".into() },
        StorageError::ReadOnly { reason: "r".into() },
        StorageError::Stalled { waited: Duration::from_secs(4) },
        StorageError::Io { action: "write", path: "p".into(), source: io() },
        StorageError::Locked { path: "p".into() },
        StorageError::Corrupt { path: "p".into(), reason: "r".into() },
        StorageError::Unfit { store: "s".into(), reason: "r".into() },
        StorageError::Table { action: "commit", source: Box::new(io()) },
    ];
    for error in errors {
        let refusal = Refusal::from(&error);
        assert_eq!(refusal.retry_after().is_some(), error.is_retryable(), "{error}");
    }
}
