//! Connections within a machine.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;
use socket2::{Domain, SockRef, Socket, Type};

use super::credentials::{UCred, peer_cred};
use super::{address, ancillary};
use crate::fiber::slot::Wait;
use crate::hub::current;
use crate::hub::registration::Registered;
use crate::io::{Direction, Timed, at_once, conversions, timeouts};
use crate::net::Connection;

/// A connection within the machine, with the methods of [`std::os::unix::net::UnixStream`].
///
/// Reading and writing go through `&UnixStream` too, so one fiber may read while another writes. The stream may move to another
/// thread; it is not `Sync`, so to use it from two threads give each a [`try_clone`](Self::try_clone).
///
/// # Examples
///
/// ```
/// use kapok::net::UnixStream;
/// use std::io::{Read, Write};
///
/// let (mut one, mut other) = UnixStream::pair()?;
/// let writer = kapok::spawn(move || one.write_all(b"hello"));
/// let mut text = String::new();
/// other.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// writer.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream {
    socket: Timed<std::os::unix::net::UnixStream>,
}

impl UnixStream {
    pub(crate) fn registered(&self) -> &Registered<std::os::unix::net::UnixStream> {
        self.socket.registered()
    }

    /// Connects to the listener at a path.
    ///
    /// While the listener's queue is full it is tried again every 1 to 64 ms, as no event tells of room.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixStream::connect`].
    #[switchpoint(wakes = "connected or refused", cancel = "the connection is dropped")]
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to the listener at an address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixStream::connect_addr`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use kapok::net::unix::SocketAddr;
    /// use kapok::net::{UnixListener, UnixStream};
    /// use std::os::linux::net::SocketAddrExt;
    ///
    /// let address = SocketAddr::from_abstract_name(format!("kapok-example-{}", std::process::id()))?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let client = UnixStream::connect_addr(&address)?;
    /// let (server, _) = listener.accept()?;
    /// assert_eq!(server.local_addr()?.as_abstract_name(), address.as_abstract_name());
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[switchpoint(wakes = "connected or refused", cancel = "the connection is dropped")]
    pub fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        let address = address::to_socket2(address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let unconnected = Timed::new(std::os::unix::net::UnixStream::from(OwnedFd::from(socket)));
        unconnected.operate_or_retry(Direction::Write, Wait::Connect, |socket| {
            SockRef::from(socket).connect(&address)
        })?;
        // Anew, since what a hub knows of a socket that is not connected does not hold for one that is.
        let connected = unconnected.into_inner(std::os::unix::net::UnixStream::try_clone)?;
        Ok(Self::of(connected))
    }

    /// Two ends of a new connection.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixStream::pair`].
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = std::os::unix::net::UnixStream::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// A stream of a socket that is non-blocking already.
    pub(super) fn of(socket: std::os::unix::net::UnixStream) -> Self {
        Self {
            socket: Timed::new(socket),
        }
    }

    /// Takes a connection of std's, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it non-blocking.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::of(stream))
    }

    /// Gives the connection back to std, blocking as std's are. If clones share it, the result is a duplicate.
    ///
    /// A clone that is left becomes unusable in fibers: the two share the mode.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it blocking or to duplicate it.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        let stream = (self.socket).into_inner(std::os::unix::net::UnixStream::try_clone)?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// Another handle of the same connection. It shares the descriptor, so this costs no system call; timeouts are its own.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.share(),
        })
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// If the socket is not connected any more.
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

    /// The user, group and process that made the other end: for `pair` this one, for an accepted stream the one that connected,
    /// for a connected stream the one that listens.
    ///
    /// # Errors
    ///
    /// Those of the system; `Unsupported` on others than Linux.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        peer_cred(self.as_fd())
    }

    /// Shuts one or both directions down; the peer sees the end of the stream.
    ///
    /// # Errors
    ///
    /// If the socket is not connected any more.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.io().shutdown(how)
    }

    /// Ends the connection for all its handles: both directions are shut down, and whoever waits to read or write wakes with
    /// an error. The descriptor is closed when the last handle is dropped.
    pub fn close(&self) {
        self.socket.close();
        // Fails only if the peer was faster.
        let _ = self.shutdown(Shutdown::Both);
    }

    timeouts!(socket);

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

    /// Reads without taking: the next read returns the same bytes.
    ///
    /// # Errors
    ///
    /// As [`Read::read`] of the stream.
    #[switchpoint(
        wakes = "bytes, the end of the stream, `close`, or the timeout",
        cancel = "nothing was taken"
    )]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.operate(Direction::Read, Wait::Read, |socket| {
            let (length, _) =
                rustix::net::recv(socket, &mut *buffer, rustix::net::RecvFlags::PEEK)?;
            Ok(length)
        })
    }

    /// Writes bytes and sends descriptors with the first of them. Returns how many bytes were written.
    ///
    /// The peer gets descriptors of its own for the same files; these here stay open. If not all bytes were written, the
    /// descriptors are on their way all the same: the rest of the bytes goes by [`Write::write`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` for descriptors without a byte to go with, or for more than 253 of them; otherwise as [`Write::write`] of
    /// the stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use kapok::net::UnixStream;
    /// use std::io::{Read, Write};
    /// use std::os::fd::AsFd;
    ///
    /// let (one, other) = UnixStream::pair()?;
    /// let (mut reader, writer) = std::io::pipe()?;
    /// one.send_with_fds(b"a pipe", &[writer.as_fd()])?;
    ///
    /// let mut buffer = [0; 64];
    /// let (length, mut descriptors) = other.recv_with_fds(&mut buffer, 1)?;
    /// assert_eq!(&buffer[..length], b"a pipe");
    /// let mut passed = std::io::PipeWriter::from(descriptors.remove(0));
    /// passed.write_all(b"through it")?;
    /// drop((passed, writer));
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "through it");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[switchpoint(
        wakes = "room in the system's buffer, `close`, or the timeout",
        cancel = "nothing was written or sent"
    )]
    pub fn send_with_fds(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        ancillary::check_send(bytes, fds)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let written = self
            .socket
            .operate(Direction::Write, Wait::Write, |socket| {
                ancillary::send(socket, bytes, fds)
            })?;
        current::hub().spend_bytes(written);
        Ok(written)
    }

    /// Reads bytes, with the descriptors that were sent with the first of them. They are closed on exec.
    ///
    /// One call takes the descriptors of one [`send_with_fds`](Self::send_with_fds) at most. A plain read throws descriptors away.
    /// No bytes mean the end of the stream, as with [`Read::read`].
    ///
    /// # Errors
    ///
    /// `InvalidData` if there were more descriptors than `fds_max` (253 is the most that can come) or than this process may
    /// open: all of them are closed and the bytes that came with them are lost, so the connection is of no use any more.
    /// Otherwise as [`Read::read`] of the stream.
    #[switchpoint(
        wakes = "bytes, the end of the stream, `close`, or the timeout",
        cancel = "nothing was taken"
    )]
    pub fn recv_with_fds(
        &self,
        buffer: &mut [u8],
        fds_max: usize,
    ) -> io::Result<(usize, Vec<OwnedFd>)> {
        if buffer.is_empty() {
            return Ok((0, Vec::new()));
        }
        let received = self.socket.operate(Direction::Read, Wait::Read, |socket| {
            ancillary::receive(socket, buffer, fds_max)
        })?;
        current::hub().spend_bytes(received.0);
        Ok(received)
    }

    #[inline(always)]
    fn read_some(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (buffers, asked) = at_once(buffers);
        if asked == 0 {
            return Ok(0);
        }
        let (taken, stopped) = self.socket.operate(Direction::Read, Wait::Read, |socket| {
            ancillary::receive_bytes(socket, buffers)
        })?;
        if stopped {
            current::hub().spend_bytes(taken);
        } else {
            self.socket.note_read(asked, taken);
        }
        Ok(taken)
    }
}

impl Read for &UnixStream {
    #[switchpoint(
        wakes = "bytes, the end of the stream, `close`, or the timeout",
        cancel = "nothing was taken"
    )]
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(&mut [IoSliceMut::new(buffer)])
    }

    #[switchpoint]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.read_some(buffers)
    }
}

impl Write for &UnixStream {
    #[switchpoint(
        wakes = "room in the system's buffer, `close`, or the timeout",
        cancel = "nothing was written"
    )]
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let written = self
            .socket
            .operate(Direction::Write, Wait::Write, |mut socket| {
                socket.write(bytes)
            })?;
        current::hub().spend_bytes(written);
        Ok(written)
    }

    #[switchpoint]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        let written = self
            .socket
            .operate(Direction::Write, Wait::Write, |mut socket| {
                socket.write_vectored(buffers)
            })?;
        current::hub().spend_bytes(written);
        Ok(written)
    }

    /// Does nothing: the stream has no buffer of its own.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for UnixStream {
    #[switchpoint(
        wakes = "bytes, the end of the stream, `close`, or the timeout",
        cancel = "nothing was taken"
    )]
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    #[switchpoint]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for UnixStream {
    #[switchpoint(
        wakes = "room in the system's buffer, `close`, or the timeout",
        cancel = "nothing was written"
    )]
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    #[switchpoint]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    /// Does nothing: the stream has no buffer of its own.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Connection for UnixStream {
    fn shared(&self) -> impl Read + Write + '_ {
        self
    }

    fn limit_read(&self, timeout: Option<Duration>) {
        self.socket.set_timeout(Direction::Read, timeout);
    }

    fn limit_write(&self, timeout: Option<Duration>) {
        self.socket.set_timeout(Direction::Write, timeout);
    }

    fn set_read_deadline(&self, deadline: Option<Instant>) {
        self.set_read_deadline(deadline);
    }

    fn set_write_deadline(&self, deadline: Option<Instant>) {
        self.set_write_deadline(deadline);
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }

    fn close(&self) {
        self.close();
    }

    /// As `close`: a unix socket has no reset, and keeps what the peer has not taken until the peer closes.
    fn abort(&self) {
        self.close();
    }

    /// None: a unix socket has no address of this kind.
    fn peer(&self) -> Option<std::net::SocketAddr> {
        None
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl AsRawFd for UnixStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.io().as_raw_fd()
    }
}

conversions!(UnixStream, std::os::unix::net::UnixStream;);

impl fmt::Debug for UnixStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UnixStream")
            .field("socket", self.socket.io())
            .finish_non_exhaustive()
    }
}
