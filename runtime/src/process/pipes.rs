//! The parent's ends of a child's pipes.

use std::cell::Cell;
use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Stdio;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::fiber::slot::{NEVER, Wait};
use crate::hub::Hub;
use crate::hub::current;
use crate::hub::registration::Registered;
use crate::hub::sources::{Direction, Source};

/// A pipe's end, non-blocking here. The other end is the child's and stays as it is: the two share no mode.
pub(super) struct Pipe<E: AsFd + Send + Sync + 'static> {
    end: Registered<E>,
    timeout: Cell<Option<Duration>>,
}

impl<E: AsFd + Send + Sync + 'static> Pipe<E> {
    fn new(end: E) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&end, true)?;
        Ok(Self {
            end: Registered::new(end),
            timeout: Cell::new(None),
        })
    }

    pub(super) fn register(&self, hub: &'static Hub) -> io::Result<&'static Source> {
        self.end.register(hub)
    }

    /// Tries the operation, unless it is known that it would block: then the result is none.
    pub(super) fn attempt<T>(
        &self,
        hub: &'static Hub,
        direction: Direction,
        mut operation: impl FnMut(&E) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        let source = self.end.source(hub);
        if source.is_some_and(|source| !source.is_ready(direction)) {
            return None;
        }
        loop {
            match operation(self.end.io()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(source) = source {
                        source.clear_ready(direction);
                    }
                    return None;
                }
                result => return Some(result),
            }
        }
    }

    /// Tries the operation, waits while it would block, and tries again.
    fn operate<T>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&E) -> io::Result<T>,
    ) -> io::Result<T> {
        let hub = current::hub();
        // Before the operation: nothing may run between it and what the caller notes of it.
        hub.spend_budget(current::running_fiber());
        let wait = match direction {
            Direction::Read => Wait::Read,
            Direction::Write => Wait::Write,
        };
        loop {
            if let Some(result) = self.attempt(hub, direction, &mut operation) {
                return result;
            }
            let deadline = self
                .timeout
                .get()
                .map_or(NEVER, |timeout| hub.clock.deadline_after(timeout));
            self.end.wait(hub, direction, wait, deadline)?;
        }
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a timeout of zero",
            ));
        }
        self.timeout.set(timeout);
        Ok(())
    }

    /// The end itself, blocking as std's are.
    fn into_blocking(self) -> io::Result<OwnedFd>
    where
        OwnedFd: From<E>,
    {
        let end = match self.end.into_inner() {
            Ok(end) => end.into(),
            // Another hub has not let go of it yet.
            Err(shared) => shared.io().as_fd().try_clone_to_owned()?,
        };
        rustix::io::ioctl_fionbio(&end, false)?;
        Ok(end)
    }
}

macro_rules! parents_end {
    ($name:ident, $end:ident) => {
        impl $name {
            /// Takes a pipe of std's, whose end here becomes non-blocking.
            ///
            /// # Errors
            ///
            /// If the system refuses to make it non-blocking.
            pub fn from_std(pipe: std::process::$name) -> io::Result<Self> {
                Ok(Self {
                    pipe: Pipe::new($end::from(OwnedFd::from(pipe)))?,
                })
            }

            /// Gives the pipe back to std, blocking as std's are.
            ///
            /// # Errors
            ///
            /// If the system refuses to make it blocking.
            pub fn into_std(self) -> io::Result<std::process::$name> {
                Ok(self.pipe.into_blocking()?.into())
            }

            pub(super) fn pipe(&self) -> &Pipe<$end> {
                &self.pipe
            }
        }

        /// For the standard streams of another child, which gets the pipe blocking.
        impl From<$name> for Stdio {
            /// # Panics
            ///
            /// If the system refuses to make the pipe blocking, which it has no reason for.
            fn from(end: $name) -> Self {
                let end = end.into_std();
                end.expect("invariant: the mode of an open pipe can be changed")
                    .into()
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.pipe.end.io().as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.pipe.end.io().as_raw_fd()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .debug_struct(stringify!($name))
                    .field("descriptor", &self.as_raw_fd())
                    .finish()
            }
        }
    };
}

macro_rules! child_output {
    ($name:ident, $stream:literal) => {
        #[doc = concat!("A child's standard ", $stream, ", to be read here.")]
        ///
        /// Reading goes through a shared reference too. It may move to another thread; it is not `Sync`.
        pub struct $name {
            pipe: Pipe<PipeReader>,
        }

        parents_end!($name, PipeReader);

        impl $name {
            /// How long a read may wait; then it returns `TimedOut`. Default is for ever.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for a zero timeout, as std's sockets.
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.pipe.set_timeout(timeout)
            }

            /// The timeout set by [`Self::set_read_timeout`].
            #[must_use]
            pub fn read_timeout(&self) -> Option<Duration> {
                self.pipe.timeout.get()
            }
        }

        impl Read for &$name {
            #[switchpoint(
                wakes = "bytes, the end of the stream, or the timeout",
                cancel = "nothing was taken"
            )]
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let taken = self
                    .pipe
                    .operate(Direction::Read, |mut end| end.read(buffer))?;
                current::hub().spend_bytes(taken);
                Ok(taken)
            }
        }

        impl Read for $name {
            #[switchpoint(
                wakes = "bytes, the end of the stream, or the timeout",
                cancel = "nothing was taken"
            )]
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                (&*self).read(buffer)
            }
        }
    };
}

child_output!(ChildStdout, "output");
child_output!(ChildStderr, "error stream");

/// A child's standard input, to be written here. Dropping it is the end of the child's input.
///
/// Writing goes through a shared reference too. It may move to another thread; it is not `Sync`.
pub struct ChildStdin {
    pipe: Pipe<PipeWriter>,
}

parents_end!(ChildStdin, PipeWriter);

impl ChildStdin {
    /// How long a write may wait; then it returns `TimedOut`. Default is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a zero timeout, as std's sockets.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.pipe.set_timeout(timeout)
    }

    /// The timeout set by [`Self::set_write_timeout`].
    #[must_use]
    pub fn write_timeout(&self) -> Option<Duration> {
        self.pipe.timeout.get()
    }
}

impl Write for &ChildStdin {
    #[switchpoint(
        wakes = "room in the pipe, its end, or the timeout",
        cancel = "nothing was written"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self
            .pipe
            .operate(Direction::Write, |mut end| end.write(bytes))?;
        current::hub().spend_bytes(written);
        Ok(written)
    }

    /// Does nothing: the pipe has no buffer of its own here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for ChildStdin {
    #[switchpoint(
        wakes = "room in the pipe, its end, or the timeout",
        cancel = "nothing was written"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    /// Does nothing: the pipe has no buffer of its own here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
