//! Feeds arbitrary bytes to the client of the workload API.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| outrigger_fuzz::workloads::addresses(bytes));
