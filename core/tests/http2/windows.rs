//! Flow control against a slow model: whatever credit a peer gives and however it changes the windows, a sender never goes
//! beyond them, and all is sent as soon as there is credit for it.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::by_hand::{Ours, get, settings, update};
use crate::codec::wire::{DATA, Frame, Windows, take_frames};
use outrigger_core::http2::Limits;

/// What a client does.
#[derive(Clone, Debug)]
enum Step {
    /// Credit for the connection, or for one of the streams.
    Credit(Option<usize>, u32),
    /// Another initial window.
    Window(u32),
    /// A response grows.
    Data(usize, usize),
    End(usize),
}

const STREAMS: [u32; 4] = [1, 3, 5, 7];

fn steps() -> impl Strategy<Value = Step> {
    let amount = prop_oneof![1u32..10, 1u32..20_000];
    let stream = 0..STREAMS.len();
    prop_oneof![
        3 => (proptest::option::of(stream.clone()), amount).prop_map(|(stream, by)| Step::Credit(stream, by)),
        1 => prop_oneof![0u32..50, 0u32..100_000].prop_map(Step::Window),
        3 => (stream.clone(), 1usize..30_000).prop_map(|(stream, count)| Step::Data(stream, count)),
        1 => stream.prop_map(Step::End),
    ]
}

/// A server of ours that answers, and what was sent by it.
struct Played {
    ours: Ours,
    windows: Windows,
    queued: BTreeMap<u32, usize>,
    sent: BTreeMap<u32, usize>,
    ended: BTreeMap<u32, bool>,
}

impl Played {
    fn hear(&mut self, bytes: Vec<u8>) {
        self.ours.say(&bytes).unwrap();
        let mut bytes = bytes;
        for frame in take_frames(&mut bytes) {
            self.windows.got(&frame);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Credit(stream, by) => self.hear(update(stream.map_or(0, |n| STREAMS[n]), *by)),
            Step::Window(size) => self.hear(settings(&[(4, *size)])),
            Step::Data(stream, count) => {
                let stream = STREAMS[*stream];
                if !self.ended[&stream] {
                    let data = vec![0; *count].into();
                    self.ours.connection.data(self.ours.id(stream), data);
                    *self.queued.get_mut(&stream).unwrap() += count;
                }
            }
            Step::End(stream) => {
                let stream = STREAMS[*stream];
                self.ours.connection.end(self.ours.id(stream), None);
                self.ended.insert(stream, true);
            }
        }
    }

    fn flush(&mut self) {
        let frames: Vec<Frame> = self.ours.output();
        for frame in frames {
            self.windows.sent(&frame);
            if frame.kind == DATA {
                *self.sent.entry(frame.stream).or_default() += frame.payload.len();
            }
        }
        for stream in STREAMS {
            let sent = self.sent.get(&stream).copied().unwrap_or_default();
            let left = self.queued[&stream] - sent;
            assert_eq!(self.ours.connection.unsent(self.ours.id(stream)), left);
            assert!(
                left == 0 || self.windows.is_shut(stream),
                "what may be sent has been"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn senders_keep_to_their_windows(steps in vec(steps(), 0..60)) {
        let limits = Limits {
            window_updates: 1000,
            ..Limits::SERVER
        };
        let mut played = Played {
            ours: Ours::server(&limits),
            windows: Windows::default(),
            queued: STREAMS.map(|stream| (stream, 0)).into(),
            sent: BTreeMap::new(),
            ended: STREAMS.map(|stream| (stream, false)).into(),
        };
        for stream in STREAMS {
            played.hear(get(stream));
            let id = played.ours.id(stream);
            let body = outrigger_core::stream::BodyLength::Unknown;
            let head = outrigger_core::message::ResponseHead::default();
            played.ours.connection.respond(id, &head, body, &mut played.ours.outbox);
        }
        for step in &steps {
            played.step(step);
            played.flush();
        }
        // Then there is credit for all, and all of it goes.
        for stream in STREAMS {
            played.hear(update(stream, 0x2000_0000));
            played.step(&Step::End(STREAMS.iter().position(|s| *s == stream).unwrap()));
        }
        played.hear(update(0, 0x2000_0000));
        played.flush();
        for stream in STREAMS {
            let id = played.ours.id(stream);
            prop_assert_eq!(played.sent.get(&stream).copied().unwrap_or_default(), played.queued[&stream]);
            prop_assert!(played.ours.connection.is_sent(id));
        }
    }
}
