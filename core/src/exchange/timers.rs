//! What a request waits for at most, and what happens when the time is up.
//!
//! Owns which timer runs in which phase, and the two that hold for a request as a whole, whatever its attempts do (Envoy's
//! connection manager): nothing may move for too long, and a gRPC call to the application ends when its client gives up.
//! What an attempt does when its own time is up is in `attempt`; what a connection between requests waits for is its own.

use super::call::{RequestBody, Response};
use super::{Exchange, Phase, Turn};
use crate::decision::{AttemptEnd, ResetReason};
use crate::request::{self, StreamTimeout};
use crate::time::Instant;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A connection is being made.
    Connect,
    /// The whole request (VirtualService `timeout`).
    Route,
    /// One attempt (VirtualService `retries.perTryTimeout`).
    PerTry,
    /// A retry waits its back-off.
    Backoff,
    /// An injected delay.
    Fault,
    /// Nothing of a request or its response has moved (stream idle timeout).
    StreamIdle,
    /// A gRPC call to the application (`grpc-timeout`).
    Duration,
}

impl Exchange {
    /// When its time is up, and for what.
    pub(crate) fn deadline(&self) -> Option<(Instant, Timer)> {
        match &self.phase {
            Phase::Call => {
                let call = &self.call;
                let mut first = self.stream_idle_deadline();
                for (at, timer) in [
                    (self.up.connect_deadline(), Timer::Connect),
                    (call.route_deadline, Timer::Route),
                    (self.up.per_try_deadline, Timer::PerTry),
                    (self.up.backoff_deadline(), Timer::Backoff),
                    (call.delayed.map(|(until, _)| until), Timer::Fault),
                    (call.duration_deadline, Timer::Duration),
                ] {
                    // Of two at the same moment the one that stands first here counts, and the idle time last.
                    if let Some(at) = at
                        && first.is_none_or(|(first, of)| {
                            at < first || at == first && of == Timer::StreamIdle
                        })
                    {
                        first = Some((at, timer));
                    }
                }
                first
            }
            Phase::Flush { .. } | Phase::Tunnel(_) => self.stream_idle_deadline(),
            Phase::Over => None,
        }
    }

    fn stream_idle_deadline(&self) -> Option<(Instant, Timer)> {
        let idle = self.call.idle_timeout;
        idle.map(|idle| (self.moved_at + idle, Timer::StreamIdle))
    }

    pub(crate) fn on_deadline(&mut self, turn: &mut Turn<'_>) {
        // Whatever comes of this look, the next one is to be planned.
        self.planned = None;
        // A deadline may have moved since it was planned; then this means nothing.
        let Some((_, timer)) = self.deadline().filter(|(at, _)| *at <= turn.now) else {
            return;
        };
        match timer {
            Timer::Connect => self.on_connect_timeout(turn),
            Timer::Route => self.on_route_timeout(turn),
            Timer::PerTry => self.on_per_try_timeout(turn),
            Timer::Backoff => self.on_backed_off(turn),
            Timer::Fault => self.on_delay_over(turn),
            Timer::StreamIdle => self.on_stream_timeout(StreamTimeout::Idle, turn),
            Timer::Duration => self.on_stream_timeout(StreamTimeout::Duration, turn),
        }
        self.advance(turn);
    }

    /// A head is complete: its request's own times begin.
    pub(super) fn arm_stream(&mut self, turn: &mut Turn<'_>) {
        self.moved_at = turn.now;
        let default = turn.local.settings().stream_idle_timeout;
        self.call.idle_timeout =
            request::stream_idle_timeout(&self.record, &self.view.snapshot, default);
        let duration = request::max_duration(&self.peer, &self.record);
        self.call.duration_deadline = duration.map(|most| self.record.began + most);
    }

    fn on_stream_timeout(&mut self, timeout: StreamTimeout, turn: &mut Turn<'_>) {
        // What is still to be written goes to the client, if it takes it.
        self.moved_at = turn.now;
        match (&self.phase, self.call.response) {
            (Phase::Call, Response::Awaited) => {
                self.give_up_aside(AttemptEnd::Reset(ResetReason::LocalReset), turn);
                let end = AttemptEnd::Reset(ResetReason::LocalReset);
                self.up.end(&mut self.record, end);
                self.drop_upstream(turn);
                let is_complete = self.call.request_body == RequestBody::Complete;
                let (record, response) = (&mut self.record, &mut self.response);
                let verdict = request::stream_timed_out(timeout, is_complete, record, response);
                self.obey(verdict, turn);
            }
            (Phase::Call, Response::Streaming) => {
                request::on_stream_cut(timeout, &mut self.record);
                self.cut(turn);
            }
            // The client takes nothing: an ordinary close would wait for it, too.
            (Phase::Flush { .. } | Phase::Tunnel(_), _) => {
                request::on_stream_cut(timeout, &mut self.record);
                self.reset(turn);
            }
            (Phase::Over, _) => {}
        }
    }
}
