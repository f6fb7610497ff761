//! The service that gives certificates: it asks who calls, looks at the request, and has it signed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use outrigger_xds::certificates::{
    CERT_SIGNER, CertificateRequest, CertificateResponse, Certificates, Certify,
};
use prost_types::value::Kind;
use tonic::{Request, Status};
use tracing::{error, info};

use crate::caller::Caller;
use crate::counts::Counts;
use crate::limits::Limits;
use crate::request::Requested;
use crate::signer::{Lifetime, Signer};

/// Bytes of a request beside its CSR: metadata.
const METADATA_BYTES: usize = 64 * 1024;

/// An authority at work: what it signs by may be changed while it serves.
#[derive(Debug)]
pub struct Authority {
    signer: RwLock<Arc<Signer>>,
    limits: Limits,
    counts: Arc<Counts>,
}

impl Authority {
    /// One that signs by `signer`.
    #[must_use]
    pub fn new(signer: Signer, limits: Limits) -> Self {
        Self {
            signer: RwLock::new(Arc::new(signer)),
            limits,
            counts: Arc::default(),
        }
    }

    /// What it signs by now.
    #[must_use]
    pub fn signer(&self) -> Arc<Signer> {
        let signer = self.signer.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&signer)
    }

    /// Signs by another one from now on: a root that was renewed.
    pub fn replace(&self, signer: Signer) {
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(signer);
    }

    /// What it allows.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it has done.
    #[must_use]
    pub const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// The service, for a server of tonic's; a [`Gate`](crate::Gate) belongs before it.
    #[must_use]
    pub fn service(self: &Arc<Self>) -> Certificates<Self> {
        Certificates::new(Arc::clone(self), self.limits.max_csr_bytes + METADATA_BYTES)
    }

    fn sign(
        &self,
        caller: &Caller,
        request: &CertificateRequest,
        now: SystemTime,
    ) -> Result<CertificateResponse, Status> {
        let counts = &self.counts;
        let bad = |status: Status| {
            counts.bad_requests.fetch_add(1, Ordering::Relaxed);
            status
        };
        if let Some(signer) = other_signer(request) {
            let told = format!(
                "CertSigner `{}` is not served: this authority signs by itself alone",
                signer.escape_default()
            );
            return Err(bad(Status::unimplemented(told)));
        }
        let requested = Requested::read(&request.csr, self.limits.max_csr_bytes)
            .map_err(|why| bad(Status::invalid_argument(why.to_string())))?;
        let lifetime = Lifetime {
            wanted: Duration::from_secs(u64::try_from(request.validity_duration).unwrap_or(0)),
            ordinary: self.limits.lifetime,
            most: self.limits.max_lifetime,
        };
        let signer = self.signer();
        let signed = signer
            .sign(&requested, caller, lifetime, now)
            .map_err(|why| {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                error!(target: "authority", "{why}");
                Status::unavailable(why)
            })?;
        counts.signed.fetch_add(1, Ordering::Relaxed);
        let id = caller.id(signer.trust_domain());
        let seconds = signed.not_after.duration_since(now).unwrap_or_default();
        let (serial, seconds) = (&signed.serial, seconds.as_secs());
        info!(target: "authority", serial, seconds, "signed for `{id}`");
        Ok(CertificateResponse {
            cert_chain: signer.answer(&signed),
        })
    }
}

/// Another signer that a request names.
fn other_signer(request: &CertificateRequest) -> Option<&str> {
    let fields = &request.metadata.as_ref()?.fields;
    match fields.get(CERT_SIGNER)?.kind.as_ref()? {
        Kind::StringValue(name) if !name.is_empty() => Some(name),
        _ => None,
    }
}

impl Certify for Authority {
    async fn create(
        &self,
        request: Request<CertificateRequest>,
    ) -> Result<CertificateResponse, Status> {
        let Some(caller) = request.extensions().get::<Caller>().cloned() else {
            return Err(Status::unauthenticated("nobody has said who asks"));
        };
        self.sign(&caller, request.get_ref(), SystemTime::now())
    }
}
