//! How often peers did not keep to a limit of HTTP/1, of clients and of endpoints.
//!
//! The limits themselves are the codec's and the exchange's, which tell of each time that one is met.

use crate::decision::Http1Limit;
use crate::stream::Broken;

/// How often each limit was met, in the order of [`Http1Limit::NAMES`].
pub type Http1Met = [u64; Http1Limit::NAMES.len()];

/// What is counted on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http1Counted {
    /// Of what clients sent.
    pub clients: Http1Met,
    /// Of what endpoints sent.
    pub endpoints: Http1Met,
}

/// What a worker counts.
#[derive(Debug, Default)]
pub(crate) struct Http1Counts {
    counted: Http1Counted,
    changes: u64,
}

impl Http1Counts {
    pub(crate) const fn counted(&self) -> Http1Counted {
        self.counted
    }

    /// How often something changed.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// A client met a limit.
    #[cold]
    pub(crate) fn on_client(&mut self, limit: Option<Http1Limit>) {
        if let Some(limit) = limit {
            self.counted.clients[limit as usize] += 1;
            self.changes += 1;
        }
    }

    /// An endpoint met a limit.
    #[cold]
    pub(crate) fn on_endpoint(&mut self, limit: Option<Http1Limit>) {
        if let Some(limit) = limit {
            self.counted.endpoints[limit as usize] += 1;
            self.changes += 1;
        }
    }

    /// Looks at what came of reading from a client.
    pub(crate) fn of_client<T>(&mut self, read: Result<T, Broken>) -> Result<T, Broken> {
        if let Err(Broken::Refused(refused)) = &read {
            self.on_client(refused.limit);
        }
        read
    }

    /// Looks at what came of reading from an endpoint.
    pub(crate) fn of_endpoint<T>(&mut self, read: Result<T, Broken>) -> Result<T, Broken> {
        if let Err(Broken::Refused(refused)) = &read {
            self.on_endpoint(refused.limit);
        }
        read
    }
}
