//! The command `ca`: a throw-away authority, to try mutual TLS with.
//!
//! Owns what is said on the way. What is made, and how it is put into files, is in `outrigger_identity::authority`.

mod args;

pub(crate) use args::{CaAction, CaArgs};

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

use outrigger_identity::authority::{Folder, FolderFault};

/// What was asked for cannot be done.
const BAD: u8 = 1;

/// A renewal that failed is tried again after this part of a lifetime, at least a second.
const TRY_AGAIN: u32 = 20;

/// Runs the command and says how it went.
pub(crate) fn ca(args: &CaArgs) -> ExitCode {
    match act(&args.action) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            anstream::eprintln!("error: {fault}");
            ExitCode::from(BAD)
        }
    }
}

fn act(action: &CaAction) -> Result<(), FolderFault> {
    let now = SystemTime::now();
    match action {
        CaAction::Init {
            folder,
            trust_domain,
            lifetime,
        } => {
            Folder::init(folder, trust_domain, now, *lifetime)?;
            let folder = folder.display();
            anstream::println!(
                "made an authority of `{trust_domain}` in {folder}; its key is in {folder}/ca-key.pem"
            );
        }
        CaAction::Rotate {
            folder,
            lifetime,
            retire,
        } => {
            let mut authority = Folder::open(folder)?;
            if *retire {
                authority.retire()?;
                anstream::println!("the newest root alone is to be trusted from now on");
            } else {
                authority.rotate(now, *lifetime)?;
                anstream::println!(
                    "made another root; workloads are to trust the old one as well until `--retire`"
                );
            }
        }
        CaAction::Issue {
            folder,
            namespace,
            service_account,
            out,
            lifetime,
            watch,
        } => {
            let whom = (&**namespace, &**service_account);
            issue(folder, whom, out, *lifetime)?;
            if *watch {
                renew(folder, whom, out, *lifetime);
            }
        }
    }
    Ok(())
}

fn issue(
    folder: &Path,
    whom: (&str, &str),
    out: &Path,
    lifetime: Duration,
) -> Result<(), FolderFault> {
    // Opened each time: the root may have been changed meanwhile.
    let authority = Folder::open(folder)?;
    authority.issue(whom, out, SystemTime::now(), lifetime)?;
    let (namespace, account) = whom;
    let domain = authority.authority().trust_domain();
    let (out, seconds) = (out.display(), lifetime.as_secs());
    anstream::println!(
        "issued spiffe://{domain}/ns/{namespace}/sa/{account} to {out}, good for {seconds} s"
    );
    Ok(())
}

/// Renews whenever half of the life is over, until somebody ends the program. What fails is tried again.
fn renew(folder: &Path, whom: (&str, &str), out: &Path, lifetime: Duration) -> ! {
    let mut wait = lifetime / 2;
    loop {
        thread::sleep(wait);
        wait = match issue(folder, whom, out, lifetime) {
            Ok(()) => lifetime / 2,
            Err(fault) => {
                anstream::eprintln!("error: {fault}; trying again");
                (lifetime / TRY_AGAIN).max(Duration::from_secs(1))
            }
        };
    }
}
