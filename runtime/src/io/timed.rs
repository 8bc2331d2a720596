//! A descriptor whose operations wait in fibers, with limits of time for each direction: what all sockets and pipes are made of.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::fiber::slot::{NEVER, Wait};
use crate::hub::Hub;
use crate::hub::current;
use crate::hub::registration::{Registered, closed};
use crate::hub::sources::Direction;

/// Between two attempts of an operation of which no event tells; doubled each time.
const RETRY_TIME_MIN: Duration = Duration::from_millis(1);
const RETRY_TIME_MAX: Duration = Duration::from_millis(64);

/// Buffers that one system call takes (`IOV_MAX`).
const BUFFERS_MAX: usize = 1024;

/// A non-blocking descriptor, its registration, and how long a read or a write may wait.
#[derive(Debug)]
pub(crate) struct Timed<S: AsFd + Send + Sync + 'static> {
    registered: Registered<S>,
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
}

impl<S: AsFd + Send + Sync + 'static> Timed<S> {
    /// Of a descriptor that is non-blocking already.
    pub(crate) fn new(io: S) -> Self {
        Self {
            registered: Registered::new(io),
            read_limit: Cell::default(),
            write_limit: Cell::default(),
        }
    }

    #[inline(always)]
    pub(crate) fn io(&self) -> &S {
        self.registered.io()
    }

    #[inline(always)]
    pub(crate) fn registered(&self) -> &Registered<S> {
        &self.registered
    }

    /// Another handle of the same descriptor; its limits are its own from here on.
    pub(crate) fn share(&self) -> Self {
        Self {
            registered: self.registered.share(),
            read_limit: self.read_limit.clone(),
            write_limit: self.write_limit.clone(),
        }
    }

    /// The descriptor itself; if other handles share it, what `duplicate` makes of it.
    pub(crate) fn into_inner(self, duplicate: impl FnOnce(&S) -> io::Result<S>) -> io::Result<S> {
        match self.registered.into_inner() {
            Ok(io) => Ok(io),
            Err(shared) => duplicate(shared.io()),
        }
    }

    /// Marks the descriptor as closed for all its handles and wakes whoever waits for it, on whatever hub.
    pub(crate) fn close(&self) {
        self.registered.close();
    }

    /// Tries the operation, waits while it would block, and tries again.
    #[inline(always)]
    pub(crate) fn operate<T>(
        &self,
        direction: Direction,
        wait: Wait,
        mut operation: impl FnMut(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        let hub = current::hub();
        // Before the operation: nothing may run between it and what the caller notes of it.
        hub.spend_budget(current::running_fiber());
        loop {
            // A registered descriptor that is not ready need not be asked.
            let source = self.registered.source(hub);
            if source.is_none_or(|source| source.is_ready(direction)) || self.registered.is_closed()
            {
                match operation(self.io()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if let Some(source) = source {
                            source.clear_ready(direction);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(_) | Err(_) if self.registered.is_closed() => return Err(closed()),
                    result => return result,
                }
            }
            let end = self.wait_end(hub, direction);
            if let Err(error) = self.registered.wait(hub, direction, wait, end) {
                return self.try_at_last(error, operation);
            }
        }
    }

    /// At the end of the time: what came just before it is there, though the hub may not have heard of it.
    #[cold]
    fn try_at_last<T>(
        &self,
        error: io::Error,
        mut operation: impl FnMut(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        if error.kind() != io::ErrorKind::TimedOut {
            return Err(error);
        }
        match operation(self.io()) {
            Ok(_) | Err(_) if self.registered.is_closed() => Err(closed()),
            Err(other) if other.kind() == io::ErrorKind::WouldBlock => Err(error),
            result => result,
        }
    }

    /// [`Self::operate`] for operations of which no event may tell when they can be tried again: they are tried from time to time.
    pub(crate) fn operate_or_retry<T>(
        &self,
        direction: Direction,
        wait: Wait,
        mut operation: impl FnMut(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        let hub = current::hub();
        hub.spend_budget(current::running_fiber());
        let end = self.wait_end(hub, direction);
        let mut retry_time = RETRY_TIME_MIN;
        loop {
            match operation(self.io()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) if self.registered.is_closed() => return Err(closed()),
                result => return result,
            }
            let retry = hub.clock.deadline_after(retry_time);
            retry_time = (retry_time * 2).min(RETRY_TIME_MAX);
            // Events say nothing: a unix datagram that finds no room makes one by being freed. A close wakes all the same.
            (self.registered).wait_out(hub, direction, wait, end.min(retry))?;
            if end <= retry {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Takes note that a read of `asked` bytes took `taken`: a short one has drained the descriptor.
    ///
    /// For streams of bytes alone. Not for unix ones where a read stops as descriptors were sent along; nor for pipes, in which
    /// whoever writes may keep his writes apart (`O_DIRECT`).
    #[inline(always)]
    pub(crate) fn note_read(&self, asked: usize, taken: usize) {
        let hub = current::hub();
        hub.spend_bytes(taken);
        if 0 < taken
            && taken < asked
            && hub.reports_peer_shutdown()
            && let Some(source) = self.registered.source(hub)
        {
            source.drained();
        }
    }

    /// How long an operation of that direction may wait, from when it begins to.
    pub(crate) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) {
        let limit = self.limit(direction);
        limit.set(Limit {
            timeout: nanoseconds(timeout),
            ..limit.get()
        });
    }

    pub(crate) fn timeout(&self, direction: Direction) -> Option<Duration> {
        let timeout = self.limit(direction).get().timeout;
        (timeout != NEVER).then(|| Duration::from_nanos(timeout))
    }

    /// When all operations of that direction must be done.
    pub(crate) fn set_deadline(&self, direction: Direction, deadline: Option<Instant>) {
        let limit = self.limit(direction);
        limit.set(Limit {
            deadline,
            ..limit.get()
        });
    }

    #[inline(always)]
    fn limit(&self, direction: Direction) -> &Cell<Limit> {
        match direction {
            Direction::Read => &self.read_limit,
            Direction::Write => &self.write_limit,
        }
    }

    /// The end of a wait in that direction that begins now, in the hub's nanoseconds.
    #[inline(always)]
    pub(crate) fn wait_end(&self, hub: &Hub, direction: Direction) -> u64 {
        self.limit(direction).get().end(hub)
    }
}

/// As many of the buffers as one system call takes, and for how many bytes they have room.
pub(crate) fn at_once<'a, 'b>(
    buffers: &'a mut [IoSliceMut<'b>],
) -> (&'a mut [IoSliceMut<'b>], usize) {
    let count = buffers.len().min(BUFFERS_MAX);
    let buffers = &mut buffers[..count];
    let room = buffers.iter().map(|buffer| buffer.len()).sum();
    (buffers, room)
}

/// A timeout of centuries is one, and not none.
fn nanoseconds(timeout: Option<Duration>) -> u64 {
    let finite = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(NEVER);
    timeout.map_or(NEVER, |timeout| finite(timeout).min(NEVER - 1))
}

/// The timeout, unless it is zero: std refuses that.
pub(crate) fn checked(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a timeout of zero",
        ));
    }
    Ok(timeout)
}

/// The methods by which a type sets the limits of time of its field, which is a [`Timed`]. For use in an `impl`.
macro_rules! timeouts {
    ($field:ident) => {
        $crate::io::read_timeouts!($field);
        $crate::io::write_timeouts!($field);
    };
}

/// Those of [`timeouts`] for reading.
macro_rules! read_timeouts {
    ($field:ident) => {
        /// How long reading may wait. Default is for ever. Ten seconds and more may last up to a 64th longer: their end is then
        /// cheaper to find than by reading the precise clock.
        ///
        /// # Errors
        ///
        /// `InvalidInput` for a zero timeout, as std.
        pub fn set_read_timeout(&self, timeout: Option<std::time::Duration>) -> io::Result<()> {
            let timeout = $crate::io::checked(timeout)?;
            self.$field
                .set_timeout($crate::io::Direction::Read, timeout);
            Ok(())
        }

        /// The timeout set by [`Self::set_read_timeout`].
        ///
        /// # Errors
        ///
        /// None; the signature is std's.
        pub fn read_timeout(&self) -> io::Result<Option<std::time::Duration>> {
            Ok(self.$field.timeout($crate::io::Direction::Read))
        }

        /// When reading must be done, however many calls it takes: after it they return `TimedOut` instead of waiting. Default
        /// is never.
        pub fn set_read_deadline(&self, deadline: Option<std::time::Instant>) {
            self.$field
                .set_deadline($crate::io::Direction::Read, deadline);
        }
    };
}

/// Those of [`timeouts`] for writing.
macro_rules! write_timeouts {
    ($field:ident) => {
        /// How long writing may wait. Default is for ever. Ten seconds and more may last up to a 64th longer: their end is then
        /// cheaper to find than by reading the precise clock.
        ///
        /// # Errors
        ///
        /// `InvalidInput` for a zero timeout, as std.
        pub fn set_write_timeout(&self, timeout: Option<std::time::Duration>) -> io::Result<()> {
            let timeout = $crate::io::checked(timeout)?;
            self.$field
                .set_timeout($crate::io::Direction::Write, timeout);
            Ok(())
        }

        /// The timeout set by [`Self::set_write_timeout`].
        ///
        /// # Errors
        ///
        /// None; the signature is std's.
        pub fn write_timeout(&self) -> io::Result<Option<std::time::Duration>> {
            Ok(self.$field.timeout($crate::io::Direction::Write))
        }

        /// When writing must be done, however many calls it takes. Default is never.
        pub fn set_write_deadline(&self, deadline: Option<std::time::Instant>) {
            self.$field
                .set_deadline($crate::io::Direction::Write, deadline);
        }
    };
}

pub(crate) use {read_timeouts, timeouts, write_timeouts};
