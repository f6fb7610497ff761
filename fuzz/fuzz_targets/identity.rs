//! Feeds arbitrary bytes to the readers of certificates and identities.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::identity::names(bytes));
