//! Plays arbitrary bytes as what a client and endpoints do to a worker, over HTTP/2 and HTTP/1.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::worker::streams(bytes));
