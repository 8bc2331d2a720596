//! What needs only a path.

use std::fs::{Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::task::unblock;

/// Runs an operation on a path on the pool.
pub(super) fn with_path<T: Send + 'static>(
    path: &Path,
    operation: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_owned();
    unblock(move || operation(&path))?
}

/// Returns the absolute path without symbolic links, `.` and `..`.
///
/// # Errors
///
/// As [`std::fs::canonicalize`].
#[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
pub fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    with_path(path.as_ref(), |path| std::fs::canonicalize(path))
}

/// Makes a directory.
///
/// # Errors
///
/// As [`std::fs::create_dir`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the directory may be made nonetheless"
)]
pub fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path.as_ref(), |path| std::fs::create_dir(path))
}

/// Makes a directory and those above it that are missing.
///
/// # Errors
///
/// As [`std::fs::create_dir_all`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the directories may be made nonetheless"
)]
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path.as_ref(), |path| std::fs::create_dir_all(path))
}

/// Whether there is something at the path; a link that leads nowhere is not.
///
/// # Errors
///
/// As [`std::fs::exists`].
#[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
pub fn exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    with_path(path.as_ref(), |path| std::fs::exists(path))
}

/// Returns what the system knows of a file, or of what a link leads to.
///
/// # Errors
///
/// As [`std::fs::metadata`].
#[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
pub fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    with_path(path.as_ref(), |path| std::fs::metadata(path))
}

/// Reads a whole file, in one trip to the pool. It has to fit into memory.
///
/// # Errors
///
/// As [`std::fs::read`].
///
/// # Examples
///
/// ```
/// let manifest = kapok::spawn(|| kapok::fs::read("Cargo.toml"));
/// assert!(!manifest.join().unwrap()?.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    with_path(path.as_ref(), |path| std::fs::read(path))
}

/// Returns what a symbolic link leads to.
///
/// # Errors
///
/// As [`std::fs::read_link`].
#[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    with_path(path.as_ref(), |path| std::fs::read_link(path))
}

/// Reads a whole file of UTF-8, in one trip to the pool. It has to fit into memory.
///
/// # Errors
///
/// As [`std::fs::read_to_string`].
#[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    with_path(path.as_ref(), |path| std::fs::read_to_string(path))
}

/// Removes an empty directory.
///
/// # Errors
///
/// As [`std::fs::remove_dir`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the directory may be removed nonetheless"
)]
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path.as_ref(), |path| std::fs::remove_dir(path))
}

/// Removes a directory and all that is in it. Links are removed, not what they lead to.
///
/// # Errors
///
/// As [`std::fs::remove_dir_all`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "all of it may be removed nonetheless"
)]
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path.as_ref(), |path| std::fs::remove_dir_all(path))
}

/// Removes a file.
///
/// # Errors
///
/// As [`std::fs::remove_file`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the file may be removed nonetheless"
)]
pub fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path.as_ref(), |path| std::fs::remove_file(path))
}

/// Makes a symbolic link, which may lead nowhere.
///
/// # Errors
///
/// As [`std::os::unix::fs::symlink`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the link may be made nonetheless"
)]
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    let link = link.as_ref().to_owned();
    with_path(original.as_ref(), move |original| {
        std::os::unix::fs::symlink(original, link)
    })
}

/// Returns what the system knows of a file, or of a link itself.
///
/// # Errors
///
/// As [`std::fs::symlink_metadata`].
#[switchpoint(wakes = "the operation's end", cancel = "nothing is left behind")]
pub fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    with_path(path.as_ref(), |path| std::fs::symlink_metadata(path))
}

/// Copies a file's content and its permissions. Returns the number of bytes.
///
/// # Errors
///
/// As [`std::fs::copy`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the copy is finished nonetheless"
)]
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    let to = to.as_ref().to_owned();
    with_path(from.as_ref(), move |from| std::fs::copy(from, to))
}

/// Gives a file another name.
///
/// # Errors
///
/// As [`std::fs::hard_link`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the link may be made nonetheless"
)]
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    let link = link.as_ref().to_owned();
    with_path(original.as_ref(), move |original| {
        std::fs::hard_link(original, link)
    })
}

/// Gives a file or directory another name, in the place of what has it.
///
/// # Errors
///
/// As [`std::fs::rename`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the file may be renamed nonetheless"
)]
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    let to = to.as_ref().to_owned();
    with_path(from.as_ref(), move |from| std::fs::rename(from, to))
}

/// Changes a file's permissions.
///
/// # Errors
///
/// As [`std::fs::set_permissions`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "they may be changed nonetheless"
)]
pub fn set_permissions<P: AsRef<Path>>(path: P, permissions: Permissions) -> io::Result<()> {
    with_path(path.as_ref(), move |path| {
        std::fs::set_permissions(path, permissions)
    })
}

/// Makes a file of these bytes, in the place of one that is there, in one trip to the pool. The bytes are copied for it.
///
/// # Errors
///
/// As [`std::fs::write`].
#[switchpoint(
    wakes = "the operation's end",
    cancel = "the file is written nonetheless"
)]
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let contents = contents.as_ref().to_vec();
    with_path(path.as_ref(), move |path| std::fs::write(path, contents))
}
