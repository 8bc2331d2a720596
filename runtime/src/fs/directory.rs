//! What is in a directory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::functions::with_path;
use crate::task::unblock;

/// Entries that one trip to the pool brings at most.
const BATCH: usize = 128;

/// Lists a directory, in no order. See [`std::fs::read_dir`].
///
/// # Errors
///
/// As [`std::fs::read_dir`].
///
/// # Examples
///
/// ```
/// for entry in kapok::fs::read_dir(".")? {
///     println!("{}", entry?.path().display());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    with_path(path.as_ref(), |path| std::fs::read_dir(path)).map(|entries| ReadDir {
        listing: Arc::new(Mutex::new(Listing {
            entries,
            batch: VecDeque::new(),
            has_ended: false,
        })),
    })
}

/// The entries of a directory, made by [`read_dir`]. They come in batches: one trip to the pool for up to 128 of them.
pub struct ReadDir {
    /// Shared with the thread that reads on, which may do so after its fiber was cancelled.
    listing: Arc<Mutex<Listing>>,
}

struct Listing {
    entries: std::fs::ReadDir,
    batch: VecDeque<io::Result<DirEntry>>,
    has_ended: bool,
}

impl Listing {
    /// What can be told without reading on; none if that cannot.
    fn known(&mut self) -> Option<Option<io::Result<DirEntry>>> {
        match self.batch.pop_front() {
            Some(entry) => Some(Some(entry)),
            None => self.has_ended.then_some(None),
        }
    }

    fn read_on(&mut self) {
        while self.batch.len() < BATCH {
            match self.entries.next() {
                Some(entry) => self.batch.push_back(entry.map(DirEntry::of)),
                None => {
                    self.has_ended = true;
                    return;
                }
            }
        }
    }
}

fn lock(listing: &Mutex<Listing>) -> MutexGuard<'_, Listing> {
    // Nothing under the lock panics half-way.
    listing.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    #[switchpoint(wakes = "the next entries", cancel = "no entry is lost")]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // A thread that still reads for a fiber that was cancelled has the lock: waited for by the pool, not here.
            let known = match self.listing.try_lock() {
                Ok(mut listing) => listing.known(),
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().known(),
                Err(TryLockError::WouldBlock) => None,
            };
            if let Some(next) = known {
                return next;
            }
            let listing = Arc::clone(&self.listing);
            if let Err(error) = unblock(move || lock(&listing).read_on()) {
                return Some(Err(error));
            }
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReadDir").finish_non_exhaustive()
    }
}

/// An entry of a directory, with the methods of [`std::fs::DirEntry`].
pub struct DirEntry {
    entry: Arc<std::fs::DirEntry>,
    /// The system tells it with the name, or it was asked for then.
    file_type: Option<FileType>,
}

impl DirEntry {
    fn of(entry: std::fs::DirEntry) -> Self {
        Self {
            file_type: entry.file_type().ok(),
            entry: Arc::new(entry),
        }
    }

    /// The directory's path, as it was given, with the entry's name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// The entry's name.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.entry.file_name()
    }

    /// What it is: a file, a directory, a link. Mostly known, and then without a trip to the pool.
    ///
    /// # Errors
    ///
    /// As [`std::fs::DirEntry::file_type`].
    #[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
    pub fn file_type(&self) -> io::Result<FileType> {
        match self.file_type {
            Some(file_type) => Ok(file_type),
            None => self.operate(|entry| entry.file_type()),
        }
    }

    /// What the system knows of it, or of a link itself.
    ///
    /// # Errors
    ///
    /// As [`std::fs::DirEntry::metadata`].
    #[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.operate(|entry| entry.metadata())
    }

    fn operate<T: Send + 'static>(
        &self,
        operation: fn(&std::fs::DirEntry) -> io::Result<T>,
    ) -> io::Result<T> {
        let entry = Arc::clone(&self.entry);
        unblock(move || operation(&entry))?
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(formatter)
    }
}
