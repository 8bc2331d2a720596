//! What belongs to unix sockets: their addresses, their peers' credentials. The sockets themselves stand in [`net`](super).

mod address;
mod ancillary;
mod credentials;
pub(super) mod datagram;
pub(super) mod listener;
pub(super) mod stream;

pub use credentials::UCred;
pub use listener::Incoming;
pub use std::os::unix::net::SocketAddr;
