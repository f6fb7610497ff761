//! Feeds arbitrary bytes to what tells HTTP, TLS and the rest apart.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::sniff::beginnings(bytes));
