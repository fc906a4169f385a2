//! [`Answer`]: what a server said, on either protocol, and what that means by the specification.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value as Json;

use crate::report::Verdict;
use crate::transport::Transport;
use crate::wire::{self, Field};

/// gRPC codes by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Codes that the suite expects by name.
pub(crate) mod code {
    pub(crate) const INVALID_ARGUMENT: i64 = 3;
    pub(crate) const DEADLINE_EXCEEDED: i64 = 4;
    pub(crate) const RESOURCE_EXHAUSTED: i64 = 8;
    pub(crate) const UNIMPLEMENTED: i64 = 12;
    pub(crate) const INTERNAL: i64 = 13;
    pub(crate) const UNAVAILABLE: i64 = 14;
    pub(crate) const UNAUTHENTICATED: i64 = 16;
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One answer with its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) transport: Transport,
    pub(crate) status: StatusCode,
    /// Headers, and trailers with them.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// `google.rpc.Status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RpcStatus {
    pub(crate) code: i64,
    pub(crate) message: String,
    /// Type names of the details, `google.rpc.RetryInfo`.
    pub(crate) details: Vec<String>,
}

/// `ExportTracePartialSuccess`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) rejected_spans: i64,
    pub(crate) error_message: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The gRPC status, of an answer over gRPC.
    fn grpc_code(&self) -> Option<i64> {
        self.header("grpc-status").parse().ok()
    }

    /// Whether the server took the request, or the part of it that is valid.
    pub(crate) fn is_success(&self) -> bool {
        match self.transport {
            Transport::Grpc => self.grpc_code() == Some(0),
            Transport::HttpProtobuf | Transport::HttpJson => self.status == StatusCode::OK,
        }
    }

    /// Whether a client has to send the request again.
    pub(crate) fn is_retryable(&self) -> bool {
        match self.transport {
            Transport::Grpc => match self.grpc_code() {
                Some(1 | 4 | 10 | 11 | 14 | 15) => true,
                Some(code::RESOURCE_EXHAUSTED) => self.has_retry_info(),
                _ => false,
            },
            Transport::HttpProtobuf | Transport::HttpJson => matches!(self.status.as_u16(), 429 | 502 | 503 | 504),
        }
    }

    /// Whether it says that there is no room now, and not that the request could not be had in one piece.
    pub(crate) fn is_overload(&self) -> bool {
        let other = self.transport == Transport::Grpc && matches!(self.grpc_code(), Some(1 | 4 | 10 | 11 | 15));
        self.is_retryable() && !other
    }

    pub(crate) fn has_retry_info(&self) -> bool {
        self.rpc_status().is_ok_and(|status| status.details.iter().any(|name| name == "google.rpc.RetryInfo"))
    }

    /// In a few words.
    pub(crate) fn shown(&self) -> String {
        let partial = match self.partial() {
            Ok(Some(partial)) if self.is_success() => format!(", {} rejected", partial.rejected_spans),
            _ => String::new(),
        };
        match (self.transport, self.grpc_code()) {
            (Transport::Grpc, Some(number)) => {
                let name = usize::try_from(number).ok().and_then(|number| CODES.get(number));
                format!("{}{partial}", name.unwrap_or(&"a code that does not exist"))
            }
            (Transport::Grpc, None) => format!("HTTP {} without grpc-status", self.status.as_u16()),
            _ => format!("{}{partial}", self.status.as_u16()),
        }
    }

    /// The message in a successful answer: on gRPC without its prefix.
    fn message(&self) -> Result<&[u8], String> {
        if self.transport != Transport::Grpc {
            return Ok(&self.body);
        }
        let (prefix, message) = self.body.split_first_chunk::<5>().ok_or("a gRPC answer without a message")?;
        let [flag, a, b, c, d] = *prefix;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if flag == 0 && length == message.len() {
            Ok(message)
        } else {
            Err("a gRPC message of another length".to_owned())
        }
    }

    /// `partial_success` of a successful answer.
    pub(crate) fn partial(&self) -> Result<Option<Partial>, String> {
        let message = self.message()?;
        if self.transport == Transport::HttpJson {
            let json: Json =
                serde_json::from_slice(message).map_err(|error| format!("the answer is no JSON: {error}"))?;
            let partial = json.as_object().ok_or("the answer is no JSON object")?.get("partialSuccess");
            return Ok(partial.filter(|partial| partial.as_object().is_some_and(|o| !o.is_empty())).map(|partial| {
                let rejected = &partial["rejectedSpans"];
                // A 64-bit integer is a string by the mapping; a number is read as well.
                let rejected = rejected.as_i64().or_else(|| rejected.as_str()?.parse().ok());
                let error_message = partial["errorMessage"].as_str().unwrap_or_default().to_owned();
                Partial { rejected_spans: rejected.unwrap_or(0), error_message }
            }));
        }
        let mut found = None;
        for (number, field) in wire::read(message)? {
            if let (1, Field::Bytes(inner)) = (number, field) {
                found = Some(read_partial(inner)?);
            }
        }
        Ok(found)
    }

    /// The `google.rpc.Status` of a refusal.
    pub(crate) fn rpc_status(&self) -> Result<RpcStatus, String> {
        match self.transport {
            Transport::HttpProtobuf => read_status(&self.body),
            Transport::HttpJson => read_json_status(&self.body),
            Transport::Grpc => {
                let code = self.grpc_code().ok_or("no grpc-status")?;
                let details =
                    LENIENT.decode(self.header("grpc-status-details-bin")).map_err(|error| error.to_string())?;
                let details = read_status(&details)?;
                if !details.details.is_empty() && details.code != code {
                    return Err(format!("grpc-status {code}, and {} in its details", details.code));
                }
                Ok(RpcStatus { code, message: self.header("grpc-message").to_owned(), details: details.details })
            }
        }
    }

    /// The whole request was taken.
    pub(crate) fn full(&self) -> Verdict {
        self.success()?;
        match self.partial()? {
            None => Ok(self.shown()),
            Some(partial) => Err(format!("{}, partial_success set: {partial:?}", self.shown())),
        }
    }

    /// All but `rejected` spans were taken.
    pub(crate) fn rejects(&self, rejected: u64) -> Verdict {
        if rejected == 0 {
            return self.full();
        }
        self.success()?;
        let partial = self.partial()?.ok_or_else(|| format!("{}, partial_success not set", self.shown()))?;
        if i64::try_from(rejected) != Ok(partial.rejected_spans) {
            return Err(format!("{} instead of {rejected}", self.shown()));
        }
        if partial.error_message.is_empty() { Err("no error_message".to_owned()) } else { Ok(self.shown()) }
    }

    fn success(&self) -> Verdict {
        if !self.is_success() {
            let why = self.rpc_status().map(|status| status.message).unwrap_or_default();
            return Err(format!("{}: {why}", self.shown()));
        }
        self.has_type_of(self.transport)
    }

    /// The content type is that of the transport's requests.
    pub(crate) fn has_type_of(&self, transport: Transport) -> Verdict {
        let (found, expected) = (self.header("content-type"), transport.content_type());
        // A parameter may follow, and on gRPC the name of the message format.
        let rest = found.strip_prefix(expected).ok_or_else(|| format!("content type {found:?}"))?;
        if rest.is_empty() || rest.starts_with([';', '+']) {
            Ok(self.shown())
        } else {
            Err(format!("content type {found:?}"))
        }
    }

    /// Refused for good with one of these codes, HTTP status or gRPC code, whichever the transport has; with a status in
    /// the request's encoding.
    pub(crate) fn refused(&self, http: &[u16], grpc: &[i64]) -> Verdict {
        let right = match self.transport {
            Transport::Grpc => self.grpc_code().is_some_and(|code| grpc.contains(&code)),
            Transport::HttpProtobuf | Transport::HttpJson => http.contains(&self.status.as_u16()),
        };
        if !right {
            return Err(self.shown());
        }
        self.has_status()?;
        if self.has_retry_info() || self.headers.contains_key("retry-after") {
            return Err(format!("{}, and asked to send it again", self.shown()));
        }
        Ok(self.shown())
    }

    /// A refusal says why in a `google.rpc.Status` of the request's encoding.
    pub(crate) fn has_status(&self) -> Verdict {
        self.has_type_of(self.transport)?;
        let status = self.rpc_status().map_err(|error| format!("{}, no google.rpc.Status: {error}", self.shown()))?;
        match (status.code, status.message.is_empty()) {
            (0, _) => Err(format!("{}, with a Status of code 0", self.shown())),
            (_, true) => Err(format!("{}, with a Status without message", self.shown())),
            _ => Ok(self.shown()),
        }
    }

    /// Refused for now: retryable, with the delay to wait.
    pub(crate) fn postponed(&self) -> Verdict {
        self.has_status()?;
        if !self.is_retryable() {
            return Err(self.shown());
        }
        let has_delay = match self.transport {
            Transport::Grpc => self.has_retry_info(),
            _ => self.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1),
        };
        if has_delay { Ok(self.shown()) } else { Err(format!("{} without a delay of 1 s or more", self.shown())) }
    }
}

fn read_partial(message: &[u8]) -> Result<Partial, String> {
    let mut partial = Partial::default();
    for (number, field) in wire::read(message)? {
        match (number, field) {
            (1, Field::Varint(count)) => partial.rejected_spans = count.cast_signed(),
            (2, Field::Bytes(text)) => partial.error_message = utf8(text)?,
            _ => {}
        }
    }
    Ok(partial)
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| error.to_string())
}

fn read_status(message: &[u8]) -> Result<RpcStatus, String> {
    let mut status = RpcStatus::default();
    for (number, field) in wire::read(message)? {
        match (number, field) {
            (1, Field::Varint(code)) => status.code = code.cast_signed(),
            (2, Field::Bytes(text)) => status.message = utf8(text)?,
            (3, Field::Bytes(any)) => status.details.extend(read_type_url(any)?),
            _ => {}
        }
    }
    Ok(status)
}

fn read_type_url(any: &[u8]) -> Result<Option<String>, String> {
    let fields = wire::read(any)?;
    let url = fields.into_iter().find_map(|(number, field)| match (number, field) {
        (1, Field::Bytes(url)) => Some(url),
        _ => None,
    });
    url.map(|url| utf8(url).map(|url| type_name(&url))).transpose()
}

fn type_name(url: &str) -> String {
    url.strip_prefix("type.googleapis.com/").unwrap_or("a type of another place").to_owned()
}

fn read_json_status(body: &[u8]) -> Result<RpcStatus, String> {
    let json: Json = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let details = json["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(RpcStatus {
        code: json["code"].as_i64().ok_or("no code")?,
        message: json["message"].as_str().unwrap_or_default().to_owned(),
        details: details.iter().filter_map(|detail| detail["@type"].as_str()).map(type_name).collect(),
    })
}

#[cfg(test)]
mod tests;
