//! What a connection is served over, and how long the peer may take.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use super::observer::Observer;
use crate::http::config::Config;
use crate::http::wire::HeadCache;
use crate::net::Connection;

/// A [`Connection`] whose type is forgotten, so that requests and bodies need not name it.
pub(crate) trait AnyConnection {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Writes, and flushes if all of it was taken: one call does the common case.
    fn write_through(&self, bytes: &[u8]) -> io::Result<usize>;
    fn flush(&self) -> io::Result<()>;
    fn limit_read(&self, timeout: Option<Duration>);
    fn limit_write(&self, timeout: Option<Duration>);
    fn set_read_deadline(&self, deadline: Option<Instant>);
    fn set_write_deadline(&self, deadline: Option<Instant>);
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    fn close(&self);
    fn abort(&self);
    fn peer(&self) -> Option<SocketAddr>;
}

impl<C: Connection> AnyConnection for C {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared().read(buffer)
    }

    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.shared().read_vectored(buffers)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.shared().write(bytes)
    }

    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.shared().write_vectored(buffers)
    }

    fn write_through(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.shared();
        let count = stream.write(bytes)?;
        if count >= bytes.len() {
            // What was written must not be written again.
            retry(|| stream.flush())?;
        }
        Ok(count)
    }

    fn flush(&self) -> io::Result<()> {
        self.shared().flush()
    }

    fn limit_read(&self, timeout: Option<Duration>) {
        Connection::limit_read(self, timeout);
    }

    fn limit_write(&self, timeout: Option<Duration>) {
        Connection::limit_write(self, timeout);
    }

    fn set_read_deadline(&self, deadline: Option<Instant>) {
        Connection::set_read_deadline(self, deadline);
    }

    fn set_write_deadline(&self, deadline: Option<Instant>) {
        Connection::set_write_deadline(self, deadline);
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Connection::shutdown(self, how)
    }

    fn close(&self) {
        Connection::close(self);
    }

    fn abort(&self) {
        Connection::abort(self);
    }

    fn peer(&self) -> Option<SocketAddr> {
        Connection::peer(self)
    }
}

/// What all requests of a connection share.
#[derive(Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) stream: &'a dyn AnyConnection,
    /// As it was when the connection began; known if there is an observer.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) config: &'a Config,
    pub(crate) observer: Option<&'a dyn Observer>,
    /// The server stops: the next answer is the last.
    pub(crate) is_stopping: &'a Cell<bool>,
    pub(crate) heads: &'a RefCell<HeadCache>,
    /// The time since the beginning of 1970, to a few milliseconds.
    pub(crate) clock: fn() -> Duration,
}

impl Link<'_> {
    /// Writes all of the bytes. Once the peer has shown that it is slow it has the write timeout, and the time that the rest takes at
    /// the lowest rate, to take it all.
    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.write_through(bytes) {
            Ok(count) if count >= bytes.len() => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            written => self.write_rest(bytes, written.unwrap_or_default()),
        }
    }

    #[cold]
    fn write_rest(&self, bytes: &[u8], written: usize) -> io::Result<()> {
        let rest = &bytes[written..];
        self.hurry(rest.len());
        self.write_some(&mut [IoSlice::new(rest)], true)
    }

    /// Writes all of the buffers, as [`Self::write`] does.
    pub(crate) fn write_vectored(&self, buffers: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.write_some(buffers, false)
    }

    fn write_some(&self, mut buffers: &mut [IoSlice<'_>], mut is_hurried: bool) -> io::Result<()> {
        let result = loop {
            let left: usize = buffers.iter().map(|buffer| buffer.len()).sum();
            let written = match &*buffers {
                [] => break Ok(()),
                [single] => self.stream.write(single),
                several => self.stream.write_vectored(several),
            };
            match written {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                // A stream that claims more than there was is broken, but must not break us.
                Ok(count) => IoSlice::advance_slices(&mut buffers, count.min(left)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if !is_hurried && !buffers.is_empty() {
                is_hurried = true;
                self.hurry(left);
            }
        };
        if is_hurried {
            self.stream.set_write_deadline(None);
        }
        result.and_then(|()| self.stream.flush())
    }

    /// The peer has to take so many bytes in a time.
    fn hurry(&self, left: usize) {
        let rated = self.config.time_for(left as u64);
        let time = self.config.write_timeout.saturating_add(rated);
        self.stream
            .set_write_deadline(Instant::now().checked_add(time));
    }

    /// Reads and discards what the peer still sends: closing a socket with unread input resets the connection, and the peer would
    /// lose the last answer.
    pub(super) fn linger(&self) {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let end = Instant::now() + self.config.drain_timeout;
        self.stream.set_read_deadline(Some(end));
        // By time alone: clients that send all of a large body before they look for an answer would lose it to a limit of bytes. A read
        // that finds bytes does not look at its deadline, so a peer that is fast enough would never end.
        let mut buffer = vec![0; LINGER_BYTES];
        while let Ok(1..) = self.stream.read(&mut buffer)
            && Instant::now() < end
        {}
    }

    /// Reads once, trying again if a signal interrupts it.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len();
        // A stream that claims more than there was room for is broken, but must not break us.
        retry(|| self.stream.read(buffer)).map(|count| count.min(room))
    }

    /// The same for two buffers, the second of which is used when the first is full.
    pub(crate) fn read_vectored(&self, first: &mut [u8], second: &mut [u8]) -> io::Result<usize> {
        let room = first.len() + second.len();
        let buffers = &mut [IoSliceMut::new(first), IoSliceMut::new(second)];
        retry(|| self.stream.read_vectored(buffers)).map(|count| count.min(room))
    }
}

/// Returns whether a wait was too long, as sockets tell it in two ways.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The time since the beginning of 1970 to a few milliseconds, which is enough for a `Date` and costs a fifth of the precise one.
#[cfg(target_os = "linux")]
pub(super) fn rough_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::RealtimeCoarse)).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn rough_time() -> Duration {
    use std::time::SystemTime;
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// What is read at once of what is thrown away.
const LINGER_BYTES: usize = 16 * 1024;
