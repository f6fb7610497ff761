//! Where more is asked for (`envoy.config.core.v3.ConfigSource`).

use prost::Message;

/// A place to ask at.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ConfigSource {
    /// The stream that this came by.
    #[prost(message, optional, tag = "3")]
    pub ads: Option<Aggregated>,
    /// Of the resources that are asked for: 2 is v3.
    #[prost(int32, tag = "6")]
    pub resource_api_version: i32,
}

/// There is nothing to say.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Aggregated {}

impl ConfigSource {
    /// The stream that it came by.
    #[must_use]
    pub const fn same_stream() -> Self {
        Self {
            ads: Some(Aggregated {}),
            resource_api_version: 2,
        }
    }
}
