//! What is counted of connections that are not HTTP, while they last and when they end: Istio's `istio_tcp_*` by labels, and
//! Envoy's `tcp.*` by cluster.

use std::collections::HashMap;
use std::sync::Arc;

use outrigger_core::decision::{Details, Record};
use outrigger_core::peer::ExchangeId;
use outrigger_core::snapshot::telemetry::Metric;
use outrigger_core::time::Instant;
use outrigger_runtime::Counter;

use super::kept::Cells;
use super::life::Life;
use super::series::{Sum, Told};

/// What has come to pass on a connection since it was counted last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// It was not counted before.
    pub(crate) begins: bool,
    pub(crate) ends: bool,
    /// From its client.
    pub(crate) received: u64,
    /// To its client.
    pub(crate) sent: u64,
}

/// What one worker counts of connections with the same labels.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    life: Life,
    opened: Counter,
    closed: Counter,
    received: Counter,
    sent: Counter,
}

/// What all have counted of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionsSum {
    opened: u64,
    closed: u64,
    received: u64,
    sent: u64,
}

impl Connections {
    /// Whether it can be counted in, now.
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        self.life.goes_on(now)
    }

    pub(crate) fn count(&self, news: News) {
        self.opened.add(news.begins.into());
        self.closed.add(news.ends.into());
        self.received.add(news.received);
        self.sent.add(news.sent);
    }
}

impl Cells for Connections {
    type Sum = ConnectionsSum;

    fn add_to(&self, sum: &mut ConnectionsSum) {
        sum.opened += self.opened.value();
        sum.closed += self.closed.value();
        sum.received += self.received.value();
        sum.sent += self.sent.value();
    }

    fn life(&self) -> Option<&Life> {
        Some(&self.life)
    }
}

impl Sum for ConnectionsSum {
    fn add(&mut self, other: Self) {
        self.opened += other.opened;
        self.closed += other.closed;
        self.received += other.received;
        self.sent += other.sent;
    }

    fn told(&self, metric: Metric) -> Told<'_> {
        Told::Count(match metric {
            Metric::ConnectionsOpened => self.opened,
            Metric::ConnectionsClosed => self.closed,
            Metric::BytesReceived => self.received,
            Metric::BytesSent => self.sent,
            Metric::Requests
            | Metric::Duration
            | Metric::RequestBytes
            | Metric::ResponseBytes
            | Metric::RequestMessages
            | Metric::ResponseMessages => 0,
        })
    }
}

/// What one worker counts of connections to one cluster.
#[derive(Debug, Default)]
pub(crate) struct TcpCells {
    total: Counter,
    received: Counter,
    sent: Counter,
    idle: Counter,
    long: Counter,
}

/// Connections to one cluster that are not HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterConnections {
    /// Connections of clients.
    pub total: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
    /// Those on which nothing moved for too long (`tcp.idleTimeout`).
    pub idle: u64,
    /// Those that lasted as long as they may (`tcp.maxConnectionDuration`).
    pub long: u64,
}

impl TcpCells {
    pub(crate) fn count(&self, news: News, details: &Details) {
        self.total.add(news.begins.into());
        self.received.add(news.received);
        self.sent.add(news.sent);
        if news.ends && *details == Details::ConnectionIdleTimeout {
            self.idle.add(1);
        }
        if news.ends && *details == Details::MaxConnectionDuration {
            self.long.add(1);
        }
    }

    pub(crate) fn add_to(&self, sum: &mut ClusterConnections) {
        sum.total += self.total.value();
        sum.received += self.received.value();
        sum.sent += self.sent.value();
        sum.idle += self.idle.value();
        sum.long += self.long.value();
    }
}

/// Where a connection that lasts is counted, and what was counted of it.
#[derive(Debug)]
pub(crate) struct Lasting<C> {
    pub(crate) series: Arc<Connections>,
    /// `None` where it goes to none.
    pub(crate) cluster: Option<Arc<C>>,
    received: u64,
    sent: u64,
}

/// Those of one worker that have been counted and last.
#[derive(Debug)]
pub(crate) struct AllLasting<C>(HashMap<ExchangeId, Lasting<C>>);

impl<C> Default for AllLasting<C> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<C> AllLasting<C> {
    /// How it was counted last.
    pub(crate) fn take(&mut self, id: ExchangeId) -> Option<Lasting<C>> {
        self.0.remove(&id)
    }

    /// Remembers one that goes on.
    pub(crate) fn put(&mut self, id: ExchangeId, lasting: Lasting<C>) {
        self.0.insert(id, lasting);
    }
}

impl<C> Lasting<C> {
    /// One that was counted as `before` says, if it was, is counted here from now on.
    pub(crate) fn new(
        series: Arc<Connections>,
        cluster: Option<Arc<C>>,
        before: Option<&Self>,
    ) -> Self {
        Self {
            series,
            cluster,
            received: before.map_or(0, |before| before.received),
            sent: before.map_or(0, |before| before.sent),
        }
    }

    /// What is to be counted now.
    pub(crate) fn news(&mut self, record: &Record, begins: bool, ends: bool) -> News {
        let before = [
            core::mem::replace(&mut self.received, record.bytes_received),
            core::mem::replace(&mut self.sent, record.bytes_sent),
        ];
        News {
            begins,
            ends,
            received: record.bytes_received.saturating_sub(before[0]),
            sent: record.bytes_sent.saturating_sub(before[1]),
        }
    }
}
