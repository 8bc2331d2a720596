//! TCP connections.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;
use socket2::SockRef;

use super::address::ToSocketAddrs;
use super::connect;
use super::keepalive::Keepalive;
use crate::fiber::slot::Wait;
use crate::hub::current;
use crate::hub::registration::Registered;
use crate::io::{Direction, Timed, at_once, checked, conversions, timeouts};

/// Seconds for which a socket can linger.
const LINGER_MAX: u64 = i32::MAX as u64;

/// A TCP connection, with the methods of [`std::net::TcpStream`].
///
/// Reading and writing go through `&TcpStream` too, so one fiber may read while another writes. The stream may move to another
/// thread; it is not `Sync`, so to use it from two threads give each a [`try_clone`](Self::try_clone).
///
/// # Examples
///
/// ```
/// use kapok::net::{TcpListener, TcpStream};
/// use std::io::{Read, Write};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let server = kapok::spawn(move || -> std::io::Result<()> {
///     let (mut stream, _) = listener.accept()?;
///     stream.write_all(b"hello")
/// });
/// let mut text = String::new();
/// TcpStream::connect(address)?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// server.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    socket: Timed<std::net::TcpStream>,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers. Names are looked up off the hub, for 30 s at most.
    ///
    /// If there are several addresses the families are tried in turn. The next attempt begins when one has failed, or 250 ms after
    /// the one before; at most 16 are under way. All but the first that connects are closed.
    ///
    /// # Errors
    ///
    /// As [`std::net::TcpStream::connect`]: that of the last attempt that failed.
    ///
    /// # Source
    ///
    /// RFC 8305, Happy Eyeballs.
    #[switchpoint(wakes = "connected or refused", cancel = "the attempts are dropped")]
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        connect::connect(&address.to_socket_addrs()?, None)
    }

    /// Connects as [`connect`](Self::connect) does, or gives up after `timeout`, which counts for the look-up of the name and all
    /// attempts together.
    ///
    /// # Errors
    ///
    /// As [`std::net::TcpStream::connect_timeout`]: `TimedOut` after the time, `InvalidInput` for a zero timeout.
    #[switchpoint(
        wakes = "connected, refused, or the timeout",
        cancel = "the attempts are dropped"
    )]
    pub fn connect_timeout(address: impl ToSocketAddrs, timeout: Duration) -> io::Result<Self> {
        checked(Some(timeout))?;
        // A time that no clock reaches is none.
        let deadline = Instant::now().checked_add(timeout);
        let addresses = address.to_socket_addrs_timeout(timeout)?;
        connect::connect(&addresses, deadline)
    }

    /// A stream of a socket that is non-blocking already.
    pub(super) fn of(socket: std::net::TcpStream) -> Self {
        Self {
            socket: Timed::new(socket),
        }
    }

    pub(crate) fn registered(&self) -> &Registered<std::net::TcpStream> {
        self.socket.registered()
    }

    /// Takes a connection of std's, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it non-blocking.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
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
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        let stream = self.socket.into_inner(std::net::TcpStream::try_clone)?;
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

    /// Ends the connection for all its handles as [`close`](Self::close) does, but with a reset: what the peer has not taken yet is
    /// thrown away. It is sent at once, on other systems than Linux when the last handle is dropped.
    pub fn abort(&self) {
        // First, so that no handle takes what follows for a reset of the peer's.
        self.socket.close();
        // Both fail only if the peer was faster; then there is nothing to throw away.
        let _ = self.options().set_linger(Some(Duration::ZERO));
        #[cfg(target_os = "linux")]
        let _ = rustix::net::connect_unspec(self.socket.io());
    }

    timeouts!(socket);

    pub(super) fn limit_read(&self, timeout: Option<Duration>) {
        self.socket.set_timeout(Direction::Read, timeout);
    }

    pub(super) fn limit_write(&self, timeout: Option<Duration>) {
        self.socket.set_timeout(Direction::Write, timeout);
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). Default is the system's: no.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.io().set_nodelay(nodelay)
    }

    /// The value of `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.io().nodelay()
    }

    /// Whether the system probes the peer of a silent connection, and how. Default is the system's: no.
    ///
    /// # Errors
    ///
    /// Those of the system; it refuses times of less than a second, among others.
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        match keepalive {
            Some(keepalive) => keepalive.set(self.options()),
            None => self.options().set_keepalive(false),
        }
    }

    /// How the system probes the peer of a silent connection; none if it does not.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn keepalive(&self) -> io::Result<Option<Keepalive>> {
        Keepalive::of(self.options())
    }

    /// What becomes of bytes that are still to be sent when the last handle is dropped (`SO_LINGER`). Default is none: the system
    /// sends them by and by.
    ///
    /// With a time of zero they are thrown away and the peer sees a reset, as by [`abort`](Self::abort). **With another time the
    /// drop blocks the thread, and all its fibers,** until they are acknowledged or the time has passed, in seconds, rounded up: the
    /// system waits in `close`, of non-blocking sockets too. Rather [`shutdown`](Self::shutdown) and read to the end.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        // Neither a part of a second nor a very long time becomes zero.
        let whole_seconds = |time: Duration| {
            let part = u64::from(time.subsec_nanos() > 0);
            Duration::from_secs(time.as_secs().saturating_add(part).min(LINGER_MAX))
        };
        self.options().set_linger(linger.map(whole_seconds))
    }

    /// The value of `SO_LINGER`.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.options().linger()
    }

    /// Sets the time to live of packets sent.
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

    /// Every other option of the socket, through `socket2`.
    ///
    /// The socket must stay non-blocking.
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
        self.socket
            .operate(Direction::Read, Wait::Read, |socket| socket.peek(buffer))
    }
}

impl Read for &TcpStream {
    #[switchpoint(
        wakes = "bytes, the end of the stream, `close`, or the timeout",
        cancel = "nothing was taken"
    )]
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let taken = self
            .socket
            .operate(Direction::Read, Wait::Read, |mut socket| {
                socket.read(buffer)
            })?;
        self.socket.note_read(buffer.len(), taken);
        Ok(taken)
    }

    #[switchpoint]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (buffers, asked) = at_once(buffers);
        if asked == 0 {
            return Ok(0);
        }
        let taken = self
            .socket
            .operate(Direction::Read, Wait::Read, |mut socket| {
                socket.read_vectored(buffers)
            })?;
        self.socket.note_read(asked, taken);
        Ok(taken)
    }
}

impl Write for &TcpStream {
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

impl Read for TcpStream {
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

impl Write for TcpStream {
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

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.io().as_raw_fd()
    }
}

conversions!(TcpStream, std::net::TcpStream;);

impl fmt::Debug for TcpStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TcpStream")
            .field("socket", self.socket.io())
            .finish_non_exhaustive()
    }
}
