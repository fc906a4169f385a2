//! Any bytes as a segment of the write-ahead log, alone and behind a whole frame: no panic, and the whole frame is found.

#![no_main]

use daytwo_storage::testing::{frames_in, segment_with};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    frames_in(bytes);
    assert!(frames_in(&segment_with(7, bytes).expect("one small frame")) >= 1);
});
