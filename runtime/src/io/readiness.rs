//! Readiness of sockets and pipes as something to wait for together with other things.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::Direction;
use crate::hub::Hub;
use crate::hub::current;
use crate::hub::registration::Registered;
use crate::hub::sources::Source;
use crate::hub::wait_list::Ticket;
use crate::hub::waiting::Place;
use crate::sync::select::Branch;
use crate::sync::{Sealed, Waitable};

/// Something that fibers read from or write to: kapok's sockets and pipes, and [`Registered`](super::Registered). It is implemented by
/// kapok alone.
pub trait Descriptor: sealed::Descriptor {}

pub(crate) mod sealed {
    #[expect(
        unnameable_types,
        reason = "whoever could name it could implement it, and knows no registrations"
    )]
    pub trait Descriptor {
        #[expect(private_interfaces, reason = "it is called by this crate alone")]
        fn watched(&self) -> &dyn super::Watched;

        /// Whether reading is accepting, which a hub that stops does no more.
        fn accepts(&self) -> bool {
            false
        }
    }
}

/// A registration, whatever it is of.
pub(crate) trait Watched {
    fn is_closed(&self) -> bool;
    fn fd(&self) -> BorrowedFd<'_>;
    fn source(&self, hub: &Hub) -> Option<&'static Source>;
    fn register(&self, hub: &'static Hub) -> io::Result<&'static Source>;
}

impl<S: AsFd + Send + Sync + 'static> Watched for Registered<S> {
    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.io().as_fd()
    }

    fn source(&self, hub: &Hub) -> Option<&'static Source> {
        Self::source(self, hub)
    }

    fn register(&self, hub: &'static Hub) -> io::Result<&'static Source> {
        Self::register(self, hub)
    }
}

/// For types with a `registered`.
macro_rules! descriptors {
    ($($type:ty $(: $accepts:literal)?),+ $(,)?) => {
        $(impl $crate::io::Descriptor for $type {}

        impl $crate::io::readiness::sealed::Descriptor for $type {
            #[expect(private_interfaces, reason = "it is called by this crate alone")]
            fn watched(&self) -> &dyn $crate::io::readiness::Watched {
                self.registered()
            }

            $(fn accepts(&self) -> bool {
                $accepts
            })?
        })+
    };
}

pub(crate) use descriptors;

descriptors!(
    crate::net::TcpStream,
    crate::net::TcpListener: true,
    crate::net::UdpSocket,
    crate::net::UnixStream,
    crate::net::UnixListener: true,
    crate::net::UnixDatagram,
    super::PipeReader,
    super::PipeWriter,
);

impl<T: AsFd> Descriptor for super::Registered<T> {}

impl<T: AsFd> sealed::Descriptor for super::Registered<T> {
    #[expect(private_interfaces, reason = "it is called by this crate alone")]
    fn watched(&self) -> &dyn Watched {
        self.registered()
    }
}

/// When a read (an `accept`, a `recv`) would not block: there is something, the end, or an error, such as that of `accept` when the hub
/// stops. For [`select!`](crate::select!) and [`wait`](crate::sync::wait()).
///
/// Each look costs a system call. Somebody else may take what there was before a read comes to it.
///
/// **It asks the system alone.** Bytes that a [`BufReader`](std::io::BufReader), or a crate with a buffer of its own, has read already are
/// not seen: with a whole message in the buffer this may wait for ever. Look there first
/// ([`BufReader::buffer`](std::io::BufReader::buffer)), and wait only if it is empty.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
/// use kapok::net::UnixStream;
///
/// let (mut here, mut there) = UnixStream::pair()?;
/// there.write_all(b"hello")?;
/// kapok::select! {
///     () = readable(&here) => assert_eq!(here.read(&mut [0; 8])?, 5),
///     () = after(Duration::from_secs(60)) => panic!("nothing came"),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// With a buffer in between:
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use std::time::Duration;
/// use kapok::net::UnixStream;
///
/// let (here, mut there) = UnixStream::pair()?;
/// there.write_all(b"one\ntwo\n")?;
/// let (mut reader, mut line) = (BufReader::new(here), String::new());
/// reader.read_line(&mut line)?; // has taken both lines off the stream
/// let is_ready = !reader.buffer().is_empty()
///     || kapok::select! {
///         () = readable(reader.get_ref()) => true,
///         () = after(Duration::from_secs(60)) => false,
///     };
/// assert!(is_ready);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn readable<D: Descriptor + ?Sized>(descriptor: &D) -> DescriptorReady<'_> {
    DescriptorReady::new(descriptor.watched(), Direction::Read, descriptor.accepts())
}

/// When a write would not block: there is room, or an error. As [`readable`].
pub fn writable<D: Descriptor + ?Sized>(descriptor: &D) -> DescriptorReady<'_> {
    DescriptorReady::new(descriptor.watched(), Direction::Write, false)
}

/// What [`readable`] and [`writable`] return.
#[must_use = "it is for `select!` or `wait`"]
pub struct DescriptorReady<'a> {
    watched: &'a dyn Watched,
    direction: Direction,
    /// It is ready too when the hub stops.
    accepts: bool,
    /// The system cannot wait for it: an operation will tell why.
    is_refused: Cell<bool>,
}

impl<'a> DescriptorReady<'a> {
    fn new(watched: &'a dyn Watched, direction: Direction, accepts: bool) -> Self {
        Self {
            watched,
            direction,
            accepts,
            is_refused: Cell::new(false),
        }
    }

    /// Asks the system, unless it is known that nothing has happened since it was asked the last time.
    fn look(&self) -> bool {
        if self.is_refused.get() || self.watched.is_closed() {
            return true;
        }
        let hub = current::existing_hub();
        if self.accepts && hub.is_some_and(|hub| hub.is_stopping.get()) {
            return true;
        }
        let source = hub.and_then(|hub| self.watched.source(hub));
        if source.is_some_and(|source| !source.is_ready(self.direction)) {
            return false;
        }
        let interest = match self.direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        let descriptor = self.watched.fd();
        let mut asked = [PollFd::new(&descriptor, interest)];
        // What the system refuses to look at, an operation will refuse with a better reason.
        let is_ready = rustix::event::poll(&mut asked, Some(&Timespec::default())) != Ok(0);
        if let Some(source) = source.filter(|_| !is_ready) {
            source.clear_ready(self.direction);
        }
        is_ready
    }
}

impl Sealed for DescriptorReady<'_> {}

impl Waitable for DescriptorReady<'_> {
    fn is_ready(&self) -> bool {
        self.look()
    }

    unsafe fn enter(&self, _: &Place<()>, _: &Ticket, _: u32) -> bool {
        match self.watched.register(current::hub()) {
            Ok(source) => {
                if self.accepts {
                    source.is_listener.set(true);
                }
                source.add_waiter(self.direction, current::running_fiber());
            }
            Err(_) => self.is_refused.set(true),
        }
        // What came before it was watched is told by an event, but a look is cheaper than a turn of the hub.
        !self.look()
    }

    fn leave(&self, _: &Place<()>) {
        let hub = current::hub();
        if let Some(source) = self.watched.source(hub) {
            source.remove_waiter(self.direction, current::running_fiber());
        }
    }
}

impl Branch for DescriptorReady<'_> {
    type Output = ();
    type Place = Place<()>;

    fn try_take(&self) -> Option<()> {
        self.look().then_some(())
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        // SAFETY: the same promise.
        unsafe { Waitable::enter(self, place, ticket, number) }
    }

    fn leave(&self, place: &Self::Place) {
        Waitable::leave(self, place);
    }

    fn is_reported(&self) -> bool {
        self.look()
    }

    fn granted(&self, _: Self::Place) -> Option<()> {
        Some(())
    }
}

impl fmt::Debug for DescriptorReady<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DescriptorReady")
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}
