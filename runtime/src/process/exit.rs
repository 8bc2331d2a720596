//! The end of a child as a descriptor, which becomes readable when the child can be reaped.
//!
//! On Linux it is a pidfd. Where there is none (before Linux 5.3, in a sandbox that forbids it, on other systems) a thread
//! waits for the child, without reaping it, and then closes the other end of a socket.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

use crate::hub::poller::is_portable;

fn pid_of(child: u32) -> io::Result<Pid> {
    let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Whether a child that was not reaped yet has ended. It is not reaped by this.
pub(super) fn has_ended(child: u32) -> bool {
    // What the system refuses to tell, a wait will refuse with a better reason.
    !matches!(look(child), Ok(None))
}

/// Whether a child runs or can be reaped, so that the system gives its number to nobody else.
pub(super) fn has_its_number(child: u32) -> bool {
    look(child).is_ok()
}

fn look(child: u32) -> io::Result<Option<WaitIdStatus>> {
    let only_look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    Ok(waitid(WaitId::Pid(pid_of(child)?), only_look)?)
}

/// For a child that was not reaped yet.
pub(super) fn exit_descriptor(child: u32) -> io::Result<OwnedFd> {
    let pid = pid_of(child)?;
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
