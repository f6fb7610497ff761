//! What a VirtualService keeps of the route of the Gateway API that it was read from.

/// The kinds of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKind {
    /// HTTPRoute.
    Http,
    /// GRPCRoute.
    Grpc,
    /// TLSRoute.
    Tls,
    /// TCPRoute.
    Tcp,
}

impl ApiKind {
    /// The kind as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
            Self::Tls => "TLSRoute",
            Self::Tcp => "TCPRoute",
        }
    }
}

/// Where one way to meet a rule of a route stands, and how particular it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiRule {
    /// The rule: `spec.rules[0]`.
    pub path: String,
    /// Its match: `spec.rules[0].matches[1]`; the rule where it has none.
    pub entry: String,
    /// What it goes before.
    pub precedence: Precedence,
}

/// How particular a match is (Gateway API `HTTPRouteRule.matches`, `GRPCRouteRule.matches`): of all routes of a host the greater goes
/// first, among equals that of the older route, of the one that is first by namespace and name, and the one that is written first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    /// How the path is matched.
    pub path: PathRank,
    /// How many characters of the path, or of the service of a call.
    pub length: usize,
    /// Whether the method of a request is matched, or how many characters of that of a call.
    pub method: usize,
    /// How many header fields.
    pub headers: usize,
    /// How many query parameters.
    pub parameters: usize,
}

/// How a path is matched, the most particular way last. The API leaves open where patterns stand; here they stand where Istio puts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathRank {
    /// Not at all.
    #[default]
    Nothing,
    /// By a pattern.
    Regex,
    /// By whole segments that it begins with.
    Prefix,
    /// As a whole.
    Exact,
    /// As that of a call (GRPCRoute).
    Call,
}
