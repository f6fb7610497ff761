//! Rules as `nft` reads them: a table of our own for each version of IP, which is made anew in one step.

use core::fmt::Write as _;

use crate::capture::Family;
use crate::rules::{Chain, Match, Rule, Table, Target};

/// What our tables are called.
pub(crate) const TABLE: &str = "outrigger_intercept";

/// The text that puts rules in place of those that were there before.
pub(crate) fn replace(rules: &[Rule], family: Family) -> String {
    let mut text = remove(family);
    let _ = writeln!(text, "table {} {TABLE} {{", word(family));
    for table in Table::ALL {
        for chain in [Chain::Prerouting, Chain::Output]
            .into_iter()
            .chain(Chain::OWN)
        {
            let of_chain = rules
                .iter()
                .filter(|r| (r.table, r.chain) == (table, chain));
            let of_chain: Vec<_> = of_chain.collect();
            let is_target = |r: &Rule| r.table == table && r.target == Target::Jump(chain);
            if of_chain.is_empty() && !rules.iter().any(is_target) {
                continue;
            }
            let _ = writeln!(text, "\tchain {} {{", name(table, chain));
            if chain.is_builtin() {
                let _ = writeln!(text, "\t\t{}", hook(table, chain));
            }
            for rule in of_chain {
                let _ = writeln!(text, "\t\t{}", line(rule, family));
            }
            text.push_str("\t}\n");
        }
    }
    text.push_str("}\n");
    text
}

/// The text that takes them away, whether or not they are there.
pub(crate) fn remove(family: Family) -> String {
    let of = word(family);
    format!("add table {of} {TABLE}\ndelete table {of} {TABLE}\n")
}

/// What nft calls a version of IP.
pub(crate) const fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

fn name(table: Table, chain: Chain) -> String {
    format!("{}_{}", table.name(), chain.name()).to_lowercase()
}

/// Where a chain of ours hangs, so that it comes when the kernel's own of iptables would.
fn hook(table: Table, chain: Chain) -> String {
    let (kind, priority) = match (table, chain) {
        (Table::Raw, _) => ("filter", "raw"),
        (Table::Mangle, Chain::Output) => ("route", "mangle"),
        (Table::Mangle, _) => ("filter", "mangle"),
        (Table::Nat, Chain::Output) => ("nat", "-100"),
        (Table::Nat, _) => ("nat", "dstnat"),
    };
    let hook = chain.name().to_lowercase();
    format!("type {kind} hook {hook} priority {priority}; policy accept;")
}

fn line(rule: &Rule, family: Family) -> String {
    let ip = word(family);
    let mut words: Vec<String> = Vec::new();
    for matched in &rule.matches {
        words.push(match matched {
            Match::Tcp => "meta l4proto tcp".into(),
            Match::TcpTo(port) => format!("tcp dport {port}"),
            Match::TcpNotTo(ports) => {
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                format!("tcp dport != {{ {} }}", ports.join(", "))
            }
            Match::UdpTo(port) => format!("udp dport {port}"),
            Match::UdpFrom(port) => format!("udp sport {port}"),
            Match::To(range) => format!("{ip} daddr {range}"),
            Match::NotTo(range) => format!("{ip} daddr != {range}"),
            Match::From(range) => format!("{ip} saddr {range}"),
            Match::In(name) => format!("iifname \"{}\"", wild(name)),
            Match::Out(name) => format!("oifname \"{}\"", wild(name)),
            Match::User(id) => format!("meta skuid {id}"),
            Match::NotUser(id) => format!("meta skuid != {id}"),
            Match::Group(id) => format!("meta skgid {id}"),
            Match::NotGroup(id) => format!("meta skgid != {id}"),
            Match::Established => "ct state related,established".into(),
            Match::Mark(mark) => format!("meta mark {mark}"),
            Match::NotMark(mark) => format!("meta mark != {mark}"),
            Match::ConnectionMark(mark) => format!("ct mark {mark}"),
        });
    }
    words.push(match rule.target {
        Target::Return => "return".into(),
        Target::Accept => "accept".into(),
        Target::Jump(chain) => {
            format!("jump {}", name(rule.table, chain))
        }
        Target::Redirect(port) => format!("redirect to :{port}"),
        Target::Tproxy { port, mark } => {
            format!("tproxy to :{port} meta mark set {mark} accept")
        }
        Target::SetMark(mark) => format!("meta mark set {mark}"),
        Target::SaveMark => "ct mark set meta mark".into(),
        Target::RestoreMark => "meta mark set ct mark".into(),
        Target::Zone(zone) => format!("ct zone set {zone}"),
    });
    words.join(" ")
}

/// nft writes `*` for any ending.
fn wild(name: &str) -> String {
    match name.strip_suffix('+') {
        Some(start) => format!("{start}*"),
        None => name.to_owned(),
    }
}
