//! `/explain?request=GET%20http://…`: what the configuration in use makes of a request or a connection,
//! without sending it.
//!
//! Owns the parameters. The explanation is made in `outrigger_explain`, on a copy of the live state: endpoints are as busy and
//! as ejected as they are now, and nothing that is tried counts for anybody.

use anstream::StripStream;
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use outrigger_explain::{Circumstances, Subject, application, text};
use outrigger_runtime::{Handle, Located};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use super::query;
use crate::gateway_args::GatewayAt;
use crate::options::{parse_random, parse_spiffe_id};

/// What can be asked for.
const PARAMETERS: &str = "request=LINE, header=FIELD (may be repeated), random=N, inbound=PORT, gateway=PORT|ADDR:PORT|unix:///PATH, as=ID, format=text|json";

/// Fields of one question.
const MOST_FIELDS: usize = 100;

/// A question and how the answer is to look.
#[derive(Debug)]
pub(super) struct Asked {
    subject: Subject,
    random: u64,
    /// The port of the application, or of the inbound listener.
    inbound: Option<u16>,
    /// The port of Gateways that it comes to.
    gateway: Option<GatewayAt>,
    /// The SPIFFE ID of the client's certificate.
    client: Option<String>,
    pub(super) is_json: bool,
}

impl Asked {
    /// Takes the parameters.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(query: &str) -> Result<Self, String> {
        let (mut request, mut fields, mut random, mut is_json) = (None, Vec::new(), 0, false);
        let (mut inbound, mut gateway, mut client) = (None, None, None);
        for (name, value) in query::parse(query)? {
            let value = value.unwrap_or_default();
            match (&*name, &*value) {
                ("request", _) => request = Some(value),
                ("header", _) if fields.len() < MOST_FIELDS => fields.push(value),
                ("header", _) => return Err(format!("more than {MOST_FIELDS} fields are given")),
                ("random", _) => random = parse_random(&value)?,
                ("inbound", port) => {
                    let port = port.parse();
                    inbound = Some(port.map_err(|_| {
                        "`inbound` needs a port, of the application or of an inbound listener"
                            .to_owned()
                    })?);
                }
                ("gateway", at) => gateway = Some(at.parse()?),
                ("as", id) => client = Some(parse_spiffe_id(id)?),
                ("format", "text") => is_json = false,
                ("format", "json") => is_json = true,
                ("format", _) => return Err("`format` needs `text` or `json`".to_owned()),
                (_, _) => return Err(format!("no parameter `{name}`; use {PARAMETERS}")),
            }
        }
        let request = request
            .ok_or_else(|| format!("no request is given; write request={}", Subject::form()))?;
        let subject = Subject::read(&request, &fields)?;
        Ok(Self {
            subject,
            random,
            inbound,
            gateway,
            client,
            is_json,
        })
    }

    /// Who asks, where and when.
    ///
    /// # Errors
    /// There is no such listener.
    pub(super) fn circumstances(
        &self,
        handle: &Handle,
        snapshot: &Snapshot,
        settings: WorkerSettings,
    ) -> Result<Circumstances, String> {
        let mut circumstances = Circumstances {
            random: Entropy(self.random),
            settings,
            now: handle.now(),
            ..Circumstances::default()
        };
        let listener = match (self.inbound, &self.gateway) {
            (None, None) => ListenerKind::Outbound,
            (Some(port), None) => ListenerKind::Inbound(inbound(port, handle, snapshot)?),
            (None, Some(at)) => {
                let (listener, local) = at.listener();
                let is_meant = |one: &Located| {
                    one.kind == listener && (at.place.is_none() || one.addr.ip() == local.ip())
                };
                let mut located = handle.located().into_iter();
                let closed = || format!("no port {} of Gateways is listened on", at.port);
                let found = located.find(is_meant).ok_or_else(closed)?;
                return Ok(circumstances.on(listener, found.addr));
            }
            (Some(_), Some(_)) => {
                return Err("`inbound` and `gateway` exclude each other".to_owned());
            }
        };
        if let Some(local) = handle.local_addr(listener) {
            circumstances = circumstances.on(listener, local);
        }
        if let (Some(port), ListenerKind::Inbound(at)) = (self.inbound, listener)
            && snapshot.inbound_ports.is_virtual(at)
        {
            circumstances = circumstances.brought_from((Ipv4Addr::LOCALHOST, port).into());
        }
        if let Some(client) = self.client.as_ref().filter(|_| self.inbound.is_some()) {
            circumstances = circumstances.by(client);
        }
        Ok(circumstances)
    }

    /// Explains it.
    pub(super) fn page(&self, snapshot: &Snapshot, circumstances: &Circumstances) -> String {
        let told = self.subject.explain(snapshot, circumstances);
        if self.is_json {
            // Keys in their order, as on all pages.
            return format!("{:#}\n", serde_json::json!(told));
        }
        let mut plain = StripStream::new(Vec::new());
        // A vector takes all that is written to it.
        let _ = plain.write_all(text::text(&told).as_bytes());
        String::from_utf8_lossy(&plain.into_inner()).into_owned()
    }
}

/// The inbound listener that has this port, or whose application has it, else one for whatever port the kernel brings.
fn inbound(port: u16, handle: &Handle, snapshot: &Snapshot) -> Result<usize, String> {
    let mut known = Vec::new();
    let listeners = (0..snapshot.inbound.len())
        .map_while(|at| Some((at, handle.local_addr(ListenerKind::Inbound(at))?)));
    let mut others = None;
    for (at, listener) in listeners {
        if snapshot.inbound_ports.is_virtual(at) {
            others = others.or(Some(at));
            continue;
        }
        let application = application(snapshot, ListenerKind::Inbound(at)).unwrap_or_default();
        let application = application.parse::<SocketAddr>().ok();
        let ports = [application, Some(listener)].map(|addr| addr.map(|addr| addr.port()));
        if ports.contains(&Some(port)) {
            return Ok(at);
        }
        known.extend(ports[0].map(|port| port.to_string()));
    }
    if let Some(at) = others {
        return Ok(at);
    }
    Err(match known.is_empty() {
        true => "there is no inbound listener (`run --inbound`)".to_owned(),
        false => format!(
            "no inbound listener for {port}; there are {}",
            known.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_cannot_be_read_say_why() {
        for (query, why) in [
            (
                "request=GET%20http://a/&header=x:+y&random=7&format=json",
                "",
            ),
            ("", "no request is given"),
            ("request=x+y+z+w", "more than three words"),
            ("request=a&header=x", "`x` has no colon"),
            ("request=a&random=x", "is not a number"),
            ("request=a&format=xml", "`text` or `json`"),
            ("request=a&inbound=8080", ""),
            ("request=a&inbound=app", "`inbound` needs a port"),
            ("request=a&inbound=80&as=spiffe://td/ns/a/sa/b", ""),
            ("request=a&as=web", "no identity of a workload"),
            ("request=a&headers=x", "no parameter `headers`"),
            ("request=TCP%20redis:6379", ""),
            ("request=TCP%20redis", "`redis` has no port"),
            ("request=TLS%20a:443&header=x:y", "has no fields"),
        ] {
            let said = Asked::new(query).err().unwrap_or_default();
            assert!(
                said.contains(why) && said.is_empty() == why.is_empty(),
                "{query}: {said}"
            );
        }
    }
}
