//! The environment: each long option of `run` is a variable too, and some have the names that Istio's containers are given.
//!
//! Owns the names. An option on the command line goes before its variable, `OUTRIGGER_` and the option in capitals, which goes
//! before Istio's name for it, and that before what
//! `PROXY_CONFIG` says.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::builder::{BoolishValueParser, Resettable};
use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::cli::Cli;
use crate::proxy_config::Said;

/// Options that Istio's containers are given by these names; others say so where they stand (`env`).
const ISTIO: &[(&str, &str)] = &[
    ("drain-time", "TERMINATION_DRAIN_DURATION_SECONDS"),
    ("namespace", "POD_NAMESPACE"),
    ("workers", "ISTIO_CPU_LIMIT"),
];

/// Values of an option that may be repeated stand on a line each.
const BETWEEN: char = '\n';

/// Variables that are no options.
const OTHERS: &[&str] = &[
    "CA_ADDR",
    "EXIT_ON_ZERO_ACTIVE_CONNECTIONS",
    "ISTIO_KUBE_APP_PROBERS",
    "ISTIO_PROMETHEUS_ANNOTATIONS",
    "OUTRIGGER_LOG",
];

/// All that can be said, options of `run` by the environment too: what is said there is asked for by name.
pub(crate) fn command(
    words: Command,
    said: impl Fn(&str) -> Option<OsString>,
    config: &Said,
) -> Command {
    words.mut_subcommand("run", |run| {
        run.mut_args(|arg| with_default(with_variable(arg, &said), config))
    })
}

/// All variables that `run` reads.
pub(crate) fn variables() -> BTreeSet<String> {
    let words = Cli::command();
    let run = words.find_subcommand("run");
    let args = run.into_iter().flat_map(Command::get_arguments);
    let names = args.flat_map(names_of);
    names
        .chain(OTHERS.iter().map(|name| (*name).to_owned()))
        .collect()
}

/// The variables of an option, ours first.
fn names_of(arg: &Arg) -> Vec<String> {
    let Some(long) = arg.get_long() else {
        return Vec::new();
    };
    let istio = ISTIO.iter().filter(|(option, _)| *option == long);
    let istio = istio.map(|(_, name)| (*name).to_owned());
    let told = arg.get_env().and_then(OsStr::to_str).map(str::to_owned);
    [variable(long)]
        .into_iter()
        .chain(istio)
        .chain(told)
        .collect()
}

/// What `PROXY_CONFIG` says is what counts where neither the command line nor a variable does.
fn with_default(arg: Arg, config: &Said) -> Arg {
    let Some(long) = arg.get_long() else {
        return arg;
    };
    // Who is at an address may be said where the address is not.
    if long == "xds-kind" && config.option("xds").is_some() {
        return arg.requires(Resettable::Reset);
    }
    let names = names_of(&arg);
    let of_metadata = || {
        let said = names.iter().filter_map(|name| config.variable(name));
        said.map(str::to_owned).find(|value| !value.is_empty())
    };
    let Some(value) = of_metadata().or_else(|| config.option(long)) else {
        return arg;
    };
    // There is one where it is needed.
    let arg = match long {
        "xds" => arg.required_unless_present(Resettable::Reset),
        _ => arg,
    };
    match matches!(arg.get_action(), ArgAction::Append) {
        true => arg.default_values(value.split(BETWEEN).map(str::to_owned).map(leaked)),
        false => arg.default_value(leaked(value)),
    }
}

/// For as long as the program lives.
fn leaked(text: String) -> &'static str {
    text.leak()
}

fn with_variable(arg: Arg, said: &impl Fn(&str) -> Option<OsString>) -> Arg {
    let Some(long) = arg.get_long() else {
        return arg;
    };
    let own = variable(long);
    let says = |name: &str| said(name).is_some_and(|value| !value.is_empty());
    let istio = ISTIO.iter().find(|(option, _)| *option == long);
    let told = arg.get_env().and_then(OsStr::to_str).map(str::to_owned);
    let istio = istio.map(|(_, name)| (*name).to_owned()).or(told);
    let name = match istio {
        Some(istio) if !says(&own) && says(&istio) => istio,
        Some(_) | None => own,
    };
    // It lives as long as the program.
    let name: &'static str = name.leak();
    let is_list = matches!(arg.get_action(), ArgAction::Append);
    let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let arg = match said(name).is_some_and(|value| value.is_empty()) {
        // It says nothing: so manifests have one that is not set.
        true => arg.env(None::<&str>),
        false => arg.env(name),
    };
    match (is_list, is_flag) {
        (true, _) => arg.value_delimiter(BETWEEN),
        (false, true) => arg.value_parser(BoolishValueParser::new()),
        (false, false) => arg,
    }
}

/// The variable of a long option.
fn variable(long: &str) -> String {
    format!("OUTRIGGER_{}", long.replace('-', "_").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::cli::{Cli, Command as Asked};

    #[test]
    fn each_long_option_of_run_has_a_variable() {
        let command = command(Cli::command(), |_| None, &Said::default());
        command.clone().debug_assert();
        let run = command.find_subcommand("run").unwrap();
        let mut seen = 0;
        for arg in run.get_arguments() {
            let Some(long) = arg
                .get_long()
                .filter(|long| !matches!(*long, "help" | "version"))
            else {
                continue;
            };
            let has = arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            assert_eq!(has, Some(variable(long)));
            seen += 1;
        }
        assert!(seen > 80, "{seen}");
        for (option, _) in ISTIO {
            assert!(
                run.get_arguments()
                    .any(|arg| arg.get_long() == Some(option)),
                "{option}"
            );
        }
    }

    #[test]
    fn istios_names_count_where_ours_say_nothing() {
        for (set, want) in [
            (&["POD_NAMESPACE"][..], "POD_NAMESPACE"),
            (
                &["POD_NAMESPACE", "OUTRIGGER_NAMESPACE"],
                "OUTRIGGER_NAMESPACE",
            ),
            (&[], "OUTRIGGER_NAMESPACE"),
        ] {
            let command = command(
                Cli::command(),
                |name| set.contains(&name).then(|| "x".into()),
                &Said::default(),
            );
            let run = command.find_subcommand("run").unwrap();
            let namespace = run
                .get_arguments()
                .find(|arg| arg.get_long() == Some("namespace"));
            assert_eq!(namespace.unwrap().get_env().unwrap(), want, "{set:?}");
        }
        let command = command(
            Cli::command(),
            |name| (name == "POD_NAME").then(|| "x".into()),
            &Said::default(),
        );
        let run = command.find_subcommand("run").unwrap();
        let name = run
            .get_arguments()
            .find(|arg| arg.get_long() == Some("workload-name"));
        assert_eq!(
            name.unwrap().get_env().unwrap(),
            "POD_NAME",
            "as it says where it stands"
        );
    }

    #[test]
    fn the_command_line_goes_on_meaning_the_same() {
        let words = [
            "outrigger",
            "run",
            "--config",
            "a,b",
            "c d",
            "--lenient",
            "--label",
            "k=a,b",
        ];
        let matches = command(Cli::command(), |_| None, &Said::default())
            .try_get_matches_from(words)
            .unwrap();
        let Asked::Run(args) = Cli::from_arg_matches(&matches).unwrap().command else {
            unreachable!("the words say `run`");
        };
        assert_eq!(args.config, ["a,b", "c d"].map(std::path::PathBuf::from));
        assert!(args.lenient);
        assert_eq!(args.labels[0].value, "a,b");
    }

    /// What `run` is told, with this in its environment.
    fn run_with(config: &str, words: &[&str]) -> Result<crate::cli::RunArgs, clap::Error> {
        let config = Said::read(config).unwrap();
        let words = ["outrigger", "run"].iter().chain(words);
        let command = command(Cli::command(), |_| None, &config);
        let matches = command.try_get_matches_from(words)?;
        match Cli::from_arg_matches(&matches)?.command {
            Asked::Run(args) => Ok(*args),
            other => unreachable!("the words say `run`: {other:?}"),
        }
    }

    #[test]
    fn a_proxy_config_counts_where_nobody_else_says_anything() {
        let config = "concurrency: 3\nterminationDrainDuration: 7s\ndrainDuration: 2s\ninterceptionMode: TPROXY\n\
                      discoveryAddress: istiod:15012\nproxyMetadata: {POD_NAMESPACE: shop, OUTRIGGER_LENIENT: \"true\", \
                      OUTRIGGER_LABEL: \"a=b\\nc=d\", ISTIO_CPU_LIMIT: \"\"}\n";
        let args = run_with(config, &[]).unwrap();
        assert_eq!(args.workers.map(std::num::NonZeroUsize::get), Some(3));
        assert_eq!(args.drain_time.as_secs(), 7);
        assert_eq!(args.listener_drain_time.map(|time| time.as_secs()), Some(2));
        assert_eq!(args.interception, crate::intercept::ModeArg::Tproxy);
        assert_eq!(args.xds.xds.as_deref(), Some("istiod:15012"));
        assert_eq!((&*args.namespace, args.lenient), ("shop", true));
        let labels: Vec<_> = args
            .labels
            .iter()
            .map(|label| (&*label.key, &*label.value))
            .collect();
        assert_eq!(labels, [("a", "b"), ("c", "d")]);
        let words = [
            "--workers",
            "1",
            "--drain-time",
            "9",
            "--xds",
            "http://127.0.0.1:1",
            "--namespace",
            "own",
            "--interception",
            "none",
            "--label",
            "x=y",
        ];
        let args = run_with(config, &words).unwrap();
        assert_eq!(args.workers.map(std::num::NonZeroUsize::get), Some(1));
        assert_eq!(args.drain_time.as_secs(), 9);
        assert_eq!(args.xds.xds.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!((&*args.namespace, args.labels.len()), ("own", 1));
        let args = run_with(config, &["--xds-kind", "istiod"]).unwrap();
        assert_eq!(args.xds.xds_kind, crate::xds_args::XdsKind::Istiod);
        // Files go before a control plane that only it names.
        let args = run_with(config, &["--config", "rules"]).unwrap();
        assert_eq!(args.config, [std::path::PathBuf::from("rules")]);
        for nothing in ["", "{}", "concurrency: 0"] {
            assert_eq!(
                run_with(nothing, &["--config", "rules"]).unwrap().workers,
                None
            );
            assert!(
                run_with(nothing, &[]).is_err(),
                "somebody has to say where it comes from"
            );
        }
        assert!(run_with("terminationDrainDuration: 7s", &[]).is_err());
    }

    #[test]
    fn variables_are_those_that_are_read() {
        let all = variables();
        for name in [
            "OUTRIGGER_WORKERS",
            "ISTIO_CPU_LIMIT",
            "POD_NAME",
            "OUTRIGGER_WORKLOAD_NAME",
            "CA_ADDR",
        ] {
            assert!(all.contains(name), "{name}");
        }
        assert!(!all.contains("OUTRIGGER_NOTHING"));
    }
}
