//! The command `intercept`: what goes in and out of this network namespace goes through a sidecar.
//!
//! Owns flags, annotations and words. The rules, and how the kernel gets them, are `outrigger_intercept`'s.

mod annotations;
mod args;

pub(crate) use args::{InterceptArgs, ModeArg};

use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::process::ExitCode;

use outrigger_intercept::{
    Backend, Capture, Dns, Mode, NameServers, Ports, Proof, Ranges, System, apply, clean, probe,
    script,
};

use args::{Act, ApplyArgs, CaptureArgs, List, PortsArg, RangesArg, TproxyArgs};

/// The kernel did not do what it was asked to.
const FAILED: u8 = 1;

/// What was asked for cannot be meant.
const USAGE: u8 = 2;

/// Where a machine's name servers stand.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Runs the command and says how it went.
pub(crate) fn intercept(args: &InterceptArgs) -> ExitCode {
    match &args.act {
        Act::Apply(args) => match capture(&args.capture) {
            Ok(Some(capture)) => put_in(args, &capture),
            Ok(None) => {
                anstream::println!("nothing is to be captured: the mode is NONE");
                take_out(args.capture.tproxy)
            }
            Err(why) => fail(USAGE, &why),
        },
        Act::Print(args) => match capture(&args.capture) {
            Ok(Some(capture)) => {
                anstream::print!("{}", script(&capture, args.backend.into()));
                ExitCode::SUCCESS
            }
            Ok(None) => ExitCode::SUCCESS,
            Err(why) => fail(USAGE, &why),
        },
        Act::Clean(marks) => take_out(*marks),
    }
}

fn fail(code: u8, why: &impl Display) -> ExitCode {
    anstream::eprintln!("error: {why}");
    ExitCode::from(code)
}

fn put_in(args: &ApplyArgs, capture: &Capture) -> ExitCode {
    let applied = match apply(capture, args.backend.map(Into::into), &System) {
        Ok(applied) => applied,
        Err(failed) => return fail(FAILED, &failed),
    };
    let tool = match applied.backend {
        Backend::Iptables => "iptables",
        Backend::Nft => "nft",
    };
    anstream::println!(
        "{} rules are in, by {tool}, and were read back",
        applied.rules
    );
    if args.no_probe {
        return ExitCode::SUCCESS;
    }
    let proof = probe(capture);
    match &proof {
        Proof::Captured(_) | Proof::Untried(_) => {
            anstream::println!("{proof}");
            ExitCode::SUCCESS
        }
        Proof::Lost(_) => fail(
            FAILED,
            &format!("{proof}. The rules are in; `outrigger intercept clean` takes them out"),
        ),
    }
}

fn take_out(marks: TproxyArgs) -> ExitCode {
    let capture = Capture {
        mode: tproxy(marks),
        ipv6: true,
        ..Capture::default()
    };
    match clean(&capture, &System) {
        Ok(()) => {
            anstream::println!("no rules of ours are left");
            ExitCode::SUCCESS
        }
        Err(failed) => fail(FAILED, &failed),
    }
}

const fn tproxy(args: TproxyArgs) -> Mode {
    Mode::Tproxy {
        mark: args.tproxy_mark,
        table: args.tproxy_table,
    }
}

/// What flags and annotations together capture; `None` where they say that nothing is.
fn capture(args: &CaptureArgs) -> Result<Option<Capture>, String> {
    let mut args = args.clone();
    if let Some(path) = args.annotations.clone() {
        let in_file = |why: &dyn Display| format!("`{}`: {why}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| in_file(&error))?;
        let unknown = annotations::take(&text, &mut args).map_err(|why| in_file(&why))?;
        for why in unknown {
            anstream::eprintln!("warning: {}", in_file(&why));
        }
    }
    let usual = Capture::default();
    let mode = match args.mode.unwrap_or(ModeArg::Redirect) {
        ModeArg::Redirect => Mode::Redirect,
        ModeArg::Tproxy => tproxy(args.tproxy),
        ModeArg::None => return Ok(None),
    };
    let dns = match args.dns {
        true => Some(Dns {
            port: args.dns_port,
            servers: args
                .dns_servers
                .map_or_else(of_this_machine, |servers| Ok(servers.0))?,
        }),
        false => None,
    };
    let mut exclude_inbound = usual.exclude_inbound;
    exclude_inbound.extend(or_none(args.exclude_inbound_ports));
    let capture = Capture {
        outbound_port: args.outbound_port,
        inbound_port: args.inbound_port,
        tunnel_port: usual.tunnel_port,
        users: args.proxy_uid.0,
        groups: args.proxy_gid.0,
        mode,
        inbound: args
            .include_inbound_ports
            .map_or(Ports::All, |PortsArg(ports)| ports),
        exclude_inbound,
        outbound_ports: or_none(args.include_outbound_ports),
        exclude_outbound_ports: or_none(args.exclude_outbound_ports),
        outbound: args
            .include_outbound_ip_ranges
            .map_or(Ranges::All, |RangesArg(ranges)| ranges),
        exclude_outbound: or_none(args.exclude_outbound_ip_ranges),
        exclude_interfaces: or_none(args.exclude_interfaces),
        reroute_interfaces: or_none(args.reroute_virtual_interfaces),
        dns,
        ipv6: args.ipv6,
    };
    capture.check().map_err(|fault| fault.to_string())?;
    Ok(Some(capture))
}

fn or_none<T>(list: Option<List<T>>) -> Vec<T> {
    list.map_or_else(Vec::new, |List(values)| values)
}

/// The name servers that this machine asks.
fn of_this_machine() -> Result<NameServers, String> {
    let text = fs::read_to_string(RESOLV_CONF);
    let text = text.map_err(|error| format!("`{RESOLV_CONF}`: {error}; say --dns-servers"))?;
    Ok(NameServers::These(name_servers(&text)))
}

/// The addresses of a `resolv.conf` (resolv.conf(5)); what is no address is asked by nobody.
fn name_servers(text: &str) -> Vec<IpAddr> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"));
    let address = |rest: &str| rest.split_whitespace().next()?.parse().ok();
    lines.filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_those_of_their_lines() {
        let text = "# nameserver 1.1.1.1\nsearch a.test\nnameserver 10.96.0.10\nnameserver\tfd00::a # ours\nnameserver\nnameserver x\n";
        let want: Vec<IpAddr> = ["10.96.0.10", "fd00::a"]
            .map(|one| one.parse().unwrap())
            .into();
        assert_eq!(name_servers(text), want);
    }
}
