//! Feeds arbitrary bytes to the reader of requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::http1::requests(bytes));
