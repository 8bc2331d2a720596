//! A stream that takes note of the limits of time it is given, and of writes.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kapok::http::{Config, Handler, serve_connection};
use kapok::net::{Connection, TcpStream};
use kapok::{Fiber, current, park, spawn};

use crate::peer::{Peer, Served, pair};

/// What the server did with its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It set when reads must be done, at the first time, to the second.
    ReadDeadline(Instant, Option<Instant>),
    WriteDeadline(Instant, Option<Instant>),
    Wrote(usize),
}

impl Event {
    /// How much later than it was set a deadline is.
    pub fn time_left(self) -> Option<Duration> {
        match self {
            Self::ReadDeadline(now, end) | Self::WriteDeadline(now, end) => Some(end? - now),
            Self::Wrote(_) => None,
        }
    }
}

#[derive(Clone, Default)]
pub struct Events(Rc<EventList>);

#[derive(Default)]
struct EventList {
    list: RefCell<Vec<Event>>,
    waiting: RefCell<Option<Fiber>>,
}

impl Events {
    fn push(&self, event: Event) {
        self.0.list.borrow_mut().push(event);
        if let Some(fiber) = self.0.waiting.take() {
            fiber.unpark();
        }
    }

    /// Waits for `count` events of a kind in all, and returns them.
    pub fn wait_for(&self, count: usize, kind: impl Fn(&Event) -> bool) -> Vec<Event> {
        loop {
            let found: Vec<_> = self.0.list.borrow().iter().copied().filter(&kind).collect();
            if found.len() >= count {
                return found;
            }
            *self.0.waiting.borrow_mut() = Some(current());
            park();
        }
    }

    pub fn all(&self) -> Vec<Event> {
        self.0.list.borrow().clone()
    }
}

/// Serves one connection whose events are noted.
pub fn serve_watched(config: Config, handler: impl Handler + 'static) -> (Peer, Served, Events) {
    let (peer, stream) = pair();
    let events = Events::default();
    let watched = Watched {
        stream,
        events: events.clone(),
    };
    let served = spawn(move || serve_connection(watched, &config, &handler));
    (peer, served, events)
}

struct Watched {
    stream: TcpStream,
    events: Events,
}

impl Read for &Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }
}

impl Write for &Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = (&self.stream).write_vectored(buffers)?;
        self.events.push(Event::Wrote(count));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Connection for Watched {
    fn shared(&self) -> impl Read + Write + '_ {
        self
    }

    fn limit_read(&self, timeout: Option<Duration>) {
        self.stream.limit_read(timeout);
    }

    fn limit_write(&self, timeout: Option<Duration>) {
        self.stream.limit_write(timeout);
    }

    fn set_read_deadline(&self, deadline: Option<Instant>) {
        self.events
            .push(Event::ReadDeadline(Instant::now(), deadline));
        self.stream.set_read_deadline(deadline);
    }

    fn set_write_deadline(&self, deadline: Option<Instant>) {
        self.events
            .push(Event::WriteDeadline(Instant::now(), deadline));
        self.stream.set_write_deadline(deadline);
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Connection::shutdown(&self.stream, how)
    }

    fn close(&self) {
        self.stream.close();
    }

    fn abort(&self) {
        self.stream.abort();
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }
}
