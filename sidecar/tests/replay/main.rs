//! `outrigger run --record` and `outrigger replay` as programs: a run over real sockets is decided again bit for bit, and
//! what was altered is found where it stands.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

mod committed;
mod stage;
mod stories;
#[path = "../support/mod.rs"]
mod support;
mod what_if;

use std::fs;
use std::path::Path;
use std::process::Command;

use outrigger_core::decision::MirrorFate;
use outrigger_recording::{Frame, HEADER, Reader, SEGMENT_HEAD, Said, Saying, put_segment};
use serde_json::Value;

use stage::{FAILURE_BODY, Folder, Proxy, REQUEST_BODY, RESPONSE_BODY, ask, record};

fn replay(file: &Path) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["replay", "--format", "json"])
        .arg(file)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), document, told)
}

/// The segments of a recording with its frames changed one by one, and where in the new file the last changed one stands.
fn rewrite(file: &Path, mut change: impl FnMut(&mut Frame<'_>) -> bool) -> u64 {
    let bytes = fs::read(file).unwrap();
    let mut reader = Reader::new(&bytes[..]).unwrap();
    let (mut new, mut place) = (HEADER.to_vec(), 0);
    while let Some(segment) = reader.next_segment().unwrap() {
        let mut block = vec![0; SEGMENT_HEAD];
        for frame in segment.frames() {
            let (_, mut frame) = frame.unwrap();
            if change(&mut frame) {
                place = (new.len() + block.len()) as u64;
            }
            frame.put(&mut block);
        }
        put_segment(&mut block);
        new.extend(block);
    }
    fs::write(file, new).unwrap();
    place
}

/// How many requests say that a copy of them was sent.
fn sent(file: &Path) -> usize {
    let mut copies = 0;
    rewrite(file, |frame| {
        let Frame::Said { outputs, .. } = frame else {
            return false;
        };
        for saying in Said::read(outputs) {
            if let Some(Saying::Ended(_, decided)) = saying {
                let mirrors = decided.mirrors.iter();
                copies += mirrors.filter(|m| m.fate == MirrorFate::Sent).count();
            }
        }
        false
    });
    copies
}

#[test]
fn an_altered_decision_is_found_where_it_stands() {
    let folder = Folder::new("altered");
    record(&folder, 6, "1", &[]);
    let mut ended = 0;
    // The twentieth request is said to have seen another status.
    let place = rewrite(&folder.file(), |frame| {
        let Frame::Said { outputs, .. } = frame else {
            return false;
        };
        let mut said: Vec<_> = Said::read(outputs).map(Option::unwrap).collect();
        let decided = said.iter_mut().find_map(|saying| match saying {
            Saying::Ended(_, decided) => Some(decided),
            Saying::Output(_) => None,
        });
        let Some(decided) = decided else { return false };
        ended += 1;
        if ended != 20 {
            return false;
        }
        decided.status = 599;
        *outputs = Said::write(&said).leak();
        true
    });
    let (code, document, told) = replay(&folder.file());
    assert_eq!(code, Some(1), "{document} {told}");
    assert_eq!(document["same"], false);
    let difference = &document["difference"];
    assert_eq!(difference["offset"], place, "{document}");
    assert_eq!(difference["fields"][0]["field"], "status");
    assert_eq!(difference["fields"][0]["recorded"], "599");
    assert_eq!(difference["fields"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_is_decided_again_bit_for_bit() {
    for (workers, more) in [
        ("1", &[][..]),
        ("3", &[]),
        ("2", &["--record-without-bodies"]),
    ] {
        let folder = Folder::new(workers);
        record(&folder, 6, workers, more);
        let (code, document, told) = replay(&folder.file());
        assert_eq!(code, Some(0), "{document} {told}");
        assert_eq!(document["same"], true);
        let replayed = &document["replayed"];
        assert_eq!(replayed["requests"], 48);
        assert_eq!(replayed["without_bodies"], !more.is_empty());
        let holds = |words: &str| {
            let bytes = fs::read(folder.file()).unwrap();
            bytes
                .windows(words.len())
                .any(|window| window == words.as_bytes())
        };
        for body in [REQUEST_BODY, RESPONSE_BODY, FAILURE_BODY] {
            assert_eq!(holds(body), more.is_empty(), "{body}");
        }
        assert!(holds("content-length: 5"));
        assert_eq!(replayed["configurations"], 2);
        assert_eq!(replayed["end"], "finished");
        // Every copy that was sent came to an end and was compared, those of the rule without chance among them.
        let copies = sent(&folder.file());
        assert!(copies >= 12, "{copies}");
        assert_eq!(replayed["copies"], copies);
    }
}

#[test]
fn what_is_no_whole_recording_is_told() {
    let folder = Folder::new("files");
    record(&folder, 6, "1", &[]);
    let file = folder.file();
    let whole = fs::read(&file).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&file, bytes).unwrap();
        replay(&file)
    };
    let (code, document, _) = with(&|bytes| bytes.truncate(whole.len() * 2 / 3));
    assert_eq!(
        (code, &document["replayed"]["end"]),
        (Some(0), &"cut".into())
    );
    let (code, document, _) = with(&|bytes| bytes[whole.len() / 2] ^= 1);
    assert_eq!((code, &document["same"]), (Some(2), &Value::Null));
    for (change, words) in [
        (
            &(|bytes: &mut Vec<u8>| bytes[whole.len() / 2] ^= 1) as &dyn Fn(&mut Vec<u8>),
            "damaged at byte",
        ),
        (&|bytes| bytes[0] = b'o', "no recording"),
        (&|bytes| bytes.truncate(5), "no recording"),
        (&|bytes| bytes.clear(), "no recording"),
        (&|bytes| bytes[8] = 99, "form 99"),
        (
            &|bytes| bytes.truncate(HEADER.len()),
            "before the run began",
        ),
    ] {
        let (code, document, told) = with(change);
        assert_eq!(code, Some(2), "{words}: {document}");
        let error = document["error"].as_str().unwrap_or(&told);
        assert!(error.contains(words), "{words}: {document} {told}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(replay(&file).0, Some(2));
}

#[test]
fn a_recording_ends_at_its_limit_and_the_run_goes_on() {
    let folder = Folder::new("limit");
    folder.configure("");
    let proxy = Proxy::start(&folder, "1", &["--record-limit", "4KiB"]);
    for _ in 0..20 {
        ask(proxy.addr, &["/a"]);
    }
    let told = proxy.told.wait_for("recording ended");
    assert!(told.contains("4096 bytes"), "{told}");
    ask(proxy.addr, &["/a"]);
    proxy.end();
    assert!(fs::metadata(folder.file()).unwrap().len() <= 4096);
    let (code, document, told) = replay(&folder.file());
    assert_eq!(code, Some(0), "{document} {told}");
    assert_eq!(document["replayed"]["end"], "full");
}
