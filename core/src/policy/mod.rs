//! Decisions as pure functions over a snapshot, a request and live state handed in. No function here waits, asks the
//! time, draws a number of its own or changes anything outside its arguments.

mod index;

pub use index::RuleIndex;
