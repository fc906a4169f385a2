//! Any bytes as a protobuf request: no panic, every span accepted or rejected, and what prost takes is taken.

#![no_main]

use daytwo_collector::decode::{Limits, protobuf};
use daytwo_storage::UnixNanos;
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

fuzz_target!(|body: &[u8]| {
    let ours = protobuf(body, UnixNanos(1), &Limits::default());
    let theirs = ExportTraceServiceRequest::decode(body);
    if let Ok(ours) = &ours {
        assert_eq!(ours.received as usize, ours.batch.len() + ours.rejected.len());
    }
    if let Ok(theirs) = theirs {
        let scopes = theirs.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        assert_eq!(ours.expect("prost takes it").received as usize, spans);
    }
});
