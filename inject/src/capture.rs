//! What annotations say is captured, as flags of `outrigger intercept`. Each is looked at here, so that a pod is refused rather than
//! started without what it asked for.

use outrigger_core::peer::AddressRange;

use crate::annotations::{Annotations, CAPTURE, Form, refused};
use crate::refused::Refused;

/// The flags.
pub(crate) fn flags(annotations: Annotations<'_>) -> Result<Vec<String>, Refused> {
    let mut flags = Vec::new();
    for (name, flag, form) in CAPTURE {
        let Some(text) = annotations.get(name) else {
            continue;
        };
        if !fits(text, *form) {
            return Err(refused(name, text, wanted(*form)));
        }
        let flag = format!("{flag}={}", text.replace(' ', ""));
        // Two names of one setting: the first says.
        if !flags.iter().any(|known: &String| same_flag(known, &flag)) {
            flags.push(flag);
        }
    }
    Ok(flags)
}

fn same_flag(a: &str, b: &str) -> bool {
    a.split('=').next() == b.split('=').next()
}

const fn wanted(form: Form) -> &'static str {
    match form {
        Form::PortsOrAll => "`*`, or ports with commas between them",
        Form::Ports => "ports with commas between them",
        Form::RangesOrAll => "`*`, or ranges of addresses with commas between them",
        Form::Ranges => "ranges of addresses with commas between them",
        Form::Names => "names of interfaces with commas between them",
    }
}

fn fits(text: &str, form: Form) -> bool {
    let mut items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let is_all = text.trim() == "*";
    match form {
        Form::PortsOrAll if is_all => true,
        Form::RangesOrAll if is_all => true,
        Form::PortsOrAll | Form::Ports => items.all(|item| item.parse::<u16>().is_ok()),
        Form::RangesOrAll | Form::Ranges => items.all(|item| item.parse::<AddressRange>().is_ok()),
        // The kernel's names have up to 15 bytes; a flag must not be smuggled in.
        Form::Names => items.all(|item| {
            item.len() <= 15
                && item
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_captured_is_flags() {
        for (annotations, want) in [
            (json!({}), Ok(vec![])),
            (
                json!({"traffic.sidecar.istio.io/includeInboundPorts": "80, 443"}),
                Ok(vec!["--include-inbound-ports=80,443"]),
            ),
            (
                json!({"traffic.sidecar.istio.io/includeInboundPorts": ""}),
                Ok(vec!["--include-inbound-ports="]),
            ),
            (
                json!({"traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.0/8,fd00::/8",
                       "traffic.sidecar.istio.io/excludeOutboundPorts": "3306"}),
                Ok(vec![
                    "--exclude-outbound-ports=3306",
                    "--include-outbound-ip-ranges=10.0.0.0/8,fd00::/8",
                ]),
            ),
            (
                json!({"traffic.sidecar.istio.io/includeOutboundIPRanges": "*",
                       "traffic.sidecar.istio.io/excludeInterfaces": "a23456789012345"}),
                Ok(vec![
                    "--include-outbound-ip-ranges=*",
                    "--exclude-interfaces=a23456789012345",
                ]),
            ),
            (
                json!({"traffic.sidecar.istio.io/excludeInterfaces": "a234567890123456"}),
                Err("is not names of interfaces"),
            ),
            (
                json!({"traffic.sidecar.istio.io/excludeInterfaces": "eth0,a b"}),
                Err("is not names of interfaces"),
            ),
            (
                json!({"traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.0.0.0/8,*"}),
                Err("is not ranges of addresses"),
            ),
            (
                json!({"traffic.sidecar.istio.io/excludeOutboundPorts": "*"}),
                Err("is not ports with commas"),
            ),
            (
                json!({"traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.0.0.0/33"}),
                Err("is not ranges of addresses"),
            ),
            (
                json!({"traffic.sidecar.istio.io/includeInboundPorts": "70000"}),
                Err("`70000` is not `*`, or ports"),
            ),
            (
                json!({"traffic.sidecar.istio.io/excludeInterfaces": "eth0;rm"}),
                Err("is not names of interfaces"),
            ),
            (
                json!({"traffic.sidecar.istio.io/kubevirtInterfaces": "k6t-eth0",
                       "istio.io/reroute-virtual-interfaces": "net1"}),
                Ok(vec!["--reroute-virtual-interfaces=k6t-eth0"]),
            ),
        ] {
            let got = flags(Annotations(Some(&annotations)));
            match want {
                Ok(want) => assert_eq!(got.unwrap(), want),
                Err(want) => assert!(got.unwrap_err().0.contains(want), "{annotations}"),
            }
        }
    }
}
