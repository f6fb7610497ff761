//! Putting rules into the kernel and taking them out: idempotent, and read back before it is said to be done.

use std::fmt::Write as _;

use crate::capture::{Capture, Family, Mode};
use crate::rules::rules;
use crate::tools::{Failed, Run};
use crate::{iptables, nft};

/// By which tool the kernel is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `iptables-restore` and `ip6tables-restore`.
    Iptables,
    /// `nft`.
    Nft,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// By which tool.
    pub backend: Backend,
    /// How many rules there are now.
    pub rules: usize,
}

/// The tools of iptables for a version of IP: the one that saves, the one that restores.
const fn tools(family: Family) -> (&'static str, &'static str) {
    match family {
        Family::V4 => ("iptables-save", "iptables-restore"),
        Family::V6 => ("ip6tables-save", "ip6tables-restore"),
    }
}

/// Puts the rules in, in place of those that were there before; without a wish by iptables where it is there, else by nft.
///
/// # Errors
/// What could not be done, by whom, and what it said. Tables that were changed before stay changed.
pub fn apply(
    capture: &Capture,
    wish: Option<Backend>,
    system: &impl Run,
) -> Result<Applied, Failed> {
    let backend = match wish {
        Some(backend) => backend,
        None => find(system)?,
    };
    let mut count = 0;
    for family in capture.families() {
        let rules = rules(capture, family);
        match backend {
            Backend::Iptables => {
                let (save, restore) = tools(family);
                let text = iptables::replace(&rules, &system.run(save, &[], "")?);
                system.run(restore, &["--noflush"], &text)?;
                let saved = system.run(save, &[], "")?;
                if let Some(missing) = iptables::missing(&rules, &saved) {
                    return Err(lost(restore, &iptables::line(missing)));
                }
            }
            Backend::Nft => {
                system.run("nft", &["-f", "-"], &nft::replace(&rules, family))?;
                system.run("nft", &["list", "table", nft::word(family), nft::TABLE], "")?;
            }
        }
        count += rules.len();
    }
    take_over(capture, backend, system)?;
    route(capture, system)?;
    Ok(Applied {
        backend,
        rules: count,
    })
}

/// What was put in before by the other tool, or for a version of IP that is not captured now, would go on beside the rules. A tool
/// that cannot say what is there has put nothing in.
fn take_over(capture: &Capture, backend: Backend, system: &impl Run) -> Result<(), Failed> {
    for family in [Family::V4, Family::V6] {
        let is_captured = family == Family::V4 || capture.ipv6;
        if backend != Backend::Nft || !is_captured {
            let list = ["list", "table", nft::word(family), nft::TABLE];
            if system.run("nft", &list, "").is_ok() {
                system.run("nft", &["-f", "-"], &nft::remove(family))?;
            }
        }
        if backend != Backend::Iptables || !is_captured {
            let (save, _) = tools(family);
            if let Ok(saved) = system.run(save, &[], "") {
                remove_by_iptables(family, &saved, system)?;
            }
        }
    }
    Ok(())
}

/// Takes out what was saved of ours.
fn remove_by_iptables(family: Family, saved: &str, system: &impl Run) -> Result<(), Failed> {
    let text = iptables::replace(&[], saved);
    if !text.is_empty() {
        let (_, restore) = tools(family);
        system.run(restore, &["--noflush"], &text)?;
    }
    Ok(())
}

fn lost(command: &str, rule: &str) -> Failed {
    Failed {
        command: command.into(),
        said: format!(
            "took `{rule}` without a word, and it is not there: does another program change rules now?"
        ),
        is_absent: false,
    }
}

/// Which tool there is.
fn find(system: &impl Run) -> Result<Backend, Failed> {
    match system.run("iptables-save", &[], "") {
        Ok(_) => Ok(Backend::Iptables),
        Err(failed) if failed.is_absent => match system.run("nft", &["list", "tables"], "") {
            Ok(_) => Ok(Backend::Nft),
            Err(nft) if nft.is_absent => Err(Failed {
                said: "neither iptables nor nft is installed here: `apt-get install iptables`"
                    .into(),
                ..failed
            }),
            Err(nft) => Err(nft),
        },
        Err(failed) => Err(failed),
    }
}

/// What rules need besides: under TPROXY the route of what is marked, and the address from which the sidecar connects over IPv6.
fn route(capture: &Capture, system: &impl Run) -> Result<(), Failed> {
    for command in routes(capture) {
        let args: Vec<_> = command.split(' ').skip(1).collect();
        match system.run("ip", &args, "") {
            Ok(_) => {}
            Err(failed) if failed.said.contains("File exists") => {}
            Err(failed) => return Err(failed),
        }
    }
    Ok(())
}

/// The commands for that.
fn routes(capture: &Capture) -> Vec<String> {
    let mut commands = Vec::new();
    for family in capture.families() {
        let (option, default) = match family {
            Family::V4 => ("-4", "0.0.0.0/0"),
            Family::V6 => ("-6", "::/0"),
        };
        if let Mode::Tproxy { mark, table } = capture.mode {
            commands.push(format!("ip {option} rule add fwmark {mark} lookup {table}"));
            commands.push(format!(
                "ip {option} route replace local {default} dev lo table {table}"
            ));
        }
        if family == Family::V6 {
            commands.push("ip -6 addr replace ::6/128 dev lo".into());
        }
    }
    commands
}

/// Takes everything out that [`apply`] puts in, by whatever tool and for both versions of IP. How much was there does not
/// matter.
///
/// # Errors
/// What could not be done, by whom, and what it said.
pub fn clean(capture: &Capture, system: &impl Run) -> Result<(), Failed> {
    let mut found = false;
    for family in [Family::V4, Family::V6] {
        let (save, _) = tools(family);
        match system.run(save, &[], "") {
            Ok(saved) => {
                found = true;
                remove_by_iptables(family, &saved, system)?;
            }
            Err(failed) if failed.is_absent || family == Family::V6 => {}
            Err(failed) => return Err(failed),
        }
        match system.run("nft", &["-f", "-"], &nft::remove(family)) {
            Ok(_) => found = true,
            Err(failed) if failed.is_absent || family == Family::V6 => {}
            Err(failed) => return Err(failed),
        }
    }
    if !found {
        find(system)?;
    }
    for command in routes(capture) {
        let undo = command
            .replace(" add ", " del ")
            .replace(" replace ", " del ");
        let args: Vec<_> = undo.split(' ').skip(1).collect();
        // It may not be there.
        let _ = system.run("ip", &args, "");
    }
    Ok(())
}

/// What [`apply`] would tell the tool, to be read or run by others. Nothing is looked at, so it does not take away what is there.
#[must_use]
pub fn script(capture: &Capture, backend: Backend) -> String {
    let mut text = String::new();
    for family in capture.families() {
        let rules = rules(capture, family);
        // Writing to a string cannot fail.
        let _ = match backend {
            Backend::Iptables => {
                let (_, restore) = tools(family);
                let rules = iptables::replace(&rules, "");
                write!(text, "# {restore} --noflush\n{rules}")
            }
            Backend::Nft => write!(text, "# nft -f -\n{}", nft::replace(&rules, family)),
        };
    }
    for command in routes(capture) {
        let _ = writeln!(text, "# {command}");
    }
    text
}

#[cfg(test)]
mod tests;
