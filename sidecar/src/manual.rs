//! What the program says of itself: completions for shells, its manual, its version.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use crate::options::Format;

const COMPLETION_EXAMPLES: &str = "\
Examples:
  outrigger completion bash > /usr/share/bash-completion/completions/outrigger
  outrigger completion zsh > \"${fpath[1]}/_outrigger\"
  outrigger completion fish > ~/.config/fish/completions/outrigger.fish";

/// What `outrigger completion` takes.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = COMPLETION_EXAMPLES)]
pub(crate) struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

const MAN_EXAMPLES: &str = "\
Examples:
  outrigger man > /usr/share/man/man1/outrigger.1
  outrigger man run > /usr/share/man/man1/outrigger-run.1
  outrigger man run | man -l -";

/// What `outrigger man` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct ManArgs {
    /// The command that the page is about, and one of its own; all of them in short without it
    #[arg(value_name = "COMMAND")]
    of: Vec<String>,
}

/// What `outrigger version` takes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct VersionArgs {
    /// For people, or one document for machines: version, commit (null where the build did not know), features, target
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Writes a script by which a shell completes what is typed.
pub(crate) fn completion(args: CompletionArgs, mut command: Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "outrigger", &mut script);
    print(&script)
}

/// Writes a page of the manual.
pub(crate) fn man(args: &ManArgs, mut command: Command) -> ExitCode {
    command.build();
    let mut about = &command;
    for name in &args.of {
        let Some(found) = about.find_subcommand(name) else {
            eprintln!("error: there is no command `{name}`; `outrigger help` names all");
            return ExitCode::from(2);
        };
        about = found;
    }
    let name = ["outrigger"]
        .into_iter()
        .chain(args.of.iter().map(String::as_str));
    let name = name.collect::<Vec<_>>().join("-");
    let mut page = Vec::new();
    match Man::new(about.clone()).title(name).render(&mut page) {
        Ok(()) => print(&page),
        Err(error) => failed(&error),
    }
}

/// Says what was built.
pub(crate) fn version(args: VersionArgs) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    // Of the build's environment, or what its script found (`build/main.rs`).
    let commit = option_env!("OUTRIGGER_COMMIT").filter(|commit| !commit.is_empty());
    let features: &[&str] = if cfg!(feature = "glommio") {
        &["glommio"]
    } else {
        &[]
    };
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let text = match args.format {
        Format::Json => {
            let told = json!({"version": version, "commit": commit, "features": features, "target": target});
            format!("{told:#}\n")
        }
        Format::Text => format!(
            "outrigger {version}\ncommit {}\nfeatures {}\ntarget {target}\n",
            commit.unwrap_or("unknown"),
            if features.is_empty() {
                "none".to_owned()
            } else {
                features.join(" ")
            },
        ),
    };
    print(text.as_bytes())
}

fn print(text: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // Who reads has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(&error),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn failed(error: &io::Error) -> ExitCode {
    eprintln!("error: cannot write: {error}");
    ExitCode::FAILURE
}
