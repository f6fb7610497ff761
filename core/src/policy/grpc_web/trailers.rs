//! The last frame of a gRPC-Web body: what trailers become (`PROTOCOL-WEB.md`, "Message framing").

use bytes::{BufMut as _, BytesMut};

use crate::message::Headers;

/// The bit of a frame's first byte that says that it holds trailers.
const TRAILERS: u8 = 0x80;

/// Appends the frame: the flag, the length of the rest as four bytes, big end first, and a line for each field.
pub fn frame(trailers: &Headers, out: &mut BytesMut) {
    let lines = trailers.iter().map(|f| f.name.len() + f.value.len() + 3);
    // Heads are bounded far below 4 GiB.
    let length = u32::try_from(lines.sum::<usize>()).unwrap_or(u32::MAX);
    out.put_u8(TRAILERS);
    out.put_u32(length);
    for field in trailers.iter() {
        for part in [field.name, b":", field.value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}
