//! A pod's annotations as the kubelet writes them into a file (downward API): a line for each, `key="value"`, the value quoted as
//! in Go.

use std::str::FromStr;

use super::args::CaptureArgs;

/// Before the annotations that say what is captured.
const TRAFFIC: &str = "traffic.sidecar.istio.io/";

/// Takes from annotations what no flag says. What is said of an annotation that is like ours and is none.
///
/// # Errors
/// A line is no annotation, or one of ours has a value that it cannot have.
pub(crate) fn take(text: &str, args: &mut CaptureArgs) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let at = at + 1;
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {at}: expected `key=\"value\"`"))?;
        // Go quotes as JSON does, but for characters that no value here has.
        let value = serde_json::from_str::<String>(value).ok();
        let is_ours = key.starts_with(TRAFFIC) || key == MODE || key == REROUTE;
        let Some(value) = value else {
            match is_ours {
                true => return Err(format!("line {at}: the value of `{key}` is not quoted")),
                false => continue,
            }
        };
        if !set(key, &value, args).map_err(|why| format!("line {at}: `{key}`: {why}"))? && is_ours {
            unknown.push(format!(
                "`{key}` is no annotation that says what to capture"
            ));
        }
    }
    Ok(unknown)
}

const MODE: &str = "sidecar.istio.io/interceptionMode";
const REROUTE: &str = "istio.io/reroute-virtual-interfaces";

/// Whether it is one of ours.
fn set(key: &str, value: &str, args: &mut CaptureArgs) -> Result<bool, String> {
    match key.strip_prefix(TRAFFIC).unwrap_or(key) {
        "includeInboundPorts" => or(&mut args.include_inbound_ports, value)?,
        "excludeInboundPorts" => or(&mut args.exclude_inbound_ports, value)?,
        "includeOutboundPorts" => or(&mut args.include_outbound_ports, value)?,
        "excludeOutboundPorts" => or(&mut args.exclude_outbound_ports, value)?,
        "includeOutboundIPRanges" => or(&mut args.include_outbound_ip_ranges, value)?,
        "excludeOutboundIPRanges" => or(&mut args.exclude_outbound_ip_ranges, value)?,
        "excludeInterfaces" => or(&mut args.exclude_interfaces, value)?,
        "kubevirtInterfaces" | REROUTE => or(&mut args.reroute_virtual_interfaces, value)?,
        MODE => {
            let mode = clap::ValueEnum::from_str(value, true)?;
            args.mode = args.mode.or(Some(mode));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn or<T: FromStr<Err = String>>(place: &mut Option<T>, value: &str) -> Result<(), String> {
    let value = value.parse()?;
    place.get_or_insert(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use outrigger_intercept::{Ports, Ranges};

    use super::super::args::{List, ModeArg, PortsArg, RangesArg};
    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CaptureArgs,
    }

    fn args(flags: &[&str]) -> CaptureArgs {
        let line = [&["intercept"], flags].concat();
        Line::parse_from(line).args
    }

    #[test]
    fn annotations_say_what_flags_do_not() {
        let text = "kubernetes.io/config.seen=\"2026\"\nother=\"a\\x00b\"\n\n\
            traffic.sidecar.istio.io/includeInboundPorts=\"80, 443\"\n\
            traffic.sidecar.istio.io/excludeOutboundPorts=\"\"\n\
            traffic.sidecar.istio.io/includeOutboundIPRanges=\"10.0.0.0/8\"\n\
            istio.io/reroute-virtual-interfaces=\"k6t-eth0\"\n\
            sidecar.istio.io/interceptionMode=\"TPROXY\"\n\
            traffic.sidecar.istio.io/includeInboundPort=\"80\"\n";
        let mut args = args(&["--include-outbound-ip-ranges", "*"]);
        let unknown = take(text, &mut args).unwrap();
        assert_eq!(
            unknown,
            [
                "`traffic.sidecar.istio.io/includeInboundPort` is no annotation that says what to capture"
            ]
        );
        assert_eq!(
            args.include_inbound_ports,
            Some(PortsArg(Ports::These(vec![80, 443])))
        );
        assert_eq!(args.exclude_outbound_ports, Some(List(Vec::new())));
        assert_eq!(
            args.include_outbound_ip_ranges,
            Some(RangesArg(Ranges::All))
        );
        assert_eq!(args.mode, Some(ModeArg::Tproxy));
        assert_eq!(
            args.reroute_virtual_interfaces,
            Some(List(vec!["k6t-eth0".to_owned()]))
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (text, want) in [
            ("a", "line 1: expected `key=\"value\"`"),
            (
                "\ntraffic.sidecar.istio.io/includeInboundPorts=80",
                "line 2: the value of `traffic.sidecar.istio.io/includeInboundPorts` is not quoted",
            ),
            (
                "traffic.sidecar.istio.io/excludeInboundPorts=\"http\"",
                "line 1: `traffic.sidecar.istio.io/excludeInboundPorts`: `http`: invalid digit found in string",
            ),
        ] {
            assert_eq!(take(text, &mut args(&[])).unwrap_err(), want);
        }
        let bad = "sidecar.istio.io/interceptionMode=\"SOCKS\"";
        assert!(take(bad, &mut args(&[])).is_err());
    }
}
