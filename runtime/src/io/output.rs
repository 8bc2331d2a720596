//! Standard output and the error stream.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, LazyLock};

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::sync::{Permit, Semaphore};
use crate::task::unblock;

/// What one write takes at most: it is copied for the thread that writes.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// The standard output of this process, with the methods of [`std::io::Stdout`].
///
/// Each write is done by a thread of the pool, through std's own buffer: so what `println!` wrote comes in its place, a line is
/// on its way when its write returns, and what follows the last line feed is written by `flush` or when the program ends. A
/// write costs some twenty microseconds; many small ones are better put together by a [`std::io::BufWriter`], or one `write!`,
/// which is one write. Up to 64 KiB are written at once; between the pieces of more others may write,
/// unless they are written through the [`lock`](Stdout::lock).
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
    ($(#[$meta:meta])* $name:ident, $(#[$lock_meta:meta])* $lock:ident, $std:ident, $raw:ident) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name(());

        $(#[$lock_meta])*
        pub struct $lock {
            /// Shared with the write that runs: if its fiber is cancelled others wait for its end all the same.
            turn: Arc<Permit<'static>>,
        }

        impl $name {
            /// Waits until nobody else writes, and keeps others from it: what is written through the lock comes in one piece.
            /// A fiber that has the lock and writes by another way would wait for ever. `println!` does not heed it.
            #[switchpoint(wakes = "the lock's release", cancel = "nothing was written")]
            pub fn lock(&self) -> $lock {
                $lock {
                    turn: Arc::new(Self::turn()),
                }
            }

            /// Whether it is a terminal.
            #[must_use]
            pub fn is_terminal(&self) -> bool {
                io::$std().is_terminal()
            }

            fn turn() -> Permit<'static> {
                static TURN: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));
                TURN.acquire()
            }

            /// Writes on a thread, which keeps the turn until that is done. Returns how many bytes, at most [`WRITE_BYTES_MAX`].
            fn write_in(turn: impl Send + 'static, bytes: &[u8]) -> io::Result<usize> {
                let bytes = bytes[..bytes.len().min(WRITE_BYTES_MAX)].to_vec();
                unblock(move || {
                    let result = write_most(&mut io::$std().lock(), &bytes);
                    drop(turn);
                    result
                })?
            }

            fn flush_in(turn: impl Send + 'static) -> io::Result<()> {
                unblock(move || {
                    let result = io::$std().flush();
                    drop(turn);
                    result
                })?
            }
        }

        writes!(&$name, |_stream| $name::turn(), $name);
        writes!($name, |_stream| $name::turn(), $name);
        writes!($lock, |lock| Arc::clone(&lock.turn), $name);
        descriptor!($name, $std, $raw);
        descriptor!($lock, $std, $raw);
    };
}

/// `Write`, with the turn that this expression has.
macro_rules! writes {
    ($type:ty, |$self:ident| $turn:expr, $name:ident) => {
        impl Write for $type {
            #[switchpoint(
                wakes = "the write's end",
                cancel = "nothing was written, or all is written later, before what others write then"
            )]
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let $self = self;
                $name::write_in($turn, bytes)
            }

            #[switchpoint(wakes = "the write's end", cancel = "the buffer may be written later")]
            fn flush(&mut self) -> io::Result<()> {
                let $self = self;
                $name::flush_in($turn)
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
    };
}

macro_rules! descriptor {
    ($type:ident, $std:ident, $raw:ident) => {
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                rustix::stdio::$std()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                rustix::stdio::$raw()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .debug_struct(stringify!($type))
                    .finish_non_exhaustive()
            }
        }
    };
}

stream!(
    /// A handle of the standard output, made by [`stdout`].
    Stdout,
    /// The standard output while nobody else writes it, made by [`Stdout::lock`].
    StdoutLock,
    stdout,
    raw_stdout
);
stream!(
    /// A handle of the error stream, made by [`stderr`].
    Stderr,
    /// The error stream while nobody else writes it, made by [`Stderr::lock`].
    StderrLock,
    stderr,
    raw_stderr
);
