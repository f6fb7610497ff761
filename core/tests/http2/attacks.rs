//! What a hostile peer tries: each attack ends at a limit, with a counter and with little memory, or is no attack.

use outrigger_core::http2::{Code, Counts, Limits};
use outrigger_core::stream::Reset;
use outrigger_core::stream::{Broken, StreamId};
use outrigger_core::time::Duration;

use crate::by_hand::{
    GET, Heard, Ours, block, data, frame, get, headers, open, reset, settings, update,
};

/// An attack by a client: what it sends, round by round, and whether it reads what we say.
struct Attack {
    name: &'static str,
    round: fn(u32) -> Vec<u8>,
    reads: bool,
    /// The answer that ends it, and the round by which it does.
    ends: (Code, u32),
    counter: fn(&Counts) -> u64,
}

/// The stream that a client opens in a round.
const fn nth(round: u32) -> u32 {
    1 + 2 * round
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "rapid reset, CVE-2023-44487",
        round: |n| [open(nth(n)), reset(nth(n), Code::Cancel)].concat(),
        reads: true,
        ends: (Code::EnhanceYourCalm, 1000),
        counter: |counts| counts.reset_floods,
    },
    Attack {
        name: "made you reset by an empty update, CVE-2025-8671",
        round: |n| [open(nth(n)), update(nth(n), 0)].concat(),
        reads: true,
        ends: (Code::EnhanceYourCalm, 1000),
        counter: |counts| counts.made_reset_floods,
    },
    Attack {
        name: "made you reset by an overflow",
        round: |n| [open(nth(n)), update(nth(n), 0x7fff_ffff)].concat(),
        reads: true,
        ends: (Code::EnhanceYourCalm, 1000),
        counter: |counts| counts.made_reset_floods,
    },
    Attack {
        name: "made you reset by data behind the end",
        round: |n| [get(nth(n)), data(nth(n), true, b"x")].concat(),
        reads: true,
        ends: (Code::EnhanceYourCalm, 1000),
        counter: |counts| counts.made_reset_floods,
    },
    Attack {
        name: "made you reset by a malformed head",
        round: |n| headers(nth(n), true, &[("UPPER", "1")]),
        reads: true,
        ends: (Code::EnhanceYourCalm, 1000),
        counter: |counts| counts.made_reset_floods,
    },
    Attack {
        name: "CONTINUATION flood, CVE-2024-27919",
        round: |n| match n {
            0 => frame(1, 0, 1, &block(GET)),
            _ => frame(9, 0, 1, &block(&[("x", "y")])),
        },
        reads: true,
        ends: (Code::EnhanceYourCalm, 9),
        counter: |counts| counts.continuation_frames,
    },
    Attack {
        name: "CONTINUATION flood of large frames",
        round: |n| match n {
            0 => frame(1, 0, 1, &[0; 16_384]),
            _ => frame(9, 0, 1, &[0; 16_384]),
        },
        reads: true,
        ends: (Code::EnhanceYourCalm, 8),
        counter: |counts| counts.block_bytes,
    },
    Attack {
        name: "PING flood, CVE-2019-9512",
        round: |_| frame(6, 0, 0, b"12345678"),
        reads: false,
        ends: (Code::EnhanceYourCalm, 1000),
        counter: |counts| counts.control_frames,
    },
    Attack {
        name: "SETTINGS flood, CVE-2019-9515",
        round: |n| settings(&[(4, n)]),
        reads: false,
        ends: (Code::EnhanceYourCalm, 1000),
        counter: |counts| counts.control_frames,
    },
    Attack {
        name: "empty frames, CVE-2019-9518",
        round: |n| match n {
            0 => open(1),
            _ => data(1, false, b""),
        },
        reads: true,
        ends: (Code::EnhanceYourCalm, 2),
        counter: |counts| counts.empty_frames,
    },
    Attack {
        name: "frames of nothing but padding",
        round: |n| match n {
            0 => open(1),
            _ => frame(0, 8, 1, b"\x01\0"),
        },
        reads: true,
        ends: (Code::EnhanceYourCalm, 2),
        counter: |counts| counts.empty_frames,
    },
    Attack {
        name: "empty CONTINUATION frames",
        round: |n| match n {
            0 => frame(1, 0, 1, &block(GET)),
            _ => frame(9, 0, 1, b""),
        },
        reads: true,
        ends: (Code::EnhanceYourCalm, 2),
        counter: |counts| counts.empty_frames,
    },
    Attack {
        name: "window updates for nothing",
        round: |_| update(0, 1),
        reads: true,
        ends: (Code::EnhanceYourCalm, 5),
        counter: |counts| counts.window_updates,
    },
    Attack {
        name: "priority churn, CVE-2019-9513",
        round: |n| frame(2, 0, nth(n), b"\0\0\0\0\x07"),
        reads: true,
        ends: (Code::EnhanceYourCalm, 100),
        counter: |counts| counts.priority_frames,
    },
];

#[test]
fn floods_end_at_their_limit() {
    for attack in ATTACKS {
        let counted = allocation_counter::measure(|| play(attack));
        // 128 KiB of it is the largest header block, twice while it grows.
        assert!(
            counted.bytes_max <= 512 * 1024,
            "{}: {counted:?}",
            attack.name
        );
        assert!(counted.bytes_current <= 0, "{}", attack.name);
    }
}

fn play(attack: &Attack) {
    {
        let mut ours = Ours::server(&Limits::SERVER);
        ours.takes = true;
        let mut round = 0;
        let fatal = loop {
            let said = ours.say(&(attack.round)(round));
            if let Err(fatal) = said {
                break fatal;
            }
            if attack.reads {
                ours.output();
            }
            assert!(ours.connection.streams() <= 200, "{}", attack.name);
            assert!(round < 10_000, "{} goes on", attack.name);
            round += 1;
        };
        let (code, by) = attack.ends;
        assert_eq!(fatal.code, code, "{}", attack.name);
        assert_eq!(round, by, "{}", attack.name);
        assert_eq!(
            (attack.counter)(ours.connection.counts()),
            1,
            "{}",
            attack.name
        );
        let told = ours.told();
        let last = told.last().map(String::as_str).unwrap_or_default();
        assert!(
            last.starts_with("GOAWAY") && last.ends_with(&format!("{code:?}")),
            "{}: {last}",
            attack.name
        );
        // It stays ended, says nothing more, and holds nothing.
        assert_eq!(ours.say(&get(nth(round + 9))), Err(fatal));
        assert_eq!(ours.told(), [""; 0]);
        assert!(!ours.connection.has_to_send());
        assert_eq!(ours.connection.deadline(), None);
    }
}

#[test]
fn a_reset_request_keeps_its_place_until_its_work_has_ended() {
    let limits = Limits {
        concurrent_streams: 4,
        ..Limits::SERVER
    };
    for breaks in [reset(0, Code::Cancel), update(0, 0)] {
        let mut ours = Ours::server(&limits);
        ours.closes = false;
        for n in 0..8 {
            ours.say(&open(nth(n))).unwrap();
            let mut breaks = breaks.clone();
            breaks[5..9].copy_from_slice(&nth(n).to_be_bytes());
            ours.say(&breaks).unwrap();
        }
        ours.output();
        ours.say(&get(nth(8))).unwrap();
        assert_eq!(ours.told(), ["RST 17 RefusedStream"]);
        assert_eq!(ours.connection.counts().refused_streams, 1);
        // The work for one of them has ended.
        ours.connection.close(ours.id(3));
        ours.say(&[get(nth(9)), get(nth(10))].concat()).unwrap();
        assert_eq!(ours.told(), ["RST 21 RefusedStream"]);
        assert_eq!(ours.connection.streams(), 8);
    }
}

#[test]
fn nothing_is_called_for_a_request_that_is_reset_at_once() {
    let mut ours = Ours::server(&Limits::SERVER);
    let both = [open(1), data(1, false, b"x"), reset(1, Code::Cancel)].concat();
    ours.say(&both).unwrap();
    assert_eq!((ours.heard.len(), ours.connection.streams()), (0, 0));
    assert_eq!(ours.told(), [""; 0]);
}

#[test]
fn nothing_is_called_after_a_reset() {
    // CVE-2026-26311.
    let mut ours = Ours::server(&Limits::SERVER);
    ours.closes = false;
    ours.say(&[open(1), data(1, false, b"x")].concat()).unwrap();
    ours.say(&reset(1, Code::Cancel)).unwrap();
    let heard = ours.heard.len();
    assert_eq!(
        ours.heard[heard - 1].1,
        Heard::Broken(Broken::Reset(Reset::Cancelled))
    );
    let late = [
        data(1, false, b"late"),
        headers(1, true, &[("late", "1")]),
        reset(1, Code::Cancel),
        update(1, 1),
    ];
    ours.say(&late.concat()).unwrap();
    assert_eq!(ours.heard.len(), heard);
    assert_eq!(ours.connection.unread(ours.id(1)), 0);
}

#[test]
fn heads_that_are_too_large_cost_their_stream_only() {
    let many: Vec<(&str, &str)> = GET.iter().copied().chain([("x", "y"); 101]).collect();
    let long = "v".repeat(61 * 1024);
    let large: Vec<(&str, &str)> = GET.iter().copied().chain([("x", &*long)]).collect();
    let cookies: Vec<(&str, &str)> = GET
        .iter()
        .copied()
        .chain([("cookie", "a=b"); 101])
        .collect();
    for fields in [many, large, cookies] {
        let mut ours = Ours::server(&Limits::SERVER);
        let block = block(&fields);
        let mut parts = block.chunks(16_384).peekable();
        let mut kind = 1;
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() {
                5
            } else {
                u8::from(kind == 1)
            };
            ours.say(&frame(kind, flags, 1, part)).unwrap();
            kind = 9;
        }
        assert_eq!(ours.told(), ["RST 1 InternalError"]);
        assert_eq!(ours.connection.counts().refused_heads, 1);
        ours.say(&get(3)).unwrap();
        assert!(matches!(ours.heard.last(), Some((3, Heard::End))));
    }
}

#[test]
fn a_bomb_of_compression_is_not_unpacked() {
    // One field of 4 KiB in the table, then one byte for each time that it is meant (CVE-2016-6581, CVE-2026-47774).
    let mut bomb = block(GET);
    bomb.extend([0x40, 1, b'x', 127]);
    bomb.extend([0x80 | (3900 - 127) as u8 & 0x7f, ((3900 - 127) >> 7) as u8]);
    bomb.extend([b'v'; 3900]);
    bomb.resize(16_000, 0x80 | 62);
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&frame(1, 5, 1, &bomb)).unwrap();
    assert_eq!(ours.told(), ["RST 1 InternalError"]);
    // And the table is still in step.
    let mut meant = block(GET);
    meant.push(0x80 | 62);
    ours.say(&frame(1, 5, 3, &meant)).unwrap();
    let Some((3, Heard::Request(head, _))) = ours.heard.iter().rev().nth(1) else {
        panic!("{:?}", ours.heard.last());
    };
    assert_eq!(head.headers.iter().next().unwrap().value.len(), 3900);
}

#[test]
fn a_block_has_so_much_time() {
    let mut ours = Ours::server(&Limits::SERVER);
    let begun = ours.now;
    ours.say(&frame(1, 0, 1, &block(GET))).unwrap();
    assert_eq!(
        ours.connection.deadline(),
        Some(begun + Duration::from_secs(15))
    );
    // What comes meanwhile does not help.
    ours.now = begun + Duration::from_secs(14);
    ours.say(&frame(9, 0, 1, &block(&[("x", "y")]))).unwrap();
    assert_eq!(ours.connection.on_time(ours.now), Ok(()));
    let late = begun + Duration::from_secs(15);
    assert!(ours.connection.on_time(late).is_err());
    assert_eq!(ours.told(), ["GOAWAY 0 EnhanceYourCalm"]);
    assert_eq!(ours.connection.counts().block_time, 1);
}

#[test]
fn windows_that_stall_are_not_waited_for() {
    // A byte at a time counts as progress; none at all does not (CVE-2019-9511, CVE-2019-9517).
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&settings(&[(4, 10)])).unwrap();
    ours.say(&[get(1), get(3)].concat()).unwrap();
    ours.answer(1, 100);
    ours.answer(3, 100);
    let want = [
        "HEADERS 1",
        "HEADERS 3",
        "SETTINGS ack",
        "DATA 1 10",
        "DATA 3 10",
    ];
    assert_eq!(ours.told(), want);
    let stalled = ours.now;
    let minutes = |n: u64| stalled + Duration::from_secs(60 * n);
    assert_eq!(ours.connection.deadline(), Some(minutes(5)));
    ours.now = minutes(4);
    ours.say(&update(3, 1)).unwrap();
    assert_eq!(ours.told(), ["DATA 3 1"]);
    ours.now = minutes(5);
    ours.connection.on_time(ours.now).unwrap();
    ours.listen();
    assert_eq!(ours.told(), ["RST 1 EnhanceYourCalm"]);
    assert_eq!(ours.connection.counts().stalled, 1);
    assert_eq!(ours.connection.streams(), 1);
    assert_eq!(ours.connection.deadline(), Some(minutes(9)));
    // The connection's own window may stall as well.
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&get(1)).unwrap();
    ours.say(&[settings(&[(4, 0x7fff_ffff)]), get(3)].concat())
        .unwrap();
    ours.answer(1, 70_000);
    ours.output();
    ours.now = ours.connection.deadline().unwrap();
    ours.connection.on_time(ours.now).unwrap();
    assert_eq!(ours.told(), ["RST 1 EnhanceYourCalm"]);
}

#[test]
fn resets_after_goaway_leave_nothing_behind() {
    // CVE-2023-35945.
    let mut ours = Ours::client(&Limits::CLIENT, 100);
    ours.say(&frame(7, 0, 0, b"\0\0\0\x01\0\0\0\0")).unwrap();
    for n in 0..100 {
        let _ = ours.say(&reset(nth(n), Code::RefusedStream));
    }
    let unprocessed = Heard::Broken(Broken::Reset(Reset::Unprocessed));
    assert_eq!(ours.heard.len(), 100);
    assert!(ours.heard.iter().all(|(_, heard)| *heard == unprocessed));
    assert_eq!((ours.connection.streams(), ours.connection.room()), (0, 0));
    assert_eq!(ours.told(), [""; 0]);
}

#[test]
fn a_flood_of_interim_heads_costs_the_response() {
    let mut ours = Ours::client(&Limits::CLIENT, 1);
    let interim = headers(1, false, &[(":status", "103")]);
    ours.say(&interim.repeat(16)).unwrap();
    assert_eq!(
        ours.heard.len(),
        16,
        "taken in time, they go on for as long as the owner likes"
    );
    ours.say(&interim.repeat(17)).unwrap();
    assert_eq!(ours.told(), ["RST 1 EnhanceYourCalm"]);
    assert_eq!(ours.connection.counts().interim_heads, 1);
}

#[test]
fn trailers_have_limits_of_their_own() {
    for (count, value) in [(101, 1), (1, 16 * 1024)] {
        let value = "v".repeat(value);
        let mut ours = Ours::server(&Limits::SERVER);
        ours.say(&open(1)).unwrap();
        let block = block(&vec![("x-sum", &*value); count]);
        ours.say(&[frame(1, 1, 1, &block[..200]), frame(9, 4, 1, &block[200..])].concat())
            .unwrap();
        assert_eq!(ours.told(), ["RST 1 InternalError"]);
        assert_eq!(ours.connection.counts().refused_heads, 1);
    }
}

#[test]
fn the_window_of_the_connection_is_kept() {
    let mut ours = Ours::server(&Limits {
        stream_window: 1 << 20,
        connection_window: 65_535,
        ..Limits::SERVER
    });
    ours.say(&open(1)).unwrap();
    let most = [
        data(1, false, &[0; 16_384]).repeat(3),
        data(1, false, &[0; 16_383]),
    ]
    .concat();
    // Nothing is given back before it could have been written.
    ours.say(&most).unwrap();
    assert!(ours.say(&data(1, false, b"x")).is_err());
    assert_eq!(ours.told().last().unwrap(), "GOAWAY 1 FlowControlError");
    assert_eq!(ours.connection.counts().windows, 1);
}

#[test]
fn bodies_that_nobody_takes_hold_their_windows_and_little_more() {
    // A byte at a time, on all streams, each with much that is taken at once, so that each keeps a block of what was read
    // in memory if it may.
    let mut ours = Ours::server(&Limits::SERVER);
    ours.takes = false;
    let mut opened = Vec::new();
    (0..99).for_each(|n| opened.extend(open(nth(n))));
    ours.say(&opened).unwrap();
    ours.output();
    let counted = allocation_counter::measure(|| {
        for round in 0..600 {
            for n in 0..99 {
                ours.inbox.reserve(32 * 1024);
                // The rest of the block goes to a stream that is reset, and nowhere.
                let other = nth(1000 + round * 99 + n);
                let rest = [open(other), data(other, false, &[0; 1000])].concat();
                ours.say(&[data(nth(n), false, b"x"), rest].concat())
                    .unwrap();
                ours.connection.close(ours.id(other));
            }
            ours.output();
            ours.heard.clear();
        }
        ours.heard = Vec::new();
    });
    let unread: usize = (0..99)
        .map(|n| ours.connection.unread(ours.id(nth(n))))
        .sum();
    assert_eq!(unread, 99 * 600);
    assert!(counted.bytes_current < 1024 * 1024, "{counted:?}");
}

#[test]
fn too_many_streams_are_refused_and_may_be_asked_for_again() {
    let mut ours = Ours::server(&Limits::SERVER);
    for n in 0..103 {
        ours.say(&get(nth(n))).unwrap();
    }
    assert_eq!(
        ours.told(),
        [
            "RST 201 RefusedStream",
            "RST 203 RefusedStream",
            "RST 205 RefusedStream"
        ]
    );
    assert_eq!(ours.connection.counts().refused_streams, 3);
    assert_eq!(ours.connection.streams(), 100);
}

#[test]
fn a_mass_of_resets_leaves_no_memory() {
    let mut ours = Ours::client(
        &Limits {
            concurrent_streams: 20_000,
            ..Limits::CLIENT
        },
        0,
    );
    let mut open = Vec::new();
    for _ in 0..20_000 {
        let head = outrigger_core::message::RequestHead::default();
        let asked = ours
            .connection
            .ask(&head, &Default::default(), (), &mut ours.outbox);
        open.push(asked.unwrap());
    }
    ours.output();
    let middle = open.split_off(10_000);
    let ends: Vec<StreamId> = middle
        .into_iter()
        .zip(open.into_iter().rev())
        .flat_map(|(a, b)| [a, b])
        .collect();
    for id in ends {
        ours.connection.reset(id, Reset::Cancelled);
    }
    assert_eq!(ours.connection.streams(), 0);
    assert_eq!(ours.output().len(), 20_000);
}
