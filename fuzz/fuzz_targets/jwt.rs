//! Feeds arbitrary bytes to what accepts tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::jwt::accepted_tokens_were_signed(bytes));
