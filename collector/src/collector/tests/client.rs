//! An OTLP/gRPC client of tonic's transport and prost's messages.

use std::marker::PhantomData;

use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::*;

/// Encodes one message type and decodes another.
#[derive(Debug)]
struct Messages<T>(PhantomData<T>);

impl Codec for Messages<()> {
    type Encode = ExportTraceServiceRequest;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Messages<ExportTraceServiceRequest>;
    type Decoder = Messages<ExportTraceServiceResponse>;

    fn encoder(&mut self) -> Self::Encoder {
        Messages(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Messages(PhantomData)
    }
}

impl<T: Message> Encoder for Messages<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(out).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<T: Message + Default> Decoder for Messages<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        T::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// A client on a connection of its own.
#[derive(Debug, Clone)]
pub(super) struct TraceClient(tonic::client::Grpc<Channel>);

impl TraceClient {
    pub(super) async fn connect(running: &Running) -> Self {
        Self::connect_from(running, [127, 0, 0, 1].into()).await
    }

    /// A client with that address of its own.
    pub(super) async fn connect_from(running: &Running, own: std::net::IpAddr) -> Self {
        let endpoint = Channel::from_shared(format!("http://{}", running.grpc)).unwrap().local_address(Some(own));
        Self(tonic::client::Grpc::new(endpoint.connect().await.unwrap()))
    }

    pub(super) fn send_compressed(self, encoding: CompressionEncoding) -> Self {
        Self(self.0.send_compressed(encoding))
    }

    pub(super) async fn export(
        &mut self,
        request: ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Status> {
        self.0.ready().await.unwrap();
        let path = ::http::uri::PathAndQuery::from_static(grpc::EXPORT);
        self.0.unary(Request::new(request), path, Messages(PhantomData)).await.map(Response::into_inner)
    }
}
