//! A child process.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Output};
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;
use rustix::io::Errno;

use super::command::ChildOptions;
use super::communicate::{CommunicateError, CommunicateLimits, communicate};
use super::exit::{exit_descriptor, has_ended, has_its_number};
use super::{ChildStderr, ChildStdin, ChildStdout, reaper};
use crate::fiber::slot::{NEVER, Wait};
use crate::hub::current;
use crate::hub::registration::Registered;
use crate::hub::sources::Direction;
use crate::hub::wait_list::Ticket;
use crate::hub::waiting::Place;
use crate::signal::{self, Signal};
use crate::sync::{Sealed, Waitable};

/// A running or ended child process, with the methods of [`std::process::Child`].
///
/// Dropped, it runs on, unless [`Command::kill_on_drop`](super::Command::kill_on_drop) says otherwise, and is reaped when it
/// has ended: see the [module](super). It may move to another thread; it is not `Sync`.
///
/// # Examples
///
/// ```
/// use kapok::process::Command;
///
/// let mut child = Command::new("sleep").arg("0.01").spawn()?;
/// assert!(child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// To write the child's input, if that is a pipe. Take it to use it in another fiber.
    pub stdin: Option<ChildStdin>,
    /// To read the child's output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// To read the child's error stream, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    process: Process,
}

/// The process without its pipes, which may be taken out of a [`Child`].
struct Process {
    /// There until the drop.
    child: Option<std::process::Child>,
    /// Readable when the child has ended. Made by the first wait that has to wait.
    exit: OnceCell<Registered<OwnedFd>>,
    /// The system had no descriptor to wait for it, which the next wait is to tell.
    is_unwatchable: Cell<bool>,
    /// Its status is known, and its number may be another's.
    is_reaped: bool,
    /// The system has reaped it, as it does while the process ignores `SIGCHLD`: no status, and its number may be another's.
    is_lost: bool,
    options: ChildOptions,
}

impl Child {
    pub(super) fn of(mut child: std::process::Child, options: ChildOptions) -> io::Result<Self> {
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // First: from here on an error lets nobody forget the child.
        let process = Process {
            child: Some(child),
            exit: OnceCell::new(),
            is_unwatchable: Cell::new(false),
            is_reaped: false,
            is_lost: false,
            options,
        };
        Ok(Self {
            stdin: stdin.map(ChildStdin::from_std).transpose()?,
            stdout: stdout.map(ChildStdout::from_std).transpose()?,
            stderr: stderr.map(ChildStderr::from_std).transpose()?,
            process,
        })
    }

    /// The process number. Until the child was waited for the system gives it to nobody else.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Closes the child's input, waits for its end and reaps it. Later calls return the same status at once.
    ///
    /// Costs a descriptor from the first wait to the child's end. The output is not read: a child that fills a pipe nobody
    /// reads waits for ever.
    ///
    /// # Errors
    ///
    /// Those of the system, and `TimedOut` if the hub has stopped.
    #[switchpoint(
        wakes = "the child's end",
        cancel = "the child runs on and can be waited for again"
    )]
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.wait_until(NEVER)
    }

    /// Waits for the child's end for at most `timeout`; then it returns `None`. The child's input stays open.
    ///
    /// # Errors
    ///
    /// Those of [`Self::wait`].
    #[switchpoint(
        wakes = "the child's end, or the timeout",
        cancel = "the child runs on and can be waited for again"
    )]
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let hub = current::hub();
        match self.wait_until(hub.clock.deadline_after(timeout)) {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut && !hub.is_expired.get() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the status if the child has ended, and reaps it. Never waits.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Ends the child by `SIGKILL`. It still has to be waited for, or dropped. Does nothing if it has ended.
    ///
    /// # Errors
    ///
    /// Those of the system, as if the child runs as another user.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// Sends the child a signal, such as [`Signal::SIGTERM`]. Does nothing if it has ended.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // A child that was not reaped keeps its number, so the signal reaches nobody else.
        match self.try_wait()? {
            Some(_) => Ok(()),
            None => signal::send(self.id(), signal),
        }
    }

    /// Sends a signal to the child and all that it has started, as far as they have stayed in its process group. Does nothing if the
    /// child was waited for: its number may be another group's then. So signal first and wait afterwards, also if the child itself
    /// has ended.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the child was not started with [`Command::process_group(0)`](super::Command::process_group), and those of
    /// the system.
    ///
    /// # Examples
    ///
    /// ```
    /// use kapok::process::Command;
    /// use kapok::signal::Signal;
    ///
    /// let mut shell = Command::new("sh");
    /// let mut child = shell.args(["-c", "sleep 60 & sleep 60"]).process_group(0).spawn()?;
    /// child.signal_group(Signal::SIGTERM)?;
    /// assert!(!child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn signal_group(&mut self, signal: Signal) -> io::Result<()> {
        if !self.process.options.leads_group {
            let reason =
                "the child has no process group of its own: start it with `process_group(0)`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        // Not by `try_wait`: that would reap a child that has ended, and give its number away before the group had the signal.
        let process = &self.process;
        if process.is_reaped || process.is_lost || !has_its_number(process.id()) {
            return Ok(());
        }
        signal::send_to_group(process.id(), signal)
    }

    /// Closes the child's input, reads its output and its error stream to their ends, both at once, and waits for it.
    ///
    /// The ends come when nobody has the pipes open any more: a grandchild that inherited them keeps this waiting. What is read
    /// is kept in memory, however much it is, as std does; [`Self::communicate`] has limits.
    ///
    /// # Errors
    ///
    /// Those of the system, and `TimedOut` if the hub has stopped.
    #[switchpoint(
        wakes = "the child's output, and its end",
        cancel = "what was read is lost, and the child dropped"
    )]
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        Ok(communicate(
            &mut self,
            &[],
            &CommunicateLimits::unlimited(),
        )?)
    }

    /// Writes `input` to the child while it reads its output and error stream, all at once so that neither side waits for the
    /// other; closes the input behind it, and waits for the child.
    ///
    /// Streams that are no pipes are left out. A child that does not want all of its input is no error.
    ///
    /// # Errors
    ///
    /// [`CommunicateError`]: a limit was reached, or the system refused something. The child runs on; its pipes are still
    /// in `self`, and the error of a limit has what was read before: who reads on misses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use kapok::process::{Command, CommunicateLimits, Stdio};
    /// use std::time::Duration;
    ///
    /// let mut sort = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    /// let limits = CommunicateLimits::new().timeout(Duration::from_secs(10));
    /// let output = sort.communicate(b"pear\nfig\n", &limits)?;
    /// assert_eq!(output.stdout, b"fig\npear\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[switchpoint(
        wakes = "the child's pipes, its end, or the timeout",
        cancel = "what was read is lost; the child runs on and can be waited for"
    )]
    pub fn communicate(
        &mut self,
        input: &[u8],
        limits: &CommunicateLimits,
    ) -> Result<Output, CommunicateError> {
        communicate(self, input, limits)
    }

    /// `deadline` is in the hub's nanoseconds.
    pub(super) fn wait_until(&mut self, deadline: u64) -> io::Result<ExitStatus> {
        self.process.wait_until(deadline)
    }
}

impl Process {
    fn child(&mut self) -> &mut std::process::Child {
        (self.child.as_mut()).expect("invariant: only the drop takes it")
    }

    fn id(&self) -> u32 {
        (self.child.as_ref()).map_or(0, std::process::Child::id)
    }

    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.is_lost {
            return Err(Errno::CHILD.into());
        }
        let result = self.child().try_wait();
        match &result {
            Ok(status) => self.is_reaped |= status.is_some(),
            Err(error) => self.is_lost = error.raw_os_error() == Some(libc::ECHILD),
        }
        result
    }

    fn kill(&mut self) -> io::Result<()> {
        if self.is_reaped || self.is_lost || has_ended(self.id()) {
            return Ok(());
        }
        self.child().kill()
    }

    fn exit(&self) -> io::Result<&Registered<OwnedFd>> {
        if self.exit.get().is_none() {
            let exit = Registered::new(exit_descriptor(self.id())?);
            return Ok(self.exit.get_or_init(|| exit));
        }
        let exit = self.exit.get();
        Ok(exit.expect("invariant: it was looked at just now"))
    }

    fn wait_until(&mut self, deadline: u64) -> io::Result<ExitStatus> {
        let hub = current::hub();
        loop {
            if let Some(status) = self.try_wait()? {
                self.exit.take();
                return Ok(status);
            }
            let exit = self.exit()?;
            self.is_unwatchable.set(false);
            if let Some(source) = exit.source(hub) {
                // It said so too early, and will say so again.
                source.clear_ready(Direction::Read);
            }
            exit.wait(hub, Direction::Read, Wait::Child, deadline)?;
        }
    }
}

impl Sealed for Child {}

/// Ready when the child has ended, so that [`Child::wait`] does not wait.
impl Waitable for Child {
    fn is_ready(&self) -> bool {
        let process = &self.process;
        process.is_reaped
            || process.is_lost
            || process.is_unwatchable.get()
            || has_ended(process.id())
    }

    unsafe fn enter(&self, _: &Place<()>, _: &Ticket, _: u32) -> bool {
        let registered = self
            .process
            .exit()
            .and_then(|exit| exit.register(current::hub()));
        match registered {
            Ok(source) => {
                // It may have said so too early, and will say so again.
                source.clear_ready(Direction::Read);
                source.add_waiter(Direction::Read, current::running_fiber());
                !self.is_ready()
            }
            // `wait` will tell why.
            Err(_) => {
                self.process.is_unwatchable.set(true);
                false
            }
        }
    }

    fn leave(&self, _: &Place<()>) {
        let source = (self.process.exit.get()).and_then(|exit| exit.source(current::hub()));
        if let Some(source) = source {
            source.remove_waiter(Direction::Read, current::running_fiber());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_lost {
            return;
        }
        if self.options.kill_on_drop {
            // Fails only for a child that runs as another user by now.
            let _ = self.kill();
        }
        if let Some(child) = self.child.take() {
            reaper::adopt(child);
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Process")
            .field("id", &self.id())
            .field("kill_on_drop", &self.options.kill_on_drop)
            .finish_non_exhaustive()
    }
}
