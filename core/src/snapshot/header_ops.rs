//! What is done to header fields, as `policy::header_ops` does it. Plain data.

use crate::message::FieldName;

/// Header operations in the order they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOps {
    /// First these are removed.
    pub remove: Box<[FieldName]>,
    /// Then these are written, in this order.
    pub write: Box<[(FieldName, HeaderValue)]>,
    /// Requests only: a new authority (`set` of `Host` or `:authority`).
    pub authority: Option<HeaderValue>,
}

impl HeaderOps {
    /// Nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.write.is_empty() && self.authority.is_none()
    }

    /// Whether a value speaks of the request itself, so that the request as it came must be at hand.
    #[must_use]
    pub fn reads_request(&self) -> bool {
        let values = self
            .write
            .iter()
            .map(|(_, value)| value)
            .chain(&self.authority);
        values
            .flat_map(|value| &value.parts)
            .any(|part| matches!(part, ValuePart::Request(_) | ValuePart::Protocol))
    }
}

/// A value to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValue {
    /// Overwrite (`set`) or append (`add`).
    pub overwrite: bool,
    /// Literal text and format operators.
    pub parts: Box<[ValuePart]>,
}

/// The text of a header field in a header value. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldText {
    /// Which field.
    pub name: Box<str>,
    /// The field to take when there is none of that name.
    pub otherwise: Option<Box<str>>,
    /// No more than so many bytes are taken.
    pub length: Option<usize>,
}

impl From<&str> for FieldText {
    fn from(name: &str) -> Self {
        Self {
            name: name.into(),
            otherwise: None,
            length: None,
        }
    }
}

/// A piece of a header value (Envoy format strings, the operators that concern a request).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuePart {
    /// Plain text; `%%` is already one percent sign.
    Literal(Box<str>),
    /// `%REQ(name?other):length%`; pseudo headers are `:method`, `:path`, `:authority`, `:scheme`.
    Request(FieldText),
    /// `%RESP(name?other):length%`.
    Response(FieldText),
    /// `%DOWNSTREAM_REMOTE_ADDRESS%`, with or without port.
    DownstreamRemoteAddress {
        /// Leave the port out.
        without_port: bool,
    },
    /// `%DOWNSTREAM_LOCAL_ADDRESS%`, with or without port.
    DownstreamLocalAddress {
        /// Leave the port out.
        without_port: bool,
    },
    /// `%PROTOCOL%`.
    Protocol,
    /// `%UPSTREAM_HOST%`.
    UpstreamHost,
    /// `%ROUTE_NAME%`.
    RouteName,
    /// `%RESPONSE_CODE%`.
    ResponseCode,
}
