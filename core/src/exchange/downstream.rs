//! The client's side of an exchange: reading heads, answering, ending a connection in good manners.

use core::mem;

use bytes::{Bytes, BytesMut};

use super::call::{RequestBody, Response};
use super::replay::RETRY_LIMIT;
use super::{Ambient, Exchange, ListenerKind, Output, Phase, Side};
use crate::decision::Refused;
use crate::http1::{BodyLength, Framing, Limits, Part, Reader, Reply, RequestFacts, Writer};
use crate::message::Version;
use crate::outbox::Outbox;
use crate::request::{self, Context, Verdict};
use crate::worker::Worker;

/// The client's connection.
#[derive(Debug)]
pub(super) struct Downstream {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) inbox: BytesMut,
    pub(super) outbox: Outbox,
    /// A read used all the room it was given, so the next ones get more, until the buffer is given back.
    pub(super) filled: bool,
    /// The client will send nothing more.
    pub(super) eof: bool,
}

impl Downstream {
    pub(super) fn new() -> Self {
        Self {
            reader: Reader::requests(Limits::REQUEST),
            writer: Writer::default(),
            inbox: BytesMut::new(),
            outbox: Outbox::default(),
            filled: false,
            eof: false,
        }
    }

    pub(super) fn on_read(&mut self, count: usize) {
        debug_assert!(
            count > 0 && count <= self.inbox.len(),
            "Read tells of bytes that were appended"
        );
        self.filled |= self.inbox.len() == self.inbox.capacity();
    }

    pub(super) fn return_buffers(&mut self, worker: &mut Worker) {
        self.filled = false;
        if self.inbox.capacity() > 0 {
            worker.give_buffer(mem::take(&mut self.inbox));
        }
        if let Some(block) = self.outbox.take_block() {
            worker.give_buffer(block);
        }
    }

    /// Gives back what holds nothing, while a request is being served.
    pub(super) fn return_unused(&mut self, worker: &mut Worker) {
        if !self.filled {
            worker.take_back(&mut self.inbox);
        }
        if let Some(block) = self.outbox.take_block() {
            worker.give_buffer(block);
        }
    }
}

impl Exchange {
    /// Tries to read the head of the next request. Says whether something came of it.
    pub(super) fn read_head(&mut self, ambient: Ambient, worker: &mut Worker) -> bool {
        if self.down.inbox.is_empty() {
            return false;
        }
        if let Phase::Head {
            since: since @ None,
            ..
        } = &mut self.phase
        {
            *since = Some(ambient.now);
            self.set_ended_aside();
            let entropy = ambient.entropy.of_request(self.begun);
            self.begun += 1;
            self.record.restart(ambient.now, entropy);
        }
        match self
            .down
            .reader
            .request_head(&mut self.down.inbox, &mut self.record.request)
        {
            Ok(None) => false,
            Ok(Some(facts)) => {
                self.call.restart(facts);
                self.phase = Phase::Call;
                self.begin_call(ambient, worker);
                true
            }
            Err(refused) => {
                self.refuse(&refused, ambient, worker);
                true
            }
        }
    }

    /// A pipelined request begins in the input that ended the one before, whose story nobody has read yet.
    fn set_ended_aside(&mut self) {
        if self.outputs.contains(&Output::Ended) {
            let ended = (mem::take(&mut self.record), mem::take(&mut self.response));
            self.ended = Some(Box::new(ended));
        }
    }

    /// A head is complete: ask the request machine what to do with it.
    fn begin_call(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.record.view = Some(worker.view().clone());
        self.up.request_sent = false;
        if self.call.facts.framing == Framing::None {
            self.call.request_complete = Some(ambient.now);
        } else {
            self.call.request_body = RequestBody::Streaming;
        }
        let too_long = match (self.call.facts.framing, self.settings.max_request_body) {
            (Framing::Length(length), Some(max)) => length > max,
            _ => false,
        };
        let verdict = if too_long {
            request::refuse(&request::TOO_LARGE, &mut self.record, &mut self.response)
        } else {
            let context = Context {
                peer: &self.peer,
                upgrade: self.call.facts.upgrade.as_deref(),
                own_bucket: &self.own_bucket,
                now: ambient.now,
                complete_since: self.call.request_complete,
            };
            request::begin(&context, &mut self.record, &mut self.response)
        };
        self.arm_route();
        self.arm_stream(ambient);
        if request::may_retry(&self.record) || request::has_mirrors(&self.record) {
            self.call.replay.begin(RETRY_LIMIT);
        }
        self.obey(verdict, ambient, worker);
    }

    /// The injected delay is over.
    pub(super) fn on_delay_over(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.call.delayed_until = None;
        // A delay counts against no timeout (Envoy: the fault filter stands before the router).
        if self.call.request_complete.is_some() {
            self.call.request_complete = Some(ambient.now);
        }
        let context = Context {
            peer: &self.peer,
            upgrade: self.call.facts.upgrade.as_deref(),
            own_bucket: &self.own_bucket,
            now: ambient.now,
            complete_since: self.call.request_complete,
        };
        let verdict = request::after_delay(&context, &mut self.record, &mut self.response);
        self.arm_route();
        self.obey(verdict, ambient, worker);
    }

    /// The whole request's time runs from its end.
    pub(super) fn arm_route(&mut self) {
        let complete = self.call.request_complete;
        let whole = self.record.timeouts.whole;
        self.call.route_deadline = complete.zip(whole).map(|(at, whole)| at + whole);
    }

    /// Does what the request machine decided.
    pub(super) fn obey(&mut self, verdict: Verdict, ambient: Ambient, worker: &mut Worker) {
        match verdict {
            Verdict::Delay(wait) => {
                self.call.route_deadline = None;
                self.call.delayed_until = Some(ambient.now + wait);
            }
            Verdict::Retry(wait) => self.back_off(wait, ambient),
            Verdict::Attempt(target) => {
                let is_complete = self.call.request_body == RequestBody::Complete;
                self.begin_attempt(target, ambient, worker);
                // After the request itself, which goes first where both wait for the same connections.
                if is_complete {
                    self.send_mirrors(ambient, worker);
                }
            }
            Verdict::Reply(text) => self.reply(text, ambient, worker),
        }
    }

    /// Answers with the head the request machine made, and this text.
    pub(super) fn reply(&mut self, text: Bytes, ambient: Ambient, worker: &mut Worker) {
        self.drop_upstream();
        self.skip_buffered_body(ambient);
        let keep_alive = self.can_keep_alive() && !self.says_close(worker);
        self.tell_rate_limit(ambient);
        let body = request::complete_local(text, &self.record, &mut self.response, worker.date());
        self.record.status = self.response.status.as_u16();
        let keep_alive = self.write_head(BodyLength::Known(body.len() as u64), keep_alive, worker);
        if self.record.request.method != http::Method::HEAD {
            self.record.bytes_sent = body.len() as u64;
        }
        self.down.writer.data(body, &mut self.down.outbox);
        let whole = self.down.writer.end(None, &mut self.down.outbox);
        debug_assert!(whole, "a local body is as long as its head says");
        self.phase = Phase::Flush { keep_alive };
    }

    /// The body of a request that is answered by ourselves: what has already arrived is thrown away, so that a client
    /// that sent it along with the head can go on using the connection.
    fn skip_buffered_body(&mut self, ambient: Ambient) {
        while self.call.request_body == RequestBody::Streaming {
            match self.down.reader.body(&mut self.down.inbox) {
                Ok(Part::Data(data)) => self.record.bytes_received += data.len() as u64,
                Ok(Part::End | Part::Trailers(_)) => {
                    self.call.request_body = RequestBody::Complete;
                    self.call.request_complete = Some(ambient.now);
                }
                Ok(Part::NeedMore) | Err(_) => return,
            }
        }
    }

    /// Whether the connection can carry another request after this response.
    pub(super) fn can_keep_alive(&self) -> bool {
        self.call.facts.keep_alive
            && self.call.request_body == RequestBody::Complete
            && !self.down.eof
    }

    /// Whether the worker or this connection drains. Clients of outbound listeners are the application's own: they are told
    /// only when their connection is to end, because they need the proxy for as long as the application finishes.
    pub(super) const fn says_close(&self, worker: &Worker) -> bool {
        self.is_ending
            || worker.is_draining() && matches!(self.peer.listener, ListenerKind::Inbound(_))
    }

    /// Tells the client what a rate limit left it.
    pub(super) fn tell_rate_limit(&mut self, ambient: Ambient) {
        request::tell_rate_limit(
            &self.own_bucket,
            ambient.now,
            &self.record,
            &mut self.response,
        );
    }

    /// Writes the response's head to the client. Says whether the connection can be used again.
    pub(super) fn write_head(
        &mut self,
        body: BodyLength,
        keep_alive: bool,
        worker: &mut Worker,
    ) -> bool {
        worker.lend_block(&mut self.down.outbox);
        let request = &self.record.request;
        let upgrade = self.call.switched_to.as_deref();
        let reply = Reply {
            method: &request.method,
            version: request.version,
            body,
            keep_alive,
            upgrade,
        };
        self.down
            .writer
            .response_head(&self.response, &reply, &mut self.down.outbox)
    }

    /// A head or a body that broke the rules: answer once and close.
    pub(super) fn refuse(&mut self, refused: &Refused, ambient: Ambient, worker: &mut Worker) {
        // The framing of what follows is unknown, so nothing after this is read as a request.
        self.call.facts.keep_alive = false;
        self.call.request_body = RequestBody::Complete;
        if self.call.response != Response::Awaited {
            self.cut(ambient);
            return;
        }
        // An attempt that was under way ends with the request, not without an end.
        self.up.cancel(&mut self.record);
        let verdict = request::refuse(refused, &mut self.record, &mut self.response);
        self.obey(verdict, ambient, worker);
        // Whatever the client still sends is thrown away rather than met with a reset.
        self.call.request_body = RequestBody::Streaming;
    }

    /// The head did not arrive in time.
    pub(super) fn refuse_slow_head(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.call.restart(RequestFacts::default());
        self.refuse(&request::SLOW_HEAD, ambient, worker);
        self.advance(ambient, worker);
    }

    /// The response has left: on to the next request, or close.
    pub(super) fn finish(&mut self, keep_alive: bool, ambient: Ambient) -> bool {
        self.end_record(ambient);
        if keep_alive && !self.down.eof {
            self.phase = Phase::Head {
                since: None,
                idle_since: ambient.now,
            };
            self.call.restart(RequestFacts::default());
            return true;
        }
        let client_is_done =
            self.call.request_body == RequestBody::Complete && self.down.inbox.is_empty();
        if client_is_done || self.down.eof {
            self.close();
        } else {
            // Closing now would make the kernel answer unread bytes with a reset, which can overtake the response.
            self.drop_upstream();
            self.outputs
                .push_back(Output::ShutdownWrite(Side::Downstream));
            self.phase = Phase::Linger {
                until: ambient.now + self.settings.linger,
            };
        }
        true
    }

    /// The response had begun and cannot be completed: end so that the client can tell.
    pub(super) fn cut(&mut self, ambient: Ambient) {
        let unmarked = match self.call.response {
            Response::Streaming { unsized_body, .. } => {
                unsized_body && self.record.request.version == Version::Http10
            }
            Response::Awaited => false,
        };
        self.drop_upstream();
        if unmarked {
            self.end_record(ambient);
            self.down.outbox.clear();
            self.outputs.push_back(Output::Reset);
            self.phase = Phase::Closed;
        } else {
            self.phase = Phase::Flush { keep_alive: false };
        }
    }
}
