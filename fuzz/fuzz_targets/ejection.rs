//! Lets an outlier detector and its model see the same outcomes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger_fuzz::ejection::as_the_model(bytes);
});
