//! The environment: each long option of `run` is a variable too, and some have the names that Istio's containers are given.
//!
//! Owns the names. An option on the command line goes before its variable, `OUTRIGGER_` and the option in capitals, which goes
//! before Istio's name for it.

use std::ffi::{OsStr, OsString};

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};

/// Options that Istio's containers are given by these names; others say so where they stand (`env`).
const ISTIO: &[(&str, &str)] = &[
    ("drain-time", "TERMINATION_DRAIN_DURATION_SECONDS"),
    ("namespace", "POD_NAMESPACE"),
    ("workers", "ISTIO_CPU_LIMIT"),
];

/// Values of an option that may be repeated stand on a line each.
const BETWEEN: char = '\n';

/// All that can be said, options of `run` by the environment too: what is said there is asked for by name.
pub(crate) fn command(words: Command, said: impl Fn(&str) -> Option<OsString>) -> Command {
    words.mut_subcommand("run", |run| run.mut_args(|arg| with_variable(arg, &said)))
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
        let command = command(Cli::command(), |_| None);
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
            let command = command(Cli::command(), |name| {
                set.contains(&name).then(|| "x".into())
            });
            let run = command.find_subcommand("run").unwrap();
            let namespace = run
                .get_arguments()
                .find(|arg| arg.get_long() == Some("namespace"));
            assert_eq!(namespace.unwrap().get_env().unwrap(), want, "{set:?}");
        }
        let command = command(Cli::command(), |name| {
            (name == "POD_NAME").then(|| "x".into())
        });
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
        let matches = command(Cli::command(), |_| None)
            .try_get_matches_from(words)
            .unwrap();
        let Asked::Run(args) = Cli::from_arg_matches(&matches).unwrap().command else {
            unreachable!("the words say `run`");
        };
        assert_eq!(args.config, ["a,b", "c d"].map(std::path::PathBuf::from));
        assert!(args.lenient);
        assert_eq!(args.labels[0].value, "a,b");
    }
}
