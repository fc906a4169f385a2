//! A fuzzer that needs no other compiler: inputs of the conformance suite and of the traffic model, changed at random from a seed, are
//! read by both readers, whose answers are compared with prost's, with the model's, and with each other's.
//!
//! A run is so many inputs (`DAYTWO_FUZZ_INPUTS`, 40,000 unless said) from a seed (`DAYTWO_FUZZ_SEED`); each input has a seed of its own,
//! which is said, with the input's bytes, when it fails. Failing inputs that were mended are kept in `collector/tests/seeds`, as
//! hexadecimal digits in `*.protobuf.hex` and as they are in `*.json`, and read first.

mod corpus;
mod mutate;
mod oracle;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use corpus::Corpus;
use mutate::Random;

use super::*;

/// About ten seconds of a core in a development build, both encodings together.
const INPUTS: u64 = 40_000;
const SEED: u64 = 0xDA72;

#[expect(clippy::disallowed_methods, reason = "whoever runs the fuzzer says for how long, and from where")]
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} = {text}: no number")))
}

/// Failures after which a run ends.
const FAILURES_MAX: u32 = 10;

/// Whether an input is read as it has to be; one that is not is printed with what made it.
fn is_fine(what: &str, format: PayloadFormat, input: &[u8]) -> bool {
    let check = match format {
        PayloadFormat::Protobuf => oracle::check_protobuf,
        PayloadFormat::Json => oracle::check_json,
    };
    let fine = catch_unwind(AssertUnwindSafe(|| check(input))).is_ok();
    if !fine {
        let shown: String = match format {
            PayloadFormat::Protobuf => input.iter().map(|byte| format!("{byte:02x}")).collect(),
            PayloadFormat::Json => String::from_utf8_lossy(input).into_owned(),
        };
        println!("{what}: {} bytes of {format:?}, to be kept in collector/tests/seeds:\n{shown}", input.len());
    }
    fine
}

fn fuzz(format: PayloadFormat) {
    let corpus = Corpus::of(format);
    let (seed, inputs) = (number("DAYTWO_FUZZ_SEED", SEED), number("DAYTWO_FUZZ_INPUTS", INPUTS) / 2);
    let mut failures = 0;
    for (number, input) in (0..).zip(corpus.bodies()) {
        failures += u32::from(!is_fine(&format!("corpus {number}"), format, input));
    }
    for turn in 0..inputs {
        let own = seed.wrapping_add(turn);
        let input = corpus.mutated(&mut Random::new(own));
        failures += u32::from(!is_fine(&format!("DAYTWO_FUZZ_SEED={own} DAYTWO_FUZZ_INPUTS=2"), format, &input));
        assert!(failures < FAILURES_MAX, "{failures} of {turn} inputs failed");
    }
    assert_eq!(failures, 0);
}

/// Scenario: protobuf requests with bits flipped, cut off, spliced, with wrong lengths, with fields repeated, moved and left out.
/// Guarantees: no panic; spans are accepted or rejected, all of them; the columns take at most 16 times the body; what prost accepts
/// is accepted with the same values, and reads the same from JSON.
#[test]
fn mutated_protobuf_is_read_as_prost_does() {
    fuzz(PayloadFormat::Protobuf);
}

/// Scenario: JSON requests with tokens replaced, repeated, moved and left out, and bytes changed.
/// Guarantees: no panic; spans are accepted or rejected, all of them; what is accepted is JSON to `serde_json`, too, and reads the
/// same when that has written it anew with members in another order.
#[test]
fn mutated_json_is_read_as_serde_does() {
    fuzz(PayloadFormat::Json);
}

/// Scenario: inputs that failed once.
/// Guarantees: they do not any more.
#[test]
fn inputs_that_failed_once_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let content = std::fs::read(&path).unwrap();
        if name.ends_with(".protobuf.hex") {
            let digits: Vec<u8> = content.into_iter().filter(u8::is_ascii_hexdigit).collect();
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            let input: Vec<u8> = digits.chunks(2).map(byte).collect();
            assert!(is_fine(&name, PayloadFormat::Protobuf, &input));
        } else if name.ends_with(".json") {
            assert!(is_fine(&name, PayloadFormat::Json, &content));
        }
    }
}
