//! The service that discovery is (`AggregatedDiscoveryService`), on both of its sides. A server speaks both of its methods, see
//! [`Telling`]; a client of ours asks for changes.

use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, BoxFuture, Bytes, Service, StdError};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::codec::ExactCodec;
use crate::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use crate::server::{Session, Telling};
use crate::whole;

/// What it is called.
const NAME: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService";

/// Largest response that a client takes: the first one of a kind holds all of it.
pub const MAX_RESPONSE_BYTES: usize = 256 * 1024 * 1024;

/// Largest request that a server takes: the first one of a kind has a version of each object that the client has.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// What is sent to a client.
pub type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Who answers clients that are to be told in this way.
pub trait Discover<T: Telling>: Send + Sync + 'static {
    /// A client has come.
    fn stream(
        &self,
        requests: Request<Streaming<T::Request>>,
    ) -> impl Future<Output = Result<Responses<T::Response>, Status>> + Send;
}

/// The service, for a server of tonic's.
#[derive(Debug)]
pub struct Discovery<T>(Arc<T>);

impl<T> Discovery<T> {
    /// One that asks `inner`.
    pub fn new(inner: Arc<T>) -> Self {
        Self(inner)
    }
}

impl<T> Clone for Discovery<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> NamedService for Discovery<T> {
    const NAME: &'static str = NAME;
}

struct Method<T, S>(Arc<T>, PhantomData<fn() -> S>);

impl<T: Discover<S>, S: Telling> StreamingService<S::Request> for Method<T, S> {
    type Response = S::Response;
    type ResponseStream = Responses<S::Response>;
    type Future = BoxFuture<Response<Responses<S::Response>>, Status>;

    fn call(&mut self, requests: Request<Streaming<S::Request>>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.stream(requests).await.map(Response::new) })
    }
}

async fn answer<S, T, B>(inner: Arc<T>, request: http::Request<B>) -> http::Response<Body>
where
    S: Telling,
    T: Discover<S>,
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    let codec = ExactCodec::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
    let method = Method::<T, S>(inner, PhantomData);
    grpc.streaming(method, request).await
}

impl<T, B> Service<http::Request<B>> for Discovery<T>
where
    T: Discover<Session> + Discover<whole::Session>,
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
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let answered = match request.uri().path() {
                Session::METHOD => answer::<Session, _, _>(inner, request).await,
                whole::Session::METHOD => answer::<whole::Session, _, _>(inner, request).await,
                _ => Status::new(Code::Unimplemented, "there is no such method").into_http(),
            };
            Ok(answered)
        })
    }
}

/// Opens a stream to a server; a token tells who we are, where the connection does not.
///
/// # Errors
/// It cannot be reached, or does not want us.
pub async fn discover<C, S>(
    channel: C,
    requests: S,
    token: Option<&str>,
) -> Result<Streaming<DeltaDiscoveryResponse>, Status>
where
    C: GrpcService<Body>,
    C::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <C::ResponseBody as HttpBody>::Error: Into<StdError>,
    S: Stream<Item = DeltaDiscoveryRequest> + Send + 'static,
{
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES);
    grpc.ready().await.map_err(|error| {
        let error: StdError = error.into();
        Status::unavailable(error.to_string())
    })?;
    let codec: ProstCodec<DeltaDiscoveryRequest, DeltaDiscoveryResponse> = ProstCodec::default();
    let path = PathAndQuery::from_static(Session::METHOD);
    let mut request = Request::new(requests);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse();
        let value = value.map_err(|_| Status::unauthenticated("the token is no text of ASCII"))?;
        request.metadata_mut().insert("authorization", value);
    }
    let answered = grpc.streaming(request, path, codec).await?;
    Ok(answered.into_inner())
}
