//! Signals of Unix as a stream of events that a fiber waits for.
//!
//! Nothing is installed before a program asks: the first [`Signals`] that names a signal installs a handler for it, and from
//! then on the signal has no other effect on the process. The handler stays, also when nobody listens any more, since the system
//! has no safe way to take it back while others may have put theirs above it. A handler that was there before is called too.
//!
//! The first `Signals` of a process also starts a thread, which passes on what the handler notes; it sleeps between signals.

mod dispatch;
mod number;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::fiber::slot::Wait;
use crate::hub::wait_list::Ticket;
use crate::hub::waiting::Place;
use crate::sync::Sealed;
use crate::sync::select::{Branch, Receive};
use crate::task::Monitor;

pub use number::Signal;

pub(crate) use dispatch::{send, send_to_group};

/// The signals that have come and were not taken yet, a bit each.
type Pending = Monitor<u64>;

/// Receives the signals it was made for, from its making on.
///
/// As everywhere in Unix, signals coalesce: one that comes again before it was taken counts once. Each `Signals` gets every
/// signal it names, on whatever hub or thread it is used; several fibers that wait at the same one share them. It may be used
/// on a thread without a hub, which it parks.
///
/// # Examples
///
/// ```
/// use kapok::process::Command;
/// use kapok::signal::{Signal, Signals};
///
/// let signals = Signals::new([Signal::SIGHUP, Signal::SIGUSR1])?;
/// Command::new("sh").args(["-c", "kill -USR1 $PPID"]).status()?;
/// assert_eq!(signals.recv(), Signal::SIGUSR1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "the handlers are installed, and the signals are lost if nobody takes them"]
pub struct Signals {
    pending: Arc<Pending>,
    wanted: u64,
}

impl Signals {
    /// Listens for these signals. From now on they do not end the process, or do what else they did, any more.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the list has a signal that cannot be taken, or that tells of a fault in the running code: `SIGKILL`,
    ///   `SIGSTOP`, `SIGILL`, `SIGTRAP`, `SIGBUS`, `SIGFPE`, `SIGSEGV` and `SIGSYS`, and those from 32 on that the C library
    ///   keeps for itself. Nothing was installed.
    /// - Those of the system, if it refuses a handler, a thread or a descriptor.
    pub fn new(signals: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        let signals: Vec<Signal> = signals.into_iter().collect();
        if let Some(signal) = signals.iter().find(|signal| signal.is_forbidden()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{signal} cannot be received as an event"),
            ));
        }
        let wanted = signals.iter().fold(0, |bits, signal| bits | signal.bit());
        let pending = Arc::new(Pending::new(0));
        dispatch::listen(wanted, &pending);
        // Dropped on an error: then it listens no more.
        let listening = Self { pending, wanted };
        for signal in signals {
            dispatch::install(signal)?;
        }
        Ok(listening)
    }

    /// Waits for the next signal. If several have come the one with the lowest number is taken first.
    #[switchpoint(wakes = "a signal", cancel = "no signal is lost")]
    pub fn recv(&self) -> Signal {
        loop {
            if let Some(signal) = self.pending.wait(Wait::Signal, None, take_lowest) {
                return signal;
            }
        }
    }

    /// [`Self::recv`] for at most `timeout`; then it returns `None`.
    #[switchpoint(wakes = "a signal or the timeout", cancel = "no signal is lost")]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Signal> {
        self.pending.wait(Wait::Signal, Some(timeout), take_lowest)
    }

    /// Takes a signal that has come already. Never waits.
    #[must_use]
    pub fn try_recv(&self) -> Option<Signal> {
        self.pending.try_take(take_lowest)
    }

    /// The signals as they come, without an end.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { signals: self }
    }
}

fn take_lowest(pending: &mut u64) -> Option<Signal> {
    let signal = Signal::of_lowest_bit(*pending)?;
    *pending &= !signal.bit();
    Some(signal)
}

impl Drop for Signals {
    fn drop(&mut self) {
        dispatch::listen_no_more(&self.pending);
    }
}

impl<'a> IntoIterator for &'a Signals {
    type Item = Signal;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> Receive for &'a Signals {
    type Branch = RecvSignal<'a>;

    fn into_branch(self) -> RecvSignal<'a> {
        RecvSignal { signals: self }
    }
}

/// What [`select::recv`](crate::sync::select::recv) returns for signals.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct RecvSignal<'a> {
    signals: &'a Signals,
}

impl Sealed for RecvSignal<'_> {}

impl Branch for RecvSignal<'_> {
    type Output = Signal;
    type Place = Place<()>;

    fn try_take(&self) -> Option<Self::Output> {
        self.signals.try_recv()
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let mut state = self.signals.pending.state().lock();
        if state.value != 0 {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.waiters, (), ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        place.leave(&mut self.signals.pending.state().lock().waiters);
    }

    fn granted(&self, _: Self::Place) -> Option<Self::Output> {
        // None if another fiber was faster.
        self.try_take()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = Signal::all_of(self.wanted);
        formatter
            .debug_tuple("Signals")
            .field(&wanted.collect::<Vec<_>>())
            .finish()
    }
}

/// The signals of a [`Signals`], made by [`Signals::iter`]. It waits for each and has no end.
#[derive(Debug)]
pub struct Iter<'a> {
    signals: &'a Signals,
}

impl Iterator for Iter<'_> {
    type Item = Signal;

    #[switchpoint(wakes = "a signal", cancel = "no signal is lost")]
    fn next(&mut self) -> Option<Signal> {
        Some(self.signals.recv())
    }
}

/// Waits until the user presses Ctrl-C, or `SIGINT` comes otherwise.
///
/// **From its first call on `SIGINT` no longer ends the process**, also when nobody waits here any more. One that comes between
/// two calls is lost; a [`Signals`] that is kept misses none. Only the fiber that waits here is told: all others live on.
///
/// # Errors
///
/// As [`Signals::new`], for want of system resources.
///
/// # Examples
///
/// ```no_run
/// let server = kapok::spawn(|| kapok::sleep(std::time::Duration::from_secs(3600)));
/// kapok::signal::ctrl_c()?;
/// server.cancel();
/// # Ok::<(), std::io::Error>(())
/// ```
#[switchpoint(
    wakes = "`SIGINT`",
    cancel = "`SIGINT` stays without effect on the process"
)]
pub fn ctrl_c() -> io::Result<()> {
    Signals::new([Signal::SIGINT])?.recv();
    Ok(())
}
