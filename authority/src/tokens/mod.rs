//! Reviewers of tokens for meshes without Kubernetes' help: by a list of known ones, or by the keys of who made them.
//!
//! Both read their file anew for each review: it is small, and reviews are few, because their answers hold for a moment.

mod known;
mod signed;

pub use known::KnownTokens;
pub use signed::SignedTokens;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_core::jose::Token;

use crate::caller::Refused;

/// Longest file of tokens or keys that is read, bytes.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A file as a whole. Where it cannot be read nobody can say whose a token is.
fn read(path: &Path) -> Result<Vec<u8>, Refused> {
    let unknown = |why: String| Refused::Unknown(format!("`{}`: {why}", path.display()));
    let found = std::fs::metadata(path).map_err(|error| unknown(error.to_string()))?;
    if !found.is_file() {
        return Err(unknown("it is no file".into()));
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(unknown(format!("more than {MAX_FILE_BYTES} bytes")));
    }
    std::fs::read(path).map_err(|error| unknown(error.to_string()))
}

/// When a token of RFC 7519 is over by what it says itself (`exp`): for one that somebody else has found good.
#[must_use]
pub fn end_of(token: &str) -> Option<SystemTime> {
    let token = Token::read(token.as_bytes()).ok()?;
    (token.expires > 0)
        .then(|| time_of(token.expires))
        .flatten()
}

/// A time in seconds since 1970; `None` is later than any clock shows.
fn time_of(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
