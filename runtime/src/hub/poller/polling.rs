//! The portable driver, on the `polling` crate.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use polling::{Events, PollMode, Poller};

use super::{Driver, Event, Notify};

pub(super) struct PollingDriver {
    poller: Arc<Poller>,
    events: Events,
}

impl PollingDriver {
    pub(super) fn new() -> io::Result<Self> {
        let poller = Poller::new()?;
        if !poller.supports_edge() {
            // Event ports and poll(2): no system that kapok is built for has only these.
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this system reports no edges",
            ));
        }
        Ok(Self {
            poller: Arc::new(poller),
            events: Events::new(),
        })
    }
}

impl Driver for PollingDriver {
    fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let key =
            usize::try_from(token).expect("invariant: kapok is built for 64-bit systems alone");
        // SAFETY: whoever adds a descriptor keeps it open until `remove`: a registration holds a share of its socket.
        unsafe {
            self.poller.add_with_mode(
                descriptor.as_raw_fd(),
                polling::Event::all(key),
                PollMode::Edge,
            )
        }
    }

    fn remove(&self, descriptor: BorrowedFd<'_>) {
        // Fails only if the descriptor is not there, which is what is wanted.
        let _ = self.poller.delete(descriptor);
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        report: &mut dyn FnMut(Event),
    ) -> io::Result<bool> {
        self.events.clear();
        self.poller.wait(&mut self.events, timeout)?;
        for event in self.events.iter() {
            let closed = event.is_interrupt() || event.is_err() == Some(true);
            report(Event {
                token: event.key as u64,
                readable: event.readable || closed,
                writable: event.writable || closed,
                hides_rest: closed,
            });
        }
        Ok(false)
    }

    fn set_alarm(&mut self, _: Duration) -> bool {
        false
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        Arc::new(PollerNotifier(Arc::clone(&self.poller)))
    }

    fn reports_peer_shutdown(&self) -> bool {
        false
    }
}

struct PollerNotifier(Arc<Poller>);

impl Notify for PollerNotifier {
    fn notify(&self) {
        // Fails only if the poller is broken, and then the hub's next wait says so.
        let _ = self.0.notify();
    }
}
