//! What a collector's answer means for the sender.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// An answer is a few bytes; more than this is not one.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The collector has it, except for spans that it found invalid.
    Accepted {
        /// Spans refused one by one.
        rejected_spans: u64,
    },
    /// The collector does not have it and wants it later.
    Retry {
        /// How long it asks to wait.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// The collector will never take it.
    Refused {
        /// Why.
        reason: String,
    },
    /// The request went out and no answer came: the collector may or may not have it.
    Lost {
        /// What happened.
        reason: String,
    },
}

pub(super) async fn read_grpc(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Answer::Lost { reason: format!("HTTP {} to a gRPC call", head.status) };
    }
    let collected = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(collected) => collected,
        Err(error) => return Answer::Lost { reason: format!("answer cut off: {error}") },
    };
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let Some(status) = Status::from_header_map(&trailers).or_else(|| Status::from_header_map(&head.headers)) else {
        return Answer::Lost { reason: "answer without grpc-status".into() };
    };
    if status.code() == Code::Ok {
        // Five bytes of gRPC framing come first.
        return accepted(collected.to_bytes().get(5..).unwrap_or_default());
    }
    of_grpc_status(&status)
}

fn of_grpc_status(status: &Status) -> Answer {
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let reason = format!("{:?}: {}", status.code(), status.message());
    let retryable = match status.code() {
        Code::Cancelled | Code::DeadlineExceeded | Code::Aborted => true,
        Code::OutOfRange | Code::Unavailable | Code::DataLoss => true,
        Code::ResourceExhausted => after.is_some(),
        _ => false,
    };
    if retryable { Answer::Retry { after, reason } } else { Answer::Refused { reason } }
}

pub(super) async fn read_http(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => return Answer::Lost { reason: format!("answer cut off: {error}") },
    };
    if head.status.is_success() {
        return if is_json(&head.headers) { accepted_json(&body) } else { accepted(&body) };
    }
    of_http_status(head.status, &head.headers)
}

fn of_http_status(status: StatusCode, headers: &HeaderMap) -> Answer {
    let reason = format!("HTTP {status}");
    match status.as_u16() {
        429 | 502 | 503 | 504 => Answer::Retry { after: retry_after(headers), reason },
        _ => Answer::Refused { reason },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

fn accepted(body: &[u8]) -> Answer {
    match ExportTraceServiceResponse::decode(body) {
        Ok(response) => {
            let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
            Answer::Accepted { rejected_spans: u64::try_from(rejected).unwrap_or(0) }
        }
        Err(error) => Answer::Lost { reason: format!("unreadable answer: {error}") },
    }
}

fn accepted_json(body: &[u8]) -> Answer {
    let Ok(answer) = serde_json::from_slice::<serde_json::Value>(body) else {
        return Answer::Lost { reason: "unreadable JSON answer".into() };
    };
    // A 64-bit integer: a string by the protobuf JSON mapping, a number with some servers.
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    let rejected = rejected.as_u64().or_else(|| rejected.as_str().and_then(|text| text.parse().ok()));
    Answer::Accepted { rejected_spans: rejected.unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    /// Scenario: each gRPC status, and overload with and without a delay.
    /// Guarantees: retried exactly as the specification says; the delay is read.
    #[test]
    fn grpc_statuses_mean_what_otlp_says() {
        let retryable = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        for code in (1..=16).map(Code::from_i32) {
            let answer = of_grpc_status(&Status::new(code, "x"));
            assert_eq!(matches!(answer, Answer::Retry { .. }), retryable.contains(&code), "{code:?}");
        }
        let delay = Duration::from_millis(250);
        let details = ErrorDetails::with_retry_info(Some(delay));
        let shed = Status::with_error_details(Code::ResourceExhausted, "full", details);
        assert!(matches!(of_grpc_status(&shed), Answer::Retry { after: Some(after), .. } if after == delay));
    }

    /// Scenario: HTTP statuses with and without `Retry-After`.
    /// Guarantees: only 429, 502, 503 and 504 are retried, after the delay asked for.
    #[test]
    fn http_statuses_mean_what_otlp_says() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "3".parse().unwrap());
        for code in [400, 401, 404, 408, 413, 415, 429, 500, 501, 502, 503, 504, 507] {
            let answer = of_http_status(StatusCode::from_u16(code).unwrap(), &headers);
            let expected = [429, 502, 503, 504].contains(&code);
            assert_eq!(matches!(answer, Answer::Retry { after: Some(Duration { .. }), .. }), expected, "{code}");
        }
    }

    /// Scenario: answers that accept everything or reject some spans, in both encodings.
    /// Guarantees: the count of rejected spans is read.
    #[test]
    fn partial_success_is_read() {
        assert_eq!(accepted(&[]), Answer::Accepted { rejected_spans: 0 });
        assert_eq!(accepted_json(b"{}"), Answer::Accepted { rejected_spans: 0 });
        let partial = br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"ids"}}"#;
        assert_eq!(accepted_json(partial), Answer::Accepted { rejected_spans: 3 });
    }
}
