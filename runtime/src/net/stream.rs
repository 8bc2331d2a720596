//! TCP connections.

use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;
use socket2::SockRef;

use super::address::{ToSocketAddrs, each_address};
use super::options::tcp_socket;
use crate::fiber::slot::{NEVER, Wait};
use crate::hub::Hub;
use crate::hub::current;
use crate::hub::registration::{Registered, closed};
use crate::hub::sources::Direction;

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
    socket: Registered<std::net::TcpStream>,
    read_limit: Cell<Limit>,
    write_limit: Cell<Limit>,
}

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
struct Limit {
    /// In nanoseconds, or [`NEVER`].
    timeout: u64,
    deadline: Option<Instant>,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            timeout: NEVER,
            deadline: None,
        }
    }
}

impl Limit {
    /// In the hub's nanoseconds, for a wait that begins now.
    #[inline(always)]
    fn end(self, hub: &Hub) -> u64 {
        let end = match self.timeout {
            NEVER => NEVER,
            timeout => hub.clock.rough_deadline_after(timeout),
        };
        match self.deadline {
            None => end,
            Some(deadline) => end.min(hub.clock.nanoseconds(deadline)),
        }
    }

    fn timeout(self) -> Option<Duration> {
        (self.timeout != NEVER).then(|| Duration::from_nanos(self.timeout))
    }
}

impl TcpStream {
    /// Connects to the first of the addresses that answers. Names are looked up off the hub.
    ///
    /// # Errors
    ///
    /// As [`std::net::TcpStream::connect`].
    #[switchpoint(wakes = "connected or refused", cancel = "the connection is dropped")]
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        each_address(address, |address| Self::connect_until(address, |_| NEVER))
    }

    /// Connects, or gives up after `timeout`.
    ///
    /// # Errors
    ///
    /// As [`std::net::TcpStream::connect_timeout`]: `TimedOut` after the time, `InvalidInput` for a zero timeout.
    #[switchpoint(
        wakes = "connected, refused, or the timeout",
        cancel = "the connection is dropped"
    )]
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        let timeout = checked(Some(timeout))?.unwrap_or(timeout);
        Self::connect_until(*address, |hub| hub.clock.deadline_after(timeout))
    }

    fn connect_until(address: SocketAddr, deadline: impl FnOnce(&Hub) -> u64) -> io::Result<Self> {
        let socket = tcp_socket(address)?;
        match socket.connect(&address.into()) {
            Ok(()) => return Ok(Self::of(socket.into())),
            Err(error) if is_in_progress(&error) => {}
            Err(error) => return Err(error),
        }
        let stream = Self::of(socket.into());
        let hub = current::hub();
        stream
            .socket
            .wait(hub, Direction::Write, Wait::Connect, deadline(hub))?;
        match stream.socket.io().take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// A stream of a socket that is non-blocking already.
    pub(super) fn of(socket: std::net::TcpStream) -> Self {
        Self {
            socket: Registered::new(socket),
            read_limit: Cell::default(),
            write_limit: Cell::default(),
        }
    }

    pub(crate) fn socket(&self) -> &Registered<std::net::TcpStream> {
        &self.socket
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
        let stream = match self.socket.into_inner() {
            Ok(stream) => stream,
            Err(shared) => shared.io().try_clone()?,
        };
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
            read_limit: self.read_limit.clone(),
            write_limit: self.write_limit.clone(),
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
        // Both fail only if the peer was faster; then there is nothing to throw away.
        let _ = self.options().set_linger(Some(Duration::ZERO));
        #[cfg(target_os = "linux")]
        let _ = rustix::net::connect_unspec(self.socket.io());
        self.socket.close();
    }

    /// How long a read may wait. Default is for ever. Ten seconds and more may last up to a 64th longer: their end is then
    /// cheaper to find than by reading the precise clock.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a zero timeout, as std.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.limit_read(checked(timeout)?);
        Ok(())
    }

    /// How long a write may wait. Default is for ever. Long ones are as rough as those of
    /// [`set_read_timeout`](Self::set_read_timeout).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a zero timeout, as std.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.limit_write(checked(timeout)?);
        Ok(())
    }

    pub(super) fn limit_read(&self, timeout: Option<Duration>) {
        self.read_limit.set(Limit {
            timeout: nanoseconds(timeout),
            ..self.read_limit.get()
        });
    }

    pub(super) fn limit_write(&self, timeout: Option<Duration>) {
        self.write_limit.set(Limit {
            timeout: nanoseconds(timeout),
            ..self.write_limit.get()
        });
    }

    /// The timeout set by [`Self::set_read_timeout`].
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.read_limit.get().timeout())
    }

    /// The timeout set by [`Self::set_write_timeout`].
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.write_limit.get().timeout())
    }

    /// When reads must be done, however many they are: after it they return `TimedOut` instead of waiting. Default is never.
    pub fn set_read_deadline(&self, deadline: Option<Instant>) {
        self.read_limit.set(Limit {
            deadline,
            ..self.read_limit.get()
        });
    }

    /// When writes must be done, however many they are. Default is never.
    pub fn set_write_deadline(&self, deadline: Option<Instant>) {
        self.write_limit.set(Limit {
            deadline,
            ..self.write_limit.get()
        });
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
        self.operate(Direction::Read, Wait::Read, |socket| socket.peek(buffer))
    }

    /// Tries the operation, waits while it would block, and tries again.
    #[inline(always)]
    fn operate<T>(
        &self,
        direction: Direction,
        wait: Wait,
        mut operation: impl FnMut(&std::net::TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        let hub = current::hub();
        // Before the operation: nothing may run between it and what the caller notes of it.
        hub.spend_budget(current::running_fiber());
        loop {
            // A registered descriptor that is not ready need not be asked.
            let source = self.socket.source(hub);
            if source.is_none_or(|source| source.is_ready(direction)) || self.socket.is_closed() {
                match operation(self.socket.io()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if let Some(source) = source {
                            source.clear_ready(direction);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(_) | Err(_) if self.socket.is_closed() => return Err(closed()),
                    result => return result,
                }
            }
            let limit = if direction == Direction::Read {
                &self.read_limit
            } else {
                &self.write_limit
            };
            self.socket
                .wait(hub, direction, wait, limit.get().end(hub))?;
        }
    }

    /// Takes note that a read of `asked` bytes took `taken`: a short one has drained the socket.
    #[inline(always)]
    fn note_read(&self, asked: usize, taken: usize) {
        let hub = current::hub();
        hub.spend_bytes(taken);
        if 0 < taken
            && taken < asked
            && hub.reports_peer_shutdown()
            && let Some(source) = self.socket.source(hub)
        {
            source.drained();
        }
    }
}

/// A timeout of centuries is one, and not none.
fn nanoseconds(timeout: Option<Duration>) -> u64 {
    let finite = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(NEVER);
    timeout.map_or(NEVER, |timeout| finite(timeout).min(NEVER - 1))
}

fn checked(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a timeout of zero",
        ));
    }
    Ok(timeout)
}

fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS) || error.kind() == io::ErrorKind::WouldBlock
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
        let taken = self.operate(Direction::Read, Wait::Read, |mut socket| {
            socket.read(buffer)
        })?;
        self.note_read(buffer.len(), taken);
        Ok(taken)
    }

    #[switchpoint]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let taken = self.operate(Direction::Read, Wait::Read, |mut socket| {
            socket.read_vectored(buffers)
        })?;
        self.note_read(buffers.iter().map(|buffer| buffer.len()).sum(), taken);
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
        let written = self.operate(Direction::Write, Wait::Write, |mut socket| {
            socket.write(bytes)
        })?;
        current::hub().spend_bytes(written);
        Ok(written)
    }

    #[switchpoint]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.operate(Direction::Write, Wait::Write, |mut socket| {
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

impl TryFrom<OwnedFd> for TcpStream {
    type Error = io::Error;

    fn try_from(descriptor: OwnedFd) -> io::Result<Self> {
        Self::from_std(descriptor.into())
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TcpStream")
            .field("socket", self.socket.io())
            .finish_non_exhaustive()
    }
}
