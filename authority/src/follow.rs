//! A folder of an authority that somebody changes: another root is taken without a restart, and what is no good is not taken.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{error, info};

use crate::files::CaFiles;
use crate::service::Authority;
use crate::signer::Signer;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Keeps an authority signing by what lies in its folder.
#[derive(Debug)]
pub struct Follower {
    authority: Arc<Authority>,
    folder: PathBuf,
    /// What was read last, good or bad.
    read: Result<CaFiles, String>,
}

impl Follower {
    /// One for an authority that signs by `files` of that folder now.
    #[must_use]
    pub const fn new(authority: Arc<Authority>, folder: PathBuf, files: CaFiles) -> Self {
        Self {
            authority,
            folder,
            read: Ok(files),
        }
    }

    /// Looks once. `true`: the authority signs by something else now.
    ///
    /// # Errors
    /// What came is no good, told once; the authority signs by what was good before.
    pub fn look(&mut self, now: SystemTime) -> Result<bool, String> {
        let read = CaFiles::read(&self.folder);
        if read == self.read {
            return Ok(false);
        }
        self.read = read;
        let files = self.read.as_ref().map_err(String::clone)?;
        let before = self.authority.signer();
        let signer = Signer::open(files, before.trust_domain(), now)?;
        self.authority.replace(signer);
        Ok(true)
    }

    /// Looks for ever, every ten seconds. Files are put into a folder one after the other: what does not belong together yet is
    /// good at the next look.
    pub async fn follow(mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            match self.look(SystemTime::now()) {
                Ok(true) => {
                    info!(target: "authority", "signs by what `{}` holds now", self.folder.display());
                }
                Ok(false) => {}
                Err(why) => {
                    error!(target: "authority", "{why}; still signs by what was there before");
                }
            }
        }
    }
}
