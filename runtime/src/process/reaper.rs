//! Reaping the children that were dropped before they ended.
//!
//! One thread polls their exit descriptors. It is started by the first such child, told of further ones through a socket, and
//! ends when none is left, so a process without orphans pays nothing. Where there are no descriptors to spare it looks once a
//! second.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::exit::exit_descriptor;

/// Orphans may be many and live long, so only some may take a descriptor from the program.
const WATCHED_MAX: usize = 64;

/// How often the others are looked at.
const LOOK_AGAIN: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

struct Reaper {
    /// Not seen by the thread yet.
    adopted: Vec<Orphan>,
    is_running: bool,
    /// Wakes the thread while it runs; not there if the system had no descriptors for it.
    bell: Option<UnixStream>,
}

struct Orphan {
    child: Child,
    /// Not there for more than [`WATCHED_MAX`], or if the system has none to spare.
    exit: Option<OwnedFd>,
}

impl Orphan {
    /// Reaps it if it has ended. One that cannot be waited for is none of ours any more.
    fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

static REAPER: Mutex<Reaper> = Mutex::new(Reaper {
    adopted: Vec::new(),
    is_running: false,
    bell: None,
});

fn lock() -> MutexGuard<'static, Reaper> {
    // Nothing under the lock panics half-way.
    REAPER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to it that the child is reaped when it has ended. Never waits.
pub(super) fn adopt(child: Child) {
    let mut orphan = Orphan { child, exit: None };
    if !orphan.is_alive() {
        return;
    }
    let mut reaper = lock();
    reaper.adopted.push(orphan);
    if let Some(bell) = &mut reaper.bell {
        // Full only if the thread has been told and did not come to it yet.
        let _ = bell.write(&[0]);
    } else if !reaper.is_running {
        let (bell, woken) = make_bell().unzip();
        let thread = std::thread::Builder::new().name("kapok-reaper".to_owned());
        // Without a thread the next orphan tries again.
        if thread.spawn(move || reap(woken)).is_ok() {
            reaper.is_running = true;
            reaper.bell = bell;
        }
    }
}

fn make_bell() -> Option<(UnixStream, UnixStream)> {
    let (bell, woken) = UnixStream::pair().ok()?;
    bell.set_nonblocking(true).ok()?;
    woken.set_nonblocking(true).ok()?;
    Some((bell, woken))
}

fn reap(mut woken: Option<UnixStream>) {
    let mut orphans: Vec<Orphan> = Vec::new();
    loop {
        orphans.append(&mut lock().adopted);
        orphans.retain_mut(Orphan::is_alive);
        if orphans.is_empty() {
            let mut reaper = lock();
            if reaper.adopted.is_empty() {
                reaper.is_running = false;
                reaper.bell = None;
                return;
            }
            continue;
        }
        let has_unwatched = watch(&mut orphans);
        let exits = orphans.iter().filter_map(|orphan| orphan.exit.as_ref());
        let mut polled: Vec<PollFd<'_>> =
            exits.map(|exit| PollFd::new(exit, PollFlags::IN)).collect();
        polled.extend((woken.iter()).map(|woken| PollFd::new(woken, PollFlags::IN)));
        let looks_again = has_unwatched || woken.is_none();
        let looked = poll(&mut polled, looks_again.then_some(&LOOK_AGAIN));
        drop(polled);
        // An interruption only means to look again. More than the limit of descriptors may not be looked at, if it is lowered.
        if looked.is_err_and(|error| error != Errno::INTR) {
            let _ = poll(&mut [], Some(&LOOK_AGAIN));
        }
        if let Some(woken) = &mut woken {
            while woken.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        }
    }
}

/// Gives as many orphans an exit descriptor as may have one. Returns whether some have none.
fn watch(orphans: &mut [Orphan]) -> bool {
    let is_watched = |orphan: &&mut Orphan| orphan.exit.is_some();
    let watched = orphans.iter_mut().filter(is_watched).count();
    let unwatched = orphans.iter_mut().filter(|orphan| !is_watched(orphan));
    for orphan in unwatched.take(WATCHED_MAX.saturating_sub(watched)) {
        orphan.exit = exit_descriptor(orphan.child.id()).ok();
    }
    orphans.iter().any(|orphan| orphan.exit.is_none())
}
