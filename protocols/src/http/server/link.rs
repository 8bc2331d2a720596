//! What a connection is served over, and how long the peer may take.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use super::observer::Observer;
use crate::http::config::Config;
use crate::http::wire::HeadCache;
use crate::net::Connection;

/// A [`Connection`] whose type is forgotten, so that requests and bodies need not name it.
pub(crate) trait AnyConnection {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Writes, and flushes if all of it was taken: one call does the common case.
    fn write_through(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;
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

    fn write_through(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut stream = self.shared();
        let count = match buffers {
            [single] => stream.write(single)?,
            several => stream.write_vectored(several)?,
        };
        if count >= buffers.iter().map(|buffer| buffer.len()).sum() {
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
    pub(crate) clock: fn() -> SystemTime,
}

impl Link<'_> {
    /// Writes all of the buffers. Once the peer has shown that it is slow it has the write timeout, and the time that the rest
    /// takes at the lowest rate, to take it all.
    pub(crate) fn write_all(&self, mut buffers: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut is_slow = false;
        let result = loop {
            let left: usize = buffers.iter().map(|buffer| buffer.len()).sum();
            if buffers.is_empty() {
                break Ok(());
            }
            match self.stream.write_through(buffers) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                // A stream that claims more than there was is broken, but must not break us.
                Ok(count) => IoSlice::advance_slices(&mut buffers, count.min(left)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if !is_slow && !buffers.is_empty() {
                is_slow = true;
                let rated = self.config.time_for(left as u64);
                let time = self.config.write_timeout.saturating_add(rated);
                self.stream
                    .set_write_deadline(Instant::now().checked_add(time));
            }
        };
        if is_slow {
            self.stream.set_write_deadline(None);
        }
        result
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

/// The time to a few milliseconds, which is enough for a `Date` and costs a fifth of the precise one.
#[cfg(target_os = "linux")]
pub(super) fn rough_time() -> SystemTime {
    use rustix::time::{ClockId, clock_gettime};
    let now = Duration::try_from(clock_gettime(ClockId::RealtimeCoarse));
    SystemTime::UNIX_EPOCH + now.unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn rough_time() -> SystemTime {
    SystemTime::now()
}

/// What is read at once of what is thrown away.
const LINGER_BYTES: usize = 16 * 1024;
