//! Makes policies and requests of arbitrary bytes, and has them decided.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger_fuzz::authorization::as_the_model(bytes);
});
