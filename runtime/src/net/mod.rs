//! Sockets with the names and signatures of [`std::net`] and [`std::os::unix::net`], on which a fiber waits and not its thread.

mod accept;
mod address;
mod connect;
mod connection;
mod keepalive;
mod listener;
mod options;
mod resolver;
mod stream;
mod udp;

pub mod unix;

pub use address::{ToSocketAddrs, resolve, resolve_timeout};
pub use connection::{Connection, Listener};
pub use keepalive::Keepalive;
pub use listener::{Incoming, TcpListener};
pub use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6};
pub use stream::TcpStream;
pub use udp::UdpSocket;
pub use unix::datagram::UnixDatagram;
pub use unix::listener::UnixListener;
pub use unix::stream::UnixStream;
