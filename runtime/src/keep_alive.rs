//! The system's probes on a socket: `SO_KEEPALIVE` and what belongs to it.

use std::io;
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::time::Duration;

use outrigger_core::snapshot::Keepalive;
use socket2::{SockRef, TcpKeepalive};

/// Has the system ask on a TCP socket whether the other side is still there. What is not said stays as the system has it.
///
/// # Errors
/// The system refuses.
pub fn keep_alive(socket: &impl AsFd, how: Keepalive) -> io::Result<()> {
    let seconds = |count: NonZeroU16| Duration::from_secs(count.get().into());
    let mut params = TcpKeepalive::new();
    if let Some(time) = how.time {
        params = params.with_time(seconds(time));
    }
    if let Some(interval) = how.interval {
        params = params.with_interval(seconds(interval));
    }
    if let Some(probes) = how.probes {
        params = params.with_retries(probes.get().into());
    }
    SockRef::from(socket).set_tcp_keepalive(&params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::net::TcpStream;

    #[test]
    fn the_system_has_what_is_said_and_its_own_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let untouched = connect();
        let own = SockRef::from(&untouched);
        assert!(!own.keepalive().unwrap());
        for (probes, time, interval) in [
            (None, None, None),
            (Some(5), None, Some(7)),
            (Some(127), Some(32_767), Some(32_767)),
        ] {
            let stream = connect();
            let of = |said: Option<u16>| said.and_then(NonZeroU16::new);
            let how = Keepalive {
                probes: of(probes),
                time: of(time),
                interval: of(interval),
            };
            keep_alive(&stream, how).unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap());
            let seconds = |said: Option<u16>, else_: Duration| {
                said.map_or(else_, |said| Duration::from_secs(said.into()))
            };
            let (time_else, interval_else) =
                (own.tcp_keepalive_time(), own.tcp_keepalive_interval());
            assert_eq!(
                socket.tcp_keepalive_time().unwrap(),
                seconds(time, time_else.unwrap())
            );
            assert_eq!(
                socket.tcp_keepalive_interval().unwrap(),
                seconds(interval, interval_else.unwrap())
            );
            assert_eq!(
                socket.tcp_keepalive_retries().unwrap(),
                probes.map_or_else(|| own.tcp_keepalive_retries().unwrap(), u32::from)
            );
        }
    }
}
