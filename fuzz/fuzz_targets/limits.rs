//! Lets a worker and the model of its limits live through the same events.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger_fuzz::limits::as_the_model(bytes);
});
