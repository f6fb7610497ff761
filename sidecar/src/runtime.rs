//! Which runtime moves the bytes: what was asked for, held against what this build and this machine have.
//!
//! Owns the choice and its words, for `run` and `demo` alike. What stands in glommio's way is found out by its package,
//! before anything of it is built and before any listener opens.

use std::sync::Arc;

use outrigger_runtime::{Config, Running, StartError, start};
use outrigger_tls::{Identities, protect};

use crate::options::Runtime;

/// Starts workers, whose connections are protected by what these identities prove where the configuration says so. A client's first
/// words of TLS have so many bytes at most.
pub(crate) type Start = fn(Config, Arc<Identities>, usize) -> Result<Running, StartError>;

/// A runtime that works here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picked {
    /// As the command line spells it.
    pub(crate) name: &'static str,
    /// Its way to start.
    pub(crate) start: Start,
}

/// Why the runtime that was asked for cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is not in this program.
    #[cfg_attr(
        all(not(test), target_os = "linux", feature = "glommio"),
        expect(dead_code, reason = "a program with glommio has all there is")
    )]
    Build(&'static str),
    /// This machine does not let us use it: cause and remedy.
    #[cfg_attr(
        not(any(test, all(target_os = "linux", feature = "glommio"))),
        expect(dead_code, reason = "a program without glommio asks no machine for it")
    )]
    Machine(String),
}

const TOKIO: Picked = Picked {
    name: "tokio",
    start: |config, identities, longest_hello| {
        let launch = outrigger_tokio::launch();
        start(protect(launch, identities, longest_hello), config)
    },
};

/// Picks a runtime. Where `auto` settles for less, it tells so in a line.
///
/// # Errors
/// glommio is asked for by name and cannot be had.
pub(crate) fn pick(asked: Runtime, tell: impl FnOnce(String)) -> Result<Picked, Missing> {
    let (picked, told) = choose(asked, glommio)?;
    if let Some(told) = told {
        tell(told);
    }
    Ok(picked)
}

/// The choice, with what a person should be told.
fn choose(
    asked: Runtime,
    glommio: impl FnOnce() -> Result<Picked, Missing>,
) -> Result<(Picked, Option<String>), Missing> {
    match asked {
        Runtime::Tokio => Ok((TOKIO, None)),
        Runtime::Glommio => glommio().map(|picked| (picked, None)),
        Runtime::Auto => Ok(match glommio() {
            Ok(picked) => (picked, None),
            Err(missing) => {
                let told = format!("`--runtime auto` takes tokio: {}", missing.cause());
                (TOKIO, Some(told))
            }
        }),
    }
}

#[cfg(all(target_os = "linux", feature = "glommio"))]
fn glommio() -> Result<Picked, Missing> {
    match outrigger_glommio::probe() {
        Ok(()) => Ok(Picked {
            name: "glommio",
            start: |config, identities, longest_hello| {
                let launch = outrigger_glommio::launch(config.workers);
                start(protect(launch, identities, longest_hello), config)
            },
        }),
        Err(unavailable) => Err(Missing::Machine(unavailable.to_string())),
    }
}

#[cfg(not(all(target_os = "linux", feature = "glommio")))]
fn glommio() -> Result<Picked, Missing> {
    Err(Missing::Build(if cfg!(target_os = "linux") {
        "this program was built without the feature `glommio`"
    } else {
        "glommio is io_uring, which only Linux has"
    }))
}

impl Missing {
    fn cause(&self) -> &str {
        match self {
            Self::Build(cause) => cause,
            Self::Machine(cause) => cause,
        }
    }

    /// Whose matter it is: 2 for the command line, 1 for the system.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Build(_) => 2,
            Self::Machine(_) => 1,
        }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Build(cause) => write!(f, "`--runtime glommio`: {cause}; use `--runtime tokio`"),
            Self::Machine(cause) => write!(
                f,
                "`--runtime glommio`: {cause}; or use `--runtime tokio`, or `--runtime auto` to take what works"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_held_against_what_there_is() {
        const GLOMMIO: Picked = Picked {
            name: "glommio",
            ..TOKIO
        };
        let build = || Missing::Build("not in here");
        let machine = || Missing::Machine("the sysctl forbids it. Ask the administrator".into());
        // What is asked for, what stands in glommio's way, what is taken, and what is said.
        let cases = [
            (Runtime::Tokio, None, Ok("tokio"), ""),
            (Runtime::Glommio, None, Ok("glommio"), ""),
            (Runtime::Auto, None, Ok("glommio"), ""),
            (
                Runtime::Auto,
                Some(machine()),
                Ok("tokio"),
                "`--runtime auto` takes tokio: the sysctl forbids it. Ask the administrator",
            ),
            (
                Runtime::Auto,
                Some(build()),
                Ok("tokio"),
                "`--runtime auto` takes tokio: not in here",
            ),
            (
                Runtime::Glommio,
                Some(machine()),
                Err(1),
                "`--runtime glommio`: the sysctl forbids it. Ask the administrator; or use `--runtime tokio`, or \
                 `--runtime auto` to take what works",
            ),
            (
                Runtime::Glommio,
                Some(build()),
                Err(2),
                "`--runtime glommio`: not in here; use `--runtime tokio`",
            ),
        ];
        for (asked, missing, taken, said) in cases {
            let chosen = choose(asked, || missing.clone().map_or(Ok(GLOMMIO), Err));
            let (got, told) = match chosen {
                Ok((picked, told)) => (Ok(picked.name), told.unwrap_or_default()),
                Err(missing) => (Err(missing.exit_code()), missing.to_string()),
            };
            assert_eq!((got, &*told), (taken, said), "{asked:?} {missing:?}");
        }
    }

    #[test]
    fn tokio_asks_nothing_of_the_machine() {
        let chosen = choose(Runtime::Tokio, || panic!("glommio was looked for"));
        assert!(chosen.is_ok());
    }
}
