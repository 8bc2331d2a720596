//! What protocols ask of a stream and of whoever accepts it, whatever lies below.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::{TcpListener, TcpStream};

/// An ordered stream of bytes both ways, usable through a shared reference: one fiber reads while another writes.
///
/// A protocol written against it runs over TCP and over whatever else implements it.
///
/// A wrapper of a listener passes `accept` on by path, as below: [`TcpListener`] has a method of its own by that name, with std's
/// signature, which does not set `TCP_NODELAY`.
///
/// # Examples
///
/// Connections that count what is read:
///
/// ```
/// use std::cell::Cell;
/// use std::io::{self, Read, Write};
/// use std::net::{Shutdown, SocketAddr};
/// use std::rc::Rc;
/// use std::time::{Duration, Instant};
/// use kapok::net::{Connection, Listener, TcpListener, TcpStream};
///
/// struct Counting { stream: TcpStream, bytes: Rc<Cell<usize>> }
///
/// impl Read for &Counting {
///     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
///         let count = (&self.stream).read(buffer)?;
///         self.bytes.set(self.bytes.get() + count);
///         Ok(count)
///     }
/// }
///
/// impl Write for &Counting {
///     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { (&self.stream).write(bytes) }
///     fn flush(&mut self) -> io::Result<()> { Ok(()) }
/// }
///
/// impl Read for Counting {
///     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> { (&*self).read(buffer) }
/// }
///
/// impl Write for Counting {
///     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { (&*self).write(bytes) }
///     fn flush(&mut self) -> io::Result<()> { Ok(()) }
/// }
///
/// impl Connection for Counting {
///     fn shared(&self) -> impl Read + Write + '_ { self }
///     fn limit_read(&self, timeout: Option<Duration>) { self.stream.limit_read(timeout) }
///     fn limit_write(&self, timeout: Option<Duration>) { self.stream.limit_write(timeout) }
///     fn set_read_deadline(&self, deadline: Option<Instant>) { self.stream.set_read_deadline(deadline) }
///     fn set_write_deadline(&self, deadline: Option<Instant>) { self.stream.set_write_deadline(deadline) }
///     fn shutdown(&self, how: Shutdown) -> io::Result<()> { self.stream.shutdown(how) }
///     fn close(&self) { self.stream.close() }
///     fn abort(&self) { self.stream.abort() }
///     fn peer(&self) -> Option<SocketAddr> { self.stream.peer() }
/// }
///
/// struct CountingListener { listener: TcpListener, bytes: Rc<Cell<usize>> }
///
/// impl Listener for CountingListener {
///     type Connection = Counting;
///
///     fn accept(&self) -> io::Result<Counting> {
///         Ok(Counting { stream: Listener::accept(&self.listener)?, bytes: Rc::clone(&self.bytes) })
///     }
///
///     fn has_ended(&self) -> bool { Listener::has_ended(&self.listener) }
/// }
///
/// let bytes = Rc::new(Cell::new(0));
/// let listener = CountingListener { listener: TcpListener::bind("127.0.0.1:0")?, bytes: Rc::clone(&bytes) };
/// let mut client = TcpStream::connect(listener.listener.local_addr()?)?;
/// client.write_all(b"hello")?;
/// let mut buffer = [0; 8];
/// assert_eq!(listener.accept()?.read(&mut buffer)?, 5);
/// assert_eq!(bytes.get(), 5);
/// # Ok::<(), io::Error>(())
/// ```
pub trait Connection: Read + Write + 'static {
    /// A reader and writer that needs no exclusive access, such as `&TcpStream`.
    fn shared(&self) -> impl Read + Write + '_;

    /// How long a read may wait; a time of zero counts as the shortest. Default is for ever.
    fn limit_read(&self, timeout: Option<Duration>);

    /// How long a write may wait; a time of zero counts as the shortest. Default is for ever.
    fn limit_write(&self, timeout: Option<Duration>);

    /// When reads must be done; after it they return `TimedOut` instead of waiting.
    fn set_read_deadline(&self, deadline: Option<Instant>);

    /// When writes must be done; after it they return `TimedOut` instead of waiting.
    fn set_write_deadline(&self, deadline: Option<Instant>);

    /// Shuts one or both directions down; the peer sees the end of the stream.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Ends the stream for all who use it, and wakes them.
    fn close(&self);

    /// Ends the stream as [`close`](Self::close) does, but as broken: what the peer has not taken is thrown away, and it is told
    /// so, if the stream has a way to (TCP: a reset when the stream is dropped).
    ///
    /// A peer that does not read would keep what is left for it in the system's memory otherwise, long after the stream is gone.
    fn abort(&self);

    /// The other end's address, if it has one.
    fn peer(&self) -> Option<SocketAddr>;
}

/// Where connections come from.
pub trait Listener: 'static {
    /// What it accepts.
    type Connection: Connection;

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it was closed, `ConnectionAborted` if the hub is stopping; others if it is broken.
    #[switchpoint(
        wakes = "a connection, a close, or the hub's stop",
        cancel = "no connection was taken"
    )]
    fn accept(&self) -> io::Result<Self::Connection>;

    /// Returns whether [`accept`](Self::accept) would give one of the two errors at once. Who has no room for a connection looks here
    /// now and then. Default is no, so a wrapper should pass it on.
    fn has_ended(&self) -> bool {
        false
    }
}

impl Connection for TcpStream {
    fn shared(&self) -> impl Read + Write + '_ {
        self
    }

    fn limit_read(&self, timeout: Option<Duration>) {
        self.limit_read(timeout);
    }

    fn limit_write(&self, timeout: Option<Duration>) {
        self.limit_write(timeout);
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

    fn abort(&self) {
        self.abort();
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }
}

impl Listener for TcpListener {
    type Connection = TcpStream;

    #[switchpoint]
    fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept()?;
        // What protocols write is meant to be sent. Some systems refuse this if the peer is gone already, which the first read tells;
        // it is no fault of the listener's.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn has_ended(&self) -> bool {
        self.has_ended()
    }
}
