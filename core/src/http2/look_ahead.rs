//! Where bodies lie among bytes that were not understood yet: for a recording that leaves them out.

use core::ops::Range;

use super::frame::{Frame, FrameHead, HEAD, Kind, PREFACE, flag};
use super::parts::Stage;

/// Ranges of `unread`, in order, that will be read as data. The last frame may be here in part.
pub(super) fn bodies(stage: Stage, unread: &[u8]) -> Vec<Range<usize>> {
    let mut bodies = Vec::new();
    let mut at = match stage {
        Stage::Preface => PREFACE.len(),
        Stage::FirstSettings | Stage::Frames => 0,
        Stage::Dead(_) => return bodies,
    };
    while let Some(head) = unread.get(at..).and_then(FrameHead::read) {
        let payload = at + HEAD;
        if head.kind == Kind::Data {
            let rest = unread.get(payload..).unwrap_or_default();
            let body = body(head, rest);
            if !body.is_empty() {
                bodies.push(payload + body.start..payload + body.end);
            }
        }
        at = payload + head.length;
    }
    bodies
}

/// Where in `rest`, which begins with the payload of a DATA frame, its data lies.
fn body(head: FrameHead, rest: &[u8]) -> Range<usize> {
    if let Some(payload) = rest.get(..head.length) {
        return match head.understand(payload) {
            Ok(Frame::Data { data, .. }) => data,
            Ok(_) | Err(_) => 0..0,
        };
    }
    // Of a frame that is cut, the length of its padding is the first byte.
    let (start, padding) = match rest.first() {
        Some(length) if head.has(flag::PADDED) => (1, usize::from(*length)),
        Some(_) | None => (0, 0),
    };
    let end = head.length.saturating_sub(padding).min(rest.len());
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_found_before_they_are_read() {
        let frame = |kind, flags, payload: &[u8]| {
            let mut bytes = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1];
            bytes.extend_from_slice(payload);
            bytes
        };
        let data = |payload: &[u8]| frame(0, 0, payload);
        let padded = |payload: &[u8]| frame(0, 8, payload);
        for (stage, bytes, want) in [
            (Stage::Frames, vec![data(b"abc")], &[(9, 12)][..]),
            (
                Stage::Frames,
                vec![frame(6, 0, b"12345678"), data(b"abc"), data(b"")],
                &[(26, 29)],
            ),
            (
                Stage::Frames,
                vec![padded(b"\x02abc\0\0"), data(b"d")],
                &[(10, 13), (24, 25)],
            ),
            (Stage::Frames, vec![padded(b"\x09abc")], &[]),
            (Stage::Frames, vec![data(b"abc")[..11].to_vec()], &[(9, 11)]),
            (
                Stage::Frames,
                vec![padded(b"\x02abc\0\0")[..11].to_vec()],
                &[(10, 11)],
            ),
            (
                Stage::Frames,
                vec![padded(b"\x02abc\0\0")[..14].to_vec()],
                &[(10, 13)],
            ),
            (
                Stage::Frames,
                vec![padded(b"\x02abc\0\0")[..9].to_vec()],
                &[],
            ),
            (Stage::FirstSettings, vec![frame(4, 0, b"")], &[]),
            (
                Stage::Preface,
                vec![PREFACE.to_vec(), data(b"abc")],
                &[(33, 36)],
            ),
            (Stage::Preface, vec![PREFACE[..20].to_vec()], &[]),
        ] {
            let bodies = bodies(stage, &bytes.concat());
            let got: Vec<_> = bodies.iter().map(|body| (body.start, body.end)).collect();
            assert_eq!(got, want, "{bytes:?}");
        }
    }
}
