//! A recording as a file: its first bytes, and segments with a length and a checksum.

use std::fmt;
use std::io::{self, Read};

use twox_hash::XxHash64;

use crate::frame::Frame;

/// Which form frames have. Raised with every change of a type that stands in one.
pub const VERSION: u32 = 13;

/// What every recording begins with.
const MAGIC: [u8; 8] = *b"OUTRIGGR";

/// The first bytes of a file.
pub const HEADER: [u8; 12] = {
    let mut header = [0; 12];
    let version = VERSION.to_le_bytes();
    let mut at = 0;
    while at < header.len() {
        header[at] = if at < 8 { MAGIC[at] } else { version[at - 8] };
        at += 1;
    }
    header
};

/// Bytes of a segment before its frames.
pub const SEGMENT_HEAD: usize = 12;

/// The longest segment, in bytes of frames. Only a configuration makes a long one.
pub const MAX_SEGMENT: usize = 1 << 30;

/// Why a file cannot be read, or not further.
#[derive(Debug)]
pub enum Fault {
    /// It is no recording.
    Foreign,
    /// It has another form.
    Version {
        /// Which.
        found: u32,
    },
    /// It was changed or damaged.
    Damaged {
        /// Where, in bytes from the beginning of the file.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// The system could not read it.
    Io(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("this is no recording of outrigger"),
            Self::Version { found } => write!(
                f,
                "this recording has form {found} and this program reads form {VERSION}; replay it with the program that wrote it"
            ),
            Self::Damaged { offset, what } => {
                write!(f, "the recording is damaged at byte {offset}: {what}")
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes the length and the checksum of a segment into the room before its frames: `block` begins with
/// [`SEGMENT_HEAD`] bytes that mean nothing yet.
///
/// # Panics
/// There is no such room, or the frames are longer than [`MAX_SEGMENT`].
pub fn put_segment(block: &mut [u8]) {
    let (head, frames) = block.split_at_mut(SEGMENT_HEAD);
    assert!(frames.len() <= MAX_SEGMENT, "a segment is bounded");
    let length = u32::try_from(frames.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&XxHash64::oneshot(0, frames).to_le_bytes());
}

/// Reads a recording, a segment at a time.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    offset: u64,
    is_cut: bool,
}

/// Frames that were written together and are whole.
#[derive(Debug)]
pub struct Segment {
    frames: Vec<u8>,
    offset: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the first bytes of a file.
    ///
    /// # Errors
    /// It is no recording, has another form, or cannot be read.
    pub fn new(mut input: R) -> Result<Self, Fault> {
        let mut header = Vec::with_capacity(HEADER.len());
        (&mut input)
            .take(HEADER.len() as u64)
            .read_to_end(&mut header)?;
        let Some((magic, version)) = header.split_first_chunk::<8>() else {
            return Err(Fault::Foreign);
        };
        if *magic != MAGIC {
            return Err(Fault::Foreign);
        }
        let version = version.try_into().map_err(|_| Fault::Foreign)?;
        let found = u32::from_le_bytes(version);
        if found != VERSION {
            return Err(Fault::Version { found });
        }
        Ok(Self {
            input,
            offset: HEADER.len() as u64,
            is_cut: false,
        })
    }

    /// The next segment; `None` at the end, or where the file was cut off.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub fn next_segment(&mut self) -> Result<Option<Segment>, Fault> {
        let offset = self.offset;
        let head = self.bytes(SEGMENT_HEAD)?;
        let Some((length, checksum)) = head.split_first_chunk::<4>() else {
            self.is_cut |= !head.is_empty();
            return Ok(None);
        };
        let Ok(checksum) = <[u8; 8]>::try_from(checksum) else {
            self.is_cut = true;
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_SEGMENT {
            let what = "a segment says that it is longer than any";
            return Err(Fault::Damaged { offset, what });
        }
        let frames = self.bytes(length)?;
        if frames.len() < length {
            self.is_cut = true;
            return Ok(None);
        }
        if XxHash64::oneshot(0, &frames) != u64::from_le_bytes(checksum) {
            let what = "a segment does not have its checksum";
            return Err(Fault::Damaged { offset, what });
        }
        self.offset = offset + (SEGMENT_HEAD + length) as u64;
        Ok(Some(Segment {
            frames,
            offset: offset + SEGMENT_HEAD as u64,
        }))
    }

    /// Bytes read as whole segments, from the beginning of the file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The file ended within a segment.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// So many bytes, or as many as there are. Memory grows with what is there, not with what a length says.
    fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        (&mut self.input)
            .take(count as u64)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Segment {
    /// Its frames, each with its place in the file. Nothing comes after an error.
    pub fn frames(&self) -> impl Iterator<Item = Result<(u64, Frame<'_>), Fault>> {
        let mut left = &self.frames[..];
        std::iter::from_fn(move || {
            if left.is_empty() {
                return None;
            }
            let offset = self.offset + (self.frames.len() - left.len()) as u64;
            Some(match Frame::take(left) {
                Some((frame, rest)) => {
                    left = rest;
                    Ok((offset, frame))
                }
                None => {
                    left = &[];
                    let what = "no frame begins here";
                    Err(Fault::Damaged { offset, what })
                }
            })
        })
    }
}
