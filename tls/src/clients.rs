//! Handshakes of clients that are no worker's: the process's own connections, to collectors of spans.

use std::fmt;
use std::sync::Arc;

use outrigger_core::peer::TlsFault;
use outrigger_core::worker::Handshake;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use crate::contexts::Contexts;
use crate::handshake;
use crate::hello::LONGEST_HELLO;
use crate::identities::Identities;

/// Their contexts, kept until something is swapped that they prove or want proved.
pub struct ClientContexts(Contexts);

impl fmt::Debug for ClientContexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientContexts").finish_non_exhaustive()
    }
}

impl ClientContexts {
    /// By what these identities prove.
    #[must_use]
    pub fn new(identities: Arc<Identities>) -> Self {
        Self(Contexts::new(identities, LONGEST_HELLO))
    }

    /// How a handshake goes, and whom it asks for.
    ///
    /// # Errors
    /// Something is missing that it takes.
    pub fn of(
        &self,
        handshake: &Handshake,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsFault> {
        let config = self.0.client(handshake)?;
        let (_, server) = handshake::wanted(handshake)?;
        Ok((config, server))
    }
}
