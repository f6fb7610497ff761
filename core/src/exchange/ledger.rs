//! What is written of a request as it is served: its record, the head of its response, and by which configuration it is
//! decided.
//!
//! The methods here only write. What happens, and when it is told, is decided by those who call them.

use std::rc::Rc;

use crate::cluster::ejection::Outcome;
use crate::connection::Who;
use crate::decision::{Attempt, AttemptEnd, Details, Followed, Record, ResetReason};
use crate::io::Facts;
use crate::local::{View, Wanted};
use crate::message::ResponseHead;
use crate::policy::authority;
use crate::request::{self, Target};
use crate::snapshot::{Cluster, Snapshot, Sni};
use crate::time::Instant;

/// What is written of one request.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Whose connection it came on.
    pub(super) who: Rc<Who>,
    /// What decides it: the configuration that it began with, or a later one that decides alike.
    pub(super) view: Rc<View>,
    pub(super) record: Record,
    /// The head of the response last seen or made.
    pub(super) response: ResponseHead,
    /// What is known of the connection to the endpoint that answered, or was asked last.
    pub(super) facts: Facts,
    /// What is told now was noticed so late that it says nothing of an endpoint.
    pub(super) overslept: bool,
}

impl Ledger {
    pub(super) fn new(who: &Rc<Who>, view: &Rc<View>) -> Self {
        Self {
            who: Rc::clone(who),
            view: Rc::clone(view),
            record: Record::default(),
            response: ResponseHead::default(),
            facts: Facts::default(),
            overslept: false,
        }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.view.snapshot
    }

    /// It is decided by this from now on.
    pub(super) fn look_at(&mut self, view: &Rc<View>) {
        if !Rc::ptr_eq(&self.view, view) {
            self.view = Rc::clone(view);
        }
    }

    /// The host that the request is for by now, or where a connection was to go, without its port: whom a connection to an
    /// endpoint may have to name.
    pub(super) fn host(&self) -> &str {
        let authority = match &self.record.connection {
            Some(connection) => connection.to.as_bytes(),
            None => &self.record.request.authority,
        };
        let (host, _) = authority::split(authority);
        core::str::from_utf8(host).unwrap_or("")
    }

    /// How the request wants its connection to a target protected.
    pub(super) fn wanted<'a>(&'a self, target: &'a Target) -> Wanted<'a> {
        let tls = target.tls.as_ref();
        // Where another name is asked for, or none, nobody looks at the host.
        let names_host = tls.is_some_and(|tls| tls.sni == Sni::Host);
        let host = if names_host { self.host() } else { "" };
        let preface = target.preface.as_ref();
        Wanted { tls, host, preface }
    }

    /// The cluster of a target.
    pub(super) fn cluster(&self, target: &Target) -> Option<&Cluster> {
        request::cluster_of(target, self.snapshot())
    }

    /// Whether there are no messages: bytes pass, or the client's connection is closed.
    pub(super) const fn is_connection(&self) -> bool {
        self.record.connection.is_some()
    }

    /// What a connection to an endpoint tells of it: nothing else is told where no message is understood.
    pub(super) const fn on_connection(&self) -> Outcome {
        match self.record.connection {
            None => Outcome::Connected,
            Some(_) => Outcome::ConnectedFinally,
        }
    }

    /// This became known about the endpoint of the attempt that counts.
    pub(super) fn report(&mut self, outcome: Outcome, now: Instant) {
        request::outcome::report(outcome, &self.view.snapshot, &mut self.record, now);
    }

    /// A reset counts against its endpoint, before or after the response began.
    pub(super) fn report_reset(&mut self, reason: ResetReason, now: Instant) {
        if let Some(outcome) = request::outcome::of_reset(reason) {
            self.report_failure(outcome, now);
        }
    }

    /// The endpoint failed so, unless it was we who stood still.
    pub(super) fn report_failure(&mut self, outcome: Outcome, now: Instant) {
        if self.overslept {
            return;
        }
        self.report(outcome, now);
        request::response_time::on_failure(&self.view.snapshot, &self.record, now);
    }

    /// The head of the response counts for its endpoint or against it.
    pub(super) fn report_response(&mut self, now: Instant) {
        let outcome = request::outcome::of_response(&self.record, &self.response);
        self.report(outcome, now);
        let (record, response) = (&self.record, &self.response);
        request::response_time::on_response(outcome, &self.view.snapshot, record, response, now);
    }

    /// An attempt ends so; if it has ended already, that stays as it is.
    pub(super) fn end_attempt(&mut self, at: Option<usize>, end: AttemptEnd, now: Instant) {
        let attempt = at.and_then(|at| self.record.attempts.get_mut(at));
        if let Some(attempt) = attempt.filter(|attempt| attempt.end == AttemptEnd::Open) {
            (attempt.end, attempt.ended) = (end, now);
        }
    }

    /// The attempt that counts is made once more, at the same endpoint.
    pub(super) fn repeat_attempt(&mut self, now: Instant) {
        if let Some(again) = self.record.attempt().cloned() {
            self.record.begin_attempt(Attempt {
                reused: false,
                began: now,
                end: AttemptEnd::Open,
                ended: now,
                followed: Followed::Nothing,
                ejected: None,
                ..again
            });
        }
    }

    /// What the client sees of status is an endpoint's.
    pub(super) fn answer(&mut self, status: u16) {
        self.record.status = status;
        self.record.details = Details::ViaUpstream;
    }
}
