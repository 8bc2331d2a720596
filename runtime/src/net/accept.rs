//! Accepting, whatever kind of socket listens.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::fiber::slot::{NEVER, Wait};
use crate::hub::Hub;
use crate::hub::current;
use crate::hub::registration::Registered;
use crate::hub::report::report;
use crate::hub::sources::{Direction, Source};

/// How long to wait before trying again when the system has no descriptor or memory for one more connection. No event tells
/// when it has.
const RETRY_TIME: Duration = Duration::from_millis(100);
const REPORT_TIME: Duration = Duration::from_secs(10);

/// A socket that listens, non-blocking.
#[derive(Debug)]
pub(super) struct Acceptor<L: AsFd + Send + Sync + 'static> {
    registered: Registered<L>,
    last_report: Cell<Option<Instant>>,
}

impl<L: AsFd + Send + Sync + 'static> Acceptor<L> {
    pub(super) fn new(listener: L) -> Self {
        Self {
            registered: Registered::new(listener),
            last_report: Cell::new(None),
        }
    }

    pub(super) fn registered(&self) -> &Registered<L> {
        &self.registered
    }

    pub(super) fn io(&self) -> &L {
        self.registered.io()
    }

    /// Another handle of the same socket.
    pub(super) fn share(&self) -> Self {
        Self {
            registered: self.registered.share(),
            last_report: self.last_report.clone(),
        }
    }

    /// The socket itself; if other handles share it, what `duplicate` makes of it.
    pub(super) fn into_inner(self, duplicate: impl FnOnce(&L) -> io::Result<L>) -> io::Result<L> {
        match self.registered.into_inner() {
            Ok(listener) => Ok(listener),
            Err(shared) => duplicate(shared.io()),
        }
    }

    /// Marks the socket as closed for all its handles and wakes whoever waits for connections, on whatever hub.
    pub(super) fn close(&self) {
        self.registered.close();
    }

    /// Whether [`Self::accept`] would fail at once.
    pub(super) fn has_ended(&self) -> bool {
        self.registered.is_closed() || current::hub().is_stopping.get()
    }

    /// Waits for what `accept` takes from the socket. `name` is for reports.
    pub(super) fn accept<T>(
        &self,
        accept: impl Fn(&L) -> io::Result<T>,
        name: impl Fn(&L) -> io::Result<String>,
    ) -> io::Result<T> {
        let hub = current::hub();
        hub.spend_budget(current::running_fiber());
        loop {
            let mut deadline = NEVER;
            let source = self.registered.source(hub);
            if source.is_none_or(|source| source.is_ready(Direction::Read))
                && !hub.is_stopping.get()
                && !self.registered.is_closed()
            {
                match accept(self.io()) {
                    Ok(accepted) => return Ok(accepted),
                    Err(error) => match Trouble::of(&error) {
                        Trouble::Nobody => {}
                        Trouble::Peer => continue,
                        Trouble::Want => {
                            self.report(&error, &name);
                            deadline = hub.clock.deadline_after(RETRY_TIME);
                        }
                        Trouble::Socket => return Err(error),
                    },
                }
            }
            let retries = deadline != NEVER;
            let source = self.registered.register(hub)?;
            source.clear_ready(Direction::Read);
            let left = retries.then(|| Left { hub, source });
            let waited = (self.registered).wait(hub, Direction::Read, Wait::Accept, deadline);
            drop(left);
            match waited {
                Err(error) if retries && error.kind() == io::ErrorKind::TimedOut => {}
                other => other?,
            }
        }
    }

    fn report(&self, error: &io::Error, name: impl Fn(&L) -> io::Result<String>) {
        let is_due = self
            .last_report
            .get()
            .is_none_or(|last| last.elapsed() >= REPORT_TIME);
        if is_due {
            self.last_report.set(Some(Instant::now()));
            let name = name(self.io()).unwrap_or_else(|_| "a listener".to_owned());
            report(format_args!(
                "{name} cannot accept: {error}; trying again every {} ms",
                RETRY_TIME.as_millis()
            ));
        }
    }
}

/// A connection that could not be taken. No event tells of it again: when its fiber has waited, or is cancelled meanwhile, all who
/// wait are to try.
struct Left<'a> {
    hub: &'a Hub,
    source: &'static Source,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.source.set_ready(self.hub, Direction::Read);
    }
}

/// What [`Acceptor::accept`] returns for good: closed, or the hub stops.
pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotConnected | io::ErrorKind::ConnectionAborted
    )
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Nobody has come.
    Nobody,
    /// The peer or its network went away: the next one may be well. accept(2) passes such errors on.
    Peer,
    /// The system has no descriptor or memory.
    Want,
    /// The socket itself.
    Socket,
}

impl Trouble {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::Want,
            Some(
                libc::ECONNABORTED
                | libc::EINTR
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH,
            ) => Self::Peer,
            #[cfg(target_os = "linux")]
            Some(libc::ENONET | libc::EOPNOTSUPP | libc::ENOPROTOOPT) => Self::Peer,
            _ if error.kind() == io::ErrorKind::WouldBlock => Self::Nobody,
            _ => Self::Socket,
        }
    }
}
