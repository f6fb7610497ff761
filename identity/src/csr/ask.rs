//! One question to the authority.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrigger_xds::certificates::{CertificateRequest, create_certificate};
use outrigger_xds::channel::Target;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Status};

use crate::material::Material;

/// How long an answer may take, the connection included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// How the authority learns who we are.
pub(super) enum Proof {
    /// By a token.
    Token(String),
    /// By the identity that is held.
    Certificate(Material),
}

/// Asks an authority.
pub(super) trait Ask {
    /// One request; the texts of the answer, or why there is none.
    fn ask(
        &self,
        request: CertificateRequest,
        proof: Proof,
        cluster: &str,
    ) -> impl Future<Output = Result<Vec<String>, String>>;
}

/// Over the network.
pub(super) struct Network {
    target: Target,
    /// Shown in the next handshake.
    shown: Arc<Mutex<Option<Material>>>,
}

impl Network {
    pub(super) fn new(target: Target) -> Self {
        let shown: Arc<Mutex<Option<Material>>> = Arc::default();
        let showing = Arc::clone(&shown);
        let identity = move || {
            let shown = showing.lock().unwrap_or_else(PoisonError::into_inner);
            let shown = shown.as_ref();
            shown.map(|own| (own.chain.clone(), own.key.clone_key()))
        };
        let target = Target {
            identity: Some(Arc::new(identity)),
            ..target
        };
        Self { target, shown }
    }

    async fn answer(&self, request: Request<CertificateRequest>) -> Result<Vec<String>, String> {
        let channel = self.target.connect().await?;
        let answered = create_certificate(channel, request).await;
        answered
            .map(|answer| answer.cert_chain)
            .map_err(|status| words(&status))
    }
}

impl Ask for Network {
    async fn ask(
        &self,
        request: CertificateRequest,
        proof: Proof,
        cluster: &str,
    ) -> Result<Vec<String>, String> {
        let mut request = Request::new(request);
        let shown = match proof {
            Proof::Token(token) => {
                let mut value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| "the token is no text".to_owned())?;
                value.set_sensitive(true);
                request.metadata_mut().insert("authorization", value);
                None
            }
            Proof::Certificate(material) => Some(material),
        };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        if !cluster.is_empty() {
            let value = AsciiMetadataValue::try_from(cluster)
                .map_err(|_| "the cluster's name is no text".to_owned())?;
            request.metadata_mut().insert("clusterid", value);
        }
        tokio::time::timeout(ANSWER_TIMEOUT, self.answer(request))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))
    }
}

fn words(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message().escape_default())
}
