//! Datagrams within a machine.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use kapok_macros::switchpoint_runtime as switchpoint;
use socket2::SockRef;

use super::ancillary;
use crate::fiber::slot::Wait;
use crate::hub::current;
use crate::hub::registration::Registered;
use crate::io::{Direction, Timed, conversions, timeouts};

/// A socket for datagrams within the machine, with the methods of [`std::os::unix::net::UnixDatagram`].
///
/// None is lost and their order is kept: who sends waits until the receiver has room. The socket may move to another thread; it
/// is not `Sync`, so to use it from two threads give each a [`try_clone`](Self::try_clone).
///
/// # Examples
///
/// ```
/// use kapok::net::UnixDatagram;
///
/// let (one, other) = UnixDatagram::pair()?;
/// let receiver = kapok::spawn(move || -> std::io::Result<Vec<u8>> {
///     let mut buffer = vec![0; 64];
///     let length = other.recv(&mut buffer)?;
///     buffer.truncate(length);
///     Ok(buffer)
/// });
/// one.send(b"hello")?;
/// assert_eq!(receiver.join().unwrap()?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram {
    socket: Timed<std::os::unix::net::UnixDatagram>,
}

impl UnixDatagram {
    pub(crate) fn registered(&self) -> &Registered<std::os::unix::net::UnixDatagram> {
        self.socket.registered()
    }

    /// A socket at a path, where nothing may be yet.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::bind`].
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_std(std::os::unix::net::UnixDatagram::bind(path)?)
    }

    /// A socket at an address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::bind_addr`].
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::from_std(std::os::unix::net::UnixDatagram::bind_addr(address)?)
    }

    /// A socket without an address.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::unbound`].
    pub fn unbound() -> io::Result<Self> {
        Self::from_std(std::os::unix::net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are each other's peers.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::pair`].
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = std::os::unix::net::UnixDatagram::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// Takes a socket of std's, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it non-blocking.
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Timed::new(socket),
        })
    }

    /// Gives the socket back to std, blocking as std's are. If clones share it, the result is a duplicate.
    ///
    /// A clone that is left becomes unusable in fibers: the two share the mode.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it blocking or to duplicate it.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        let socket = (self.socket).into_inner(std::os::unix::net::UnixDatagram::try_clone)?;
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    /// Another handle of the same socket. It shares the descriptor, so this costs no system call; timeouts are its own.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.share(),
        })
    }

    /// Sets the peer for [`send`](Self::send) and [`recv`](Self::recv). Does not wait.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::connect`].
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.socket.io().connect(path)
    }

    /// [`connect`](Self::connect) to an address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::connect_addr`].
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.socket.io().connect_addr(address)
    }

    /// Sends a datagram to the peer and returns its length.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::send`]; `NotConnected` after [`Self::close`]; `TimedOut`.
    #[switchpoint(
        wakes = "room at the receiver's, `close`, or the timeout",
        cancel = "nothing was sent"
    )]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self
            .socket
            .operate(Direction::Write, Wait::Write, |socket| socket.send(bytes))?;
        current::hub().spend_bytes(sent);
        Ok(sent)
    }

    /// Sends a datagram to the socket at a path and returns its length.
    ///
    /// While that socket's queue is full it is tried again every 1 to 64 ms, as no event tells of room; [`send`](Self::send) to
    /// a connected peer has one.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::send_to`]; `NotConnected` after [`Self::close`]; `TimedOut`.
    #[switchpoint(
        wakes = "room at the receiver's, `close`, or the timeout",
        cancel = "nothing was sent"
    )]
    pub fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_addr(bytes, &SocketAddr::from_pathname(path)?)
    }

    /// [`send_to`](Self::send_to) an address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`Self::send_to`].
    #[switchpoint(
        wakes = "room at the receiver's, `close`, or the timeout",
        cancel = "nothing was sent"
    )]
    pub fn send_to_addr(&self, bytes: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let sent = self
            .socket
            .operate_or_retry(Direction::Write, Wait::Write, |socket| {
                socket.send_to_addr(bytes, address)
            })?;
        current::hub().spend_bytes(sent);
        Ok(sent)
    }

    /// Waits for a datagram and returns its length. What the buffer has no room for is lost.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixDatagram::recv`]; `NotConnected` after [`Self::close`]; `TimedOut`.
    #[switchpoint(
        wakes = "a datagram, `close`, or the timeout",
        cancel = "no datagram was taken"
    )]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self
            .socket
            .operate(Direction::Read, Wait::Read, |socket| socket.recv(buffer))?;
        current::hub().spend_bytes(taken);
        Ok(taken)
    }

    /// Waits for a datagram and returns its length and sender. What the buffer has no room for is lost.
    ///
    /// # Errors
    ///
    /// As [`Self::recv`].
    #[switchpoint(
        wakes = "a datagram, `close`, or the timeout",
        cancel = "no datagram was taken"
    )]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let taken = self.socket.operate(Direction::Read, Wait::Read, |socket| {
            socket.recv_from(buffer)
        })?;
        current::hub().spend_bytes(taken.0);
        Ok(taken)
    }

    /// [`recv`](Self::recv) without taking: the next call returns the same datagram.
    ///
    /// # Errors
    ///
    /// As [`Self::recv`].
    #[switchpoint(
        wakes = "a datagram, `close`, or the timeout",
        cancel = "no datagram was taken"
    )]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.operate(Direction::Read, Wait::Read, |socket| {
            let (length, _) =
                rustix::net::recv(socket, &mut *buffer, rustix::net::RecvFlags::PEEK)?;
            Ok(length)
        })
    }

    /// Sends a datagram with descriptors to the peer and returns its length. The peer gets descriptors of its own for the same
    /// files; these here stay open.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for descriptors without a byte to go with, or for more than 253 of them; otherwise as [`Self::send`].
    #[switchpoint(
        wakes = "room at the receiver's, `close`, or the timeout",
        cancel = "nothing was sent"
    )]
    pub fn send_with_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        ancillary::check_send(bytes, fds)?;
        let sent = self
            .socket
            .operate(Direction::Write, Wait::Write, |socket| {
                ancillary::send(socket, bytes, fds)
            })?;
        current::hub().spend_bytes(sent);
        Ok(sent)
    }

    /// Waits for a datagram and returns its length and the descriptors that came with it, which are closed on exec.
    ///
    /// # Errors
    ///
    /// `InvalidData` if there were more descriptors than `fds_max` (253 is the most that can come) or than this process may
    /// open: all of them are closed and the datagram is lost. Otherwise as [`Self::recv`].
    #[switchpoint(
        wakes = "a datagram, `close`, or the timeout",
        cancel = "no datagram was taken"
    )]
    pub fn recv_with_fds(
        &self,
        buffer: &mut [u8],
        fds_max: usize,
    ) -> io::Result<(usize, Vec<OwnedFd>)> {
        let received = self.socket.operate(Direction::Read, Wait::Read, |socket| {
            ancillary::receive(socket, buffer, fds_max)
        })?;
        current::hub().spend_bytes(received.0);
        Ok(received)
    }

    /// Shuts one or both directions down.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.io().shutdown(how)
    }

    /// Ends the socket for all its handles: whoever waits to send or receive wakes with an error. The descriptor is closed when
    /// the last handle is dropped.
    pub fn close(&self) {
        self.socket.close();
        // Fails if the socket has no peer; whoever waits is awake all the same.
        let _ = self.shutdown(Shutdown::Both);
    }

    timeouts!(socket);

    /// The address of the peer given to [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().peer_addr()
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
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

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl AsRawFd for UnixDatagram {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.io().as_raw_fd()
    }
}

conversions!(UnixDatagram, std::os::unix::net::UnixDatagram;);

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UnixDatagram")
            .field("socket", self.socket.io())
            .finish_non_exhaustive()
    }
}
