//! How configuration travels: which kinds of objects, what one is, and what is said when it changes.
//!
//! Owns the words between who has the configuration of a mesh and who runs by it. Where objects come from is the business of
//! their sources, what they mean that of `outrigger_core::config`.

mod kinds;
mod object;

pub use kinds::{KINDS, Kind};
pub use object::{Change, Key, Object};
