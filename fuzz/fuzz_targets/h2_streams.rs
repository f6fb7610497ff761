//! Feeds arbitrary frames to our server of HTTP/2 and to that of h2.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { outrigger_fuzz::h2_peer::same_streams(bytes); });
