//! Feeds arbitrary bytes to what reads whose connection a proxy passes on.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::proxy_protocol::headers(bytes));
