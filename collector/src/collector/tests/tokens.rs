//! Exports that must show a token.

use ::http::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;

/// A server that knows the tokens `alpha` and `beta`.
async fn start_with_tokens() -> Running {
    let files = TestFiles::default();
    files.put("old", b"alpha\n");
    files.put("new", b"beta\n");
    let config = AccessConfig { bearer_token_files: vec!["old".into(), "new".into()], ..AccessConfig::default() };
    start_with(CollectorConfig::default(), Access::open(&config, &files.reader()).unwrap()).await
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// Scenario: exports with each known token, with another and with none, on every transport and encoding; a health check.
/// Guarantees: known tokens store; the rest is UNAUTHENTICATED, or 401 with its challenge and a Status in the request's encoding
/// (O-05, O-44), which no client sends again; the health check is open.
#[tokio::test]
async fn exports_need_a_known_token() {
    let running = start_with_tokens().await;
    let mut id = 0;
    for (token, comes_in) in [(Some("alpha"), true), (Some("beta"), true), (Some("gamma"), false), (None, false)] {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let with = |headers: &[(&'static str, &'static str)]| -> Vec<(&'static str, String)> {
            let owned = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
            owned.chain(authorization.iter().map(|value| ("authorization", value.clone()))).collect()
        };
        let mut body = || {
            id += 1;
            request(vec![span(id)]).encode_to_vec()
        };
        let headers = with(&[("content-type", "application/grpc")]);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (_, code, _) = grpc::raw(&running, grpc::EXPORT, &headers, framed(&body())).await;
        assert_eq!(code.as_deref(), Some(if comes_in { "0" } else { "16" }), "{token:?}");
        for (kind, body, http2) in
            [(http::PROTOBUF, body(), false), (http::PROTOBUF, body(), true), (http::JSON, b"{}".to_vec(), false)]
        {
            let headers = with(&[("content-type", kind)]);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answered = http::send(&running, Method::POST, "/v1/traces", &headers, body, http2).await;
            let challenge = answered.headers.get("www-authenticate").map(|value| value.to_str().unwrap());
            assert_eq!(answered.headers["content-type"], kind);
            if comes_in {
                assert_eq!((answered.status.as_u16(), challenge), (200, None));
            } else {
                let refused = (answered.status.as_u16(), answered.rpc_code(), challenge);
                assert_eq!(refused, (401, 16, Some("Bearer")), "{token:?}");
                assert!(!answered.headers.contains_key("retry-after"));
            }
        }
    }
    let health = [("content-type", "application/grpc")];
    let (_, code, _) = grpc::raw(&running, "/grpc.health.v1.Health/Check", &health, framed(b"")).await;
    assert_eq!(code.as_deref(), Some("0"));
    let status = running.telemetry.snapshot();
    assert_eq!((running.shelf.spans(), status.refused_requests["unauthenticated"]), (6, 8));
}

/// Scenario: without a token, a head that declares 60 MB and of which no byte comes, to a server whose store is busy.
/// Guarantees: it is refused for its token at once: nothing was read, nothing taken from the budget, the store not asked.
#[tokio::test]
async fn a_token_comes_before_everything_else() {
    let running = start_with_tokens().await;
    running.shelf.set(Mood::Busy);
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    let head =
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(http::read_answer(&mut stream).await.0, "401");
    let status = running.telemetry.snapshot();
    assert_eq!((status.inflight_bytes, status.shed_requests.len()), (0, 0));
}
