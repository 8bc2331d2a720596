//! Waiting for the operating system: one small trait, two drivers, chosen here.
//!
//! On Linux the driver is `epoll` itself: one system call a wait, nanosecond timeouts, and the peer's shutdown is watched, so
//! that a short read means that the socket is drained. `polling` is the portable driver. `KAPOK_DRIVER=polling` picks it on
//! Linux too, so that the whole suite can run on both.

#[cfg(target_os = "linux")]
mod epoll;
mod polling;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// One thread's way to wait for many descriptors. Every descriptor is added once, for both directions, and reported at each
/// change (edge-triggered).
pub(crate) trait Driver {
    /// Reports the descriptor under `token` from now on; what is ready already is reported too.
    fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()>;

    /// Reports it no more.
    fn remove(&self, descriptor: BorrowedFd<'_>);

    /// Waits for events, a notification, the alarm or the timeout, whichever comes first, and hands each event on. May return early.
    /// Returns whether the alarm went off.
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        report: &mut dyn FnMut(Event),
    ) -> io::Result<bool>;

    /// Sets the one alarm, or moves it: a wait will end when the system's monotonic clock shows `at`. Waits need no timeout then, which
    /// costs the system two readings of its clock each. Returns whether it is set.
    fn set_alarm(&mut self, at: Duration) -> bool;

    fn notifier(&self) -> Arc<dyn Notify>;

    /// Whether a peer's shutdown is an event of its own. If not, a short read may hide an end of stream.
    fn reports_peer_shutdown(&self) -> bool;
}

/// Ends a driver's wait from another thread.
pub(crate) trait Notify: Send + Sync {
    fn notify(&self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) token: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// A short read need not have drained the descriptor: behind it may be the end of the stream or an error, or bytes that
    /// follow urgent ones, in front of which a read stops.
    pub(crate) hides_rest: bool,
}

/// No source has these tokens, or a greater one.
const NOTIFY_TOKEN: u64 = u64::MAX - 2;
#[cfg(target_os = "linux")]
const ALARM_TOKEN: u64 = u64::MAX - 1;

/// Whether the portable ways are to be used where the system has better ones.
pub(crate) fn is_portable() -> bool {
    std::env::var_os("KAPOK_DRIVER").is_some_and(|driver| driver == "polling")
}

pub(crate) fn new_driver() -> io::Result<Box<dyn Driver>> {
    #[cfg(target_os = "linux")]
    if !is_portable() {
        return Ok(Box::new(epoll::EpollDriver::new()?));
    }
    Ok(Box::new(polling::PollingDriver::new()?))
}
