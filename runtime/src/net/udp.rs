//! UDP sockets.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use kapok_macros::switchpoint_runtime as switchpoint;
use socket2::SockRef;

use super::address::{ToSocketAddrs, each_address, no_addresses};
use crate::fiber::slot::Wait;
use crate::hub::current;
use crate::hub::registration::Registered;
use crate::io::{Direction, Timed, conversions, timeouts};

/// A UDP socket, with the methods of [`std::net::UdpSocket`].
///
/// It may move to another thread; it is not `Sync`, so to use it from two threads give each a [`try_clone`](Self::try_clone).
///
/// # Examples
///
/// ```
/// use kapok::net::UdpSocket;
///
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
/// let echo = kapok::spawn(move || -> std::io::Result<()> {
///     let mut buffer = [0; 1500];
///     let (length, peer) = server.recv_from(&mut buffer)?;
///     server.send_to(&buffer[..length], peer)?;
///     Ok(())
/// });
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(address)?;
/// client.send(b"hello")?;
/// let mut buffer = [0; 1500];
/// let length = client.recv(&mut buffer)?;
/// assert_eq!(&buffer[..length], b"hello");
/// echo.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket {
    socket: Timed<std::net::UdpSocket>,
}

impl UdpSocket {
    pub(crate) fn registered(&self) -> &Registered<std::net::UdpSocket> {
        self.socket.registered()
    }

    /// Binds to the first of the addresses that is free. Port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// As [`std::net::UdpSocket::bind`].
    #[switchpoint(
        wakes = "the resolver's answer, if the address is a name",
        cancel = "nothing is left behind"
    )]
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        each_address(address, |address| {
            Self::from_std(std::net::UdpSocket::bind(address)?)
        })
    }

    /// Takes a socket of std's, which becomes non-blocking.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it non-blocking.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Timed::new(socket),
        })
    }

    /// Gives the socket back to std, blocking as std's are. If clones share it, the result is a duplicate.
    ///
    /// A clone that is left becomes unusable in fibers: the two share the mode.
    ///
    /// # Errors
    ///
    /// If the system refuses to make it blocking or to duplicate it.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        let socket = self.socket.into_inner(std::net::UdpSocket::try_clone)?;
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    /// Another handle of the same socket. It shares the descriptor, so this costs no system call; timeouts are its own.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.share(),
        })
    }

    /// Sets the peer for [`send`](Self::send) and [`recv`](Self::recv); datagrams of others are no longer received. Of several
    /// addresses the first that the system takes is used: nothing is sent.
    ///
    /// # Errors
    ///
    /// As [`std::net::UdpSocket::connect`].
    #[switchpoint(
        wakes = "the resolver's answer, if the address is a name",
        cancel = "the socket is as before"
    )]
    pub fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        each_address(address, |address| self.socket.io().connect(address))
    }

    /// Sends a datagram to the first of the addresses. Returns how many bytes it had.
    ///
    /// # Errors
    ///
    /// As [`std::net::UdpSocket::send_to`]; `NotConnected` after [`Self::close`]; `TimedOut`.
    #[switchpoint(
        wakes = "room in the system's buffer, `close`, the timeout, or the resolver's answer",
        cancel = "nothing was sent"
    )]
    pub fn send_to(&self, bytes: &[u8], address: impl ToSocketAddrs) -> io::Result<usize> {
        let addresses = address.to_socket_addrs()?;
        let address = *addresses.first().ok_or_else(no_addresses)?;
        let sent = self
            .socket
            .operate(Direction::Write, Wait::Write, |socket| {
                socket.send_to(bytes, address)
            })?;
        current::hub().spend_bytes(sent);
        Ok(sent)
    }

    /// Waits for a datagram and returns its length and sender. What the buffer has no room for is lost.
    ///
    /// # Errors
    ///
    /// As [`std::net::UdpSocket::recv_from`]; `NotConnected` after [`Self::close`]; `TimedOut`.
    #[switchpoint(
        wakes = "a datagram, `close`, or the timeout",
        cancel = "no datagram was taken"
    )]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let taken = self.socket.operate(Direction::Read, Wait::Read, |socket| {
            socket.recv_from(buffer)
        })?;
        current::hub().spend_bytes(taken.0);
        Ok(taken)
    }

    /// [`recv_from`](Self::recv_from) without taking: the next call returns the same datagram.
    ///
    /// # Errors
    ///
    /// As [`Self::recv_from`].
    #[switchpoint(
        wakes = "a datagram, `close`, or the timeout",
        cancel = "no datagram was taken"
    )]
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.operate(Direction::Read, Wait::Read, |socket| {
            socket.peek_from(buffer)
        })
    }

    /// Sends a datagram to the peer given to [`connect`](Self::connect). Returns how many bytes it had.
    ///
    /// # Errors
    ///
    /// As [`std::net::UdpSocket::send`]: `ConnectionRefused` if an earlier datagram found nobody there, among others.
    /// `NotConnected` after [`Self::close`]; `TimedOut`.
    #[switchpoint(
        wakes = "room in the system's buffer, `close`, or the timeout",
        cancel = "nothing was sent"
    )]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self
            .socket
            .operate(Direction::Write, Wait::Write, |socket| socket.send(bytes))?;
        current::hub().spend_bytes(sent);
        Ok(sent)
    }

    /// Waits for a datagram of the peer given to [`connect`](Self::connect) and returns its length. What the buffer has no room
    /// for is lost.
    ///
    /// # Errors
    ///
    /// As [`std::net::UdpSocket::recv`]: `ConnectionRefused` if an earlier datagram found nobody there, among others.
    /// `NotConnected` after [`Self::close`]; `TimedOut`.
    #[switchpoint(
        wakes = "a datagram, `close`, or the timeout",
        cancel = "no datagram was taken"
    )]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self
            .socket
            .operate(Direction::Read, Wait::Read, |socket| socket.recv(buffer))?;
        current::hub().spend_bytes(taken);
        Ok(taken)
    }

    /// [`recv`](Self::recv) without taking: the next call returns the same datagram.
    ///
    /// # Errors
    ///
    /// As [`Self::recv`].
    #[switchpoint(
        wakes = "a datagram, `close`, or the timeout",
        cancel = "no datagram was taken"
    )]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket
            .operate(Direction::Read, Wait::Read, |socket| socket.peek(buffer))
    }

    /// Ends the socket for all its handles: whoever waits to send or receive wakes with an error. The descriptor is closed, and
    /// its address free, when the last handle is dropped.
    pub fn close(&self) {
        self.socket.close();
        // Fails if the socket has no peer; whoever waits is awake all the same.
        let _ = self.options().shutdown(Shutdown::Both);
    }

    timeouts!(socket);

    /// The address of the peer given to [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().peer_addr()
    }

    /// The address of this end.
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

/// Options that are read and set as std's are.
macro_rules! options {
    ($($what:literal: $type:ty, $getter:ident, $setter:ident;)+) => {
        impl UdpSocket {
            $(
                #[doc = concat!("Sets ", $what, ".")]
                ///
                /// # Errors
                ///
                /// Those of the system.
                pub fn $setter(&self, value: $type) -> io::Result<()> {
                    self.socket.io().$setter(value)
                }

                #[doc = concat!("Tells ", $what, ".")]
                ///
                /// # Errors
                ///
                /// Those of the system.
                pub fn $getter(&self) -> io::Result<$type> {
                    self.socket.io().$getter()
                }
            )+
        }
    };
}

options! {
    "whether datagrams may be sent to broadcast addresses (`SO_BROADCAST`). Default is no": bool, broadcast, set_broadcast;
    "the time to live of datagrams sent (`IP_TTL`)": u32, ttl, set_ttl;
    "whether this host receives IPv4 multicast datagrams that it sends. Default is yes": bool, multicast_loop_v4, set_multicast_loop_v4;
    "whether this host receives IPv6 multicast datagrams that it sends. Default is yes": bool, multicast_loop_v6, set_multicast_loop_v6;
    "the time to live of IPv4 multicast datagrams. Default is 1: they stay in the local network": u32, multicast_ttl_v4, set_multicast_ttl_v4;
}

/// Groups that are joined and left as std's are.
macro_rules! memberships {
    ($($what:literal: $name:ident($group:ty, $interface:ty);)+) => {
        impl UdpSocket {
            $(
                #[doc = concat!($what, ". An unspecified interface lets the system choose.")]
                ///
                /// # Errors
                ///
                /// Those of the system.
                pub fn $name(&self, group: $group, interface: $interface) -> io::Result<()> {
                    self.socket.io().$name(group, interface)
                }
            )+
        }
    };
}

memberships! {
    "Receives what is sent to an IPv4 multicast group, on the interface of that address": join_multicast_v4(&Ipv4Addr, &Ipv4Addr);
    "Receives what is sent to an IPv6 multicast group, on the interface of that index": join_multicast_v6(&Ipv6Addr, u32);
    "Undoes [`join_multicast_v4`](Self::join_multicast_v4)": leave_multicast_v4(&Ipv4Addr, &Ipv4Addr);
    "Undoes [`join_multicast_v6`](Self::join_multicast_v6)": leave_multicast_v6(&Ipv6Addr, u32);
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.io().as_raw_fd()
    }
}

conversions!(UdpSocket, std::net::UdpSocket;);

impl fmt::Debug for UdpSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UdpSocket")
            .field("socket", self.socket.io())
            .finish_non_exhaustive()
    }
}
