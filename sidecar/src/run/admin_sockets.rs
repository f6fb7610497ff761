//! Where the admin endpoints listen, and where some of what they answer is asked for by others: bound here, or taken over from the process before.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

use super::admin::Others;
use super::takeover::Takeover;
use super::{Failure, admin};
use crate::admin_args::{AdminAddr, AdminArgs};

/// Listens where the admin endpoints are to answer, and where others ask.
pub(super) struct AdminSockets {
    pub(super) listener: admin::Listener,
    /// With its real port.
    pub(super) admin: AdminAddr,
    /// Each with its real port.
    pub(super) others: Vec<(Others, admin::Listener, SocketAddr)>,
}

/// Binds them, or takes them over, and has them handed on.
///
/// # Errors
/// One cannot be had.
pub(super) fn bind(args: &AdminArgs, takeover: &mut Takeover) -> Result<AdminSockets, Failure> {
    let cannot = |addr: &dyn Display, option: &str, error: &io::Error| {
        Failure::bad(format!("cannot listen on {addr} ({option}): {error}"))
    };
    let bound = match takeover.take_admin(&args.admin) {
        Some(listener) => Ok((listener, args.admin.clone())),
        None => admin::bind(&args.admin),
    };
    let kept = bound.and_then(|(listener, addr)| {
        takeover.keep_admin(&listener, &addr)?;
        Ok((listener, addr))
    });
    let (listener, admin) = kept.map_err(|error| cannot(&args.admin, "--admin", &error))?;
    let asked = [
        (Others::Health, args.health),
        (Others::Agent, args.agent),
        (Others::Prometheus, args.prometheus),
    ];
    let mut others = Vec::new();
    for (who, addr) in asked {
        let Some(addr) = addr else { continue };
        let bound = match takeover.take_others(addr) {
            Some(listener) => Ok((listener, addr)),
            None => admin::bind_tcp(addr),
        };
        let kept = bound.and_then(|(listener, addr)| {
            takeover.keep_others(&listener, addr)?;
            Ok((who, listener, addr))
        });
        others.push(kept.map_err(|error| cannot(&addr, who.option(), &error))?);
    }
    Ok(AdminSockets {
        listener,
        admin,
        others,
    })
}
