//! Addresses, and names looked up off the hub.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::task::unblock;

/// What can name one or more socket addresses, as [`std::net::ToSocketAddrs`].
///
/// Implemented for the same types. std's own cannot be used: it asks the name server on the caller's thread.
pub trait ToSocketAddrs {
    /// The addresses, in the order in which they are to be tried.
    ///
    /// # Errors
    ///
    /// If the text is no address, or the name is not known.
    #[kapok_macros::switchpoint_runtime(
        wakes = "the resolver's answer",
        cancel = "the look-up runs on, unseen"
    )]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>>;
}

/// Looks a name up, off the hub, unless it is an address already.
///
/// # Errors
///
/// Those of the system's resolver (`getaddrinfo`).
///
/// # Examples
///
/// ```
/// let addresses = kapok::net::resolve("localhost", 80)?;
/// assert!(addresses.iter().all(|address| address.ip().is_loopback()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[switchpoint(
    wakes = "the resolver's answer",
    cancel = "the look-up runs on, unseen"
)]
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let host = host.to_owned();
    #[expect(clippy::disallowed_methods, reason = "on a pool thread")]
    unblock(move || {
        std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)).map(Iterator::collect)
    })?
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
        resolve(self.0, self.1)
    }
}

impl ToSocketAddrs for (String, u16) {
    #[switchpoint]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        resolve(&self.0, self.1)
    }
}

impl ToSocketAddrs for str {
    #[switchpoint]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
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
        resolve(host, port)
    }
}

impl ToSocketAddrs for String {
    #[switchpoint]
    fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_socket_addrs()
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
    Err(last.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the name has no addresses")
    }))
}
