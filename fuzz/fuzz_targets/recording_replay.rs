//! Feeds arbitrary bytes to the reader of recordings, and what it makes of them to core.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::recording::replay_twice(bytes));
