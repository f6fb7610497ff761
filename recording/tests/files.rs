//! The file: what is written is read again, and what is no whole recording is told with its place.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::borrow::Cow;
use std::io::Cursor;

use outrigger_core::decision::{
    Attempt, AttemptEnd, Details, Followed, Picked, PickedBy, Record, RouteDecision,
};
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::{ClientId, ConnId, ExchangeId, UpstreamId};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::{Input, Output};
use outrigger_recording::replay::{Stop, replay};
use outrigger_recording::{
    Bytes, Came, End, Fault, Frame, HEADER, MAX_SEGMENT, Reader, SEGMENT_HEAD, Said, Saying,
    VERSION, differences, put_output, put_segment,
};

fn file(segments: &[&[Frame<'_>]]) -> Vec<u8> {
    let mut file = HEADER.to_vec();
    for frames in segments {
        let mut block = vec![0; SEGMENT_HEAD];
        frames.iter().for_each(|frame| frame.put(&mut block));
        put_segment(&mut block);
        file.extend(block);
    }
    file
}

fn frames() -> Vec<Frame<'static>> {
    vec![
        Frame::Program(Cow::Borrowed("0.1.0")),
        Frame::Came(Came {
            worker: 300,
            connection: ConnId::Upstream(UpstreamId::default()),
            now: Instant::from_millis(1500),
            input: Input::Read(3),
            bytes: Bytes::Read(b"abc"),
        }),
        Frame::Said {
            worker: 300,
            outputs: b"any",
        },
        Frame::End(End::Full { limit: 1 << 40 }),
    ]
}

/// What was read of a file: frames with their places, and how it ended.
fn read(bytes: &[u8]) -> (Vec<(u64, String)>, Result<bool, Fault>) {
    let mut read = Vec::new();
    let mut reader = match Reader::new(Cursor::new(bytes)) {
        Ok(reader) => reader,
        Err(fault) => return (read, Err(fault)),
    };
    loop {
        let segment = match reader.next_segment() {
            Ok(Some(segment)) => segment,
            Ok(None) => return (read, Ok(reader.is_cut())),
            Err(fault) => return (read, Err(fault)),
        };
        for frame in segment.frames() {
            match frame {
                Ok((offset, frame)) => read.push((offset, format!("{frame:?}"))),
                Err(fault) => return (read, Err(fault)),
            }
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    let frames = frames();
    let bytes = file(&[&frames[..1], &[], &frames[1..]]);
    let (got, end) = read(&bytes);
    assert!(!end.unwrap(), "it is whole");
    let want: Vec<_> = frames.iter().map(|frame| format!("{frame:?}")).collect();
    let texts: Vec<_> = got.iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(texts, want);
    let first = (HEADER.len() + SEGMENT_HEAD) as u64;
    assert_eq!(got[0].0, first);
    // A name of five letters with its length and the frame's number, then two heads of segments.
    assert_eq!(got[1].0, first + 7 + 2 * SEGMENT_HEAD as u64);
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_good_up_to_there() {
    let frames = frames();
    let bytes = file(&[&frames[..1], &frames[1..]]);
    let first = file(&[&frames[..1]]).len();
    for length in HEADER.len()..bytes.len() {
        let (got, end) = read(&bytes[..length]);
        assert_eq!(got.len(), usize::from(length >= first), "{length}");
        let is_cut = length != HEADER.len() && length != first;
        assert_eq!(end.unwrap(), is_cut, "{length}");
    }
    for length in 0..HEADER.len() {
        assert!(matches!(read(&bytes[..length]).1, Err(Fault::Foreign)));
    }
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let frames = frames();
    let bytes = file(&[&frames[..1], &frames[1..]]);
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        let (got, end) = read(&bytes);
        let was_noticed = end.map_or(true, |is_cut| is_cut);
        assert!(was_noticed, "{at}: {got:?}");
    }
}

#[test]
fn lengths_are_believed_only_when_the_bytes_are_there() {
    for (length, want) in [
        (u32::MAX, "longer than any"),
        (MAX_SEGMENT as u32 + 1, "longer than any"),
        (MAX_SEGMENT as u32, ""),
    ] {
        let mut bytes = HEADER.to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend([0; 20]);
        match read(&bytes).1 {
            Ok(is_cut) => assert!(is_cut && want.is_empty()),
            Err(fault) => assert!(fault.to_string().contains(want), "{fault}"),
        }
    }
}

#[test]
fn another_form_is_named() {
    for form in [VERSION - 1, VERSION + 1] {
        let mut bytes = HEADER;
        bytes[8..].copy_from_slice(&form.to_le_bytes());
        let fault = read(&bytes).1.unwrap_err();
        let want = format!(
            "this recording has form {form} and this program reads form {VERSION}; replay it with the program that wrote it"
        );
        assert_eq!(fault.to_string(), want);
    }
}

#[test]
fn a_decision_is_read_as_it_was_written() {
    let mut record = Record::default();
    record.restart(Instant::from_millis(10), Entropy(7));
    record.status = 503;
    record.details = Details::NoHealthyUpstream;
    record.delayed = Some(Duration::from_millis(3));
    record.bytes_sent = 19;
    record.ended = Instant::from_millis(20);
    let mut outputs = Vec::new();
    let (id, client) = (ExchangeId::default(), ClientId::default());
    put_output(&Output::Ended(id), Some(&record), &mut outputs);
    put_output(&Output::Reset(client), None, &mut outputs);
    let said: Vec<_> = Said::read(&outputs).map(Option::unwrap).collect();
    let [
        Saying::Ended(ended, decided),
        Saying::Output(Output::Reset(_)),
    ] = &said[..]
    else {
        panic!("{said:?}");
    };
    assert_eq!(*ended, id);
    assert_eq!(
        (decided.status, &*decided.details),
        (503, "no_healthy_upstream")
    );
    assert_eq!(decided.delayed, record.delayed);
    assert_eq!(decided.ended, record.ended);
    assert_eq!(Said::write(&said), outputs);

    // What is decided now is compared with what was: the very record, or one that differs in the depth of a field.
    assert_eq!(differences(decided, &record), []);
    record.status = 200;
    record.bytes_sent = 20;
    record.route = RouteDecision::UnknownHost;
    record.attempts.push(Attempt {
        cluster: None,
        endpoint: 0,
        picked: Picked::simply(PickedBy::Only),
        reused: false,
        began: record.began,
        end: AttemptEnd::Response(200),
        ended: Instant::ZERO,
        followed: Followed::Nothing,
        ejected: None,
    });
    let found = differences(decided, &record);
    let of = |field: &str| {
        let found = found.iter().find(|d| d.field == field);
        found.map(|d| (&*d.recorded, &*d.now))
    };
    assert_eq!(of("status"), Some(("503", "200")));
    assert_eq!(of("bytes_sent"), Some(("19", "20")));
    assert_eq!(of("route"), Some(("NotReached", "UnknownHost")));
    assert_eq!(
        of("attempts[0]").map(|(recorded, _)| recorded),
        Some("none")
    );
    assert_eq!(found.len(), 4);

    outputs.truncate(outputs.len() - 2);
    assert!(Said::read(&outputs).any(|saying| saying.is_none()));
}

#[test]
fn frames_that_make_no_run_are_damage() {
    let program = || Frame::Program(Cow::Borrowed("0.1.0"));
    for (frames, want) in [
        (vec![], "before the run began"),
        (vec![Frame::Published], "no program"),
        (vec![program()], "before the run began"),
        (vec![program(), Frame::Published], "was not compiled"),
        (
            vec![program(), Frame::End(End::Finished), Frame::Published],
            "follows the end",
        ),
        (
            vec![program(), Frame::Draining { worker: 0 }],
            "no such worker",
        ),
        (vec![program(), frames().swap_remove(1)], "no such worker"),
        (vec![program(), frames().swap_remove(2)], "no such worker"),
    ] {
        let outcome = replay(Cursor::new(file(&[&frames])));
        let Some(Stop::Fault(fault)) = outcome.stop else {
            panic!("{frames:?}: {outcome:?}");
        };
        assert!(fault.to_string().contains(want), "{frames:?}: {fault}");
    }
}
