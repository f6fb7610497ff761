//! What an exchange waits for at most, and what happens when the time is up.
//!
//! Owns which timer runs in which phase, and the two that hold for a request as a whole, whatever its attempts do (Envoy's
//! connection manager): nothing may move for too long, and a gRPC call to the application ends when its client gives up.
//! What an attempt does when its own time is up is in `attempt`.

use super::call::{RequestBody, Response};
use super::upstream::end_attempt;
use super::{Ambient, DRAIN_IDLE, Exchange, Output, Phase, Timer};
use crate::decision::{AttemptEnd, ResetReason};
use crate::request::{self, StreamTimeout};
use crate::time::Instant;
use crate::worker::Worker;

impl Exchange {
    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        let settings = &self.settings;
        match &self.phase {
            Phase::Head {
                since: Some(since), ..
            } => settings
                .request_head_timeout
                .map(|t| (*since + t, Timer::RequestHead)),
            Phase::Head {
                since: None,
                idle_since,
            } => {
                let drain = self.is_ending.then_some(DRAIN_IDLE);
                let idle = settings.idle_timeout.into_iter().chain(drain).min();
                idle.map(|t| (*idle_since + t, Timer::Idle))
            }
            Phase::Call => {
                let connect = self.up.connect_deadline().map(|at| (at, Timer::Connect));
                let route = self.call.route_deadline.map(|at| (at, Timer::Route));
                let per_try = self.up.per_try_deadline.map(|at| (at, Timer::PerTry));
                let backoff = self.up.backoff_deadline().map(|at| (at, Timer::Backoff));
                let fault = self.call.delayed_until.map(|at| (at, Timer::Fault));
                let duration = self.call.duration_deadline.map(|at| (at, Timer::Duration));
                let idle = self.stream_idle_deadline();
                [connect, route, per_try, backoff, fault, duration, idle]
                    .into_iter()
                    .flatten()
                    .min_by_key(|(at, _)| *at)
            }
            Phase::Flush { .. } | Phase::Tunnel(_) => self.stream_idle_deadline(),
            Phase::Linger { until } => Some((*until, Timer::Linger)),
            Phase::Closed => None,
        }
    }

    fn stream_idle_deadline(&self) -> Option<(Instant, Timer)> {
        let idle = self.call.idle_timeout;
        idle.map(|idle| (self.moved_at + idle, Timer::StreamIdle))
    }

    pub(super) fn on_deadline(&mut self, ambient: Ambient, worker: &mut Worker) {
        // A deadline may have moved since the runtime armed it; then this wake-up means nothing.
        let Some((_, timer)) = self.deadline().filter(|(at, _)| *at <= ambient.now) else {
            return;
        };
        match timer {
            Timer::RequestHead => self.refuse_slow_head(ambient, worker),
            Timer::Idle | Timer::Linger => self.close(),
            Timer::Connect => self.on_connect_timeout(ambient, worker),
            Timer::Route => self.on_route_timeout(ambient, worker),
            Timer::PerTry => self.on_per_try_timeout(ambient, worker),
            Timer::Backoff => self.on_backed_off(ambient, worker),
            Timer::Fault => self.on_delay_over(ambient, worker),
            Timer::StreamIdle => self.on_stream_timeout(StreamTimeout::Idle, ambient, worker),
            Timer::Duration => self.on_stream_timeout(StreamTimeout::Duration, ambient, worker),
        }
    }

    /// A head is complete: its request's own times begin.
    pub(super) fn arm_stream(&mut self, ambient: Ambient) {
        self.moved_at = ambient.now;
        self.call.idle_timeout =
            request::stream_idle_timeout(&self.record, self.settings.stream_idle_timeout);
        let duration = request::max_duration(&self.peer, &self.record);
        self.call.duration_deadline = duration.map(|most| self.record.began + most);
    }

    fn on_stream_timeout(&mut self, timeout: StreamTimeout, ambient: Ambient, worker: &mut Worker) {
        // What is still to be written goes to the client, if it takes it.
        self.moved_at = ambient.now;
        match (&self.phase, self.call.response) {
            (Phase::Call, Response::Awaited) => {
                self.give_up_aside(AttemptEnd::Reset(ResetReason::LocalReset));
                end_attempt(&mut self.record, AttemptEnd::Reset(ResetReason::LocalReset));
                self.drop_upstream();
                let is_complete = self.call.request_body == RequestBody::Complete;
                let (record, response) = (&mut self.record, &mut self.response);
                let verdict = request::stream_timed_out(timeout, is_complete, record, response);
                self.obey(verdict, ambient, worker);
            }
            (Phase::Call, Response::Streaming) => {
                request::on_stream_cut(timeout, &mut self.record);
                self.cut(ambient);
            }
            // The client takes nothing: an ordinary close would wait for it, too.
            (Phase::Flush { .. } | Phase::Tunnel(_), _) => {
                request::on_stream_cut(timeout, &mut self.record);
                self.end_record(ambient);
                self.drop_upstream();
                self.down.connection.outbox.clear();
                self.outputs.push_back(Output::Reset);
                self.phase = Phase::Closed;
            }
            (Phase::Head { .. } | Phase::Linger { .. } | Phase::Closed, _) => {}
        }
    }
}
