//! Replays the fuzz corpus through the body of the fuzz target, and holds the form of frames to a recording of a real run.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use outrigger_recording::replay::{Stop, replay};

#[path = "../../fuzz/src/recording.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod recording;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/recording_replay")
}

#[test]
fn nothing_in_the_corpus_panics() {
    let files = fs::read_dir(corpus()).unwrap();
    let count = files
        .map(|file| recording::replay_twice(&fs::read(file.unwrap().path()).unwrap()))
        .count();
    assert!(count > 3);
}

#[test]
fn any_changed_byte_of_a_frame_is_survived() {
    // Frames without the heads of their segments, as the body of the target takes them.
    let frames = fs::read(corpus().join("frames")).unwrap();
    for at in (0..frames.len()).step_by(29) {
        let mut bytes = frames.clone();
        bytes[at] = bytes[at].wrapping_add(1);
        recording::replay_twice(&bytes);
    }
}

/// Frames have no names in the file. Whoever changes a type that stands in one raises the number of the form, and makes
/// these files anew, as `sidecar/tests/replay/committed.rs` says.
#[test]
fn a_committed_recording_can_still_be_read() {
    for name in ["run.rec", "thinned.rec"] {
        let bytes = fs::read(corpus().join(name)).unwrap();
        let outcome = replay(Cursor::new(&bytes[..]));
        // Decisions may change on purpose; frames that cannot be read are a change of the form.
        assert!(!matches!(outcome.stop, Some(Stop::Fault(_))), "{outcome:?}");
        assert!(outcome.replayed.inputs > 0, "{outcome:?}");
    }
}
