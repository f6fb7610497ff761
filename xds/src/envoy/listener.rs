//! What a client of gRPC asks for by the name of a service (`envoy.config.listener.v3`, and the connection manager in it).

use prost::Message;

use super::source::ConfigSource;
use crate::messages::Any;

/// Full names of messages that stand in fields of any type.
pub const CONNECTION_MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// The filter that ends each list of them.
pub const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

/// A listener that nobody listens for: where an API finds its routes.
#[derive(Clone, PartialEq, Message)]
pub struct Listener {
    /// What it is asked for by, such as `cart.shop:80`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What is done there.
    #[prost(message, optional, tag = "19")]
    pub api_listener: Option<ApiListener>,
}

/// That, in any type.
#[derive(Clone, PartialEq, Message)]
pub struct ApiListener {
    /// A [`HttpConnectionManager`].
    #[prost(message, optional, tag = "1")]
    pub api_listener: Option<Any>,
}

/// Requests of HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct HttpConnectionManager {
    /// For metrics.
    #[prost(string, tag = "2")]
    pub stat_prefix: String,
    /// Where its routes are.
    #[prost(message, optional, tag = "3")]
    pub rds: Option<Rds>,
    /// What is done with each request, in this order.
    #[prost(message, repeated, tag = "5")]
    pub http_filters: Vec<HttpFilter>,
}

/// Routes by a name.
#[derive(Clone, PartialEq, Message)]
pub struct Rds {
    /// Where they are asked for.
    #[prost(message, optional, tag = "1")]
    pub config_source: Option<ConfigSource>,
    /// What they are called.
    #[prost(string, tag = "2")]
    pub route_config_name: String,
}

/// One thing that is done with each request.
#[derive(Clone, PartialEq, Message)]
pub struct HttpFilter {
    /// What it is called; routes set it by that.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it is.
    #[prost(message, optional, tag = "4")]
    pub typed_config: Option<Any>,
}
