//! Files with the names and signatures of [`std::fs`], for which a fiber waits and not its thread.
//!
//! The system has no good way to wait for a file, so each operation runs on a thread of the pool that
//! [`unblock`](crate::unblock()) uses. That costs some twenty microseconds: read and write much at a time, by [`read()`],
//! [`write()`], [`std::io::BufReader`] and [`std::io::BufWriter`]. On a thread that has no hub operations run right there.
//!
//! **An operation that was begun is not broken off.** When its fiber is cancelled or a timeout unwinds it, the operation goes on
//! unseen and its result is dropped: the file may be renamed, removed or written nonetheless, some bytes may be read past, and an
//! operation that comes after it may overtake it. Where that matters, put a [`shielded`](crate::shielded()) around both.
//!
//! A FIFO or a device can occupy a thread of the pool for as long as nothing comes; [`crate::net`] and [`crate::process`] have
//! better ways for sockets and for the pipes of children.

mod dir_builder;
mod directory;
mod file;
mod functions;
mod open_options;

pub use dir_builder::DirBuilder;
pub use directory::{DirEntry, ReadDir, read_dir};
pub use file::File;
pub use functions::{
    canonicalize, copy, create_dir, create_dir_all, exists, hard_link, metadata, read, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions, symlink,
    symlink_metadata, write,
};
pub use open_options::OpenOptions;
pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};
