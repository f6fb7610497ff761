//! Conditions on a request in CEL (the Common Expression Language), as far as Envoy's attributes of requests go.

use crate::message::FieldName;
use crate::snapshot::Regex;

/// An expression. What has no value, such as a header that is not there, makes that of which it is a part have none,
/// unless that is decided by its other part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A value.
    Literal(Literal),
    /// Something of the request.
    Attribute(Attribute),
    /// `has(…)`: whether an attribute has a value.
    Has(Attribute),
    /// `!`.
    Not(Box<Self>),
    /// `&&`.
    And(Box<[Self]>),
    /// `||`.
    Or(Box<[Self]>),
    /// `condition ? then : otherwise`.
    Choice(Box<[Self; 3]>),
    /// Of two values of one type.
    Compare(Comparison, Box<[Self; 2]>),
    /// Of two values of one type.
    Compute(Arithmetic, Box<[Self; 2]>),
    /// `int(…)` and its like.
    Convert(To, Box<Self>),
    /// `in`: whether a list has the value.
    In(Box<Self>, Box<[Self]>),
    /// `text.startsWith(other)`.
    StartsWith(Box<[Self; 2]>),
    /// `text.endsWith(other)`.
    EndsWith(Box<[Self; 2]>),
    /// `text.contains(other)`.
    Contains(Box<[Self; 2]>),
    /// `text.matches(pattern)`: whether the pattern (RE2) matches some part of it.
    Matches(Box<Self>, Regex),
    /// `size(text)`: in bytes.
    Size(Box<Self>),
}

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Number(i64),
    /// A number with a fraction.
    Real(Real),
    /// Text.
    Text(Box<str>),
    /// A time of so many nanoseconds: `duration("1s")`.
    Duration(i64),
}

/// A finite number with a fraction, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Real(u64);

impl Real {
    /// The number.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self(value.to_bits())
    }

    /// The same.
    #[must_use]
    pub const fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// What is computed of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`, which puts texts together.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Remainder,
}

/// What a number or a text is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// `int(…)`: towards zero.
    Number,
    /// `double(…)`.
    Real,
    /// `string(…)`.
    Text,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
}

/// What an expression may ask of a request, by Envoy's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `request.path`, with its query.
    RequestPath,
    /// `request.url_path`, without.
    RequestUrlPath,
    /// `request.query`.
    RequestQuery,
    /// `request.host`.
    RequestHost,
    /// `request.scheme`.
    RequestScheme,
    /// `request.method`.
    RequestMethod,
    /// `request.headers["…"]`, and `request.referer`, `request.useragent` and `request.id`.
    RequestHeader(FieldName),
    /// `request.protocol`.
    RequestProtocol,
    /// `request.duration`.
    RequestDuration,
    /// `request.size`: bytes of its body.
    RequestSize,
    /// `response.code`.
    ResponseCode,
    /// `response.code_details`.
    ResponseCodeDetails,
    /// `response.flags`: a number with a bit for each of Envoy's flags.
    ResponseFlags,
    /// `response.grpc_status`.
    ResponseGrpcStatus,
    /// `response.headers["…"]`.
    ResponseHeader(FieldName),
    /// `response.size`: bytes of its body.
    ResponseSize,
    /// `source.address`, with its port.
    SourceAddress,
    /// `source.port`.
    SourcePort,
    /// `destination.address`, with its port: ours, towards the client.
    DestinationAddress,
    /// `destination.port`.
    DestinationPort,
    /// `connection.mtls`.
    ConnectionMtls,
    /// `upstream.address`, with its port.
    UpstreamAddress,
    /// `upstream.port`.
    UpstreamPort,
    /// `upstream.local_address`.
    UpstreamLocalAddress,
    /// `xds.cluster_name`.
    ClusterName,
    /// `xds.route_name`.
    RouteName,
    /// `xds.virtual_host_name`.
    VirtualHostName,
}
