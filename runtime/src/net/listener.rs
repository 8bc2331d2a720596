//! Accepting TCP connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use kapok_macros::switchpoint_runtime as switchpoint;
use socket2::SockRef;

use super::accept::{Acceptor, is_end};
use super::address::{ToSocketAddrs, each_address};
use super::options::{Sharing, listening_socket};
use super::stream::TcpStream;
use crate::hub::registration::Registered;
use crate::io::conversions;

/// A socket that accepts TCP connections, with the methods of [`std::net::TcpListener`].
///
/// See [`TcpStream`] for an example.
pub struct TcpListener {
    socket: Acceptor<std::net::TcpListener>,
}

impl TcpListener {
    pub(crate) fn registered(&self) -> &Registered<std::net::TcpListener> {
        self.socket.registered()
    }

    /// Listens on the first of the addresses that is free. Port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// As [`std::net::TcpListener::bind`].
    #[switchpoint(
        wakes = "the resolver's answer, if the address is a name",
        cancel = "nothing is left behind"
    )]
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        each_address(address, |address| {
            listening_socket(address, Sharing::Alone).map(Self::of)
        })
    }

    /// Listens `count` times on one address, for as many hubs: the kernel spreads connections over the listeners
    /// (`SO_REUSEPORT`).
    ///
    /// The address is tried alone first, so that an address in use is an error as it is with [`Self::bind`]; without that a
    /// second program would silently get half of the connections. With port 0 the first listener chooses for all.
    ///
    /// # Errors
    ///
    /// As [`Self::bind`]; and `InvalidInput` for a `count` of zero.
    #[switchpoint(
        wakes = "the resolver's answer, if the address is a name",
        cancel = "nothing is left behind"
    )]
    pub fn bind_shared(address: impl ToSocketAddrs, count: usize) -> io::Result<Vec<Self>> {
        if count == 0 {
            let reason = "no listeners were asked for: `count` is zero";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        each_address(address, |address| {
            drop(listening_socket(address, Sharing::Alone)?);
            let first = listening_socket(address, Sharing::WithOthers)?;
            let address = first.local_addr()?;
            let mut listeners = vec![Self::of(first)];
            while listeners.len() < count {
                listeners.push(Self::of(listening_socket(address, Sharing::WithOthers)?));
            }
            Ok(listeners)
        })
    }

    fn of(socket: std::net::TcpListener) -> Self {
        Self {
            socket: Acceptor::new(socket),
        }
    }

    /// Takes a listener of std's, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it non-blocking.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::of(listener))
    }

    /// Gives the listener back to std, blocking as std's are. If clones share it, the result is a duplicate.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it blocking or to duplicate it.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        let listener = self.socket.into_inner(std::net::TcpListener::try_clone)?;
        listener.set_nonblocking(false)?;
        Ok(listener)
    }

    /// Another handle of the same listener.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.share(),
        })
    }

    /// Waits for a connection.
    ///
    /// When the system has no descriptor or memory for one more (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`) it says so on
    /// standard error, at most every 10 s, and tries again every 100 ms: connections wait in the system's queue meanwhile. A
    /// connection that its peer gave up before it was accepted is passed over.
    ///
    /// # Errors
    ///
    /// `NotConnected` after [`Self::close`], `ConnectionAborted` when the hub is stopping, and what the system says if the
    /// socket is broken.
    #[switchpoint(
        wakes = "a connection, `close`, or the hub's stop",
        cancel = "no connection was taken"
    )]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let name = |listener: &std::net::TcpListener| Ok(listener.local_addr()?.to_string());
        let (stream, peer) = self.socket.accept(accept_nonblocking, name)?;
        Ok((TcpStream::of(stream), peer))
    }

    /// Connections, one after the other, until the listener is closed or the hub stops.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Ends the listening for all handles: whoever waits in [`Self::accept`] wakes with an error. The descriptor is closed
    /// when the last handle is dropped.
    pub fn close(&self) {
        self.socket.close();
        // The system refuses connections from now on; not every system can, and whoever waits is awake all the same.
        let _ = self.options().shutdown(std::net::Shutdown::Both);
    }

    /// Whether [`Self::accept`] would fail at once: it was closed, or the hub is stopping.
    pub(super) fn has_ended(&self) -> bool {
        self.socket.has_ended()
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }

    /// Sets the time to live of packets sent by connections that it accepts from now on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.io().set_ttl(ttl)
    }

    /// The time to live of packets sent.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.io().ttl()
    }

    /// Takes the error that the system has noted for the socket.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.io().take_error()
    }

    /// Every other option of the socket, through `socket2`. The socket must stay non-blocking.
    #[must_use]
    pub fn options(&self) -> SockRef<'_> {
        SockRef::from(self.socket.io())
    }
}

/// One system call for a connection that is non-blocking and closed on exec.
#[cfg(target_os = "linux")]
fn accept_nonblocking(
    listener: &std::net::TcpListener,
) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let (descriptor, peer) =
        acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let peer = peer.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let peer = SocketAddr::try_from(peer).map_err(|_| io::ErrorKind::AddrNotAvailable)?;
    Ok((descriptor.into(), peer))
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "the listener is non-blocking")]
fn accept_nonblocking(
    listener: &std::net::TcpListener,
) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((stream, peer))
}

/// The connections of a listener, made by [`TcpListener::incoming`]. Ends when the listener is
/// closed or the hub stops.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    #[switchpoint]
    fn next(&mut self) -> Option<Self::Item> {
        match self.listener.accept() {
            Ok((stream, _)) => Some(Ok(stream)),
            // A loop that passes over errors would never end.
            Err(error) if is_end(&error) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.io().as_raw_fd()
    }
}

conversions!(TcpListener, std::net::TcpListener;);

impl fmt::Debug for TcpListener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TcpListener")
            .field("socket", self.socket.io())
            .finish_non_exhaustive()
    }
}
