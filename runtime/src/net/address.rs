//! Addresses, and names looked up off the hub.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::resolver::RESOLVER;

/// What can name one or more socket addresses, as [`std::net::ToSocketAddrs`].
///
/// Implemented for the same types. std's own cannot be used: it asks the name server on the caller's thread.
pub trait ToSocketAddrs {
    /// The addresses, in the order in which they are to be tried.
    ///
    /// # Errors
    ///
    /// If the text is no address, or the name is not known.
    #[switchpoint(
        wakes = "the resolver's answer",
        cancel = "the look-up runs on, unseen"
    )]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>>;

    /// The same, by a look-up that takes no longer than `timeout`. Default is to take no notice of it, which is right for what needs
    /// no look-up.
    ///
    /// # Errors
    ///
    /// As [`Self::to_socket_addrs`]; `TimedOut`.
    #[switchpoint(
        wakes = "the resolver's answer, or the timeout",
        cancel = "the look-up runs on, unseen"
    )]
    fn to_socket_addrs_timeout(&self, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
        let _ = timeout;
        self.to_socket_addrs()
    }
}

/// How long a look-up may take if nobody says.
const LOOKUP_TIME: Duration = Duration::from_secs(30);

/// Looks a name up, off the hub, unless it is an address already; for 30 s at most. [`resolve_timeout`] has the rest.
///
/// # Errors
///
/// Those of the system's resolver (`getaddrinfo`); `TimedOut`.
///
/// # Examples
///
/// ```
/// let addresses = kapok::net::resolve("localhost", 80)?;
/// assert!(addresses.iter().all(|address| address.ip().is_loopback()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[switchpoint(
    wakes = "the resolver's answer, or the time",
    cancel = "the look-up runs on, unseen"
)]
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    resolve_timeout(host, port, LOOKUP_TIME)
}

/// Looks a name up, off the hub, unless it is an address already; for `timeout` at most.
///
/// At most 32 look-ups are under way in the process, so that a name server that does not answer leaves the most part of
/// [`unblock`](crate::unblock())'s pool to others; further ones wait in line, and that counts too. A look-up that took too long
/// runs on unseen, as the system gives no way to end it. On a thread of the pool it runs right there, without a limit.
///
/// # Errors
///
/// Those of the system's resolver (`getaddrinfo`); `TimedOut`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let addresses = kapok::net::resolve_timeout("127.0.0.1", 80, Duration::from_secs(5))?;
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[switchpoint(
    wakes = "the resolver's answer, or the timeout",
    cancel = "the look-up runs on, unseen"
)]
pub fn resolve_timeout(host: &str, port: u16, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    RESOLVER.resolve(host, port, timeout)
}

macro_rules! addresses_that_need_no_resolver {
    ($($address:ty),+) => {
        $(impl ToSocketAddrs for $address {
            fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(vec![SocketAddr::from(*self)])
            }
        })+
    };
}

addresses_that_need_no_resolver!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddrs for (&str, u16) {
    #[switchpoint]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.to_socket_addrs_timeout(LOOKUP_TIME)
    }

    #[switchpoint]
    fn to_socket_addrs_timeout(&self, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
        resolve_timeout(self.0, self.1, timeout)
    }
}

impl ToSocketAddrs for (String, u16) {
    #[switchpoint]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.to_socket_addrs_timeout(LOOKUP_TIME)
    }

    #[switchpoint]
    fn to_socket_addrs_timeout(&self, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
        resolve_timeout(&self.0, self.1, timeout)
    }
}

impl ToSocketAddrs for str {
    #[switchpoint]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.to_socket_addrs_timeout(LOOKUP_TIME)
    }

    #[switchpoint]
    fn to_socket_addrs_timeout(&self, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address]);
        }
        let wrong = |what| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{what} in address {self:?}, HOST:PORT is wanted"),
            )
        };
        let (host, port) = self.rsplit_once(':').ok_or_else(|| wrong("no port"))?;
        let port = port.parse().map_err(|_| wrong("no valid port"))?;
        resolve_timeout(host, port, timeout)
    }
}

impl ToSocketAddrs for String {
    #[switchpoint]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_socket_addrs()
    }

    #[switchpoint]
    fn to_socket_addrs_timeout(&self, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_socket_addrs_timeout(timeout)
    }
}

impl ToSocketAddrs for [SocketAddr] {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).to_socket_addrs()
    }

    fn to_socket_addrs_timeout(&self, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
        (**self).to_socket_addrs_timeout(timeout)
    }
}

/// Tries each address in turn and keeps the last error.
pub(super) fn each_address<T>(
    address: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in address.to_socket_addrs()? {
        match attempt(address) {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_addresses))
}

#[cold]
pub(super) fn no_addresses() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the name has no addresses")
}
