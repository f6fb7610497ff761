//! From bytes to positioned trees (`node`), before anybody asks what they mean.
//!
//! Strict where YAML is lax: see [`read`]. What a plain scalar stands for (number, boolean, text) is decided by
//! `value`, because it depends on who asks.

mod budget;
mod builder;
mod documents;
mod embedded;
mod reader;
mod relax;

pub use budget::{MAX_DEPTH, MAX_NODES, MAX_SCALAR_BYTES};
pub use embedded::Embedded;
pub use reader::{MAX_FILE_BYTES, read};

#[cfg(test)]
mod tests;
