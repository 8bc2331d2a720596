//! A connection that has left HTTP.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::link::AnyConnection;
use super::open::Open;
use crate::net::Connection;
use crate::switchpoint;

/// The stream that is left when a response has switched to another protocol or opened a tunnel.
///
/// What the peer sent behind its request is read first. It has no timeouts until some are set, and ends when it is dropped. Reading
/// and writing go through `&Upgraded` too, so one fiber may read while another writes.
pub struct Upgraded {
    connection: Rc<Open<dyn AnyConnection>>,
    /// What came behind the request.
    early: RefCell<Vec<u8>>,
    early_used: Cell<usize>,
}

impl Upgraded {
    pub(super) fn new(connection: Rc<Open<dyn AnyConnection>>, early: Vec<u8>) -> Self {
        connection.stream.limit_read(None);
        connection.stream.limit_write(None);
        Self {
            connection,
            early: RefCell::new(early),
            early_used: Cell::new(0),
        }
    }

    fn stream(&self) -> &dyn AnyConnection {
        &self.connection.stream
    }

    /// Takes from what came early; 0 if nothing is left of it.
    fn read_early(&self, buffer: &mut [u8]) -> usize {
        let mut early = self.early.borrow_mut();
        let left = &early[self.early_used.get()..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.early_used.set(self.early_used.get() + count);
        if self.early_used.get() == early.len() {
            *early = Vec::new();
            self.early_used.set(0);
        }
        count
    }
}

impl Read for &Upgraded {
    #[switchpoint(
        wakes = "bytes, the end of the stream, `close`, or the timeout",
        cancel = "nothing was taken"
    )]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.read_early(buffer) {
            0 => self.stream().read(buffer),
            count => Ok(count),
        }
    }
}

impl Write for &Upgraded {
    #[switchpoint(
        wakes = "room in the system's buffer, `close`, or the timeout",
        cancel = "nothing was written"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream().write(bytes)
    }

    #[switchpoint]
    fn flush(&mut self) -> io::Result<()> {
        self.stream().flush()
    }
}

impl Read for Upgraded {
    #[switchpoint(
        wakes = "bytes, the end of the stream, `close`, or the timeout",
        cancel = "nothing was taken"
    )]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, buffer)
    }
}

impl Write for Upgraded {
    #[switchpoint(
        wakes = "room in the system's buffer, `close`, or the timeout",
        cancel = "nothing was written"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    #[switchpoint]
    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut &*self)
    }
}

impl Connection for Upgraded {
    fn shared(&self) -> impl Read + Write + '_ {
        self
    }

    fn limit_read(&self, timeout: Option<Duration>) {
        self.stream().limit_read(timeout);
    }

    fn limit_write(&self, timeout: Option<Duration>) {
        self.stream().limit_write(timeout);
    }

    fn set_read_deadline(&self, deadline: Option<Instant>) {
        self.stream().set_read_deadline(deadline);
    }

    fn set_write_deadline(&self, deadline: Option<Instant>) {
        self.stream().set_write_deadline(deadline);
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream().shutdown(how)
    }

    fn close(&self) {
        self.stream().close();
    }

    fn abort(&self) {
        self.stream().abort();
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream().peer()
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Upgraded")
            .field("peer", &self.stream().peer())
            .finish_non_exhaustive()
    }
}
