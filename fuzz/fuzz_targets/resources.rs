//! Makes resources of arbitrary bytes, and compiles them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    outrigger_fuzz::resources::compiled_twice(bytes);
});
