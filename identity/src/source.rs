//! Where an identity comes from.
//!
//! Files, or an authority that is asked over the network.

use std::path::PathBuf;

use crate::fault::Fault;
use crate::material::Material;

/// Gives an identity, again and again.
pub trait Source: Send {
    /// What holds now.
    ///
    /// # Errors
    /// It cannot be had.
    fn fetch(&mut self) -> Result<Material, Fault>;

    /// The files and folders whose change means that it should be fetched again.
    fn watched(&self) -> Vec<PathBuf>;
}
