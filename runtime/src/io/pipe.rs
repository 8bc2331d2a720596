//! Anonymous pipes.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::{Direction, Timed, at_once, conversions, read_timeouts, write_timeouts};
use crate::fiber::slot::Wait;
use crate::hub::current;
use crate::hub::registration::Registered;

/// Makes an anonymous pipe, as [`std::io::pipe`]. Both ends are closed on exec.
///
/// # Errors
///
/// As [`std::io::pipe`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = kapok::io::pipe()?;
/// let fiber = kapok::spawn(move || writer.write_all(b"hello"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// fiber.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = std::io::pipe()?;
    Ok((PipeReader::from_std(reader)?, PipeWriter::from_std(writer)?))
}

/// The reading end of a pipe, with the methods of [`std::io::PipeReader`]. See [`pipe()`].
///
/// Reading goes through `&PipeReader` too. It may move to another thread; it is not `Sync`.
pub struct PipeReader {
    pipe: Timed<std::io::PipeReader>,
}

/// The writing end of a pipe, with the methods of [`std::io::PipeWriter`]. See [`pipe()`].
///
/// Writing goes through `&PipeWriter` too. It may move to another thread; it is not `Sync`.
pub struct PipeWriter {
    pipe: Timed<std::io::PipeWriter>,
}

impl PipeReader {
    pub(crate) fn registered(&self) -> &Registered<std::io::PipeReader> {
        self.pipe.registered()
    }

    /// Takes an end of std's, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it non-blocking.
    pub fn from_std(end: std::io::PipeReader) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&end, true)?;
        Ok(Self {
            pipe: Timed::new(end),
        })
    }

    /// Gives the end back to std, blocking as std's are. If clones share it, the result is a duplicate, and the clones become
    /// unusable in fibers: they share the mode. For a child process: `Stdio::from(end.into_std()?)`.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it blocking or to duplicate it.
    pub fn into_std(self) -> io::Result<std::io::PipeReader> {
        let end = self.pipe.into_inner(std::io::PipeReader::try_clone)?;
        rustix::io::ioctl_fionbio(&end, false)?;
        Ok(end)
    }

    /// Another handle of the same end. It shares the descriptor, so this costs no system call; timeouts are its own.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            pipe: self.pipe.share(),
        })
    }

    /// Ends reading for all handles of this end: whoever waits wakes with an error. The descriptor is closed, which the other end
    /// sees, when the last handle is dropped.
    pub fn close(&self) {
        self.pipe.close();
    }

    read_timeouts!(pipe);
}

impl Read for &PipeReader {
    #[switchpoint(
        wakes = "bytes, the last writer's end, `close`, or the timeout",
        cancel = "nothing was taken"
    )]
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let taken = self
            .pipe
            .operate(Direction::Read, Wait::Read, |mut pipe| pipe.read(buffer))?;
        current::hub().spend_bytes(taken);
        Ok(taken)
    }

    #[switchpoint]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let (buffers, asked) = at_once(buffers);
        if asked == 0 {
            return Ok(0);
        }
        let taken = (self.pipe).operate(Direction::Read, Wait::Read, |mut pipe| {
            pipe.read_vectored(buffers)
        })?;
        current::hub().spend_bytes(taken);
        Ok(taken)
    }
}

impl Read for PipeReader {
    #[switchpoint]
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    #[switchpoint]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl AsFd for PipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.io().as_fd()
    }
}

impl AsRawFd for PipeReader {
    fn as_raw_fd(&self) -> RawFd {
        self.pipe.io().as_raw_fd()
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PipeReader")
            .field("pipe", self.pipe.io())
            .finish_non_exhaustive()
    }
}

impl PipeWriter {
    pub(crate) fn registered(&self) -> &Registered<std::io::PipeWriter> {
        self.pipe.registered()
    }

    /// Takes an end of std's, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it non-blocking.
    pub fn from_std(end: std::io::PipeWriter) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&end, true)?;
        Ok(Self {
            pipe: Timed::new(end),
        })
    }

    /// Gives the end back to std, blocking as std's are. If clones share it, the result is a duplicate, and the clones become
    /// unusable in fibers: they share the mode. For a child process: `Stdio::from(end.into_std()?)`.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it blocking or to duplicate it.
    pub fn into_std(self) -> io::Result<std::io::PipeWriter> {
        let end = self.pipe.into_inner(std::io::PipeWriter::try_clone)?;
        rustix::io::ioctl_fionbio(&end, false)?;
        Ok(end)
    }

    /// Another handle of the same end. It shares the descriptor, so this costs no system call; timeouts are its own.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            pipe: self.pipe.share(),
        })
    }

    /// Ends writing for all handles of this end: whoever waits wakes with an error. The descriptor is closed, which the other end
    /// sees, when the last handle is dropped.
    pub fn close(&self) {
        self.pipe.close();
    }

    write_timeouts!(pipe);
}

impl Write for &PipeWriter {
    #[switchpoint(
        wakes = "room in the pipe, the last reader's end, `close`, or the timeout",
        cancel = "nothing was written"
    )]
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let written =
            (self.pipe).operate(Direction::Write, Wait::Write, |mut pipe| pipe.write(bytes))?;
        current::hub().spend_bytes(written);
        Ok(written)
    }

    #[switchpoint]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        let written = (self.pipe).operate(Direction::Write, Wait::Write, |mut pipe| {
            pipe.write_vectored(buffers)
        })?;
        current::hub().spend_bytes(written);
        Ok(written)
    }

    /// Does nothing: a pipe has no buffer of its own.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for PipeWriter {
    #[switchpoint]
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    #[switchpoint]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    /// Does nothing: a pipe has no buffer of its own.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for PipeWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.io().as_fd()
    }
}

impl AsRawFd for PipeWriter {
    fn as_raw_fd(&self) -> RawFd {
        self.pipe.io().as_raw_fd()
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PipeWriter")
            .field("pipe", self.pipe.io())
            .finish_non_exhaustive()
    }
}

conversions! {
    PipeReader, std::io::PipeReader;
    PipeWriter, std::io::PipeWriter;
}
