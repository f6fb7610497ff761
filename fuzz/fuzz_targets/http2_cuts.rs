//! Feeds arbitrary bytes to connections of both roles, in one piece and in many.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::http2::cuts(bytes));
