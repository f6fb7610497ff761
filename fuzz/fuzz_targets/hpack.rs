//! Feeds arbitrary bytes to the decoder of header blocks, and what it makes of them to the encoder.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::hpack::blocks(bytes));
