//! Feeds arbitrary bytes to our reader of requests and to hyper's.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { outrigger_fuzz::hyper_peer::same_requests(bytes); });
