//! Feeds arbitrary bytes to the readers of tokens and of sets of keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::jose::token_and_keys(bytes));
