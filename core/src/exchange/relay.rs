//! Moving messages: the request towards the endpoint and the response towards the client, with backpressure.

use super::call::{Call, RequestBody, Response};
use super::{Ambient, Exchange, INBOX_LIMIT, Phase};
use crate::decision::{AttemptEnd, Details, ResetReason};
use crate::http1::{Asked, BodyLength, Eof, Framing, Part, ResponseFacts};
use crate::request::{self, Judged};
use crate::worker::Worker;

impl Exchange {
    /// Moves what can be moved in both directions. Says whether the phase changed.
    pub(super) fn advance_call(&mut self, ambient: Ambient, worker: &mut Worker) -> bool {
        self.pump_request(ambient, worker);
        if matches!(self.phase, Phase::Call) {
            self.pump_response(ambient, worker);
        }
        if matches!(self.phase, Phase::Call) && self.aside.is_some() {
            self.pump_aside(ambient, worker);
        }
        !matches!(self.phase, Phase::Call)
    }

    pub(super) fn wants_request_bytes(&self) -> bool {
        // Once the request is complete we read on a little: to see the client leave, and to have the next head early.
        let flowing = self.call.request_body == RequestBody::Streaming
            && self.up.is_attached()
            && !self.up.is_deaf();
        if flowing {
            !self.up.outbox.is_above_limit()
        } else {
            self.down.inbox.len() < INBOX_LIMIT
        }
    }

    pub(super) const fn wants_response_bytes(&self) -> bool {
        self.up.is_attached() && !self.down.outbox.is_above_limit()
    }

    fn pump_request(&mut self, ambient: Ambient, worker: &mut Worker) {
        if self.up.is_deaf() || self.up.is_attached() && !self.send_again() {
            return;
        }
        // An upgrade is a question: the bytes after it belong to the answer, 101 or not.
        while self.call.request_body == RequestBody::Streaming && self.takes_request_body() {
            match self.down.reader.body(&mut self.down.inbox) {
                Ok(Part::NeedMore) => return,
                Ok(Part::Data(data)) => {
                    self.record.bytes_received += data.len() as u64;
                    if self
                        .settings
                        .max_request_body
                        .is_some_and(|max| self.record.bytes_received > max)
                    {
                        self.refuse(&request::TOO_LARGE, ambient, worker);
                        return;
                    }
                    self.call.replay.push(&data);
                    if self.up.is_attached() {
                        worker.lend_block(&mut self.up.outbox);
                        self.up.writer.data(data, &mut self.up.outbox);
                    }
                }
                Ok(Part::Trailers(trailers)) => self.call.request_trailers = Some(trailers),
                Ok(Part::End) => {
                    self.complete_request(ambient);
                    if self.up.is_attached() {
                        worker.lend_block(&mut self.up.outbox);
                        let trailers = self.call.request_trailers.as_ref();
                        self.up.end_request_body(trailers);
                    }
                    self.send_mirrors(ambient, worker);
                }
                Err(refused) => {
                    self.refuse(&refused, ambient, worker);
                    return;
                }
            }
        }
    }

    /// Before there is a connection, a body that can be kept is read nevertheless: the route's timeout runs from its end,
    /// and must not wait for an endpoint that does not answer.
    fn takes_request_body(&self) -> bool {
        if self.up.is_attached() {
            !self.up.outbox.is_above_limit()
        } else {
            self.call.replay.has_room(self.down.inbox.len())
        }
    }

    fn send_again(&mut self) -> bool {
        let Call {
            replay,
            request_body,
            request_trailers,
            ..
        } = &mut self.call;
        let is_complete = *request_body == RequestBody::Complete;
        self.up
            .send_again(replay, is_complete, request_trailers.as_ref())
    }

    fn complete_request(&mut self, ambient: Ambient) {
        self.call.request_body = RequestBody::Complete;
        self.call.request_complete = Some(ambient.now);
        self.arm_route();
        self.arm_per_try(ambient);
    }

    /// Moves as much of the response as the client takes.
    pub(super) fn pump_response(&mut self, ambient: Ambient, worker: &mut Worker) {
        // Interim heads count too: an endpoint may send any number of them.
        while self.wants_response_bytes() && matches!(self.phase, Phase::Call) {
            match self.call.response {
                Response::Awaited => {
                    let asked = Asked {
                        method: &self.record.request.method,
                        upgrade: self.call.facts.upgrade.is_some(),
                    };
                    match self.up.reader.response_head(
                        &mut self.up.inbox,
                        asked,
                        &mut self.response,
                    ) {
                        Ok(None) => return,
                        Ok(Some(facts)) => self.on_response_head(&facts, ambient, worker),
                        Err(_refused) => {
                            self.fail_attempt(ResetReason::ProtocolError, ambient, worker);
                        }
                    }
                }
                Response::Streaming { reusable, .. } => {
                    if !self.pump_response_body(reusable, ambient, worker) {
                        return;
                    }
                }
            }
        }
    }

    /// Moves one part of the response's body. Says whether there may be more.
    fn pump_response_body(
        &mut self,
        reusable: bool,
        ambient: Ambient,
        worker: &mut Worker,
    ) -> bool {
        if !self.up.inbox.is_empty() {
            worker.lend_block(&mut self.down.outbox);
        }
        match self.up.reader.body(&mut self.up.inbox) {
            Ok(Part::NeedMore) => false,
            Ok(Part::Data(data)) => {
                self.record.bytes_sent += data.len() as u64;
                self.down.writer.data(data, &mut self.down.outbox);
                true
            }
            Ok(Part::Trailers(trailers)) => {
                self.call.trailers = self.call.facts.accepts_trailers.then_some(trailers);
                true
            }
            Ok(Part::End) => {
                let trailers = self.call.trailers.take();
                let whole = self
                    .down
                    .writer
                    .end(trailers.as_ref(), &mut self.down.outbox);
                debug_assert!(whole, "the reader has counted the body");
                self.complete_response(reusable, ambient, worker);
                false
            }
            Err(_refused) => {
                self.cut_response(ResetReason::ProtocolError, ambient);
                false
            }
        }
    }

    fn on_response_head(&mut self, facts: &ResponseFacts, ambient: Ambient, worker: &mut Worker) {
        if facts.switched {
            self.begin_upgrade_tunnel(facts.upgrade.clone(), ambient, worker);
            return;
        }
        if !facts.interim {
            self.up
                .on_status(self.response.status.as_u16(), &mut self.record);
            if !self.up.is_judged {
                self.report_response(ambient);
            }
            let (was_hedged, can_repeat) = (self.up.was_hedged, self.can_repeat());
            let (record, response) = (&mut self.record, &self.response);
            match request::after_response(was_hedged, can_repeat, record, response, ambient.now) {
                Judged::Retry(wait) => {
                    self.discard_response(facts.keep_alive, ambient, worker);
                    self.back_off(wait, ambient);
                    return;
                }
                Judged::Bad if self.aside.is_some() => {
                    self.discard_response(facts.keep_alive, ambient, worker);
                    self.take_back(worker);
                    return;
                }
                Judged::Good | Judged::Bad => {}
            }
        }
        self.give_up_aside(AttemptEnd::Overtaken);
        self.pass_on(facts, ambient, worker);
    }

    fn report_response(&mut self, ambient: Ambient) {
        let outcome = request::outcome::of_response(&self.record, &self.response);
        request::outcome::report(outcome, &mut self.record, ambient.now);
        request::response_time::on_response(outcome, &self.record, &self.response, ambient.now);
    }

    /// The response is the client's, of whichever attempt it is.
    pub(super) fn pass_on(&mut self, facts: &ResponseFacts, ambient: Ambient, worker: &mut Worker) {
        if facts.interim {
            self.call.interim_sent = true;
            self.write_head(BodyLength::None, true, worker);
            return;
        }
        let status = self.response.status.as_u16();
        self.record.retry_slot = None;
        if !self.owes_mirrors() {
            self.call.replay.end_repeats();
        }
        self.up.per_try_deadline = None;
        self.record.status = status;
        self.record.details = Details::ViaUpstream;
        let service_time = self.call.request_complete.map(|at| ambient.now.since(at));
        request::on_response_head(
            &self.peer,
            service_time,
            &mut self.record,
            &mut self.response,
            worker.date(),
        );
        self.tell_rate_limit(ambient);
        let keep_alive = self.call.facts.keep_alive && !self.down.eof && !self.says_close(worker);
        let keep_alive = self.write_head(BodyLength::from(facts.framing), keep_alive, worker);
        self.call.response = Response::Streaming {
            keep_alive,
            reusable: facts.keep_alive,
            unsized_body: matches!(facts.framing, Framing::UntilClose | Framing::Chunked),
        };
    }

    /// The endpoint closed while its response was on the way.
    pub(super) fn end_response_at_eof(&mut self, ambient: Ambient, worker: &mut Worker) {
        match self.up.reader.eof(&self.up.inbox) {
            Ok(Eof::BetweenMessages | Eof::EndOfBody) => {
                let whole = self.down.writer.end(None, &mut self.down.outbox);
                debug_assert!(whole, "a body that lasts until the end has no length");
                self.complete_response(false, ambient, worker);
            }
            Err(_cut) => self.cut_response(ResetReason::ProtocolError, ambient),
        }
    }

    fn complete_response(&mut self, reusable: bool, ambient: Ambient, worker: &mut Worker) {
        // A service that fails is quick about it.
        if self.record.status < 500 {
            self.report_adaptive(ambient);
        }
        self.release_upstream(reusable, ambient, worker);
        // What the head said holds, unless the response overtook its request.
        let promised = matches!(
            self.call.response,
            Response::Streaming {
                keep_alive: true,
                ..
            }
        );
        // A client that was not told is never cut off: the next response says close if we drain.
        let keep_alive = promised && self.can_keep_alive();
        self.phase = Phase::Flush { keep_alive };
    }

    /// The response cannot be completed.
    pub(super) fn cut_response(&mut self, reason: ResetReason, ambient: Ambient) {
        self.report_reset(reason, ambient);
        request::on_response_cut(reason, &mut self.record);
        self.cut(ambient);
    }
}
