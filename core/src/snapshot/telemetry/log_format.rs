//! How the lines of an access log look: Envoy's format strings, cut into parts once.

use crate::message::FieldName;

/// How the lines of an access log look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text.
    Text(LogText),
    /// A JSON object and a line end.
    Json {
        /// The object.
        object: LogJson,
        /// Fields without a value are left out instead of being `null`.
        omits_empty: bool,
    },
}

impl LogFormat {
    /// Whether what has no value is left out.
    pub fn set_omits_empty(&mut self, omits: bool) {
        match self {
            Self::Text(text) => text.omits_empty = omits,
            Self::Json { omits_empty, .. } => *omits_empty = omits,
        }
    }
}

/// Text with operators in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogText {
    /// In order.
    pub parts: Box<[LogPart]>,
    /// What has no value is empty instead of `-`.
    pub omits_empty: bool,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPart {
    /// As it stands.
    Literal(Box<str>),
    /// What an operator makes of the request, and no more than so many bytes of it.
    Operator(LogOperator, Option<usize>),
}

/// A piece of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogJson {
    /// Each key is written as JSON already, with its colon.
    Object(Box<[(Box<str>, Self)]>),
    /// A list.
    List(Box<[Self]>),
    /// A number, a boolean or `null`, as JSON.
    Literal(Box<str>),
    /// An operator alone: a number where it makes one, and `null` where it has no value.
    Value(LogOperator, Option<usize>),
    /// Text with operators in it.
    Text(LogText),
}

/// What of a request stands in a line. Each is Envoy's operator of that name, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOperator {
    /// `START_TIME`, in UTC.
    StartTime(Box<[TimePart]>),
    /// `EMIT_TIME`, in UTC: when the request had ended.
    EmitTime(Box<[TimePart]>),
    /// `DURATION`, `REQUEST_DURATION`, `RESPONSE_DURATION`, `RESPONSE_TX_DURATION` and `COMMON_DURATION`.
    Duration(Span),
    /// `REQ`.
    Request(FieldOf),
    /// `REQ_WITHOUT_QUERY`, which is Istio's.
    RequestWithoutQuery(FieldOf),
    /// `RESP`.
    Response(FieldOf),
    /// `PATH`.
    Path {
        /// Its query stands there too.
        with_query: bool,
        /// The field that is taken.
        field: FieldOf,
    },
    /// `QUERY_PARAM`.
    QueryParameter(Box<str>),
    /// `QUERY_PARAMS`: all of them.
    Query,
    /// `PROTOCOL`.
    Protocol,
    /// `UPSTREAM_PROTOCOL`.
    UpstreamProtocol,
    /// `RESPONSE_CODE`; 0 where nothing was sent.
    ResponseCode,
    /// `RESPONSE_CODE_DETAILS`.
    ResponseCodeDetails,
    /// `CONNECTION_TERMINATION_DETAILS`: why we ended a connection that is not HTTP.
    TerminationDetails,
    /// `RESPONSE_FLAGS`.
    ResponseFlags,
    /// `RESPONSE_FLAGS_LONG`.
    ResponseFlagsLong,
    /// `GRPC_STATUS` and `GRPC_STATUS_NUMBER`.
    GrpcStatus(GrpcStatusForm),
    /// `BYTES_RECEIVED`.
    BytesReceived,
    /// `BYTES_SENT`.
    BytesSent,
    /// `DOWNSTREAM_WIRE_BYTES_RECEIVED` and `UPSTREAM_WIRE_BYTES_SENT`, of connections that are not HTTP.
    WireBytesFromClient,
    /// `DOWNSTREAM_WIRE_BYTES_SENT` and `UPSTREAM_WIRE_BYTES_RECEIVED`, of connections that are not HTTP.
    WireBytesToClient,
    /// `ROUTE_NAME`.
    RouteName,
    /// `VIRTUAL_HOST_NAME`.
    VirtualHostName,
    /// `UPSTREAM_HOST`.
    UpstreamHost,
    /// `UPSTREAM_HOST_NAME`: as written in the configuration.
    UpstreamHostName,
    /// `UPSTREAM_TRANSPORT_FAILURE_REASON`: why TLS could not be agreed on.
    UpstreamTransportFailure,
    /// What TLS has proved of the client, and how it is protected.
    DownstreamTls(TlsPart),
    /// `UPSTREAM_CLUSTER` and `UPSTREAM_CLUSTER_RAW`.
    UpstreamCluster,
    /// The addresses of the two connections.
    Address(Whose, AddressForm),
    /// `UPSTREAM_REQUEST_ATTEMPT_COUNT`.
    AttemptCount,
    /// `STREAM_ID`: the request id.
    StreamId,
    /// `TRACE_ID`: of the trace that the request belongs to, by its header.
    TraceId,
    /// `HOSTNAME`.
    Hostname,
    /// `ENVIRONMENT`.
    Environment(Box<str>),
    /// `ACCESS_LOG_TYPE`.
    AccessLogType,
    /// One that has no value here, ever.
    Absent,
}

impl LogOperator {
    /// Whether what it makes is a number.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Duration(_)
                | Self::ResponseCode
                | Self::GrpcStatus(GrpcStatusForm::Number)
                | Self::BytesReceived
                | Self::BytesSent
                | Self::WireBytesFromClient
                | Self::WireBytesToClient
                | Self::Address(_, AddressForm::Port)
                | Self::AttemptCount
        )
    }
}

/// Which field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOf {
    /// This one.
    pub name: LogField,
    /// The one to take when there is none of that name.
    pub otherwise: Option<LogField>,
}

/// A field, or a pseudo field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogField {
    /// `:method`.
    Method,
    /// `:path`.
    Path,
    /// `:authority` or `host`.
    Authority,
    /// `:scheme`.
    Scheme,
    /// `:status`, of a response.
    Status,
    /// One by name.
    Named(FieldName),
}

/// A time between two moments of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From here.
    pub from: Moment,
    /// To here.
    pub to: Moment,
    /// In which unit, cut off.
    pub unit: TimeUnit,
}

/// Moments of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Its first byte arrived (`DS_RX_BEG`).
    Began,
    /// Its last byte arrived (`DS_RX_END`).
    Received,
    /// The last attempt began (`US_CX_BEG`).
    AttemptBegan,
    /// The head of the response that the client sees was here (`US_RX_BEG`, `DS_TX_BEG`).
    Answered,
    /// Its last byte left (`DS_TX_END`).
    Ended,
}

/// Units of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// 10⁻³ s.
    Milliseconds,
    /// 10⁻⁶ s.
    Microseconds,
    /// 10⁻⁹ s.
    Nanoseconds,
}

/// How a gRPC status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatusForm {
    /// `NotFound`.
    Camel,
    /// `NOT_FOUND`.
    Snake,
    /// `5`.
    Number,
}

/// What of a protected connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// `DOWNSTREAM_TLS_VERSION`.
    Version,
    /// `DOWNSTREAM_TLS_CIPHER`.
    Cipher,
    /// `REQUESTED_SERVER_NAME`: whom the client asked for.
    ServerName,
    /// `DOWNSTREAM_PEER_URI_SAN`: with commas between them.
    PeerUris,
    /// `DOWNSTREAM_PEER_DNS_SAN`: with commas between them.
    PeerDns,
    /// `DOWNSTREAM_PEER_SUBJECT`.
    PeerSubject,
    /// `DOWNSTREAM_PEER_FINGERPRINT_256`.
    PeerFingerprint,
}

/// Whose address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The client's.
    DownstreamRemote,
    /// Ours, towards the client.
    DownstreamLocal,
    /// The endpoint's.
    UpstreamRemote,
    /// Ours, towards the endpoint.
    UpstreamLocal,
}

/// What of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressForm {
    /// `10.0.0.1:80`.
    Whole,
    /// `10.0.0.1`.
    WithoutPort,
    /// `80`.
    Port,
}

/// A piece of a date (strftime).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// As it stands.
    Literal(Box<str>),
    /// `%Y`.
    Year,
    /// `%y`: the last two digits.
    YearOfCentury,
    /// `%m`.
    Month,
    /// `%b` or `%h`: `Jan`.
    MonthName,
    /// `%d`.
    Day,
    /// `%e`: with a blank instead of a zero.
    DayWithBlank,
    /// `%j`.
    DayOfYear,
    /// `%a`: `Mon`.
    Weekday,
    /// `%H`.
    Hour,
    /// `%M`.
    Minute,
    /// `%S`.
    Second,
    /// `%f` and `%1f` to `%9f`: so many digits of the second's fraction.
    Fraction(u8),
    /// `%s`: seconds since 1970.
    Epoch,
}
