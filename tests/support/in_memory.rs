//! A connection to a peer in memory.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::net::Connection;

/// Reads from what `T` sends and writes what `T` gets. Nothing ever waits, so limits of time are of no use.
pub struct InMemory<T>(Rc<RefCell<T>>);

impl<T> InMemory<T> {
    pub fn new(peer: T) -> Self {
        Self(Rc::new(RefCell::new(peer)))
    }

    /// Another handle, to look at the peer when the connection has ended.
    pub fn handle(&self) -> Rc<RefCell<T>> {
        Rc::clone(&self.0)
    }
}

impl<T: Read> Read for &InMemory<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl<T: Write> Write for &InMemory<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

impl<T: Read> Read for InMemory<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl<T: Write> Write for InMemory<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl<T: Read + Write + 'static> Connection for InMemory<T> {
    fn shared(&self) -> impl Read + Write + '_ {
        self
    }

    fn limit_read(&self, _: Option<Duration>) {}

    fn limit_write(&self, _: Option<Duration>) {}

    fn set_read_deadline(&self, _: Option<Instant>) {}

    fn set_write_deadline(&self, _: Option<Instant>) {}

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }

    fn close(&self) {}

    fn abort(&self) {}

    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}
