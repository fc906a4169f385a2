//! The one place where a refusal becomes a gRPC status and an HTTP status.
//!
//! OTLP clients drop what is refused for good and send again what is refused for now, and they tell the two apart by
//! code alone. So everything that may pass is UNAVAILABLE or 503 with a delay, and only that.

use std::borrow::Cow;
use std::time::Duration;

use daytwo_storage::StorageError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};

use super::decode::DecodeError;
use super::inflate::InflateError;
use crate::admission::{Denied, Reason};

/// Why a request is refused for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shed {
    /// The byte budget is spent.
    MemoryBudget,
    /// The store asks for a pause.
    StoreBusy,
    /// The store's buffer is full.
    StoreFull,
    /// The disk is full.
    DiskFull,
    /// The store takes no writes.
    ReadOnly,
    /// A write failed.
    StoreIo,
    /// The body came too slowly or the connection broke.
    SlowBody,
    /// The server is stopping.
    ShuttingDown,
    /// A bug was contained; nothing was stored, or storing it again is recognised.
    Panic,
}

impl Shed {
    /// The name under which it is counted.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MemoryBudget => "memory_budget",
            Self::StoreBusy => "store_busy",
            Self::StoreFull => "store_full",
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::StoreIo => "store_io",
            Self::SlowBody => "slow_body",
            Self::ShuttingDown => "shutting_down",
            Self::Panic => "panic",
        }
    }

    /// When to try again: what usually passes in a moment soon, what needs an operator late.
    fn retry_after(self) -> Duration {
        Duration::from_secs(match self {
            Self::MemoryBudget | Self::SlowBody | Self::Panic => 1,
            Self::StoreBusy | Self::StoreFull | Self::StoreIo | Self::ShuttingDown => 2,
            Self::DiskFull | Self::ReadOnly => 30,
        })
    }
}

const NO_ROOM: &str = "too many bytes are in work; send the request again later";

/// Why a request is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It shows no token that is known.
    Unauthenticated,
    /// The body cannot be decoded or decompressed.
    Malformed(String),
    /// The compression is not one of ours.
    UnsupportedEncoding(String),
    /// gRPC says "compressed" and not how.
    EncodingMissing,
    /// The content type is not one of ours.
    UnsupportedContentType(String),
    /// Another method than POST.
    MethodNotAllowed,
    /// Another path or service.
    NotFound(String),
    /// Over the limit of a request.
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Over the limit of what a request may take once it is decoded.
    ExpandsTooMuch {
        /// The limit.
        bytes_max: usize,
    },
    /// The client's own deadline passed.
    DeadlineExceeded,
    /// For now, by its header alone.
    Denied(Denied),
    /// For now.
    Shed(Shed, Cow<'static, str>),
    /// The store failed in a way that sending again cannot help.
    Internal(String),
}

impl Refusal {
    /// The name under which it is counted.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Malformed(_) => "malformed",
            Self::UnsupportedEncoding(_) | Self::EncodingMissing => "unsupported_encoding",
            Self::UnsupportedContentType(_) => "unsupported_content_type",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotFound(_) => "not_found",
            Self::TooLarge { .. } => "too_large",
            Self::ExpandsTooMuch { .. } => "expands_too_much",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Denied(denied) => match denied.reason {
                Reason::Budget => Shed::MemoryBudget.name(),
                Reason::Store => Shed::StoreBusy.name(),
                Reason::Share => "fair_share",
            },
            Self::Shed(shed, _) => shed.name(),
            Self::Internal(_) => "internal",
        }
    }

    /// THE table: gRPC code and HTTP status.
    fn codes(&self) -> (Code, http::StatusCode) {
        use http::StatusCode;
        match self {
            Self::Unauthenticated => (Code::Unauthenticated, StatusCode::UNAUTHORIZED),
            Self::Malformed(_) => (Code::InvalidArgument, StatusCode::BAD_REQUEST),
            Self::UnsupportedEncoding(_) => (Code::Unimplemented, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::EncodingMissing => (Code::Internal, StatusCode::BAD_REQUEST),
            Self::UnsupportedContentType(_) => (Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::MethodNotAllowed => (Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED),
            Self::NotFound(_) => (Code::Unimplemented, StatusCode::NOT_FOUND),
            Self::TooLarge { .. } | Self::ExpandsTooMuch { .. } => {
                (Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE)
            }
            Self::DeadlineExceeded => (Code::DeadlineExceeded, StatusCode::SERVICE_UNAVAILABLE),
            Self::Denied(_) | Self::Shed(..) => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal(_) => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The HTTP status.
    pub(crate) fn http_status(&self) -> http::StatusCode {
        self.codes().1
    }

    /// The delay to ask for; only what is refused for now has one.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied(denied) => Some(denied.pause),
            Self::Shed(shed, _) => Some(shed.retry_after()),
            _ => None,
        }
    }

    /// What to tell the client.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Unauthenticated => {
                "exports need a token that this server knows; send it as Authorization: Bearer <token>".to_owned()
            }
            Self::Malformed(message) | Self::Internal(message) => message.clone(),
            Self::Shed(_, message) => message.clone().into_owned(),
            Self::Denied(denied) => match denied.reason {
                Reason::Budget => NO_ROOM,
                Reason::Store => "the store is behind; send the request again later",
                Reason::Share => "your address has its share of what is in work; send the request again later",
            }
            .to_owned(),
            Self::UnsupportedEncoding(encoding) => {
                format!("compression {encoding:?} is not supported; send gzip, zstd or none")
            }
            Self::EncodingMissing => "the message is marked as compressed and grpc-encoding is missing".to_owned(),
            Self::UnsupportedContentType(kind) => {
                format!("content type {kind:?} is not supported; send application/x-protobuf or application/json")
            }
            Self::MethodNotAllowed => "only POST is allowed here".to_owned(),
            Self::NotFound(what) => format!(
                "{what} is not served here; this server takes traces at /v1/traces, and evaluations of feature flags at /v1/logs"
            ),
            Self::TooLarge { bytes_max } => {
                format!("the request is larger than {bytes_max} bytes after decompression; send smaller batches")
            }
            Self::ExpandsTooMuch { bytes_max } => {
                format!("the request takes more than {bytes_max} bytes once it is decoded; send smaller batches")
            }
            Self::DeadlineExceeded => "the deadline of the request passed; it may have been stored".to_owned(),
        }
    }

    /// The gRPC status, with RetryInfo or BadRequest in its details.
    pub(crate) fn to_grpc(&self) -> Status {
        let (code, message) = (self.codes().0, self.message());
        let details = match self {
            Self::Denied(_) | Self::Shed(..) => ErrorDetails::with_retry_info(self.retry_after()),
            Self::Malformed(_) => ErrorDetails::with_bad_request_violation("body", message.clone()),
            _ => return Status::new(code, message),
        };
        Status::with_error_details(code, message, details)
    }

    /// The `google.rpc.Status` in protobuf.
    pub(crate) fn to_protobuf(&self) -> Vec<u8> {
        use prost::Message;
        let status = self.to_grpc();
        if status.details().is_empty() {
            let plain = pb::Status { code: i32::from(status.code()), message: self.message(), details: Vec::new() };
            return plain.encode_to_vec();
        }
        status.details().to_vec()
    }

    /// The `google.rpc.Status` in JSON.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let message = self.message();
        let detail = match self {
            Self::Malformed(_) => Some(serde_json::json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "body", "description": message}],
            })),
            _ => self.retry_after().map(|pause| {
                serde_json::json!({
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": format!("{}.{:03}s", pause.as_secs(), pause.subsec_millis()),
                })
            }),
        };
        let mut status = serde_json::json!({"code": i32::from(self.codes().0), "message": message});
        if let (Some(detail), Some(object)) = (detail, status.as_object_mut()) {
            object.insert("details".to_owned(), serde_json::Value::Array(vec![detail]));
        }
        status.to_string().into_bytes()
    }
}

impl From<InflateError> for Refusal {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Malformed(_) => Self::Malformed(error.to_string()),
            InflateError::TooLarge { bytes_max } => Self::TooLarge { bytes_max },
            InflateError::NoRoom => Self::no_room(),
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed(_) => Self::Malformed(error.to_string()),
            DecodeError::TooLarge { bytes_max } => Self::ExpandsTooMuch { bytes_max },
            DecodeError::NoRoom => Self::no_room(),
            DecodeError::Batch(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<&StorageError> for Refusal {
    fn from(error: &StorageError) -> Self {
        let message = format!("not stored: {error}");
        match error {
            StorageError::Full { .. } => Self::Shed(Shed::StoreFull, message.into()),
            StorageError::DiskFull { .. } => Self::Shed(Shed::DiskFull, message.into()),
            StorageError::ReadOnly { .. } => Self::Shed(Shed::ReadOnly, message.into()),
            StorageError::Stalled { .. } | StorageError::Io { .. } => Self::Shed(Shed::StoreIo, message.into()),
            StorageError::TooLarge { limit_bytes, .. } => {
                Self::TooLarge { bytes_max: usize::try_from(*limit_bytes).unwrap_or(usize::MAX) }
            }
            StorageError::Locked { .. }
            | StorageError::Corrupt { .. }
            | StorageError::Unfit { .. }
            | StorageError::Table { .. }
            | StorageError::Arrow(_)
            | StorageError::Parquet(_) => Self::Internal(message),
        }
    }
}

impl Refusal {
    /// The byte budget is spent.
    pub(crate) fn no_room() -> Self {
        Self::Shed(Shed::MemoryBudget, NO_ROOM.into())
    }
}

#[cfg(test)]
mod tests;
