//! What the tools are told, and in which order.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Programs that say what a test wants, and remember what they were told.
struct Scripted {
    absent: &'static [&'static str],
    fails: Option<(&'static str, &'static str)>,
    /// What `iptables-restore` and `ip6tables-restore` got, which their `-save` gives back.
    kernel: RefCell<BTreeMap<String, String>>,
    /// The versions of IP for which nft has a table of ours.
    tables: RefCell<BTreeSet<String>>,
    told: RefCell<Vec<String>>,
}

impl Scripted {
    fn new(absent: &'static [&'static str]) -> Self {
        Self {
            absent,
            fails: None,
            kernel: RefCell::default(),
            tables: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// What iptables has for IPv4.
    fn rules(&self) -> String {
        let kernel = self.kernel.borrow();
        kernel.get("iptables").cloned().unwrap_or_default()
    }

    fn nft(&self, args: &[&str], input: &str) -> bool {
        let mut tables = self.tables.borrow_mut();
        if let ["list", "table", family, _] = args {
            return tables.contains(*family);
        }
        for family in ["ip", "ip6"] {
            let names =
                |verb: &str| input.contains(&format!("{verb}table {family} {}", nft::TABLE));
            if names("delete ") {
                tables.remove(family);
            }
            if names("\n") {
                tables.insert(family.to_owned());
            }
        }
        true
    }
}

impl Run for Scripted {
    fn run(&self, program: &str, args: &[&str], input: &str) -> Result<String, Failed> {
        let command = [&[program], args].concat().join(" ");
        let failed = |said: &str, is_absent| Failed {
            command: command.clone(),
            said: said.into(),
            is_absent,
        };
        if self.absent.contains(&program) {
            return Err(failed("no such file", true));
        }
        self.told.borrow_mut().push(command.clone());
        match self.fails {
            Some((of, said)) if command.starts_with(of) => return Err(failed(said, false)),
            Some(_) | None => {}
        }
        let mut kernel = self.kernel.borrow_mut();
        match program.split_once('-') {
            Some((tool, "restore")) => {
                kernel.insert(tool.to_owned(), input.to_owned());
            }
            Some((tool, "save")) => return Ok(kernel.get(tool).cloned().unwrap_or_default()),
            Some(_) | None if program == "nft" && !self.nft(args, input) => {
                return Err(failed("No such file or directory", false));
            }
            Some(_) | None => {}
        }
        Ok(String::new())
    }
}

#[test]
fn rules_are_put_in_and_read_back() {
    let system = Scripted::new(&[]);
    let applied = apply(&Capture::default(), None, &system).unwrap();
    assert_eq!(
        applied,
        Applied {
            backend: Backend::Iptables,
            rules: 18
        }
    );
    let told = system.told.borrow();
    assert_eq!(
        told[..],
        [
            "iptables-save",
            "iptables-save",
            "iptables-restore --noflush",
            "iptables-save",
            // Nothing of an earlier time stands beside them.
            "nft list table ip outrigger_intercept",
            "nft list table ip6 outrigger_intercept",
            "ip6tables-save",
        ]
    );
}

#[test]
fn both_versions_of_ip_and_routes_where_they_are_asked_for() {
    let capture = Capture {
        ipv6: true,
        mode: Mode::Tproxy { mark: 7, table: 8 },
        ..Capture::default()
    };
    let system = Scripted {
        // The rule of an earlier time.
        fails: Some(("ip -4 rule add", "RTNETLINK answers: File exists")),
        ..Scripted::new(&["nft"])
    };
    apply(&capture, Some(Backend::Iptables), &system).unwrap();
    let told = system.told.borrow();
    let routed: Vec<_> = told.iter().filter(|line| line.starts_with("ip ")).collect();
    assert_eq!(
        routed,
        [
            "ip -4 rule add fwmark 7 lookup 8",
            "ip -4 route replace local 0.0.0.0/0 dev lo table 8",
            "ip -6 rule add fwmark 7 lookup 8",
            "ip -6 route replace local ::/0 dev lo table 8",
            "ip -6 addr replace ::6/128 dev lo",
        ]
    );
    assert!(told.contains(&"ip6tables-restore --noflush".to_owned()));
}

#[test]
fn without_iptables_it_is_nft_and_without_both_somebody_is_told_what_to_install() {
    let system = Scripted::new(&["iptables-save"]);
    let applied = apply(&Capture::default(), None, &system).unwrap();
    assert_eq!(applied.backend, Backend::Nft);
    let none = Scripted::new(&["iptables-save", "ip6tables-save", "nft"]);
    for outcome in [
        apply(&Capture::default(), None, &none).map(drop),
        clean(&Capture::default(), &none),
    ] {
        let said = outcome.unwrap_err().to_string();
        assert!(
            said.contains("neither iptables nor nft is installed"),
            "{said}"
        );
    }
}

#[test]
fn what_a_tool_says_is_passed_on_and_what_it_only_pretends_is_found() {
    let refuses = Scripted {
        fails: Some(("iptables-restore", "Permission denied (you must be root)")),
        ..Scripted::new(&[])
    };
    let said = apply(&Capture::default(), None, &refuses)
        .unwrap_err()
        .to_string();
    assert_eq!(
        said,
        "`iptables-restore --noflush`: Permission denied (you must be root)"
    );

    struct Forgets(Scripted);
    impl Run for Forgets {
        fn run(&self, program: &str, args: &[&str], input: &str) -> Result<String, Failed> {
            self.0.run(
                program,
                args,
                if program == "iptables-restore" {
                    ""
                } else {
                    input
                },
            )
        }
    }
    let said = apply(&Capture::default(), None, &Forgets(Scripted::new(&[])))
        .unwrap_err()
        .to_string();
    assert!(said.contains("without a word"), "{said}");
}

#[test]
fn what_is_printed_is_what_would_be_applied() {
    let system = Scripted::new(&[]);
    apply(&Capture::default(), None, &system).unwrap();
    let script = script(&Capture::default(), Backend::Iptables);
    assert_eq!(
        script,
        format!("# iptables-restore --noflush\n{}", system.rules())
    );
    let nft = super::script(
        &Capture {
            ipv6: true,
            ..Capture::default()
        },
        Backend::Nft,
    );
    assert_eq!(nft.matches("delete table").count(), 2);
    assert!(
        nft.ends_with("# ip -6 addr replace ::6/128 dev lo\n"),
        "{nft}"
    );
}

#[test]
fn what_was_put_in_before_otherwise_is_taken_out() {
    let both = Capture {
        ipv6: true,
        ..Capture::default()
    };
    let system = Scripted::new(&[]);
    let put_in = |capture: &Capture, backend| apply(capture, Some(backend), &system).unwrap();
    let has = || {
        let kernel = system.kernel.borrow();
        let rules = |tool: &str| kernel.get(tool).is_some_and(|text| text.contains("-A "));
        let tables = system.tables.borrow();
        [
            rules("iptables"),
            rules("ip6tables"),
            tables.contains("ip"),
            tables.contains("ip6"),
        ]
    };
    put_in(&both, Backend::Iptables);
    assert_eq!(has(), [true, true, false, false]);
    put_in(&both, Backend::Nft);
    assert_eq!(has(), [false, false, true, true]);
    put_in(&Capture::default(), Backend::Nft);
    assert_eq!(has(), [false, false, true, false]);
    put_in(&both, Backend::Iptables);
    put_in(&Capture::default(), Backend::Iptables);
    assert_eq!(has(), [true, false, false, false]);
}
