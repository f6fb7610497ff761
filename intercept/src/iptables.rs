//! Rules as `iptables-restore` and `ip6tables-restore` read them: one text, of which each table is changed at once or not at all.

use core::fmt::Write as _;

use crate::rules::{Chain, Match, Rule, Table, Target};

/// The text that puts rules in place of those that were there before. `saved` is what `iptables-save` says of now.
pub(crate) fn replace(rules: &[Rule], saved: &str) -> String {
    let mut text = String::new();
    for table in Table::ALL {
        let of_table: Vec<_> = rules.iter().filter(|rule| rule.table == table).collect();
        let jumps = jumps(saved, table);
        let known = own_chains(saved, table);
        if of_table.is_empty() && jumps.is_empty() && known.is_empty() {
            continue;
        }
        let wanted = |chain: &Chain| {
            let names = |rule: &&Rule| rule.chain == *chain || rule.target == Target::Jump(*chain);
            of_table.iter().any(names)
        };
        let _ = writeln!(text, "*{}", table.name());
        // Named, a chain is there and empty.
        for chain in Chain::OWN {
            if wanted(&chain) || known.contains(&chain) {
                let _ = writeln!(text, ":{} - [0:0]", chain.name());
            }
        }
        for jump in jumps {
            let _ = writeln!(text, "-D {jump}");
        }
        for rule in &of_table {
            let _ = writeln!(text, "-A {}", line(rule));
        }
        for chain in known.iter().filter(|chain| !wanted(chain)) {
            let _ = writeln!(text, "-X {}", chain.name());
        }
        text.push_str("COMMIT\n");
    }
    text
}

/// Which of the rules are not there.
pub(crate) fn missing<'r>(rules: &'r [Rule], saved: &str) -> Option<&'r Rule> {
    let counts = |table: Table, chain: Chain| {
        let of_table = section(saved, table);
        let start = format!("-A {} ", chain.name());
        of_table.filter(|line| line.starts_with(&start)).count()
    };
    rules.iter().find(|rule| {
        let wanted = rules.iter();
        let wanted = wanted.filter(|other| other.table == rule.table && other.chain == rule.chain);
        counts(rule.table, rule.chain) < wanted.count()
    })
}

/// The lines of a table in what was saved.
fn section(saved: &str, table: Table) -> impl Iterator<Item = &str> {
    let of_table = move |line: &&str| line.strip_prefix('*') == Some(table.name());
    saved
        .lines()
        .skip_while(move |line| !of_table(line))
        .skip(1)
        .take_while(|line| !line.starts_with('*'))
}

/// Rules of the kernel's own chains that jump to ours, without their `-A`.
fn jumps(saved: &str, table: Table) -> Vec<&str> {
    let is_jump = |line: &&str| {
        let words: Vec<_> = line.split(' ').collect();
        let target = words.iter().position(|word| *word == "-j");
        let target = target.and_then(|at| words.get(at + 1));
        let is_own = |name: &&str| Chain::OWN.iter().any(|chain| chain.name() == *name);
        let of_builtin = [Chain::Prerouting, Chain::Output].map(Chain::name);
        of_builtin.contains(words.first().unwrap_or(&"")) && target.is_some_and(is_own)
    };
    let rules = section(saved, table).filter_map(|line| line.strip_prefix("-A "));
    rules.filter(is_jump).collect()
}

/// Our chains in what was saved.
fn own_chains(saved: &str, table: Table) -> Vec<Chain> {
    let chains = section(saved, table).filter_map(|line| line.strip_prefix(':'));
    let names: Vec<_> = chains.filter_map(|line| line.split(' ').next()).collect();
    let own = Chain::OWN.into_iter();
    own.filter(|chain| names.contains(&chain.name())).collect()
}

/// A rule without its `-A`.
pub(crate) fn line(rule: &Rule) -> String {
    let mut text = rule.chain.name().to_owned();
    let has = |wanted: fn(&Match) -> bool| rule.matches.iter().any(wanted);
    let names_protocol = has(|m| {
        matches!(
            m,
            Match::TcpTo(_) | Match::TcpNotTo(_) | Match::UdpTo(_) | Match::UdpFrom(_)
        )
    });
    for matched in &rule.matches {
        // Writing to a string cannot fail.
        let _ = match matched {
            Match::Tcp if names_protocol => Ok(()),
            Match::Tcp => write!(text, " -p tcp"),
            Match::TcpTo(port) => write!(text, " -p tcp --dport {port}"),
            Match::TcpNotTo(ports) => match &**ports {
                [port] => write!(text, " -p tcp ! --dport {port}"),
                ports => {
                    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                    let ports = ports.join(",");
                    write!(text, " -p tcp -m multiport ! --dports {ports}")
                }
            },
            Match::UdpTo(port) => write!(text, " -p udp --dport {port}"),
            Match::UdpFrom(port) => write!(text, " -p udp --sport {port}"),
            Match::To(range) => write!(text, " -d {range}"),
            Match::NotTo(range) => write!(text, " ! -d {range}"),
            Match::From(range) => write!(text, " -s {range}"),
            Match::In(name) => write!(text, " -i {name}"),
            Match::Out(name) => write!(text, " -o {name}"),
            Match::User(id) => write!(text, " -m owner --uid-owner {id}"),
            Match::NotUser(id) => write!(text, " -m owner ! --uid-owner {id}"),
            Match::Group(id) => write!(text, " -m owner --gid-owner {id}"),
            Match::NotGroup(id) => write!(text, " -m owner ! --gid-owner {id}"),
            Match::Established => {
                write!(text, " -m conntrack --ctstate RELATED,ESTABLISHED")
            }
            Match::Mark(mark) => write!(text, " -m mark --mark {mark}"),
            Match::NotMark(mark) => write!(text, " -m mark ! --mark {mark}"),
            Match::ConnectionMark(mark) => write!(text, " -m connmark --mark {mark}"),
        };
    }
    let _ = match rule.target {
        Target::Return => write!(text, " -j RETURN"),
        Target::Accept => write!(text, " -j ACCEPT"),
        Target::Jump(chain) => write!(text, " -j {}", chain.name()),
        Target::Redirect(port) => write!(text, " -j REDIRECT --to-ports {port}"),
        Target::Tproxy { port, mark } => write!(
            text,
            " -j TPROXY --on-port {port} --tproxy-mark {mark}/0xffffffff"
        ),
        Target::SetMark(mark) => write!(text, " -j MARK --set-mark {mark}"),
        Target::SaveMark => write!(text, " -j CONNMARK --save-mark"),
        Target::RestoreMark => write!(text, " -j CONNMARK --restore-mark"),
        Target::Zone(zone) => write!(text, " -j CT --zone {zone}"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "\
# Generated by somebody
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:ISTIO_INBOUND - [0:0]
:ISTIO_OUTPUT_DNS - [0:0]
-A PREROUTING -i eth9 -j DOCKER
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A OUTPUT -j DOCKER
-A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
COMMIT
";

    fn rule(chain: Chain, target: Target) -> Rule {
        Rule {
            table: Table::Nat,
            chain,
            matches: vec![Match::Tcp],
            target,
        }
    }

    #[test]
    fn what_was_there_is_replaced_and_what_is_of_others_stays() {
        let rules = [
            rule(Chain::Prerouting, Target::Jump(Chain::Inbound)),
            rule(Chain::Inbound, Target::Return),
        ];
        assert_eq!(
            replace(&rules, SAVED),
            "*nat\n:ISTIO_INBOUND - [0:0]\n:ISTIO_OUTPUT_DNS - [0:0]\n-D PREROUTING -p tcp -j ISTIO_INBOUND\n\
             -A PREROUTING -p tcp -j ISTIO_INBOUND\n-A ISTIO_INBOUND -p tcp -j RETURN\n-X ISTIO_OUTPUT_DNS\nCOMMIT\n"
        );
        assert_eq!(
            replace(&[], SAVED),
            "*nat\n:ISTIO_INBOUND - [0:0]\n:ISTIO_OUTPUT_DNS - [0:0]\n-D PREROUTING -p tcp -j ISTIO_INBOUND\n\
             -X ISTIO_INBOUND\n-X ISTIO_OUTPUT_DNS\nCOMMIT\n"
        );
        assert_eq!(replace(&[], ""), "");
    }

    #[test]
    fn a_rule_that_is_not_there_is_found() {
        let there = [rule(Chain::Inbound, Target::Return)];
        assert_eq!(missing(&there, SAVED), None);
        let more = [there[0].clone(), rule(Chain::Outbound, Target::Return)];
        assert_eq!(missing(&more, SAVED), Some(&more[1]));
        assert_eq!(missing(&there, ""), Some(&there[0]));
    }
}
