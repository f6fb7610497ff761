//! Feeds arbitrary bytes to the reader of Istio's types.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::istio::objects(bytes));
