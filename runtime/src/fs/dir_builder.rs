//! How to make a directory.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::functions::with_path;

/// How to make a directory, with the methods of [`std::fs::DirBuilder`].
///
/// # Examples
///
/// ```
/// use kapok::fs::DirBuilder;
///
/// let path = std::env::temp_dir().join(format!("kapok-dir-builder-{}", std::process::id()));
/// DirBuilder::new().recursive(true).mode(0o700).create(path.join("inner"))?;
/// kapok::fs::remove_dir_all(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DirBuilder {
    is_recursive: bool,
    mode: u32,
}

impl DirBuilder {
    /// One directory, with the permissions that the process's mask allows.
    #[must_use]
    pub fn new() -> Self {
        Self {
            is_recursive: false,
            mode: 0o777,
        }
    }

    /// Whether those above it are made if they are missing, and it is no error if the directory is there. Default is not.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.is_recursive = recursive;
        self
    }

    /// Sets the permissions of directories that are made, before the process's mask. Default is `0o777`.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// As [`std::fs::DirBuilder::create`].
    #[switchpoint(
        wakes = "the operation's end",
        cancel = "the directories may be made nonetheless"
    )]
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(self.is_recursive).mode(self.mode);
        with_path(path.as_ref(), move |path| builder.create(path))
    }
}

impl Default for DirBuilder {
    fn default() -> Self {
        Self::new()
    }
}
