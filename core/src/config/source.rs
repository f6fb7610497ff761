//! What is read: a file and its name. Who opens files is no matter of configuration.

/// A file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As the user named it; findings show it.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}
