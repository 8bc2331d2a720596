//! Streams that can be polled.

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use socket2::SockRef;

use crate::hub::current;
use crate::hub::registration::Registered;
use crate::hub::sources::Direction;
use crate::net::{TcpStream, UnixStream};
use crate::task::wake_tasks_on_a_fiber;

/// A stream of kapok's for async crates.
///
/// It implements tokio's `AsyncRead` and `AsyncWrite` with the feature `tokio-io`, and those of the `futures` crates with the
/// feature `futures-io`; [`poll_read`](Self::poll_read) and [`poll_write`](Self::poll_write) are there for whoever has traits of
/// his own. It is polled on a thread whose hub runs: in a fiber, by [`block_on`](crate::block_on()). On a thread of another
/// executor nobody would be woken.
///
/// As those traits say, the task that polled last is woken: one for reading and one for writing. Clones of a stream on one hub
/// count as one here. A stream moves to the hub on which it is polled: halves of one (as tokio's `split` makes them) that are polled on
/// two hubs take it from each other again and again, which keeps both hubs busy. Give each hub a clone instead. The stream's own timeouts have no effect on polls, as they belong to calls that wait: put a
/// [`timeout`](crate::timeout()) around `block_on`, or a [`sleep`](super::sleep()) beside it. Costs nothing on top of the stream.
///
/// # Examples
///
/// ```
/// use kapok::future::Async;
/// use kapok::net::{TcpListener, TcpStream};
/// use std::future::poll_fn;
/// use std::io::Write;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let server = Async::new(listener.accept()?.0);
/// client.write_all(b"hello")?;
/// let mut buffer = [0; 8];
/// let count = kapok::block_on(poll_fn(|context| server.poll_read(context, &mut buffer)))?;
/// assert_eq!(&buffer[..count], b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Async<S> {
    stream: S,
}

impl<S: Pollable> Async<S> {
    /// Takes a stream to be polled.
    pub fn new(stream: S) -> Self {
        Self { stream }
    }

    /// The stream: for its addresses and options. What waits may be called on it too.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Reads what is there, or has the task woken when there is something. Zero bytes are the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of the system, and `NotConnected` after a `close` of this program's.
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.stream.poll_read(context, buffer)
    }

    /// As [`Self::poll_read`], into memory that need not be initialised. The first bytes are, as many as it returns.
    #[cfg(feature = "tokio-io")]
    pub(super) fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.stream.poll_receive(context, buffer)
    }

    /// Writes what there is room for, or has the task woken when there is some.
    ///
    /// # Errors
    ///
    /// Those of the system, and `NotConnected` after a `close` of this program's.
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(context, &[IoSlice::new(bytes)])
    }

    /// [`Self::poll_write`] from several places, one after the other.
    ///
    /// # Errors
    ///
    /// As [`Self::poll_write`].
    pub fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(context, slices)
    }

    /// Ends the writing: the peer sees the end of the stream. Never waits. Does nothing if the connection is gone.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self.stream.shutdown_write() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

/// The streams of kapok that [`Async`] takes. It is implemented by kapok alone.
pub trait Pollable: sealed::Pollable {}

mod sealed {
    use super::{Context, IoSlice, MaybeUninit, Poll, io};

    #[expect(
        unnameable_types,
        reason = "whoever could name it could implement it, and knows no registrations"
    )]
    pub trait Pollable {
        fn poll_read(
            &self,
            context: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>>;

        fn poll_receive(
            &self,
            context: &mut Context<'_>,
            buffer: &mut [MaybeUninit<u8>],
        ) -> Poll<io::Result<usize>>;

        fn poll_write(
            &self,
            context: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>>;

        fn shutdown_write(&self) -> io::Result<()>;
    }
}

/// Makes streams pollable. A read that takes less than was asked for has drained the socket, if that is true of its kind.
macro_rules! pollable {
    ($($stream:ty, $short_reads:expr;)+) => {
        $(impl Pollable for $stream {}

        impl sealed::Pollable for $stream {
            fn poll_read(
                &self,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let (socket, asked) = (self.registered(), buffer.len());
                read(socket, context, asked, $short_reads, |mut socket| socket.read(buffer))
            }

            fn poll_receive(
                &self,
                context: &mut Context<'_>,
                buffer: &mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<usize>> {
                let (socket, asked) = (self.registered(), buffer.len());
                read(socket, context, asked, $short_reads, |socket| {
                    SockRef::from(socket).recv(buffer)
                })
            }

            fn poll_write(
                &self,
                context: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                write(self.registered(), context, |mut socket| match slices {
                    [bytes] => socket.write(bytes),
                    slices => socket.write_vectored(slices),
                })
            }

            fn shutdown_write(&self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }
        })+
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShortReads {
    Drain,
    /// A read ends behind each descriptor that was passed.
    SayNothing,
}

pollable! {
    TcpStream, ShortReads::Drain;
    UnixStream, ShortReads::SayNothing;
}

/// Polls an operation that reads up to `asked` bytes. One that takes fewer has drained the socket.
fn read<S: AsFd + Send + Sync + 'static>(
    socket: &Registered<S>,
    context: &mut Context<'_>,
    asked: usize,
    short_reads: ShortReads,
    operation: impl FnMut(&S) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    let polled = socket.poll(context, Direction::Read, wake_tasks_on_a_fiber, operation);
    if let Poll::Ready(Ok(taken)) = polled {
        let hub = current::hub();
        hub.spend_bytes(taken);
        if 0 < taken
            && taken < asked
            && short_reads == ShortReads::Drain
            && hub.reports_peer_shutdown()
            && let Some(source) = socket.source(hub)
        {
            source.drained();
        }
    }
    polled
}

/// Polls an operation that writes.
fn write<S: AsFd + Send + Sync + 'static>(
    socket: &Registered<S>,
    context: &mut Context<'_>,
    operation: impl FnMut(&S) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    let polled = socket.poll(context, Direction::Write, wake_tasks_on_a_fiber, operation);
    if let Poll::Ready(Ok(written)) = polled {
        current::hub().spend_bytes(written);
    }
    polled
}
