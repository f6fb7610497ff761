//! Makes rules and requests of arbitrary bytes, and has them matched.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger_fuzz::routing::as_the_model(bytes);
});
