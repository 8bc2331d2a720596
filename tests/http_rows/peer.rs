//! A peer in memory: sends what a row says, keeps what it is answered.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::net::Connection;

use crate::rows::After;
use crate::serve::Cut;

/// What the peer sends and what it got.
#[derive(Debug)]
pub struct Peer {
    input: Rc<[u8]>,
    cut: Cut,
    after: After,
    sent: Cell<usize>,
    reads_behind: Cell<u32>,
    written: RefCell<Vec<u8>>,
    is_shut: Cell<bool>,
}

impl Peer {
    pub fn new(input: &[u8], cut: Cut, after: After) -> Rc<Self> {
        Rc::new(Self {
            input: input.into(),
            cut,
            after,
            sent: Cell::new(0),
            reads_behind: Cell::new(0),
            written: RefCell::default(),
            is_shut: Cell::new(false),
        })
    }

    /// All that the server wrote.
    pub fn take_written(&self) -> Vec<u8> {
        self.written.take()
    }

    /// Whether the server ended its side before it dropped the connection.
    pub fn is_shut(&self) -> bool {
        self.is_shut.get()
    }

    /// Sends the next piece.
    fn send(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let sent = self.sent.get();
        let rest = &self.input[sent..];
        if rest.is_empty() {
            self.reads_behind.set(self.reads_behind.get() + 1);
            assert!(self.reads_behind.get() < 100, "the server reads on and on");
            return match self.after {
                After::End => Ok(0),
                After::Silence => Err(io::ErrorKind::TimedOut.into()),
            };
        }
        let piece = match self.cut {
            Cut::Everywhere => 1,
            Cut::At(place) if sent < place => place - sent,
            Cut::At(_) | Cut::Nowhere => rest.len(),
        };
        let count = piece.min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.sent.set(sent + count);
        Ok(count)
    }

    /// The same into several buffers, one after the other.
    fn send_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut whole = vec![0; buffers.iter().map(|buffer| buffer.len()).sum()];
        let count = self.send(&mut whole)?;
        let mut rest = &whole[..count];
        for buffer in buffers {
            let (piece, behind) = rest.split_at(rest.len().min(buffer.len()));
            buffer[..piece.len()].copy_from_slice(piece);
            rest = behind;
        }
        Ok(count)
    }

    fn receive(&self, bytes: &[u8]) -> io::Result<usize> {
        assert!(
            !self.is_shut.get(),
            "written behind the end: {}",
            bytes.escape_ascii()
        );
        self.written.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// The server's end.
#[derive(Debug)]
pub struct Stream(pub Rc<Peer>);

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.send(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.send_vectored(buffers)
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.receive(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.send(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.receive(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Connection for Stream {
    fn shared(&self) -> impl Read + Write + '_ {
        self
    }

    // Nothing ever waits here.
    fn limit_read(&self, _: Option<Duration>) {}
    fn limit_write(&self, _: Option<Duration>) {}
    fn set_read_deadline(&self, _: Option<Instant>) {}
    fn set_write_deadline(&self, _: Option<Instant>) {}

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.0.is_shut.set(true);
        }
        Ok(())
    }

    fn close(&self) {
        self.0.is_shut.set(true);
    }

    fn abort(&self) {}

    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}
