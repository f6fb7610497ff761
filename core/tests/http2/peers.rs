//! Blocks that other encoders wrote, decoded here to the fields that they were given.
//!
//! `peers.jsonl` has a connection on each line: the blocks in their order, in hexadecimal, and the fields of each, whose
//! bytes are the characters' numbers. It was written once, by the Python package `hpack` and by `nghttp2_hd_deflate_hd` (by
//! way of `ctypes`), from heads of gRPC with random other fields, some of them never indexed, and sizes of the table that
//! change between blocks; the last lines have each octet in a value.

use outrigger_core::http2::hpack::Decoder;
use serde_json::Value;

fn bytes(hex: &str) -> Vec<u8> {
    let octet = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(octet).collect()
}

fn text(latin: &Value) -> Vec<u8> {
    latin.as_str().unwrap().chars().map(|c| c as u8).collect()
}

#[test]
fn blocks_of_other_encoders() {
    let mut count = 0;
    for line in include_str!("peers.jsonl").lines() {
        let connection: Value = serde_json::from_str(line).unwrap();
        let mut decoder = Decoder::new(4096);
        for block in connection["blocks"].as_array().unwrap() {
            let mut got = Vec::new();
            let note = |name: &[u8], value: &[u8]| got.push([name.to_vec(), value.to_vec()]);
            let read = decoder.decode(&bytes(block["block"].as_str().unwrap()), note);
            assert_eq!(read, Ok(()), "{}", connection["by"]);
            let want = block["fields"].as_array().unwrap().iter();
            let want: Vec<_> = want
                .map(|field| [text(&field[0]), text(&field[1])])
                .collect();
            assert_eq!(got, want, "{}", connection["by"]);
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}
