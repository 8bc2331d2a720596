//! Any descriptor that the system can wait for.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kapok_macros::switchpoint_runtime as switchpoint;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, OFlags};

use super::{Direction, Timed, timeouts};
use crate::fiber::slot::Wait;
use crate::hub::registration;
use crate::hub::sources::cannot_wait;
use crate::hub::switchpoint::assert_no_switchpoints;

/// A descriptor for whose readiness fibers wait: a pipe, an eventfd, a timerfd, inotify, a terminal, the socket of a C library.
///
/// It costs a duplicate of the descriptor, by which the hub watches it. It may move to another thread if `T` may; it is not
/// `Sync`. Sockets of [`net`](crate::net) and pipes of this module need none: they wait by themselves.
///
/// # Examples
///
/// ```
/// use kapok::io::{Direction, Registered};
/// use std::io::{Read, Write};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let reader = Registered::new(reader)?;
/// let fiber = kapok::spawn(move || -> std::io::Result<Vec<u8>> {
///     let mut buffer = vec![0; 64];
///     let length = reader.try_io(Direction::Read, |mut reader| reader.read(&mut buffer))?;
///     buffer.truncate(length);
///     Ok(buffer)
/// });
/// kapok::yield_now();
/// writer.write_all(b"hello")?;
/// assert_eq!(fiber.join().unwrap()?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Registered<T> {
    io: T,
    /// A duplicate: a hub that lets go of it late must not hold up, or drop, what is the user's.
    descriptor: Timed<OwnedFd>,
}

impl<T: AsFd> Registered<T> {
    /// Makes the descriptor wait in fibers. It becomes non-blocking, and stays so after [`into_inner`](Self::into_inner); so does
    /// every other descriptor of the same open file, in other processes too (a shell's terminal, for one).
    ///
    /// # Errors
    ///
    /// `Unsupported` for files on disk and directories, which are always ready: use [`unblock`](crate::unblock()) for them. What the
    /// system says if it has no descriptor for the duplicate.
    pub fn new(io: T) -> io::Result<Self> {
        let descriptor = io.as_fd();
        let file_type = FileType::from_raw_mode(rustix::fs::fstat(descriptor)?.st_mode);
        if matches!(file_type, FileType::RegularFile | FileType::Directory) {
            return Err(cannot_wait());
        }
        let duplicate = descriptor.try_clone_to_owned()?;
        // Last, as it is not undone: others may have the open file.
        let flags = rustix::fs::fcntl_getfl(descriptor)?;
        if !flags.contains(OFlags::NONBLOCK) {
            rustix::fs::fcntl_setfl(descriptor, flags | OFlags::NONBLOCK)?;
        }
        let descriptor = Timed::new(duplicate);
        Ok(Self { io, descriptor })
    }

    /// Waits until a read would not block: there is something, the end, or an error. Costs a system call, and another after each
    /// wait; [`try_io`](Self::try_io) is cheaper.
    ///
    /// # Errors
    ///
    /// `TimedOut`; `NotConnected` after [`Self::close`]; `Unsupported` if the system cannot wait for such a descriptor.
    #[switchpoint(
        wakes = "readiness, `close`, or the timeout",
        cancel = "nothing is left behind"
    )]
    pub fn readable(&self) -> io::Result<()> {
        self.descriptor
            .operate(Direction::Read, Wait::Read, |descriptor| {
                look(descriptor, PollFlags::IN)
            })
    }

    /// Waits until a write would not block: there is room, or an error. Costs what [`readable`](Self::readable) does.
    ///
    /// # Errors
    ///
    /// As [`Self::readable`].
    #[switchpoint(
        wakes = "readiness, `close`, or the timeout",
        cancel = "nothing is left behind"
    )]
    pub fn writable(&self) -> io::Result<()> {
        self.descriptor
            .operate(Direction::Write, Wait::Write, |descriptor| {
                look(descriptor, PollFlags::OUT)
            })
    }

    /// Tries the operation; as long as it returns `WouldBlock`, waits until the direction is ready and tries again.
    ///
    /// Like the calls of sockets, it does not ask the system again while a wait before it has ended without readiness. So the
    /// operation must return `WouldBlock` only if the descriptor is not ready in that direction; otherwise it waits for ever. It
    /// runs in a section that must not switch ([`assert_no_switchpoints`](crate::assert_no_switchpoints())).
    ///
    /// # Errors
    ///
    /// Those of the operation; `TimedOut`; `NotConnected` after [`Self::close`]; `Unsupported` if the system cannot wait for such a
    /// descriptor.
    #[switchpoint(
        wakes = "readiness, `close`, or the timeout",
        cancel = "the operation has not been done"
    )]
    pub fn try_io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let wait = match direction {
            Direction::Read => Wait::Read,
            Direction::Write => Wait::Write,
        };
        self.descriptor.operate(direction, wait, |_| {
            assert_no_switchpoints(|| operation(&self.io))
        })
    }

    timeouts!(descriptor);

    pub(super) fn registered(&self) -> &registration::Registered<OwnedFd> {
        self.descriptor.registered()
    }

    /// Ends all waits, now and from now on, with an error. The descriptor itself is closed when this is dropped.
    pub fn close(&self) {
        self.descriptor.close();
    }
}

impl<T> Registered<T> {
    /// What was given to [`new`](Self::new).
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Gives back what was given to [`new`](Self::new). It is still non-blocking.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.io
    }
}

/// Whether the descriptor is ready right now; `WouldBlock` if not.
fn look(descriptor: &OwnedFd, interest: PollFlags) -> io::Result<()> {
    let mut asked = [PollFd::new(descriptor, interest)];
    match rustix::event::poll(&mut asked, Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

impl<T: AsFd> AsFd for Registered<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: fmt::Debug> fmt::Debug for Registered<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Registered")
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}
