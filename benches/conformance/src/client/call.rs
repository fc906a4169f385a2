//! [`Call`]: one request over the wire, ordinary unless told otherwise.

use bytes::Bytes;
use http::Method;

use crate::transport::{Compression, Transport};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A request before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) transport: Transport,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// As it goes over the wire: compressed, and framed for gRPC.
    pub(crate) body: Bytes,
    /// HTTP/2 where HTTP/1.1 would do.
    pub(crate) http2: bool,
    pub(crate) without_token: bool,
}

impl Call {
    /// An export as an exporter sends it.
    pub(crate) fn export(transport: Transport, compression: Compression, body: &[u8]) -> Self {
        let call = Self::packed(transport, Some(compression.name()), compression.apply(body).into());
        if compression == Compression::None {
            call.without("content-encoding").without("grpc-encoding").flagged(0)
        } else {
            call
        }
    }

    /// An export whose body is as it is, under any name of a compression.
    pub(crate) fn packed(transport: Transport, encoding: Option<&str>, body: Bytes) -> Self {
        let mut headers = vec![("content-type".to_owned(), transport.content_type().to_owned())];
        let mut body = body;
        let path = if transport == Transport::Grpc {
            headers.push(("te".to_owned(), "trailers".to_owned()));
            headers.extend(encoding.map(|encoding| ("grpc-encoding".to_owned(), encoding.to_owned())));
            body = framed(u8::from(encoding.is_some()), &body);
            EXPORT
        } else {
            headers.extend(encoding.map(|encoding| ("content-encoding".to_owned(), encoding.to_owned())));
            "/v1/traces"
        };
        let path = path.to_owned();
        Self { transport, method: Method::POST, path, headers, body, http2: false, without_token: false }
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// With the body as it is, not framed.
    pub(crate) fn raw_body(mut self, body: &[u8]) -> Self {
        self.body = Bytes::copy_from_slice(body);
        self
    }

    /// With the header, in place of one of that name.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        let mut call = self.without(name);
        call.headers.push((name.to_owned(), value.to_owned()));
        call
    }

    /// With the header, beside one of that name.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self
    }

    /// With another first byte of the gRPC message.
    pub(crate) fn flagged(mut self, flag: u8) -> Self {
        if let Some(rest) = self.body.get(1..).filter(|_| self.transport == Transport::Grpc) {
            self.body = [&[flag], rest].concat().into();
        }
        self
    }
}

/// A gRPC message with its prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[flag][..], &length.to_be_bytes(), message].concat().into()
}
