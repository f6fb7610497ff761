//! Reviewers of tokens for meshes without Kubernetes' help: by a list of known ones, or by the keys of who made them.
//!
//! Both read their file anew for each review: it is small, asked rarely, and a token that was taken out of it is no good from
//! then on.

mod known;
mod signed;

pub use known::KnownTokens;
pub use signed::SignedTokens;

use std::path::Path;

use crate::caller::Refused;

/// Longest file of tokens or keys that is read, bytes.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A file as a whole. Where it cannot be read nobody can say whose a token is.
fn read(path: &Path) -> Result<Vec<u8>, Refused> {
    let unknown = |why: String| Refused::Unknown(format!("`{}`: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| unknown(error.to_string()))?;
    if length.len() > MAX_FILE_BYTES {
        return Err(unknown(format!("more than {MAX_FILE_BYTES} bytes")));
    }
    std::fs::read(path).map_err(|error| unknown(error.to_string()))
}
