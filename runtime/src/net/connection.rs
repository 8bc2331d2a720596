//! What protocols ask of a stream and of whoever accepts it, whatever lies below.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::{TcpListener, TcpStream};

/// An ordered stream of bytes both ways, usable through a shared reference: one fiber reads while another writes.
///
/// A protocol written against it runs over TCP and over whatever else implements it.
pub trait Connection: Read + Write + 'static {
    /// A reader and writer that needs no exclusive access, such as `&TcpStream`.
    fn shared(&self) -> impl Read + Write + '_;

    /// How long a read may wait; a time of zero counts as the shortest. Default is for ever.
    fn set_read_timeout(&self, timeout: Option<Duration>);

    /// How long a write may wait; a time of zero counts as the shortest. Default is for ever.
    fn set_write_timeout(&self, timeout: Option<Duration>);

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
}

impl Connection for TcpStream {
    fn shared(&self) -> impl Read + Write + '_ {
        self
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.limit_read(timeout);
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) {
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

    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }
}

impl Listener for TcpListener {
    type Connection = TcpStream;

    #[switchpoint]
    fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept()?;
        // What protocols write is meant to be sent.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
