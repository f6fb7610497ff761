//! Makes handshakes that are cut and changed of arbitrary bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::tls::handshake(bytes));
