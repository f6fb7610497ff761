//! Scripts in frames of HTTP/2 (RFC 9113 §6), for what only that version has.
//!
//! Owns how frames are written down (`text`), what is understood of those that come (`heard`), and who plays such a script
//! (`player`). `cases/README.md` is the guide. What is sent needs no codec but this one; header blocks that come are decoded by
//! core, whose encoder wrote them.

mod heard;
mod player;
mod text;

pub use player::Player;
pub use text::{CODES, parse};
