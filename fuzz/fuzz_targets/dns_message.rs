//! Feeds arbitrary bytes to what reads DNS messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::dns::message(bytes));
