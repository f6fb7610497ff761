//! Which of Envoy's messages a typed configuration holds, and how it is read out of the wrappers that people write.

use crate::config::decode::{Object, object};
use crate::config::node::Node;
use crate::config::report::Report;

/// Messages that carry another one as a plain mapping.
const WRAPPERS: [&str; 2] = ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"];

/// A message about rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A local rate limit, of a filter or for routes.
    Local,
    /// A global one, of a filter.
    Global,
    /// What routes say to it.
    GlobalPerRoute,
}

impl Message {
    const ALL: [Self; 3] = [Self::Local, Self::Global, Self::GlobalPerRoute];

    /// Its name; a type is named by an URL that ends in it.
    const fn name(self) -> &'static str {
        match self {
            Self::Local => "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            Self::Global => "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
            Self::GlobalPerRoute => "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
        }
    }

    /// What a typed configuration holds; `None` for what is about something else.
    pub(super) fn of(config: &Node) -> Option<Self> {
        let text = |key: &str| config.field(key).and_then(|entry| entry.value.text());
        let url = text("@type")?;
        let is_wrapped = WRAPPERS.iter().any(|wrapper| is_url_of(url, wrapper));
        let url = if is_wrapped { text("typeUrl")? } else { url };
        Self::ALL.into_iter().find(|one| is_url_of(url, one.name()))
    }

    /// Reads a typed configuration that holds it.
    pub(super) fn read<T: Default>(
        self,
        report: &mut Report,
        config: &Node,
        read: impl FnOnce(&mut Object<'_, '_>) -> T,
    ) -> T {
        object(report, config, |o| {
            if is_url_of(&o.string("@type"), self.name()) {
                return read(o);
            }
            o.string("typeUrl");
            o.message("value", read).unwrap_or_default()
        })
    }
}

fn is_url_of(url: &str, message: &str) -> bool {
    url.rsplit('/').next() == Some(message)
}
