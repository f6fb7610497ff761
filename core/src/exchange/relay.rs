//! Moving messages: the request towards the endpoint and the response towards the client, with backpressure.

use bytes::Bytes;

use super::call::{Call, RequestBody, Response};
use super::{Ambient, Exchange, Phase};
use crate::decision::{AttemptEnd, Details, ResetReason};
use crate::request::{self, Judged};
use crate::stream::{Answer, BodyLength, Part};
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
            !self.up.connection.outbox.is_above(self.charge.high_water())
        } else {
            self.down.connection.inbox.len() < self.inbox_limit()
        }
    }

    pub(super) fn wants_response_bytes(&self) -> bool {
        self.up.is_attached()
            && !self
                .down
                .connection
                .outbox
                .is_above(self.charge.high_water())
    }

    fn pump_request(&mut self, ambient: Ambient, worker: &mut Worker) {
        if self.up.is_deaf() || self.up.is_attached() && !self.send_again(worker) {
            return;
        }
        // An upgrade is a question: the bytes after it belong to the answer, 101 or not.
        while self.call.request_body == RequestBody::Streaming && self.takes_request_body() {
            match self.down.connection.body() {
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
                    self.keep_for_repeats(&data);
                    if self.up.is_attached() {
                        self.up.connection.data(data, worker);
                    }
                }
                Ok(Part::Trailers(trailers)) => self.call.request_trailers = Some(trailers),
                Ok(Part::End) => {
                    self.complete_request(ambient);
                    if self.up.is_attached() {
                        let trailers = self.call.request_trailers.as_ref();
                        self.up.end_request_body(trailers, worker);
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
            !self.up.connection.outbox.is_above(self.charge.high_water())
        } else {
            let (count, limit) = (self.down.connection.inbox.len(), self.replay_limit());
            self.call.replay.has_room(count, limit)
        }
    }

    /// A request that finds no memory for its body is not sent again, rather than refused.
    fn keep_for_repeats(&mut self, data: &Bytes) {
        let limit = self.replay_limit();
        let replay = &mut self.call.replay;
        if replay.has_room(data.len(), usize::MAX) && !replay.has_room(data.len(), limit) {
            self.charge.count_abandoned();
        }
        replay.push(data, limit);
    }

    fn send_again(&mut self, worker: &mut Worker) -> bool {
        let Call {
            replay,
            request_body,
            request_trailers,
            ..
        } = &mut self.call;
        let is_complete = *request_body == RequestBody::Complete;
        let mark = self.charge.high_water();
        self.up
            .send_again(replay, is_complete, request_trailers.as_ref(), mark, worker)
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
                Response::Awaited => match self.up.connection.head(&mut self.response) {
                    Ok(None) => return,
                    Ok(Some(answer)) => self.on_response_head(answer, ambient, worker),
                    Err(_refused) => {
                        self.fail_attempt(ResetReason::ProtocolError, ambient, worker);
                    }
                },
                Response::Streaming => {
                    if !self.pump_response_body(ambient, worker) {
                        return;
                    }
                }
            }
        }
    }

    /// Moves one part of the response's body. Says whether there may be more.
    fn pump_response_body(&mut self, ambient: Ambient, worker: &mut Worker) -> bool {
        match self.up.connection.body() {
            Ok(Part::NeedMore) => false,
            Ok(Part::Data(data)) => {
                self.record.bytes_sent += data.len() as u64;
                self.down.connection.data(data, worker);
                true
            }
            Ok(Part::Trailers(trailers)) => {
                self.call.trailers = Some(trailers);
                true
            }
            Ok(Part::End) => {
                let trailers = self.call.trailers.take();
                self.down.connection.end(trailers.as_ref(), worker);
                self.complete_response(ambient, worker);
                false
            }
            Err(_refused) => {
                self.cut_response(ResetReason::ProtocolError, ambient);
                false
            }
        }
    }

    fn on_response_head(&mut self, answer: Answer, ambient: Ambient, worker: &mut Worker) {
        match answer {
            Answer::Switched(protocol) => self.begin_upgrade_tunnel(protocol, ambient, worker),
            Answer::Interim => {
                self.give_up_aside(AttemptEnd::Overtaken);
                self.pass_on_interim(worker);
            }
            Answer::Final(body) => self.on_final_head(body, ambient, worker),
        }
    }

    fn on_final_head(&mut self, body: BodyLength, ambient: Ambient, worker: &mut Worker) {
        self.up
            .on_status(self.response.status.as_u16(), &mut self.record);
        if !self.up.is_judged {
            self.report_response(ambient);
        }
        let (was_hedged, can_repeat) = (self.up.was_hedged, self.can_repeat());
        let (record, response) = (&mut self.record, &self.response);
        match request::after_response(was_hedged, can_repeat, record, response, ambient.now) {
            Judged::Retry(wait) => {
                self.discard_response(ambient, worker);
                self.back_off(wait, ambient);
                return;
            }
            Judged::Bad if self.aside.is_some() => {
                self.discard_response(ambient, worker);
                self.take_back(worker);
                return;
            }
            Judged::Good | Judged::Bad => {}
        }
        self.give_up_aside(AttemptEnd::Overtaken);
        self.pass_on(body, ambient, worker);
    }

    fn report_response(&mut self, ambient: Ambient) {
        let outcome = request::outcome::of_response(&self.record, &self.response);
        request::outcome::report(outcome, &mut self.record, ambient.now);
        request::response_time::on_response(outcome, &self.record, &self.response, ambient.now);
    }

    /// An interim response is the client's, of whichever attempt it is.
    pub(super) fn pass_on_interim(&mut self, worker: &mut Worker) {
        self.call.interim_sent = true;
        self.down.connection.inform(&self.response, worker);
    }

    /// The response is the client's, of whichever attempt it is.
    pub(super) fn pass_on(&mut self, body: BodyLength, ambient: Ambient, worker: &mut Worker) {
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
        let wish = !self.down.eof && !self.says_close(worker);
        let client = &mut self.down.connection;
        client.respond(&self.response, body, wish, worker);
        self.call.response = Response::Streaming;
    }

    /// The endpoint closed while its response was on the way.
    pub(super) fn end_response_at_eof(&mut self, ambient: Ambient, worker: &mut Worker) {
        match self.up.connection.on_eof() {
            Ok(()) => {
                self.down.connection.end(None, worker);
                self.complete_response(ambient, worker);
            }
            Err(_cut) => self.cut_response(ResetReason::ProtocolError, ambient),
        }
    }

    fn complete_response(&mut self, ambient: Ambient, worker: &mut Worker) {
        // A service that fails is quick about it.
        if self.record.status < 500 {
            self.report_adaptive(ambient);
        }
        self.release_upstream(true, ambient, worker);
        // What the head said holds, unless the response overtook its request. A client that was not told is never cut off:
        // the next response says close if we drain.
        let keep_alive = self.can_keep_alive();
        self.phase = Phase::Flush { keep_alive };
    }

    /// The response cannot be completed.
    pub(super) fn cut_response(&mut self, reason: ResetReason, ambient: Ambient) {
        self.report_reset(reason, ambient);
        request::on_response_cut(reason, &mut self.record);
        self.cut(ambient);
    }
}
