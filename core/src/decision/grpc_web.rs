//! That a request of gRPC-Web was made one of gRPC. How that is done is `policy`'s.

/// How a request of gRPC-Web and its response are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcWeb {
    /// The body of the request is base64.
    pub(crate) text_request: bool,
    /// The client asked for a response in base64.
    pub(crate) text_response: bool,
}
