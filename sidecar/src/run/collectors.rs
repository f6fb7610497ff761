//! TLS beneath connections to collectors of spans, which are the process's own and no worker's.

use std::io;
use std::sync::Arc;

use outrigger_core::worker::Handshake;
use outrigger_telemetry::{Protect, Protecting, Wire};
use outrigger_tls::{ClientContexts, Identities};
use tokio_rustls::TlsConnector;

/// Protects them by what the process has gathered of keys and roots.
#[derive(Debug)]
pub(super) struct Collectors {
    contexts: ClientContexts,
}

impl Collectors {
    pub(super) fn new(identities: Arc<Identities>) -> Self {
        Self {
            contexts: ClientContexts::new(identities),
        }
    }
}

impl Protect for Collectors {
    fn protect(&self, wire: Box<dyn Wire>, handshake: Handshake) -> Protecting {
        let context = self.contexts.of(&handshake);
        Box::pin(async move {
            let (config, server) = context.map_err(|fault| io::Error::other(fault.to_string()))?;
            let connected = TlsConnector::from(config).connect(server, wire).await?;
            Ok(Box::new(connected) as Box<dyn Wire>)
        })
    }
}
