use std::io::Write;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn both(bytes: &[u8]) -> [(PayloadCompression, Vec<u8>); 2] {
    [(PayloadCompression::Gzip, gzip(bytes)), (PayloadCompression::Zstd, zstd::encode_all(bytes, 1).unwrap())]
}

/// Scenario: bodies one below, at and one above the limit, in both encodings.
/// Guarantees: up to the limit they come back whole; above it they are too large.
#[test]
fn limit_is_exact() {
    for length in [0, 1, 99_999, 100_000, 100_001] {
        let body: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
        for (compression, payload) in both(&body) {
            match inflate(&payload, compression, 100_000, |_| true) {
                Ok(out) => assert_eq!(out, body),
                Err(error) => {
                    assert!(length > 100_000 && matches!(error, InflateError::TooLarge { .. }), "{length} {error}");
                }
            }
        }
    }
}

/// Scenario: bombs of 256 MiB, with a limit of 1 MiB, and with no room at all.
/// Guarantees: reserved bytes never pass the limit by more than one; without room nothing is inflated.
#[test]
fn bombs_are_bounded() {
    for (compression, payload) in both(&vec![0; 256 << 20]) {
        let mut reserved = 0;
        let result = inflate(&payload, compression, 1 << 20, |bytes| {
            reserved += bytes;
            true
        });
        assert!(matches!(result, Err(InflateError::TooLarge { .. })));
        assert!(reserved <= (1 << 20) + 1, "{reserved}");
        assert!(matches!(inflate(&payload, compression, 1 << 20, |_| false), Err(InflateError::NoRoom)));
    }
}

/// Scenario: garbage, cut streams, trailing garbage, several members, a nested body, a huge window.
/// Guarantees: damage is an error, members are joined, one layer is removed, and the window is refused.
#[test]
fn odd_streams_have_a_definite_result() {
    for (compression, payload) in both(b"hello hello hello hello") {
        assert!(matches!(inflate(b"garbage", compression, 100, |_| true), Err(InflateError::Malformed(_))));
        assert!(matches!(
            inflate(&payload[..payload.len() - 3], compression, 100, |_| true),
            Err(InflateError::Malformed(_))
        ));
        let trailing = [payload.as_slice(), b"garbage"].concat();
        assert!(matches!(inflate(&trailing, compression, 100, |_| true), Err(InflateError::Malformed(_))));
        let two = [payload.as_slice(), payload.as_slice()].concat();
        assert_eq!(inflate(&two, compression, 100, |_| true).unwrap().len(), 46);
    }
    let nested = gzip(&gzip(b"inner"));
    assert_eq!(inflate(&nested, PayloadCompression::Gzip, 100, |_| true).unwrap(), gzip(b"inner"));
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(b"x").unwrap();
    let wide = encoder.finish().unwrap();
    assert!(matches!(inflate(&wide, PayloadCompression::Zstd, 100, |_| true), Err(InflateError::Malformed(_))));
}
