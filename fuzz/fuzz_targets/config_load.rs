//! Feeds arbitrary bytes to the configuration reader, and what it makes of them to the compiler.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::config::load_and_compile(bytes));
