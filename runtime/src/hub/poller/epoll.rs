//! The Linux driver, straight on epoll.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use super::{Driver, Event, NOTIFY_TOKEN, Notify};

/// Events taken in one wait. A full buffer only means that the next wait returns at once.
const EVENTS: usize = 1024;

pub(super) struct EpollDriver {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    notifier: Arc<EventFd>,
}

impl EpollDriver {
    /// None where the kernel is older than 5.11 and does not know `epoll_pwait2`.
    pub(super) fn new() -> io::Result<Option<Self>> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut events = Vec::with_capacity(EVENTS);
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match epoll::wait(
            &epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&at_once),
        ) {
            Err(Errno::NOSYS) => return Ok(None),
            other => other?,
        };
        let notifier = Arc::new(EventFd(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?));
        // Edge-triggered, so that it need not be read: each write is a new edge.
        epoll::add(
            &epoll,
            &notifier.0,
            EventData::new_u64(NOTIFY_TOKEN),
            EventFlags::IN | EventFlags::ET,
        )?;
        Ok(Some(Self {
            epoll,
            events,
            notifier,
        }))
    }
}

impl Driver for EpollDriver {
    fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(
            &self.epoll,
            descriptor,
            EventData::new_u64(token),
            interest,
        )?)
    }

    fn remove(&self, descriptor: BorrowedFd<'_>) {
        // Fails only if the descriptor is not there, which is what is wanted.
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    fn wait(&mut self, timeout: Option<Duration>, report: &mut dyn FnMut(Event)) -> io::Result<()> {
        self.events.clear();
        // Longer than any clock runs is the same as none.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == NOTIFY_TOKEN {
                continue;
            }
            let closed = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            report(Event {
                token,
                readable: closed || flags.intersects(EventFlags::IN | EventFlags::PRI),
                writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
                closed,
            });
        }
        Ok(())
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }

    fn reports_peer_shutdown(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct EventFd(OwnedFd);

impl Notify for EventFd {
    fn notify(&self) {
        // Full after 2^64 - 2 writes that nobody read: then it is readable, but a write is no edge. Reading it makes room.
        if rustix::io::write(&self.0, &1_u64.to_ne_bytes()) == Err(Errno::AGAIN) {
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }
    }
}
