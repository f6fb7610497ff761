//! Who sent a request to a gateway: what proxies before it say, as far as they are believed, and what it adds itself (Envoy with
//! `use_remote_address: true` and `xff_num_trusted_hops`).
//!
//! A sidecar adds nothing and believes what it is told: whoever speaks to it is a gateway, or in the mesh.

use core::net::IpAddr;
use std::io::Write as _;

use super::Context;
use crate::decision::Record;
use crate::message::{Headers, Known};
use crate::peer::ListenerKind;

/// Where Envoy says who that is, for addresses of the internet.
const EXTERNAL_ADDRESS: &[u8] = b"x-envoy-external-address";

/// Fields that Envoys tell each other, which nobody outside may say.
const OF_EDGE: [&[u8]; 3] = [
    b"x-envoy-decorator-operation",
    b"x-envoy-downstream-service-cluster",
    b"x-envoy-downstream-service-node",
];

/// Finds out who sent a request that has come to a gateway, and says so to whoever gets it.
pub(super) fn of_gateway(context: &Context<'_>, record: &mut Record) {
    if !matches!(context.peer.listener, ListenerKind::Gateway(_)) {
        return;
    }
    let hops = context.view.snapshot.settings.trusted_hops as usize;
    let remote = context.peer.remote.ip().to_canonical();
    let request = &mut record.request;
    let client = trusted(&request.headers, hops).unwrap_or(remote);
    request.client = Some(client);
    append(&mut request.headers, remote);
    let headers = &mut request.headers;
    // Whom we do not believe of addresses we do not believe of anything.
    if hops == 0 {
        headers.remove(Known::XForwardedProto);
    }
    headers.remove_if(|field| field.name == EXTERNAL_ADDRESS || OF_EDGE.contains(&field.name));
    if !is_internal(client) {
        let mut text = Vec::with_capacity(40);
        // Writing to memory does not fail.
        let _ = write!(text, "{client}");
        // Heads are bounded far below what a field or a head can hold.
        let _ = headers.append(EXTERNAL_ADDRESS, &text);
    }
}

/// The address that the last proxy but so many has added; `None` where there is none, or it is no address.
fn trusted(headers: &Headers, hops: usize) -> Option<IpAddr> {
    let from_behind = hops.checked_sub(1)?;
    let fields: smallvec::SmallVec<[&[u8]; 4]> = headers.get_all(Known::XForwardedFor).collect();
    let all = fields.iter().rev();
    let mut all = all.flat_map(|field| field.rsplit(|byte| *byte == b','));
    let text = str::from_utf8(all.nth(from_behind)?.trim_ascii()).ok()?;
    text.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// Adds the other end of the connection to one field with all that was said.
fn append(headers: &mut Headers, remote: IpAddr) {
    let mut said = Vec::new();
    for field in headers.get_all(Known::XForwardedFor) {
        if !said.is_empty() {
            said.push(b',');
        }
        said.extend_from_slice(field);
    }
    headers.set_with(Known::XForwardedFor, |value| {
        if !said.is_empty() {
            value.extend_from_slice(&said);
            value.push(b',');
        }
        // Writing to memory does not fail.
        let _ = write!(value, "{remote}");
    });
}

/// Whether an address is of a private network or of this machine (RFC 1918, RFC 4193), as Envoy judges it.
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_proxies_are_believed_as_are_trusted() {
        for (said, hops, want) in [
            (&["1.1.1.1, 2.2.2.2"][..], 0, None),
            (&["1.1.1.1, 2.2.2.2"], 1, Some("2.2.2.2")),
            (&["1.1.1.1, 2.2.2.2"], 2, Some("1.1.1.1")),
            (&["1.1.1.1, 2.2.2.2"], 3, None),
            (&["1.1.1.1", "2.2.2.2,3.3.3.3"], 3, Some("1.1.1.1")),
            (&["1.1.1.1, nobody"], 1, None),
            (&["1.1.1.1, nobody"], 2, Some("1.1.1.1")),
            (&["::ffff:1.1.1.1"], 1, Some("1.1.1.1")),
            (&["2001:db8::1"], 1, Some("2001:db8::1")),
            (&[""], 1, None),
            (&[], 1, None),
        ] {
            let mut headers = Headers::default();
            for field in said {
                headers.append_known(Known::XForwardedFor, field.as_bytes());
            }
            let want = want.map(|text| text.parse().unwrap());
            assert_eq!(trusted(&headers, hops), want, "{said:?} {hops}");
            append(&mut headers, [9, 9, 9, 9].into());
            let all: Vec<_> = headers.get_all(Known::XForwardedFor).collect();
            assert_eq!(all.len(), 1, "{said:?}");
            assert!(all[0].ends_with(b"9.9.9.9"), "{said:?}");
        }
    }
}
