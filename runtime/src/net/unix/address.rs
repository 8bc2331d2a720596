//! Addresses between std's type and the one that connects sockets.

use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;

use socket2::SockAddr;

/// For `connect(2)`, which std has only for sockets that block.
pub(super) fn to_socket2(address: &SocketAddr) -> io::Result<SockAddr> {
    if let Some(path) = address.as_pathname() {
        return SockAddr::unix(path);
    }
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_abstract_name() {
        use std::os::unix::ffi::OsStrExt;
        let path = [b"\0", name].concat();
        return SockAddr::unix(std::ffi::OsStr::from_bytes(&path));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "an unnamed address cannot be connected to",
    ))
}

/// Whatever is neither a path nor an abstract name has no name.
pub(super) fn from_socket2(address: &SockAddr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_abstract_namespace() {
        return SocketAddr::from_abstract_name(name);
    }
    match address.as_pathname() {
        Some(path) => SocketAddr::from_pathname(path),
        None => SocketAddr::from_pathname(""),
    }
}
