//! What must hold for recordings whatever is in them: no panic of the reader or of the core behind it, no memory that
//! grows with what a length claims, and the same bytes replay the same; so under other rules. The fuzz target calls [`replay_twice`].

use std::io::Cursor;

use outrigger_core::snapshot::Snapshot;
use outrigger_recording::replay::replay;
use outrigger_recording::what_if::what_if;
use outrigger_recording::{Configuration, HEADER, SEGMENT_HEAD, put_segment};

/// A recording may come from anybody: the bytes as they are, and as the frames of a segment whose checksum is right, which
/// a fuzzer would hardly ever find.
pub fn replay_twice(bytes: &[u8]) {
    same(bytes);
    let mut block = vec![0; SEGMENT_HEAD];
    block.extend_from_slice(bytes);
    put_segment(&mut block);
    let mut file = HEADER.to_vec();
    file.extend(block);
    same(&file);
}

fn same(file: &[u8]) {
    let first = replay(Cursor::new(file));
    let again = replay(Cursor::new(file));
    assert_eq!(first.replayed, again.replayed);
    assert_eq!(format!("{:?}", first.stop), format!("{:?}", again.stop));
    assert!(first.replayed.offset <= file.len() as u64);
    let nothing = |_: &Configuration<'_>| Ok::<_, ()>(Snapshot::default());
    let (compared, _) = what_if(Cursor::new(file), nothing);
    assert!(compared.otherwise <= compared.requests);
}
