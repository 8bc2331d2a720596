//! The parent's ends of a child's pipes: pipes like others, which the child's ends share no mode with.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Stdio;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::hub::registration::Registered;
use crate::io::readiness::descriptors;
use crate::io::{PipeReader, PipeWriter, conversions};

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
                    pipe: $end::try_from(OwnedFd::from(pipe))?,
                })
            }

            /// Gives the pipe back to std, blocking as std's are.
            ///
            /// # Errors
            ///
            /// If the system refuses to make it blocking.
            pub fn into_std(self) -> io::Result<std::process::$name> {
                Ok(OwnedFd::from(self.pipe.into_std()?).into())
            }

            pub(crate) fn registered(&self) -> &Registered<std::io::$end> {
                self.pipe.registered()
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
                self.pipe.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.pipe.as_raw_fd()
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
            pipe: PipeReader,
        }

        parents_end!($name, PipeReader);

        impl $name {
            /// How long a read may wait; then it returns `TimedOut`. Default is for ever.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for a zero timeout, as std's sockets.
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.pipe.set_read_timeout(timeout)
            }

            /// The timeout set by [`Self::set_read_timeout`].
            #[must_use]
            pub fn read_timeout(&self) -> Option<Duration> {
                self.pipe.read_timeout().unwrap_or(None)
            }
        }

        impl Read for &$name {
            #[switchpoint(
                wakes = "bytes, the end of the stream, or the timeout",
                cancel = "nothing was taken"
            )]
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                (&self.pipe).read(buffer)
            }
        }

        impl Read for $name {
            #[switchpoint(
                wakes = "bytes, the end of the stream, or the timeout",
                cancel = "nothing was taken"
            )]
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.pipe.read(buffer)
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
    pipe: PipeWriter,
}

parents_end!(ChildStdin, PipeWriter);

descriptors!(ChildStdin, ChildStdout, ChildStderr);
conversions! {
    ChildStdin, std::process::ChildStdin;
    ChildStdout, std::process::ChildStdout;
    ChildStderr, std::process::ChildStderr;
}

impl ChildStdin {
    /// How long a write may wait; then it returns `TimedOut`. Default is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a zero timeout, as std's sockets.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.pipe.set_write_timeout(timeout)
    }

    /// The timeout set by [`Self::set_write_timeout`].
    #[must_use]
    pub fn write_timeout(&self) -> Option<Duration> {
        self.pipe.write_timeout().unwrap_or(None)
    }
}

impl Write for &ChildStdin {
    #[switchpoint(
        wakes = "room in the pipe, its end, or the timeout",
        cancel = "nothing was written"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.pipe).write(bytes)
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
        self.pipe.write(bytes)
    }

    /// Does nothing: the pipe has no buffer of its own here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
