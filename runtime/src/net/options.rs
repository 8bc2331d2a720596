//! Making sockets, and the options that std has no name for.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted. The system cuts it down to its own limit (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A non-blocking TCP socket of the address's family.
pub(super) fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    // On Linux, BSD and others both flags are set by the same call that makes the socket.
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether several sockets may listen on one address, the kernel spreading the connections over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    Alone,
    WithOthers,
}

pub(super) fn listening_socket(
    address: SocketAddr,
    sharing: Sharing,
) -> io::Result<std::net::TcpListener> {
    let socket = tcp_socket(address)?;
    socket.set_reuse_address(true)?;
    if sharing == Sharing::WithOthers {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
