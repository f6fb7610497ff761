//! The file in which a run is recorded: everything that went into core, and what came of it, in one order.
//!
//! Owns the format, the joint at which a run is recorded, and the replay. What happens when is left to whoever drives core;
//! where the file lies and how a result looks, to the program.
//!
//! ```text
//! file     = "OUTRIGGR" version:u32 segment*
//! segment  = length:u32 checksum:u64 frame*         numbers little-endian; the checksum is XXH64 of the frames
//! frame    = one [`Frame`] in postcard              varints, no names, no alignment
//! ```
//!
//! The first frames say what the run began with: the program, the configuration as text, the workers with their settings
//! and seeds. After them each frame is one thing that happened, in the order in which it reached core: a connection that
//! was accepted, an input with its time and its bytes ([`Came`]), the time. What the worker said to it follows
//! ([`Frame::Said`]), which for a request that ended holds the whole decision ([`Decided`]). Bodies may be left out
//! ([`Bytes`]). Only its tail can be missing: a file that ends within a segment was cut off, and is good up to there.
//!
//! Frames have no names in the file, so a change to a type that stands in one is a change of the format, and raises
//! [`VERSION`].

#![forbid(unsafe_code)]

mod decided;
mod encoding;
mod file;
mod frame;
mod heads;
mod identity;
mod input_bytes;
mod joint;
mod recorder;
pub mod replay;
mod said;
pub mod what_if;

pub use decided::{Decided, Difference, differences};
pub use file::{Fault, HEADER, MAX_SEGMENT, Reader, SEGMENT_HEAD, Segment, VERSION, put_segment};
pub use frame::{Came, Configuration, End, File, Frame};
pub use heads::each_request;
pub use identity::identity;
pub use input_bytes::{Bytes, FILLER, Thinned};
pub use joint::Joint;
pub use recorder::{MIN_LIMIT, Recorder, RecordingEnd, Tap, Turn, WorkerTurn};
pub use said::{Said, Saying, put_output, take_output};
