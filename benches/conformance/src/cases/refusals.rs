//! What is refused for good, and how it says so (O-42, O-44).

use super::{must, should};
use crate::answer::Answer;
use crate::answer::code::{INTERNAL, INVALID_ARGUMENT, UNAUTHENTICATED, UNIMPLEMENTED};
use crate::client::Call;
use crate::report::Verdict;
use crate::suite::{Suite, written};
use crate::transport::{Compression, Transport};

pub(super) async fn run(suite: &Suite) {
    garbage(suite).await;
    framing(suite).await;
    tokens(suite).await;
}

async fn garbage(suite: &Suite) {
    let case = must("O-42", "bodies that are no request", "400 or INVALID_ARGUMENT, with a Status");
    let detail = should("O-42", "what was wrong is told in details", "google.rpc.BadRequest");
    for transport in Transport::ALL {
        let bodies: [&[u8]; 4] = match transport {
            Transport::HttpJson => [b"garbage", b"{\"resourceSpans\":", b"[]", b"{\"resourceSpans\":{}}"],
            _ => [b"garbage", &[0x0A, 0x05, 1], &[0xFF; 40], b"{\"resourceSpans\":[]}"],
        };
        for body in bodies {
            let call = Call::export(transport, Compression::None, body);
            suite.check(case, call.clone(), |answer| answer.refused(&[400], &[INVALID_ARGUMENT])).await;
            suite.check(detail, call, has_bad_request).await;
        }
    }
}

fn has_bad_request(answer: &Answer) -> Verdict {
    let status = answer.rpc_status()?;
    if status.details.iter().any(|name| name == "google.rpc.BadRequest") {
        return Ok("google.rpc.BadRequest".to_owned());
    }
    Err(format!("{}, details {:?}", answer.shown(), status.details))
}

/// A gRPC call whose body is not one message with its prefix.
async fn framing(suite: &Suite) {
    let case = must("O-42", "a gRPC body that is no whole message", "INVALID_ARGUMENT, UNIMPLEMENTED or INTERNAL");
    let message = written(Transport::Grpc, &suite.request());
    let length = u8::try_from(message.len()).unwrap_or(0);
    let framed = [&[0, 0, 0, 0, length][..], &message].concat();
    for body in [&framed[..framed.len() - 1], &framed[..3], &[], &[7, 0, 0, 0, 0]] {
        let call = Call::export(Transport::Grpc, Compression::None, &[]).raw_body(body);
        suite.check(case, call, |answer| answer.refused(&[], &[INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL])).await;
    }
}

async fn tokens(suite: &Suite) {
    let name = "no token, or a wrong one, where one is asked for";
    if suite.client.token.is_none() {
        suite.skip("O-44", name, "--token");
        return;
    }
    let case = must("O-44", name, "401 or UNAUTHENTICATED, with a Status");
    for transport in Transport::ALL {
        for header in [None, Some("Bearer wrong"), Some("Basic d3Jvbmc6dG9rZW4="), Some("Bearer ")] {
            let call = Call::export(transport, Compression::None, &written(transport, &suite.request()));
            let call = Call { without_token: true, ..call };
            let call = header.into_iter().fold(call, |call, value| call.with("authorization", value));
            suite.check(case, call, |answer| answer.refused(&[401], &[UNAUTHENTICATED])).await;
        }
    }
}
