//! Probes that find out whether a silent peer is still there.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// When the system probes a TCP connection on which nothing is sent, and when it gives the peer up. What is not set stays as it
/// is, by default as the system has it.
///
/// # Examples
///
/// ```
/// use kapok::net::{Keepalive, TcpListener, TcpStream};
/// use std::time::Duration;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// // A peer that vanishes is noticed after 60 + 3 * 10 seconds.
/// let probes = Keepalive::new()
///     .time(Duration::from_secs(60))
///     .interval(Duration::from_secs(10))
///     .retries(3);
/// stream.set_keepalive(Some(probes))?;
/// assert_eq!(stream.keepalive()?, Some(probes));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "it does nothing until it is given to `TcpStream::set_keepalive`"]
pub struct Keepalive {
    time: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl Keepalive {
    /// With nothing set.
    pub const fn new() -> Self {
        Self {
            time: None,
            interval: None,
            retries: None,
        }
    }

    /// How long a connection is silent before the first probe, in whole seconds. Default is the system's: on Linux two hours.
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// The time between two probes, in whole seconds. Default is the system's: on Linux 75 s.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Probes without an answer before the connection is given up. Default is the system's: on Linux 9.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    pub(super) fn set(self, socket: SockRef<'_>) -> io::Result<()> {
        let mut probes = TcpKeepalive::new();
        if let Some(time) = self.time {
            probes = probes.with_time(time);
        }
        if let Some(interval) = self.interval {
            probes = probes.with_interval(interval);
        }
        if let Some(retries) = self.retries {
            probes = probes.with_retries(retries);
        }
        socket.set_tcp_keepalive(&probes)
    }

    pub(super) fn of(socket: SockRef<'_>) -> io::Result<Option<Self>> {
        if !socket.keepalive()? {
            return Ok(None);
        }
        Ok(Some(Self {
            time: Some(socket.tcp_keepalive_time()?),
            interval: Some(socket.tcp_keepalive_interval()?),
            retries: Some(socket.tcp_keepalive_retries()?),
        }))
    }
}
