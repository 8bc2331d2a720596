//! Connections over a stream in memory, for tests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::ops::Deref;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::link::{AnyConnection, Link};
use super::observer::Observer;
use super::open::Open;
use super::{ConnectionEnd, Handler, connection};
use crate::http::wire::HeadCache;
use crate::http::{Config, ServeError};

/// A peer that sends prepared pieces, one a read, and keeps each write apart.
#[derive(Clone, Default)]
pub(crate) struct Peer(Rc<Script>);

#[derive(Default)]
pub(crate) struct Script {
    input: RefCell<VecDeque<Vec<u8>>>,
    /// What follows the input never ends.
    pub(crate) is_endless: Cell<bool>,
    /// What follows the input; the end of the stream if there is nothing.
    pub(crate) read_error: Cell<Option<io::ErrorKind>>,
    pub(crate) write_error: Cell<Option<io::ErrorKind>>,
    writes: RefCell<Vec<Vec<u8>>>,
    /// The server has ended its side.
    pub(crate) is_shut: Cell<bool>,
    pub(crate) is_aborted: Cell<bool>,
}

impl Deref for Peer {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.0
    }
}

impl Peer {
    pub(crate) fn new<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Self {
        let peer = Self::default();
        let pieces = pieces.into_iter().map(|piece| piece.as_ref().to_vec());
        peer.0.input.borrow_mut().extend(pieces);
        peer
    }

    /// Returns all answers, without their dates.
    pub(crate) fn received(&self) -> String {
        String::from_utf8(self.0.writes.borrow().concat())
            .expect("the answers are text")
            .replace(DATE, "{date}")
    }

    /// Returns the statuses of all answers.
    pub(crate) fn statuses(&self) -> Vec<String> {
        let received = self.received();
        let heads = received.split("HTTP/1.1 ").skip(1);
        heads.map(|head| head[..3].to_owned()).collect()
    }

    /// Returns whether the server has read all of the input.
    pub(crate) fn is_read(&self) -> bool {
        self.0.input.borrow().is_empty()
    }

    pub(crate) fn write_count(&self) -> usize {
        self.0.writes.borrow().len()
    }
}

impl Read for &Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut input = self.0.input.borrow_mut();
        if input.is_empty() && self.0.is_endless.get() {
            buffer.fill(b'x');
            return Ok(buffer.len());
        }
        let Some(mut piece) = input.pop_front() else {
            return self
                .0
                .read_error
                .get()
                .map_or(Ok(0), |kind| Err(kind.into()));
        };
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        if count < piece.len() {
            input.push_front(piece.split_off(count));
        }
        Ok(count)
    }
}

impl Write for &Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(kind) = self.0.write_error.get() {
            return Err(kind.into());
        }
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.to_vec()).collect();
        let count = bytes.len();
        self.0.writes.borrow_mut().push(bytes);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, buffer)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl crate::net::Connection for Peer {
    fn shared(&self) -> impl Read + Write + '_ {
        self
    }

    fn limit_read(&self, _: Option<Duration>) {}

    fn limit_write(&self, _: Option<Duration>) {}

    fn set_read_deadline(&self, _: Option<Instant>) {}

    fn set_write_deadline(&self, _: Option<Instant>) {}

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        self.0.is_shut.set(true);
        Ok(())
    }

    fn close(&self) {}

    fn abort(&self) {
        self.is_aborted.set(true);
    }

    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}

const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

fn clock() -> Duration {
    Duration::from_secs(784_111_777)
}

pub(crate) fn serve(peer: &mut Peer, handler: &impl Handler) -> Result<ConnectionEnd, ServeError> {
    serve_with(peer, &Config::new(), handler)
}

pub(crate) fn serve_with(
    peer: &mut Peer,
    config: &Config,
    handler: &impl Handler,
) -> Result<ConnectionEnd, ServeError> {
    serve_observed(peer, config, None, handler)
}

pub(crate) fn serve_observed(
    peer: &mut Peer,
    config: &Config,
    observer: Option<&dyn Observer>,
    handler: &impl Handler,
) -> Result<ConnectionEnd, ServeError> {
    let open: Rc<Open<dyn AnyConnection>> = Rc::new(Open::new(peer.clone()));
    let link = Link {
        stream: &open.stream,
        peer: None,
        config,
        observer,
        is_stopping: &Cell::new(false),
        heads: &RefCell::new(HeadCache::new()),
        clock,
    };
    connection::serve(Rc::clone(&open), link, handler)
}
