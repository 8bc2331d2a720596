//! Accepting connections within a machine.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use kapok_macros::switchpoint_runtime as switchpoint;
use socket2::SockRef;

use super::address;
use super::stream::UnixStream;
use crate::hub::registration::Registered;
use crate::io::conversions;
use crate::net::Listener;
use crate::net::accept::{Acceptor, is_end};

/// A socket that accepts connections within the machine, with the methods of [`std::os::unix::net::UnixListener`].
///
/// The file at its path stays when it is dropped, as std's does.
///
/// # Examples
///
/// ```
/// use kapok::net::{UnixListener, UnixStream};
/// use std::io::{Read, Write};
///
/// # let folder = std::env::temp_dir().join(format!("kapok-listener-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("socket");
/// let listener = UnixListener::bind(&path)?;
/// let server = kapok::spawn(move || listener.accept()?.0.write_all(b"hello"));
/// let mut text = String::new();
/// UnixStream::connect(&path)?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// server.join().unwrap()?;
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixListener {
    socket: Acceptor<std::os::unix::net::UnixListener>,
}

impl UnixListener {
    pub(crate) fn registered(&self) -> &Registered<std::os::unix::net::UnixListener> {
        self.socket.registered()
    }

    /// Listens at a path, where nothing may be yet.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixListener::bind`].
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_std(std::os::unix::net::UnixListener::bind(path)?)
    }

    /// Listens at an address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`std::os::unix::net::UnixListener::bind_addr`].
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::from_std(std::os::unix::net::UnixListener::bind_addr(address)?)
    }

    /// Takes a listener of std's, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it non-blocking.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            socket: Acceptor::new(listener),
        })
    }

    /// Gives the listener back to std, blocking as std's are. If clones share it, the result is a duplicate.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it blocking or to duplicate it.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        let listener = (self.socket).into_inner(std::os::unix::net::UnixListener::try_clone)?;
        listener.set_nonblocking(false)?;
        Ok(listener)
    }

    /// Another handle of the same listener.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.share(),
        })
    }

    /// Waits for a connection. A want of descriptors or memory is handled as by
    /// [`TcpListener::accept`](crate::net::TcpListener::accept).
    ///
    /// # Errors
    ///
    /// `NotConnected` after [`Self::close`], `ConnectionAborted` when the hub is stopping, and what the system says if the
    /// socket is broken.
    #[switchpoint(
        wakes = "a connection, `close`, or the hub's stop",
        cancel = "no connection was taken"
    )]
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let name = |listener: &std::os::unix::net::UnixListener| {
            Ok(format!("{:?}", listener.local_addr()?))
        };
        let (stream, peer) = self.socket.accept(accept_nonblocking, name)?;
        Ok((UnixStream::of(stream), peer))
    }

    /// Connections, one after the other, until the listener is closed or the hub stops.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Ends the listening for all handles: whoever waits in [`Self::accept`] wakes with an error. The descriptor is closed
    /// when the last handle is dropped.
    pub fn close(&self) {
        self.socket.close();
        // The system refuses connections from now on; not every system can, and whoever waits is awake all the same.
        let _ = self.options().shutdown(std::net::Shutdown::Both);
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }

    /// Takes the error that the system has noted for the socket.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.io().take_error()
    }

    /// Every other option of the socket, through `socket2`. The socket must stay non-blocking.
    #[must_use]
    pub fn options(&self) -> SockRef<'_> {
        SockRef::from(self.socket.io())
    }
}

/// A connection that is non-blocking and closed on exec; on Linux by one system call.
fn accept_nonblocking(
    listener: &std::os::unix::net::UnixListener,
) -> io::Result<(std::os::unix::net::UnixStream, SocketAddr)> {
    let listener = SockRef::from(listener);
    #[cfg(target_os = "linux")]
    let (stream, peer) = listener.accept4(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)?;
    #[cfg(not(target_os = "linux"))]
    let (stream, peer) = listener.accept()?;
    #[cfg(not(target_os = "linux"))]
    stream.set_nonblocking(true)?;
    let stream = std::os::unix::net::UnixStream::from(OwnedFd::from(stream));
    // std takes no path of full length without a zero behind it from us, but from the system it does.
    let peer = address::from_socket2(&peer).or_else(|_| stream.peer_addr())?;
    Ok((stream, peer))
}

/// The connections of a listener, made by [`UnixListener::incoming`]. Ends when the listener is closed or the hub stops.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    #[switchpoint]
    fn next(&mut self) -> Option<Self::Item> {
        match self.listener.accept() {
            Ok((stream, _)) => Some(Ok(stream)),
            // A loop that passes over errors would never end.
            Err(error) if is_end(&error) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

impl Listener for UnixListener {
    type Connection = UnixStream;

    #[switchpoint]
    fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.accept()?.0)
    }

    fn has_ended(&self) -> bool {
        self.socket.has_ended()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.io().as_raw_fd()
    }
}

conversions!(UnixListener, std::os::unix::net::UnixListener;);

impl fmt::Debug for UnixListener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UnixListener")
            .field("socket", self.socket.io())
            .finish_non_exhaustive()
    }
}
