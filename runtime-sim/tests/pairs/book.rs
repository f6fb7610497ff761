//! What clients have asked for, what arrived at endpoints and what was answered: each message by its number, which it carries.
//!
//! Clients and endpoints write here what they say and compare with it what they hear. A sidecar between them can not: so
//! whatever is lost, doubled, cut, mixed up or made up is found by who hears it, or at the end.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::decision::{AttemptEnd, Record};
use outrigger_sim::Dice;

use crate::hpack::Field;
use crate::kinds::{Counts, Kind};
use crate::whose::Whose;

/// The field with the number of a request.
pub(crate) const PAIR: &str = "x-pair";
/// The field with the number of what arrived, in an answer.
const ARRIVAL: &str = "x-arrival";
/// A field that differs from message to message.
const NOISE: &str = "x-noise";

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) host: &'static str,
    pub(crate) body: usize,
    pub(crate) trailers: bool,
    /// Its client takes trailers.
    pub(crate) te: bool,
    /// Its client speaks HTTP/1.0, or HTTP/2.
    pub(crate) is_old: bool,
    pub(crate) is_new: bool,
    /// Nobody may let it through to an application.
    pub(crate) is_forbidden: bool,
    /// It was asked of an endpoint's sidecar.
    pub(crate) is_direct: bool,
    pub(crate) outcome: Outcome,
    /// Its client knows of a tunnel; it has left.
    pub(crate) is_opened: bool,
    pub(crate) has_left: bool,
    /// Arrivals, without copies, and those of them that were whole and not refused.
    arrivals: u64,
    processed: u64,
    copies: u64,
    /// What sidecars told: records, arrivals that they account for, of these retries; copies.
    told: u64,
    sendings: u64,
    retries: u64,
    copied: u64,
    status: u16,
}

/// How a request ended, as its client saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was not sent.
    #[default]
    Unsent,
    /// It has not ended.
    Open,
    /// Whole, with this status.
    Answered(u16),
    /// The answer did not become whole.
    Cut,
    /// The connection ended without one.
    Lost,
    /// It was sent behind what said that nothing more is taken.
    Unheard,
    /// The client left.
    Left,
}

/// What arrived at an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) request: usize,
    is_copy: bool,
    /// Bytes of the body so far.
    body: usize,
    pub(crate) reply: Reply,
    /// The endpoint has said all of it.
    pub(crate) is_said: bool,
}

/// What an endpoint does with a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: usize,
    pub(crate) trailers: bool,
    /// Interim responses before it.
    pub(crate) interim: usize,
    /// Milliseconds.
    pub(crate) wait: u64,
    pub(crate) shape: Shape,
    pub(crate) fault: Option<Fault>,
}

/// How it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Length,
    Chunks,
    /// In HTTP/1, by the end of the connection.
    UntilEnd,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is answered.
    Silence,
    /// The connection or stream is broken off before the answer.
    Before,
    /// Within it, after so many bytes.
    Within(usize),
    /// In HTTP/2, the request is not looked at.
    Refused,
}

/// All of it.
pub(crate) struct Book {
    pub(crate) dice: Dice,
    pub(crate) asked: Vec<Asked>,
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) complaints: Vec<String>,
    pub(crate) counts: Counts,
    /// Nothing goes wrong on purpose.
    pub(crate) is_calm: bool,
}

pub(crate) type Shared = Rc<RefCell<Book>>;

pub(crate) fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    let field = fields.iter().find(|(other, _)| other == name);
    field.map(|(_, value)| &**value)
}

fn number(fields: &[Field], name: &str) -> Option<usize> {
    value(fields, name)?.parse().ok()
}

impl Asked {
    pub(crate) const fn new(kind: Kind, host: &'static str) -> Self {
        Self {
            kind,
            host,
            body: 0,
            trailers: false,
            te: false,
            is_old: false,
            is_new: false,
            is_forbidden: false,
            is_direct: false,
            outcome: Outcome::Unsent,
            is_opened: false,
            has_left: false,
            arrivals: 0,
            processed: 0,
            copies: 0,
            told: 0,
            sendings: 0,
            retries: 0,
            copied: 0,
            status: 0,
        }
    }

    /// Its client leaves.
    pub(crate) fn leaves(&mut self) {
        self.has_left = true;
        if self.outcome == Outcome::Open {
            self.outcome = Outcome::Left;
        }
    }

    /// Copies of it that arrived.
    pub(crate) const fn copies(&self) -> u64 {
        self.copies
    }

    /// The head of request number `number`.
    pub(crate) fn head(&self, number: usize) -> Vec<Field> {
        let field = |name: &str, value: String| (name.to_owned(), value);
        let mut fields = vec![field(":method", self.kind.method().into())];
        match self.kind {
            Kind::Connect => fields.push(field(":authority", self.host.into())),
            _ => fields.extend([
                field(":scheme", "http".into()),
                field(":path", format!("/p/{number}?q={}", number % 7)),
                field(":authority", self.host.into()),
            ]),
        }
        if self.kind == Kind::Upgrade {
            fields.push(field(":protocol", "websocket".into()));
        }
        fields.push(field(PAIR, number.to_string()));
        fields.push(field(NOISE, Whose::Request(number).noise()));
        if self.te {
            fields.push(field("te", "trailers".into()));
        }
        if self.kind == Kind::Post {
            fields.push(field("content-length", self.body.to_string()));
        }
        fields
    }
}

impl Book {
    pub(crate) fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// A head arrived at an endpoint of a service: the number of what arrives. Copies go to services that were not asked.
    pub(crate) fn arrives(
        &mut self,
        fields: &[Field],
        at: &'static str,
        reply: Reply,
    ) -> Result<usize, String> {
        let wrong = |what: &str| Err(format!("{what}: {fields:?}"));
        let Some(request) = number(fields, PAIR).filter(|at| *at < self.asked.len()) else {
            return wrong("nobody sent");
        };
        let asked = &mut self.asked[request];
        if asked.outcome == Outcome::Unsent || asked.kind == Kind::Connect {
            return wrong("nobody has sent");
        }
        let path = format!("/p/{request}?q={}", request % 7);
        let authority = value(fields, ":authority").unwrap_or_default();
        let is_copy = at != asked.host;
        let method = match asked.kind {
            // In either version.
            Kind::Upgrade => value(fields, ":protocol").map_or("none", |_| "GET"),
            kind => kind.method(),
        };
        let said = match value(fields, ":protocol") {
            Some("websocket") => "GET",
            Some(_) => "another",
            None => value(fields, ":method").unwrap_or_default(),
        };
        let host = authority.split(':').next().unwrap_or_default();
        if value(fields, ":path") != Some(&path)
            || said != method
            || host != asked.host
            || value(fields, NOISE) != Some(&Whose::Request(request).noise())
        {
            return wrong("another request than was sent");
        }
        let length = number(fields, "content-length");
        if length.is_some_and(|length| length != asked.body) {
            return wrong("another length than was sent");
        }
        if asked.is_forbidden {
            return wrong("who asks may not");
        }
        match is_copy {
            true => asked.copies += 1,
            false => asked.arrivals += 1,
        }
        self.counts.arrivals += 1;
        self.arrivals.push(Arrival {
            request,
            is_copy,
            body: 0,
            reply,
            is_said: false,
        });
        Ok(self.arrivals.len() - 1)
    }

    /// A tunnel arrived that nobody looks into.
    pub(crate) fn arrives_raw(&mut self, request: usize, reply: Reply) -> Result<usize, String> {
        let asked = self.asked.get_mut(request);
        let Some(asked) = asked.filter(|asked| asked.kind == Kind::Connect) else {
            return Err(format!("nobody asked for tunnel {request}"));
        };
        asked.arrivals += 1;
        self.counts.arrivals += 1;
        self.arrivals.push(Arrival {
            request,
            is_copy: false,
            body: 0,
            reply,
            is_said: false,
        });
        Ok(self.arrivals.len() - 1)
    }

    /// Some of the body of what arrived.
    pub(crate) fn body_arrives(&mut self, arrival: usize, bytes: &[u8]) -> Result<(), String> {
        let of = &mut self.arrivals[arrival];
        let checked = Whose::Request(of.request).check(of.body, bytes);
        checked.map_err(|what| format!("{what}: {of:?} of {:?}", self.asked[of.request]))?;
        of.body += bytes.len();
        self.counts.bytes += bytes.len() as u64;
        Ok(())
    }

    /// What arrived is whole.
    pub(crate) fn is_whole(&mut self, arrival: usize, trailers: &[Field]) -> Result<(), String> {
        let of = &self.arrivals[arrival];
        let asked = &mut self.asked[of.request];
        // A tunnel that nobody heard of was given up; and bytes in HTTP/1 end alike whether a client has said all or leaves.
        if asked.kind.is_tunnel() && (!asked.is_opened || asked.has_left && !asked.is_new) {
            return Ok(());
        }
        if of.body != asked.body {
            return Err(format!("{of:?} is the whole of {asked:?}"));
        }
        let want = match asked.trailers {
            true => Whose::Request(of.request).trailers(),
            false => Vec::new(),
        };
        if trailers != want {
            return Err(format!("trailers {trailers:?} of request {}", of.request));
        }
        self.counts.trailers += u64::from(asked.trailers);
        if !of.is_copy && of.reply.fault != Some(Fault::Refused) {
            asked.processed += 1;
        }
        Ok(())
    }

    /// The head of the answer to what arrived.
    pub(crate) fn answer(&self, arrival: usize) -> Vec<Field> {
        let of = &self.arrivals[arrival];
        let field = |name: &str, value: String| (name.to_owned(), value);
        vec![
            field(":status", of.reply.status.to_string()),
            field(ARRIVAL, arrival.to_string()),
            field(NOISE, Whose::Arrival(arrival).noise()),
        ]
    }

    /// The head of an answer to a request: what arrived that it answers, if it is no sidecar's own.
    pub(crate) fn answered(
        &mut self,
        request: usize,
        fields: &[Field],
    ) -> Result<Option<usize>, String> {
        let Some(arrival) = number(fields, ARRIVAL) else {
            return match value(fields, NOISE) {
                None => Ok(None),
                Some(_) => Err(format!("half an answer to {request}: {fields:?}")),
            };
        };
        let of = self.arrivals.get(arrival);
        let Some(of) = of.filter(|of| of.request == request && !of.is_copy) else {
            return Err(format!("the answer to {of:?} goes to {request}"));
        };
        let status = value(fields, ":status").unwrap_or_default();
        let want = match of.reply.status {
            // As it is said in the other version.
            101 if status == "200" => "200".to_owned(),
            200 if status == "101" && self.asked[request].kind == Kind::Upgrade => "101".to_owned(),
            status => status.to_string(),
        };
        if status != want || value(fields, NOISE) != Some(&Whose::Arrival(arrival).noise()) {
            return Err(format!(
                "another answer than {of:?} to {request}: {fields:?}"
            ));
        }
        Ok(Some(arrival))
    }

    /// The end of an answer of which so many bytes came.
    pub(crate) fn answer_ends(
        &mut self,
        request: usize,
        arrival: usize,
        came: usize,
        trailers: &[Field],
    ) -> Result<(), String> {
        let (of, asked) = (&self.arrivals[arrival], &self.asked[request]);
        let want = if asked.kind == Kind::Head {
            0
        } else {
            of.reply.body
        };
        if came != want || !of.is_said {
            return Err(format!(
                "{came} of {want} bytes seem whole: {of:?} {asked:?}"
            ));
        }
        // Who speaks HTTP/1 has to ask for them (RFC 9110 §6.5.1).
        let takes = asked.is_new || asked.te && !asked.is_old;
        let may_have = of.reply.trailers && takes && asked.kind != Kind::Head;
        // Who speaks HTTP/2 takes them unasked, but somebody on the way may speak HTTP/1.
        let may_have = may_have && (asked.te || !trailers.is_empty());
        let expected = match may_have {
            true => Whose::Arrival(arrival).trailers(),
            false => Vec::new(),
        };
        if trailers != expected {
            return Err(format!("trailers {trailers:?} of {of:?} to {asked:?}"));
        }
        self.counts.trailers += u64::from(may_have);
        self.counts.paired += 1;
        Ok(())
    }

    /// What a sidecar tells of a request, perhaps one beside an endpoint of a service.
    pub(crate) fn told(&mut self, record: &Record, beside: Option<&'static str>) {
        let mut fields = record.request.headers.iter();
        let found = fields.find(|field| field.name.eq_ignore_ascii_case(PAIR.as_bytes()));
        let found = found.map(|field| field.value);
        let request = found.and_then(|text| std::str::from_utf8(text).ok()?.parse::<usize>().ok());
        let Some(asked) = request.and_then(|at| self.asked.get_mut(at)) else {
            return;
        };
        let again =
            |end: &AttemptEnd| matches!(end, AttemptEnd::StaleConnection | AttemptEnd::Unprocessed);
        let repeats = record.attempts.iter().filter(|a| again(&a.end)).count() as u64;
        let is_copy = beside.is_some_and(|service| service != asked.host);
        if record.is_mirror() || is_copy {
            asked.copied += repeats + u64::from(record.is_mirror());
            return;
        }
        asked.sendings += repeats + u64::from(record.retries);
        asked.retries += u64::from(record.retries);
        if beside.is_some() == asked.is_direct {
            asked.told += 1;
            asked.status = record.status;
        }
        self.counts.repeats += repeats;
        self.counts.retries += u64::from(record.retries);
    }

    /// Compares all that was said and heard, when all is over.
    pub(crate) fn judge(&mut self, is_drained: bool) -> Result<(), String> {
        let may_lose =
            is_drained || !self.is_calm || self.asked.iter().any(|asked| asked.is_forbidden);
        for (number, asked) in self.asked.iter().enumerate() {
            let wrong = |what: &str| Err(format!("request {number}: {what}: {asked:?}"));
            self.counts.add(asked);
            if asked.arrivals > 1 + asked.sendings {
                return wrong("it was sent too often");
            }
            if !asked.kind.is_idempotent() && asked.processed > 1 + asked.retries {
                return wrong("it was not to be sent again");
            }
            if asked.copies > asked.copied {
                return wrong("more copies than were made");
            }
            let is_fine = match asked.outcome {
                Outcome::Open => false,
                Outcome::Unsent => asked.arrivals == 0,
                Outcome::Answered(status) => {
                    // As it is called in HTTP/1.
                    let is_agreed = asked.kind == Kind::Upgrade && asked.is_new;
                    let status = if is_agreed && asked.status == 101 {
                        status - 99
                    } else {
                        status
                    };
                    asked.told == 1 && asked.status == status
                }
                Outcome::Cut => asked.told == 1,
                Outcome::Unheard => asked.told == 0 && asked.arrivals == 0,
                Outcome::Left => asked.told <= 1,
                // A connection ends behind an answer that came before its request was whole.
                Outcome::Lost => asked.told == 1 || may_lose && asked.arrivals == 0,
            };
            if !is_fine {
                return wrong("it did not end like that");
            }
        }
        Ok(())
    }
}
