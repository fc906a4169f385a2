//! Any bytes as a JSON request: no panic, every span accepted or rejected, and a second reading says the same.

#![no_main]

use daytwo_collector::decode::{Limits, json};
use daytwo_storage::UnixNanos;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let read = || json(body, UnixNanos(1), &Limits::default());
    if let Ok(one) = read() {
        assert_eq!(one.received as usize, one.batch.len() + one.rejected.len());
        let again = read().expect("it was read before");
        assert_eq!(one.batch.record_batch(), again.batch.record_batch());
    }
});
