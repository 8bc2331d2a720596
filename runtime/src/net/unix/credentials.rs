//! Who is at the other end.

use std::io;
use std::os::fd::BorrowedFd;

/// The process at the other end of a unix socket, as it was when the connection was made.
///
/// # Source
///
/// std's type of this name, which is not stable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UCred {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process id, where the system tells: not if it lives in another namespace of processes.
    pub pid: Option<i32>,
}

// Not by rustix, whose process ids are never zero: zero is what Linux says of a process outside of this one's namespace.
#[cfg(target_os = "linux")]
pub(super) fn peer_cred(socket: BorrowedFd<'_>) -> io::Result<UCred> {
    use std::os::fd::AsRawFd;
    let mut credentials = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as it is borrowed; the kernel writes at most `length` bytes into the record, which is
    // made of integers, and how many it wrote into `length`; both live as long as the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(UCred {
        uid: credentials.uid,
        gid: credentials.gid,
        pid: (credentials.pid != 0).then_some(credentials.pid),
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn peer_cred(_: BorrowedFd<'_>) -> io::Result<UCred> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "kapok asks for a peer's credentials on Linux alone",
    ))
}
