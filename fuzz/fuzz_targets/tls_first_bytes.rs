//! Feeds arbitrary bytes to a listener with TLS.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::tls::first_bytes(bytes));
