//! Open files.

use std::fmt;
use std::fs::{FileTimes, Metadata, Permissions, TryLockError};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::OpenOptions;
use super::functions::with_path;
use crate::io::conversions_to_std;
use crate::task::{Threads, unblock, unblock_on};

/// What one read or write moves at most: it goes through a buffer of the thread that does it.
const TRIP_BYTES_MAX: usize = 1 << 20;

/// Where locks are waited for. Not in the pool: if all its threads waited for a lock, who has it could neither write nor do
/// anything else before the release.
static LOCKERS: LazyLock<Arc<Threads>> =
    LazyLock::new(|| Arc::new(Threads::new("kapok-file-lock", 1024)));

/// An open file, with the methods of [`std::fs::File`].
///
/// Each call is one trip to the thread pool and moves up to 1 MiB, which is copied once more than std does;
/// [`Read::read_to_end`] and [`Read::read_to_string`] are one trip in all. For small reads and writes use
/// [`std::io::BufReader`] and [`std::io::BufWriter`], with a capacity of 64 KiB or more. Reading, writing and seeking go
/// through `&File` too. What a cancel leaves behind is told in the [module](super).
///
/// # Examples
///
/// ```
/// use kapok::fs::{self, File};
/// use std::io::{Read, Seek, Write};
///
/// let path = std::env::temp_dir().join(format!("kapok-file-{}", std::process::id()));
/// let mut file = File::create_new(&path)?;
/// file.write_all(b"some text")?;
/// let mut text = String::new();
/// File::open(&path)?.read_to_string(&mut text)?;
/// assert_eq!(text, "some text");
/// fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    /// Shared with operations that run, also for fibers that were cancelled.
    file: Arc<std::fs::File>,
}

impl File {
    /// Opens a file to read it.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::open`].
    #[switchpoint(wakes = "the operation's end", cancel = "the file is closed")]
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        with_path(path.as_ref(), |path| std::fs::File::open(path)).map(Self::from_std)
    }

    /// Makes a file to write it, or empties the one that is there.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::create`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the file may be made nonetheless, and is closed"
    )]
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        with_path(path.as_ref(), |path| std::fs::File::create(path)).map(Self::from_std)
    }

    /// Makes a file that must not be there, to read and to write it.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::create_new`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the file may be made nonetheless, and is closed"
    )]
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        with_path(path.as_ref(), |path| std::fs::File::create_new(path)).map(Self::from_std)
    }

    /// Further ways to open a file.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes a file of std's.
    #[must_use]
    pub fn from_std(file: std::fs::File) -> Self {
        Self {
            file: Arc::new(file),
        }
    }

    /// Gives the file back to std. It is a duplicate if an operation of a cancelled fiber still runs.
    ///
    /// # Errors
    ///
    /// If the system refuses to duplicate it.
    pub fn into_std(self) -> io::Result<std::fs::File> {
        Arc::try_unwrap(self.file).or_else(|shared| shared.try_clone())
    }

    /// Waits until the file's content and what the system knows of it are on the disk.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::sync_all`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the disk is written nonetheless"
    )]
    pub fn sync_all(&self) -> io::Result<()> {
        self.operate(|file| file.sync_all())
    }

    /// Waits until the file's content is on the disk.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::sync_data`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the disk is written nonetheless"
    )]
    pub fn sync_data(&self) -> io::Result<()> {
        self.operate(|file| file.sync_data())
    }

    /// Cuts the file off, or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::set_len`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the length may be changed nonetheless"
    )]
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        self.operate(move |file| file.set_len(length))
    }

    /// Returns what the system knows of the file.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::metadata`].
    #[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.operate(|file| file.metadata())
    }

    /// Changes the file's permissions.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::set_permissions`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "they may be changed nonetheless"
    )]
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.operate(move |file| file.set_permissions(permissions))
    }

    /// Changes when the file was read and written last.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::set_times`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "they may be changed nonetheless"
    )]
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.operate(move |file| file.set_times(times))
    }

    /// Changes when the file was written last.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::set_modified`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "it may be changed nonetheless"
    )]
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.operate(move |file| file.set_modified(time))
    }

    /// Waits for the file's lock, which only those heed who ask for it too. While it waits it takes a thread, of up to 1024 that
    /// are there for this alone.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::lock`].
    #[switchpoint(
        wakes = "the lock's release",
        cancel = "the lock may be taken later, and is held until `unlock` or the file's closing"
    )]
    pub fn lock(&self) -> io::Result<()> {
        self.wait_for_lock(std::fs::File::try_lock, std::fs::File::lock)
    }

    /// Waits for a share of the file's lock, on a thread as [`Self::lock`].
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::lock_shared`].
    #[switchpoint(
        wakes = "the lock's release",
        cancel = "the lock may be taken later, and is held until `unlock` or the file's closing"
    )]
    pub fn lock_shared(&self) -> io::Result<()> {
        self.wait_for_lock(std::fs::File::try_lock_shared, std::fs::File::lock_shared)
    }

    /// Takes the file's lock if nobody has it. Never waits.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::try_lock`].
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.file.try_lock()
    }

    /// Takes a share of the file's lock if nobody has it alone. Never waits.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::try_lock_shared`].
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.file.try_lock_shared()
    }

    /// Releases the file's lock. Never waits.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::unlock`].
    pub fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// Another handle of the file, which has the position in common.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor to spare.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.file.try_clone().map(Self::from_std)
    }

    /// Reads from a place of the file; its position stays.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::fs::FileExt::read_at`].
    #[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_by(buffer, move |file, bytes| file.read_at(bytes, offset))
    }

    /// Writes at a place of the file; its position stays.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::fs::FileExt::write_at`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the bytes may be written nonetheless"
    )]
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.write_by(bytes, move |file, bytes| file.write_at(bytes, offset))
    }

    /// Reads from a place of the file until the buffer is full; the file's position stays. One trip to the pool for each MiB.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::fs::FileExt::read_exact_at`]: `UnexpectedEof` if the file ends before.
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the buffer may be filled in part"
    )]
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all bytes at a place of the file; the file's position stays. One trip to the pool for each MiB.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::fs::FileExt::write_all_at`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "some or all bytes may be written nonetheless"
    )]
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.write_at(&bytes[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether it is a terminal. Never waits.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// Runs an operation on the pool.
    fn operate<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = Arc::clone(&self.file);
        unblock(move || operation(&file))?
    }

    fn wait_for_lock(
        &self,
        attempt: fn(&std::fs::File) -> Result<(), TryLockError>,
        lock: fn(&std::fs::File) -> io::Result<()>,
    ) -> io::Result<()> {
        match attempt(&self.file) {
            Ok(()) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => {
                let file = Arc::clone(&self.file);
                unblock_on(&LOCKERS, move || lock(&file))?
            }
        }
    }

    fn read_by(
        &self,
        buffer: &mut [u8],
        read: impl FnOnce(&std::fs::File, &mut [u8]) -> io::Result<usize> + Send + 'static,
    ) -> io::Result<usize> {
        let length = buffer.len().min(TRIP_BYTES_MAX);
        let bytes = self.operate(move |file| {
            let mut bytes = vec![0; length];
            let count = read(file, &mut bytes)?;
            bytes.truncate(count);
            Ok(bytes)
        })?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write_by(
        &self,
        bytes: &[u8],
        write: impl FnOnce(&std::fs::File, &[u8]) -> io::Result<usize> + Send + 'static,
    ) -> io::Result<usize> {
        let bytes = bytes[..bytes.len().min(TRIP_BYTES_MAX)].to_vec();
        self.operate(move |file| write(file, &bytes))
    }
}

impl Read for &File {
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the position may be past bytes that nobody got"
    )]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_by(buffer, |mut file, bytes| file.read(bytes))
    }

    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the position may be past bytes that nobody got"
    )]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        // What came before an error is the caller's.
        let (read, result) = self.operate(|mut file| {
            let mut read = Vec::new();
            let result = file.read_to_end(&mut read);
            Ok((read, result))
        })?;
        bytes.extend_from_slice(&read);
        result
    }

    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the position may be past bytes that nobody got"
    )]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        let read = self.operate(|mut file| {
            let mut read = String::new();
            file.read_to_string(&mut read)?;
            Ok(read)
        })?;
        text.push_str(&read);
        Ok(read.len())
    }
}

impl Write for &File {
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the bytes may be written nonetheless"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_by(bytes, |mut file, bytes| file.write(bytes))
    }

    /// Does nothing: the file has no buffer of its own here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the position may be moved nonetheless"
    )]
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.operate(move |mut file| file.seek(position))
    }
}

impl Read for File {
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the position may be past bytes that nobody got"
    )]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the position may be past bytes that nobody got"
    )]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(bytes)
    }

    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the position may be past bytes that nobody got"
    )]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(text)
    }
}

impl Write for File {
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the bytes may be written nonetheless"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    /// Does nothing: the file has no buffer of its own here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the position may be moved nonetheless"
    )]
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        (&*self).seek(position)
    }
}

impl From<std::fs::File> for File {
    fn from(file: std::fs::File) -> Self {
        Self::from_std(file)
    }
}

impl From<OwnedFd> for File {
    fn from(descriptor: OwnedFd) -> Self {
        Self::from_std(descriptor.into())
    }
}

conversions_to_std!(File, std::fs::File);

/// For the standard streams of a child.
impl From<File> for Stdio {
    /// # Panics
    ///
    /// If an operation of a cancelled fiber still runs on the file, and the system has no descriptor for a duplicate.
    fn from(file: File) -> Self {
        let file = file.into_std();
        file.expect("the system gives a descriptor for a duplicate of a file in use")
            .into()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(formatter)
    }
}
