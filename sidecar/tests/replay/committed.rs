//! Recordings that stand in the corpus of the fuzz target: what was decided when they were made is decided now, by
//! whichever build.
//!
//! A decision that changes on purpose makes these tests fail; so does another form. Then the files are made anew:
//! `OUTRIGGER_RENEW=1 cargo test -p outrigger --test replay committed`.

use std::fs;
use std::path::{Path, PathBuf};

use outrigger_recording::{HEADER, SEGMENT_HEAD};

use super::replay;
use super::stage::{Folder, record};

pub(super) fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/recording_replay")
}

#[test]
fn committed_recordings_are_decided_as_they_were() {
    if std::env::var_os("OUTRIGGER_RENEW").is_some() {
        renew();
    }
    for (name, without_bodies) in [("run.rec", false), ("thinned.rec", true)] {
        let (code, document, told) = replay(&corpus().join(name));
        assert_eq!(
            code,
            Some(0),
            "{name} is decided otherwise now; if that is meant, OUTRIGGER_RENEW=1 makes it anew\n{document:#} {told}"
        );
        let replayed = &document["replayed"];
        assert_eq!(replayed["requests"], 8, "{name}");
        assert_eq!(replayed["without_bodies"], without_bodies, "{name}");
        assert_eq!(replayed["end"], "finished", "{name}");
    }
}

/// Records short runs, and makes of them what else a fuzzer begins with.
fn renew() {
    for (name, more) in [
        ("run.rec", &[][..]),
        ("thinned.rec", &["--record-without-bodies"]),
    ] {
        let folder = Folder::new(name);
        record(&folder, 1, "1", more);
        fs::write(corpus().join(name), fs::read(folder.file()).unwrap()).unwrap();
    }
    let whole = fs::read(corpus().join("run.rec")).unwrap();
    fs::write(corpus().join("cut.rec"), &whole[..whole.len() / 4]).unwrap();
    let mut frames = Vec::new();
    let mut left = &whole[HEADER.len()..];
    while let Some((head, rest)) = left.split_first_chunk::<SEGMENT_HEAD>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        frames.extend_from_slice(&rest[..length]);
        left = &rest[length..];
    }
    fs::write(corpus().join("frames"), frames).unwrap();
}
