//! Standard output and the error stream.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::LazyLock;

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::sync::Semaphore;
use crate::task::unblock;

/// What one write takes at most: it is copied for the thread that writes.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// The standard output of this process, with the methods of [`std::io::Stdout`].
///
/// Each write is done by a thread of the pool, through std's own buffer: so what `println!` wrote comes in its place, a line is
/// on its way when its write returns, and what follows the last line feed is written by `flush` or when the program ends. A
/// write costs some twenty microseconds; many small ones are better put together by a [`std::io::BufWriter`], or one `write!`,
/// which is one write. Up to 64 KiB are written at once; between the pieces of more others may write.
///
/// `println!` itself blocks the hub if nobody takes the output. Who holds the lock of [`std::io::stdout`] waits here for ever.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// writeln!(kapok::io::stdout(), "hello")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stdout() -> Stdout {
    Stdout(())
}

/// The error stream of this process, with the methods of [`std::io::Stderr`]. It has no buffer; otherwise it is as [`stdout`].
#[must_use]
pub fn stderr() -> Stderr {
    Stderr(())
}

/// Writes all of it, or up to an error, which the next write will meet: as long as some was taken it is no error of this one.
fn write_most(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if written == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(written)
}

macro_rules! stream {
    ($(#[$meta:meta])* $name:ident, $std:ident, $raw:ident) => {
        $(#[$meta])*
        pub struct $name(());

        impl $name {
            /// Runs `write` on a thread, after those before it.
            fn operate<T: Send + 'static>(
                write: impl FnOnce() -> io::Result<T> + Send + 'static,
            ) -> io::Result<T> {
                static TURN: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));
                let turn = TURN.acquire();
                unblock(move || {
                    let result = write();
                    drop(turn);
                    result
                })?
            }

            /// Whether it is a terminal.
            #[must_use]
            pub fn is_terminal(&self) -> bool {
                io::$std().is_terminal()
            }
        }

        impl Write for &$name {
            #[switchpoint(
                wakes = "the write's end",
                cancel = "nothing was written, or all is written later, before what others write then"
            )]
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let bytes = bytes[..bytes.len().min(WRITE_BYTES_MAX)].to_vec();
                $name::operate(move || write_most(&mut io::$std().lock(), &bytes))
            }

            #[switchpoint(wakes = "the write's end", cancel = "the buffer may be written later")]
            fn flush(&mut self) -> io::Result<()> {
                $name::operate(|| io::$std().flush())
            }

            /// Puts the text together before it is written, so that it is one write.
            #[switchpoint(
                wakes = "the write's end",
                cancel = "nothing was written, or all is written later, before what others write then"
            )]
            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                let mut written = String::new();
                fmt::write(&mut written, text)
                    .map_err(|_| io::Error::other("a value could not be formatted"))?;
                self.write_all(written.as_bytes())
            }
        }

        impl Write for $name {
            #[switchpoint(
                wakes = "the write's end",
                cancel = "nothing was written, or all is written later, before what others write then"
            )]
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                (&*self).write(bytes)
            }

            #[switchpoint(wakes = "the write's end", cancel = "the buffer may be written later")]
            fn flush(&mut self) -> io::Result<()> {
                (&*self).flush()
            }

            /// Puts the text together before it is written, so that it is one write.
            #[switchpoint(
                wakes = "the write's end",
                cancel = "nothing was written, or all is written later, before what others write then"
            )]
            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(text)
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                rustix::stdio::$std()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                rustix::stdio::$raw()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .debug_struct(stringify!($name))
                    .finish_non_exhaustive()
            }
        }
    };
}

stream!(
    /// A handle of the standard output, made by [`stdout`].
    Stdout,
    stdout,
    raw_stdout
);
stream!(
    /// A handle of the error stream, made by [`stderr`].
    Stderr,
    stderr,
    raw_stderr
);
