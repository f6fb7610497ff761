//! The atomics of this module, in one place, so that a model checker can put its own in their stead.
//!
//! Under `cfg(loom)` these are loom's, which try every interleaving and every value that the orderings allow a load to
//! see. Only the package `interleavings` sets it, for its own second compilation of these files.

#[cfg(not(loom))]
pub(super) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
