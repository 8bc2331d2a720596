//! Addresses: paths, abstract names, who the peer is.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::process::Command;

use kapok::net::unix::SocketAddr;
use kapok::net::{UnixListener, UnixStream};
use kapok::{spawn, unblock};

use super::{Folder, abstract_name, kind};
use crate::support::on_a_hub;

#[test]
fn a_path_is_listened_on_and_connected_to() {
    on_a_hub("path", || {
        let folder = Folder::new();
        let path = folder.socket();
        assert_eq!(kind(UnixStream::connect(&path)), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(kind(UnixListener::bind(&path)), io::ErrorKind::AddrInUse);
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        let server = spawn(move || {
            let mut connections = (&listener).into_iter();
            let mut stream = connections.next().unwrap().unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            stream.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        let mut client = UnixStream::connect(&path).unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert!(client.local_addr().unwrap().is_unnamed());
        client.write_all(b"shout").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "SHOUT");
        server.join().unwrap();
        assert_eq!(
            kind(UnixStream::connect(&path)),
            io::ErrorKind::ConnectionRefused
        );
        let unnamed = client.local_addr().unwrap();
        assert_eq!(
            kind(UnixStream::connect_addr(&unnamed)),
            io::ErrorKind::InvalidInput
        );
    });
}

#[test]
fn an_abstract_name_is_listened_on_and_peers_tell_their_addresses() {
    on_a_hub("abstract", || {
        let address = abstract_name();
        let listener = UnixListener::bind_addr(&address).unwrap();
        assert_eq!(
            kind(UnixListener::bind_addr(&address)),
            io::ErrorKind::AddrInUse
        );
        let client = UnixStream::connect_addr(&address).unwrap();
        assert_eq!(
            client.peer_addr().unwrap().as_abstract_name(),
            address.as_abstract_name()
        );
        let (_server, peer) = listener.accept().unwrap();
        assert!(peer.is_unnamed(), "{peer:?}");

        // Clients that are bound tell by what, to a path or a name.
        let folder = Folder::new();
        for own in [
            abstract_name(),
            SocketAddr::from_pathname(folder.socket()).unwrap(),
        ] {
            connect_from(&own, &address);
            let (_server, peer) = listener.accept().unwrap();
            assert_eq!(format!("{peer:?}"), format!("{own:?}"));
        }
    });
}

/// Connects from an address of its own, which std's streams cannot have.
fn connect_from(own: &SocketAddr, to: &SocketAddr) {
    let text = |address: &SocketAddr| match address.as_abstract_name() {
        Some(name) => format!("\\0{}", std::str::from_utf8(name).unwrap()),
        None => address.as_pathname().unwrap().to_str().unwrap().to_owned(),
    };
    let program = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('{}')\ns.connect('{}')\n",
        text(own),
        text(to)
    );
    let status = unblock(move || Command::new("python3").args(["-c", &program]).status());
    assert!(status.unwrap().unwrap().success());
}

/// Connects from a path of all the bytes that an address has room for, which std's addresses cannot be made of.
fn connect_from_a_full_path(folder: &Folder, to: &SocketAddr) -> OwnedFd {
    let call = |result: libc::c_int| assert_eq!(result, 0, "{}", io::Error::last_os_error());
    let address_of = |path: &[u8]| {
        let mut address = libc::sockaddr_un {
            sun_family: libc::AF_UNIX as libc::sa_family_t,
            sun_path: [0; 108],
        };
        for (place, byte) in address.sun_path.iter_mut().zip(path) {
            *place = *byte as libc::c_char;
        }
        address
    };
    let mut own = folder.socket().into_os_string().into_encoded_bytes();
    own.resize(108, b'x');
    let (own, to) = (
        address_of(&own),
        address_of(to.as_pathname().unwrap().as_os_str().as_encoded_bytes()),
    );
    let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the call takes numbers.
    let socket = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    assert!(socket >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: the descriptor is open, and the address has that length.
    call(unsafe { libc::bind(socket.as_raw_fd(), (&raw const own).cast(), length) });
    // SAFETY: as above.
    call(unsafe { libc::connect(socket.as_raw_fd(), (&raw const to).cast(), length) });
    socket
}

#[test]
fn a_peer_whose_path_is_as_long_as_can_be_is_accepted() {
    on_a_hub("full path", || {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        let _client = connect_from_a_full_path(&folder, &listener.local_addr().unwrap());
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(peer.as_pathname().unwrap().as_os_str().len(), 108);
        assert_eq!(
            server.peer_addr().unwrap().as_pathname(),
            peer.as_pathname()
        );
    });
}

#[test]
fn a_peer_tells_who_it_is() {
    on_a_hub("credentials", || {
        let address = abstract_name();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let client = UnixStream::connect_addr(&address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let this = i32::try_from(std::process::id()).unwrap();
        for credentials in [client.peer_cred().unwrap(), server.peer_cred().unwrap()] {
            assert_eq!(credentials.pid, Some(this));
            let owner = fs::metadata("/proc/self").unwrap();
            let owner = (
                std::os::unix::fs::MetadataExt::uid(&owner),
                std::os::unix::fs::MetadataExt::gid(&owner),
            );
            assert_eq!((credentials.uid, credentials.gid), owner);
        }
    });
}
