//! What the control thread can be asked to do, by whoever notices that it should.

use super::successors::Successor;

/// What others ask of the control thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// Something happened where the configuration is.
    FilesChanged,
    /// Drain and end.
    Quit,
    /// This process has all that we listened at, and serves: drain and end.
    TakenOver(Successor),
}
