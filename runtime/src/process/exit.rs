//! The end of a child as a descriptor, which becomes readable when the child can be reaped.
//!
//! On Linux it is a pidfd. Where there is none (before Linux 5.3, in a sandbox that forbids it, on other systems) a thread
//! waits for the child, without reaping it, and then closes the other end of a socket.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::hub::poller::is_portable;

/// For a child that was not reaped yet.
pub(super) fn exit_descriptor(child: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(io::ErrorKind::InvalidInput)?;
    #[cfg(target_os = "linux")]
    if !is_portable() {
        use rustix::process::{PidfdFlags, pidfd_open};
        match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {}
            result => return Ok(result?),
        }
    }
    watched_by_a_thread(pid)
}

fn watched_by_a_thread(child: Pid) -> io::Result<OwnedFd> {
    let (here, there) = UnixStream::pair()?;
    here.set_nonblocking(true)?;
    std::thread::Builder::new()
        .name("kapok-child".to_owned())
        .spawn(move || {
            let only_look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            // Any other end means that the child is reaped already.
            while matches!(waitid(WaitId::Pid(child), only_look), Err(Errno::INTR)) {}
            drop(there);
        })?;
    Ok(here.into())
}
