use super::*;
use crate::wire::Message;

fn answer(transport: Transport, status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
    let mut map = HeaderMap::new();
    map.insert("content-type", transport.content_type().parse().unwrap());
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    let status = StatusCode::from_u16(status).unwrap();
    Answer { transport, status, headers: map, body: Bytes::copy_from_slice(body) }
}

fn status(code: u64, detail: Option<&str>) -> Vec<u8> {
    let status = Message::new().varint(1, code).bytes(2, b"why");
    let any = detail.map(|name| Message::new().bytes(1, format!("type.googleapis.com/google.rpc.{name}").as_bytes()));
    any.iter().fold(status, |status, any| status.message(3, any)).into_bytes()
}

/// Scenario: successful answers with nothing, an empty and a set `partial_success`, in each encoding, and wrong ones.
/// Guarantees: only an unset `partial_success` is full success; the count and a message are demanded of a partial one.
#[test]
fn success_is_told_from_partial_success() {
    let partial = Message::new().message(1, &Message::new().varint(1, 2).bytes(2, b"ids")).into_bytes();
    let framed = [&[0, 0, 0, 0, u8::try_from(partial.len()).unwrap()], partial.as_slice()].concat();
    let ok = ("grpc-status", "0");
    for (none, two) in [
        (answer(Transport::HttpProtobuf, 200, &[], b""), answer(Transport::HttpProtobuf, 200, &[], &partial)),
        (answer(Transport::Grpc, 200, &[ok], &[0; 5]), answer(Transport::Grpc, 200, &[ok], &framed)),
        (
            answer(Transport::HttpJson, 200, &[], b"{\"partialSuccess\":{}}"),
            answer(Transport::HttpJson, 200, &[], br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"ids"}}"#),
        ),
    ] {
        assert!(none.full().is_ok() && none.rejects(0).is_ok() && none.rejects(2).is_err(), "{none:?}");
        assert!(two.full().is_err() && two.rejects(2).is_ok() && two.rejects(1).is_err(), "{two:?}");
    }
    let empty_message = Message::new().bytes(1, &[]).into_bytes();
    assert!(answer(Transport::HttpProtobuf, 200, &[], &empty_message).full().is_err());
    assert!(answer(Transport::HttpProtobuf, 202, &[], b"").full().is_err());
    assert!(answer(Transport::Grpc, 200, &[ok], &[0, 0, 0, 0, 9]).full().is_err());
    assert!(answer(Transport::Grpc, 200, &[], &[0; 5]).full().is_err());
    let other = [("content-type", "application/json")];
    assert!(answer(Transport::HttpProtobuf, 200, &other, b"").full().is_err());
}

/// Scenario: refusals with and without a status, a delay, or the right code.
/// Guarantees: for good means without a delay, for now with one; a status in the right encoding is demanded of both.
#[test]
fn refusals_are_told_apart() {
    let proto = |code, headers: &[_], body: &[u8]| answer(Transport::HttpProtobuf, code, headers, body);
    assert!(proto(400, &[], &status(3, None)).refused(&[400], &[]).is_ok());
    assert!(proto(400, &[], &status(3, None)).refused(&[413], &[]).is_err());
    assert!(proto(400, &[], b"plain text").refused(&[400], &[]).is_err());
    assert!(proto(400, &[], b"").refused(&[400], &[]).is_err());
    assert!(proto(400, &[("content-type", "text/plain")], &status(3, None)).refused(&[400], &[]).is_err());
    assert!(proto(413, &[("retry-after", "1")], &status(8, None)).refused(&[413], &[]).is_err());
    assert!(proto(503, &[("retry-after", "1")], &status(14, None)).postponed().is_ok());
    assert!(proto(503, &[("retry-after", "0")], &status(14, None)).postponed().is_err());
    assert!(proto(500, &[("retry-after", "1")], &status(14, None)).postponed().is_err());
    let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(status(8, Some("RetryInfo")));
    let exhausted = [("grpc-status", "8"), ("grpc-message", "full")];
    let with_info = [exhausted[0], exhausted[1], ("grpc-status-details-bin", encoded.as_str())];
    assert!(answer(Transport::Grpc, 200, &exhausted, b"").refused(&[], &[8]).is_ok());
    assert!(answer(Transport::Grpc, 200, &with_info, b"").refused(&[], &[8]).is_err());
    assert!(answer(Transport::Grpc, 200, &with_info, b"").postponed().is_ok());
    let json = br#"{"code":3,"message":"no","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest"}]}"#;
    let refused = answer(Transport::HttpJson, 400, &[], json);
    assert_eq!(refused.rpc_status().unwrap().details, ["google.rpc.BadRequest"]);
}
