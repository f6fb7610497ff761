//! What holds for any bytes: they tell the same however they arrive, and nothing that a peer sends or an owner calls breaks
//! a connection of ours.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::by_hand::{self, GET};
use crate::codec::{connection, cuts};

/// A frame that makes some sense, of a few streams.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let stream = 0u32..8;
    let payload = vec(any::<u8>(), 0..20);
    prop_oneof![
        3 => (stream.clone(), any::<bool>()).prop_map(|(stream, ends)| by_hand::headers(stream, ends, GET)),
        2 => (stream.clone(), any::<bool>()).prop_map(|(stream, ends)| by_hand::headers(stream, ends, &[(":status", "200")])),
        1 => stream.clone().prop_map(|stream| by_hand::headers(stream, true, &[("x-sum", "1")])),
        4 => (stream.clone(), any::<bool>(), 0usize..2000).prop_map(|(stream, ends, length)| by_hand::data(stream, ends, &vec![7; length])),
        1 => (stream.clone(), 0u8..11, any::<u8>(), payload).prop_map(|(stream, kind, flags, payload)| by_hand::frame(kind, flags, stream, &payload)),
        1 => stream.clone().prop_map(|stream| by_hand::update(stream, 5)),
        1 => stream.prop_map(|stream| by_hand::reset(stream, outrigger_core::http2::Code::Cancel)),
    ]
}

proptest! {
    #[test]
    fn the_same_is_told_however_bytes_arrive(role: u8, frames in vec(frames(), 0..30)) {
        cuts(&[vec![role], frames.concat()].concat());
    }

    #[test]
    fn nothing_that_is_sent_or_called_breaks_it(program in vec(any::<u8>(), 0..400)) {
        connection(&program);
    }
}
