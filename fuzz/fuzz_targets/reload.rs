//! Changes the configuration of two workers while requests are under way.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger_fuzz::reload::in_the_middle(bytes);
});
