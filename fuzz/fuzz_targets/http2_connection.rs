//! Plays arbitrary bytes as what the peer of a connection sends and its owner calls, in both roles.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(outrigger_fuzz::http2::connection(bytes)));
