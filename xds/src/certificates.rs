//! How a workload asks for its certificate: Istio's `IstioCertificateService`, on both of its sides.
//!
//! Owns the messages and the method. Who may have which certificate is decided by an authority, whether an answer is any good by
//! who asked.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use prost::Message;
use prost_types::Struct;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, BoxFuture, Bytes, Service, StdError};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

/// What it is called.
const NAME: &str = "istio.v1.auth.IstioCertificateService";

/// The one method.
const CREATE: &str = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

/// Largest answer that a client takes: a chain and the roots of a mesh, in PEM.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The key of [`CertificateRequest::metadata`] that names a signer other than the authority itself.
pub const CERT_SIGNER: &str = "CertSigner";

/// What a workload asks for (`istio.v1.auth.IstioCertificateRequest`).
#[derive(Clone, PartialEq, Message)]
pub struct CertificateRequest {
    /// A request of PKCS #10 in PEM, signed by the key that the certificate is to be for.
    #[prost(string, tag = "1")]
    pub csr: String,
    /// How long it should be good, seconds. Zero or less: as long as the authority likes.
    #[prost(int64, tag = "3")]
    pub validity_duration: i64,
    /// Wishes beside it: [`CERT_SIGNER`].
    #[prost(message, optional, tag = "4")]
    pub metadata: Option<Struct>,
}

/// What it is given (`istio.v1.auth.IstioCertificateResponse`).
#[derive(Clone, PartialEq, Message)]
pub struct CertificateResponse {
    /// Certificates in PEM, one a string: the workload's first, the roots last. The last may hold several.
    #[prost(string, repeated, tag = "1")]
    pub cert_chain: Vec<String>,
}

/// Who gives certificates.
pub trait Certify: Send + Sync + 'static {
    /// Gives one, or says why not.
    fn create(
        &self,
        request: Request<CertificateRequest>,
    ) -> impl Future<Output = Result<CertificateResponse, Status>> + Send;
}

/// The service, for a server of tonic's.
#[derive(Debug)]
pub struct Certificates<T> {
    inner: Arc<T>,
    max_request_bytes: usize,
}

impl<T> Certificates<T> {
    /// One that asks `inner`, with requests of at most so many bytes.
    pub fn new(inner: Arc<T>, max_request_bytes: usize) -> Self {
        Self {
            inner,
            max_request_bytes,
        }
    }
}

impl<T> Clone for Certificates<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.inner), self.max_request_bytes)
    }
}

impl<T> NamedService for Certificates<T> {
    const NAME: &'static str = NAME;
}

struct Method<T>(Arc<T>);

impl<T: Certify> UnaryService<CertificateRequest> for Method<T> {
    type Response = CertificateResponse;
    type Future = BoxFuture<Response<CertificateResponse>, Status>;

    fn call(&mut self, request: Request<CertificateRequest>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.create(request).await.map(Response::new) })
    }
}

impl<T, B> Service<http::Request<B>> for Certificates<T>
where
    T: Certify,
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        let limit = self.max_request_bytes;
        Box::pin(async move {
            if request.uri().path() != CREATE {
                let told = "only CreateCertificate is served";
                return Ok(Status::new(Code::Unimplemented, told).into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(limit);
            Ok(grpc.unary(Method(inner), request).await)
        })
    }
}

/// Asks for a certificate.
///
/// # Errors
/// The authority cannot be reached, or refuses.
pub async fn create_certificate<C>(
    channel: C,
    request: Request<CertificateRequest>,
) -> Result<CertificateResponse, Status>
where
    C: GrpcService<Body>,
    C::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <C::ResponseBody as HttpBody>::Error: Into<StdError>,
{
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    grpc.ready().await.map_err(|error| {
        let error: StdError = error.into();
        Status::unavailable(error.to_string())
    })?;
    let codec: ProstCodec<CertificateRequest, CertificateResponse> = ProstCodec::default();
    let path = PathAndQuery::from_static(CREATE);
    let answered = grpc.unary(request, path, codec).await?;
    Ok(answered.into_inner())
}
