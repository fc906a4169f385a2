//! What browsers ask (O-60 to O-62).

use http::Method;

use super::{must, ours};
use crate::answer::Answer;
use crate::client::Call;
use crate::report::Verdict;
use crate::suite::{Suite, written};
use crate::transport::{Compression, Transport};

const STRANGER: &str = "https://stranger.example";

pub(super) async fn run(suite: &Suite) {
    let not_named = |answer: &Answer| -> Verdict {
        let origin = answer.header("access-control-allow-origin");
        if origin.is_empty() { Ok("no Access-Control-Allow-Origin".to_owned()) } else { Err(origin.to_owned()) }
    };
    let case = ours("O-62", "an origin that nobody has named", "no Access-Control-Allow-Origin");
    for transport in Transport::HTTP {
        let body = written(transport, &crate::model::Request::default());
        let call = Call::export(transport, Compression::None, &body).with("origin", STRANGER);
        suite.check(case, call.clone(), not_named).await;
        suite.check(case, call.clone().raw_body(b"\xFF"), not_named).await;
        let preflight = call.method(Method::OPTIONS).with("access-control-request-method", "POST").raw_body(b"");
        suite.check(case, preflight.and("access-control-request-headers", "content-type"), not_named).await;
    }
    let Some(origin) = suite.target.origin.clone() else {
        suite.skip("O-60", "a preflight request of an origin that was named", "--origin");
        suite.skip("O-61", "the origin on answers and errors", "--origin");
        return;
    };
    named(suite, &origin).await;
}

async fn named(suite: &Suite, origin: &str) {
    let allows = |answer: &Answer| -> Verdict {
        let found = answer.header("access-control-allow-origin");
        if found == origin { Ok(found.to_owned()) } else { Err(format!("{} {found:?}", answer.shown())) }
    };
    let preflight = must(
        "O-60",
        "a preflight request of an origin that was named",
        "200 or 204, with origin, POST and content-type",
    );
    let exposed = ours("O-62", "what a page of that origin may read", "Retry-After; no credentials for everybody");
    let readable = |answer: &Answer| -> Verdict {
        let names = answer.header("access-control-expose-headers").to_ascii_lowercase();
        let everybody = answer.header("access-control-allow-origin") == "*";
        let credentials = answer.header("access-control-allow-credentials") == "true";
        if names.contains("retry-after") && !(everybody && credentials) {
            Ok(names)
        } else {
            Err(format!("{:?}", answer.headers))
        }
    };
    let answers = must("O-61", "the origin on answers and errors", "Access-Control-Allow-Origin");
    for transport in Transport::HTTP {
        let body = written(transport, &crate::model::Request::default());
        let call = Call::export(transport, Compression::None, &body).with("origin", origin);
        suite.check(answers, call.clone(), allows).await;
        suite.check(exposed, call.clone(), readable).await;
        suite.check(answers, call.clone().raw_body(b"\xFF"), allows).await;
        let asks = call.method(Method::OPTIONS).with("access-control-request-method", "POST").raw_body(b"");
        let asks =
            Call { without_token: true, ..asks.with("access-control-request-headers", "content-type,authorization") };
        let granted = |answer: &Answer| {
            let lower = |name: &str| answer.header(name).to_ascii_lowercase();
            let right = matches!(answer.status.as_u16(), 200 | 204)
                && lower("access-control-allow-methods").contains("post")
                && lower("access-control-allow-headers").contains("content-type")
                && lower("access-control-allow-headers").contains("authorization");
            if right { allows(answer) } else { Err(format!("{:?}", answer.headers)) }
        };
        suite.check(preflight, asks, granted).await;
    }
}
