//! Unix sockets, and what travels over them.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kapok::net::unix::SocketAddr;
use kapok::net::{
    Connection, Listener, TcpListener, TcpStream, UnixDatagram, UnixListener, UnixStream,
};
use kapok::{spawn, unblock, yield_now};

use crate::support::on_a_hub;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

/// A folder of its own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kapok-unix-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An abstract name that nobody else has.
fn abstract_name() -> SocketAddr {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from_abstract_name(format!("kapok-test-{}-{number}", std::process::id())).unwrap()
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

/// How many descriptors of this process are for the same file as this one.
fn descriptors_of(descriptor: impl AsFd) -> usize {
    let link = |number: &str| fs::read_link(format!("/proc/self/fd/{number}")).ok();
    let file = link(&descriptor.as_fd().as_raw_fd().to_string()).unwrap();
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            link(name.to_str().unwrap()).is_some_and(|other| other == file)
        })
        .count()
}

fn is_closed_on_exec(descriptor: impl AsFd) -> bool {
    let number = descriptor.as_fd().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    i64::from_str_radix(flags.unwrap().trim(), 8).unwrap() & 0o2_000_000 != 0
}

#[test]
fn two_fibers_read_and_write_one_stream_at_once() {
    const BYTES: usize = 1 << 20;
    on_a_hub("unix both ways", || {
        let (client, mut server) = UnixStream::pair().unwrap();
        let echo = spawn(move || {
            let mut buffer = [0; 7000];
            loop {
                match server.read(&mut buffer).unwrap() {
                    0 => return,
                    length => server.write_all(&buffer[..length]).unwrap(),
                }
            }
        });
        let client = Rc::new(client);
        let writer = spawn({
            let client = Rc::clone(&client);
            move || {
                for number in 0..BYTES / 1024 {
                    (&*client).write_all(&[number as u8; 1024]).unwrap();
                }
                client.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut received = Vec::new();
        (&*client).read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), BYTES);
        for (number, chunk) in received.chunks(1024).enumerate() {
            assert!(chunk.iter().all(|byte| *byte == number as u8));
        }
        writer.join().unwrap();
        echo.join().unwrap();
    });
}

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

#[test]
fn connecting_waits_for_room_in_the_listeners_queue() {
    on_a_hub("queue", || {
        let address = abstract_name();
        let listener = UnixListener::bind_addr(&address).unwrap();
        listener.options().listen(0).unwrap();
        let clients: Vec<_> = (0..8_u8)
            .map(|number| {
                let address = address.clone();
                spawn(move || {
                    let mut client = UnixStream::connect_addr(&address).unwrap();
                    client.write_all(&[number]).unwrap();
                })
            })
            .collect();
        yield_now();
        assert!(
            clients.iter().any(|client| !client.is_finished()),
            "the queue is not full"
        );
        let mut numbers: Vec<u8> = (0..8)
            .map(|_| {
                let mut byte = [0];
                listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
                byte[0]
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
        for client in clients {
            client.join().unwrap();
        }

        // And can be given up.
        let full = UnixStream::connect_addr(&address).unwrap();
        let waiting = spawn(move || UnixStream::connect_addr(&address).map(drop));
        yield_now();
        waiting.cancel();
        assert!(waiting.join().unwrap_err().is_cancelled());
        drop(full);
    });
}

#[test]
fn timeouts_and_deadlines_lose_no_byte() {
    on_a_hub("unix timeouts", || {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        let (start, mut byte) = (Instant::now(), [0]);
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(kind(client.read(&mut byte)), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        assert_eq!(client.read_timeout().unwrap(), Some(SHORT));
        assert_eq!(
            kind(client.set_write_timeout(Some(Duration::ZERO))),
            io::ErrorKind::InvalidInput
        );
        client.set_read_timeout(None).unwrap();
        client.set_read_deadline(Some(Instant::now()));
        assert_eq!(kind(client.read(&mut byte)), io::ErrorKind::TimedOut);
        client.set_read_deadline(None);
        server.set_write_timeout(Some(SHORT)).unwrap();
        let mut written = 0;
        let error = loop {
            match server.write(&[7; 65_536]) {
                Ok(length) => written += length,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(server);
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), written);
    });
}

#[test]
fn close_wakes_readers_acceptors_and_receivers_here_and_on_other_hubs() {
    on_a_hub("unix close", || {
        let (stream, _peer) = UnixStream::pair().unwrap();
        let listener = UnixListener::bind_addr(&abstract_name()).unwrap();
        let datagram = UnixDatagram::unbound().unwrap();
        let (far_stream, far_listener, far_datagram) = (
            stream.try_clone().unwrap(),
            listener.try_clone().unwrap(),
            datagram.try_clone().unwrap(),
        );
        let waiters = |stream: UnixStream, listener: UnixListener, datagram: UnixDatagram| {
            [
                spawn(move || kind((&stream).read(&mut [0]))),
                spawn(move || kind(listener.accept())),
                spawn(move || kind(datagram.recv(&mut [0]))),
            ]
        };
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            kapok::run(move || {
                let waiting = waiters(far_stream, far_listener, far_datagram);
                yield_now();
                tell.send(()).unwrap();
                waiting.map(|waiter| waiter.join().unwrap())
            })
        });
        let waiting = waiters(
            stream.try_clone().unwrap(),
            listener.try_clone().unwrap(),
            datagram.try_clone().unwrap(),
        );
        unblock(move || told.recv_timeout(LONG).unwrap()).unwrap();
        stream.close();
        listener.close();
        datagram.close();
        let here = waiting.map(|waiter| waiter.join().unwrap());
        assert_eq!(here, [io::ErrorKind::NotConnected; 3]);
        let there = unblock(move || thread.join().unwrap()).unwrap();
        assert_eq!(there, [io::ErrorKind::NotConnected; 3]);
        assert!(listener.incoming().next().is_none());
        assert!(Listener::has_ended(&listener));
    });
}

#[test]
fn a_cancelled_wait_leaves_the_socket_usable() {
    on_a_hub("unix cancel", || {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        let reader = spawn({
            let stream = stream.try_clone().unwrap();
            move || (&stream).read(&mut [0; 8])
        });
        let receiver = spawn({
            let stream = stream.try_clone().unwrap();
            move || stream.recv_with_fds(&mut [0; 8], 1)
        });
        yield_now();
        reader.cancel();
        receiver.cancel();
        assert!(reader.join().unwrap_err().is_cancelled());
        assert!(receiver.join().unwrap_err().is_cancelled());
        peer.write_all(b"next").unwrap();
        assert_eq!((&stream).read(&mut [0; 8]).unwrap(), 4);
    });
}

#[test]
fn a_stream_moves_to_another_hub_and_is_dropped_there() {
    on_a_hub("unix moves", || {
        let (mut stream, mut peer) = UnixStream::pair().unwrap();
        stream.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(kind(stream.read(&mut [0])), io::ErrorKind::TimedOut);
        stream.set_read_timeout(None).unwrap();
        let thread = std::thread::spawn(move || {
            kapok::run(move || {
                let mut buffer = [0; 8];
                let length = stream.read(&mut buffer).unwrap();
                stream.write_all(&buffer[..length]).unwrap();
            })
        });
        peer.write_all(b"moved").unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "moved", "and the end is seen, so it is closed");
        unblock(move || thread.join().unwrap()).unwrap();
    });
}

#[test]
fn streams_and_listeners_serve_protocols() {
    fn answer(listener: impl Listener) -> Option<std::net::SocketAddr> {
        let connection = listener.accept().unwrap();
        connection.limit_read(Some(LONG));
        let mut bytes = [0; 4];
        connection.shared().read_exact(&mut bytes).unwrap();
        connection.shared().write_all(&bytes).unwrap();
        let peer = connection.peer();
        connection.abort();
        peer
    }
    on_a_hub("unix protocol", || {
        let address = abstract_name();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let server = spawn(move || answer(listener));
        let mut client = UnixStream::connect_addr(&address).unwrap();
        client.write_all(b"ping").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "ping");
        assert_eq!(server.join().unwrap(), None);
    });
}

#[test]
fn peeked_bytes_are_still_there_and_sockets_go_to_std_and_back() {
    on_a_hub("unix std", || {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"twice").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(stream.peek(&mut buffer).unwrap(), 5);
        let mut stream = UnixStream::from_std(stream.into_std().unwrap()).unwrap();
        assert_eq!(stream.read(&mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"twice");
        assert!(stream.take_error().unwrap().is_none());
        let (one, other) = UnixDatagram::pair().unwrap();
        let one = UnixDatagram::from_std(one.into_std().unwrap()).unwrap();
        other.send(b"twice").unwrap();
        assert_eq!(one.peek(&mut buffer).unwrap(), 5);
        assert_eq!(one.recv(&mut buffer).unwrap(), 5);
    });
}

#[test]
fn thousands_of_datagrams_go_to_a_peer_that_is_slower() {
    const COUNT: u32 = 3_000;
    on_a_hub("unix datagrams", || {
        // Of a pair, and one that knows its peer but is not known to it: the system counts what is under way in two ways.
        let (one, other) = UnixDatagram::pair().unwrap();
        let address = abstract_name();
        let named = UnixDatagram::bind_addr(&address).unwrap();
        let unknown = UnixDatagram::unbound().unwrap();
        unknown.connect_addr(&address).unwrap();
        for (one, other) in [(one, other), (unknown, named)] {
            let sender = spawn(move || {
                for number in 0..COUNT {
                    assert_eq!(one.send(&number.to_be_bytes()).unwrap(), 4);
                }
            });
            let mut buffer = [0; 8];
            for number in 0..COUNT {
                assert_eq!(other.recv(&mut buffer).unwrap(), 4);
                assert_eq!(buffer[..4], number.to_be_bytes());
            }
            sender.join().unwrap();
        }
    });
}

#[test]
fn sending_to_a_path_waits_for_room_there() {
    on_a_hub("send_to", || {
        let folder = Folder::new();
        let receiver = UnixDatagram::bind(folder.socket()).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let path = folder.socket();
        let sending = spawn(move || {
            for number in 0..200_u32 {
                sender.send_to(&number.to_be_bytes(), &path).unwrap();
            }
            sender.set_write_timeout(Some(SHORT)).unwrap();
            let full = loop {
                if let Err(error) = sender.send_to(b"full", &path) {
                    break error;
                }
            };
            full.kind()
        });
        let mut buffer = [0; 8];
        for number in 0..200_u32 {
            let (length, from) = receiver.recv_from(&mut buffer).unwrap();
            assert!(from.is_unnamed());
            assert_eq!(buffer[..length], number.to_be_bytes());
        }
        assert_eq!(sending.join().unwrap(), io::ErrorKind::TimedOut);
        let address = abstract_name();
        let named = UnixDatagram::bind_addr(&address).unwrap();
        receiver.connect_addr(&address).unwrap();
        receiver.send(b"hello").unwrap();
        assert_eq!(named.recv(&mut buffer).unwrap(), 5);
        let nobody = UnixDatagram::unbound().unwrap();
        assert_eq!(
            kind(nobody.send_to(b"x", folder.0.join("nobody"))),
            io::ErrorKind::NotFound
        );
    });
}

// Gruvi 27.
#[test]
fn a_descriptor_is_passed_and_served() {
    on_a_hub("pass a connection", || {
        // The client has a connection and gives it to the server, which serves it.
        let address = abstract_name();
        let passing = UnixListener::bind_addr(&address).unwrap();
        let server = spawn(move || {
            let (stream, _) = passing.accept().unwrap();
            let mut buffer = [0; 16];
            let (length, mut descriptors) = stream.recv_with_fds(&mut buffer, 1).unwrap();
            assert_eq!(&buffer[..length], b"serve this");
            let mut passed = TcpStream::try_from(descriptors.remove(0)).unwrap();
            let mut line = [0; 5];
            passed.read_exact(&mut line).unwrap();
            passed.write_all(&line).unwrap();
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let passer = UnixStream::connect_addr(&address).unwrap();
        passer
            .send_with_fds(b"serve this", &[accepted.as_fd()])
            .unwrap();
        drop(accepted);
        client.write_all(b"hello").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        server.join().unwrap();
    });
}

#[test]
fn a_listening_socket_and_a_pipe_are_passed_at_once() {
    on_a_hub("pass several", || {
        let (one, other) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let unix = UnixListener::bind_addr(&abstract_name()).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let all = [listener.as_fd(), unix.as_fd(), writer.as_fd()];
        assert_eq!(one.send_with_fds(b"x", &all).unwrap(), 1);
        drop((listener, writer));
        let (length, descriptors) = other.recv_with_fds(&mut [0; 8], 5).unwrap();
        assert_eq!((length, descriptors.len()), (1, 3));
        assert!(descriptors.iter().all(is_closed_on_exec));
        let mut descriptors = descriptors.into_iter();
        let listener = TcpListener::try_from(descriptors.next().unwrap()).unwrap();
        let server = spawn(move || listener.accept().unwrap().0.write_all(b"passed"));
        let mut text = String::new();
        TcpStream::connect(address)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "passed");
        server.join().unwrap().unwrap();
        UnixListener::try_from(descriptors.next().unwrap()).unwrap();
        let mut writer = PipeWriter::from(descriptors.next().unwrap());
        writer.write_all(b"piped").unwrap();
        drop(writer);
        text.clear();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "piped");
    });
}

#[test]
fn descriptors_that_are_not_taken_are_closed() {
    on_a_hub("take fewer", || {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut reader, writer): (PipeReader, PipeWriter) = io::pipe().unwrap();
        let four: Vec<BorrowedFd<'_>> = (0..4).map(|_| writer.as_fd()).collect();
        assert_eq!(descriptors_of(&writer), 2, "both ends of the pipe");
        for taken in 0..4 {
            one.send_with_fds(b"four", &four).unwrap();
            let error = other.recv_with_fds(&mut [0; 8], taken).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains(&taken.to_string()), "{error}");
            assert_eq!(descriptors_of(&writer), 2, "{taken} taken");
        }
        one.send_with_fds(b"four", &four).unwrap();
        let (length, descriptors) = other.recv_with_fds(&mut [0; 8], 4).unwrap();
        assert_eq!((length, descriptors.len()), (4, 4));
        assert_eq!(descriptors_of(&writer), 6);
        drop(descriptors);
        // Plain reads throw them away, and so does the end of the stream.
        one.send_with_fds(b"four", &four).unwrap();
        assert_eq!((&other).read(&mut [0; 8]).unwrap(), 4);
        one.send_with_fds(b"four", &four).unwrap();
        drop((one, other));
        assert_eq!(descriptors_of(&writer), 2);
        drop(writer);
        assert_eq!(
            reader.read(&mut [0]).unwrap(),
            0,
            "nobody can write any more"
        );
    });
}

#[test]
fn descriptors_go_with_one_byte_at_least_and_not_too_many_at_once() {
    on_a_hub("refused descriptors", || {
        let (one, other) = UnixStream::pair().unwrap();
        let error = one.send_with_fds(b"", &[one.as_fd()]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("no bytes"), "{error}");
        let many: Vec<BorrowedFd<'_>> = (0..254).map(|_| one.as_fd()).collect();
        let error = one.send_with_fds(b"x", &many).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("253"), "{error}");
        assert_eq!(one.send_with_fds(b"x", &many[..253]).unwrap(), 1);
        let (length, descriptors) = other.recv_with_fds(&mut [0; 8], 1000).unwrap();
        assert_eq!((length, descriptors.len()), (1, 253));
        drop(descriptors); // each of them keeps the stream open
        assert_eq!(one.send_with_fds(b"none", &[]).unwrap(), 4);
        let (length, descriptors) = other.recv_with_fds(&mut [0; 8], 1).unwrap();
        assert_eq!((length, descriptors.len()), (4, 0));
        drop(one);
        let (length, descriptors) = other.recv_with_fds(&mut [0; 8], 1).unwrap();
        assert_eq!((length, descriptors.len()), (0, 0), "the end");
    });
}

#[test]
fn bytes_behind_a_descriptor_are_read_though_a_read_stops_there() {
    on_a_hub("read stops", || {
        for _ in 0..20 {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            let reader = spawn(move || {
                let (mut lengths, mut buffer) = (Vec::new(), [0; 64]);
                while lengths.iter().sum::<usize>() < 9 {
                    lengths.push(other.read(&mut buffer).unwrap());
                }
                lengths
            });
            yield_now();
            // All of it is one event, and the kernel ends a read behind each descriptor.
            let own = one.try_clone().unwrap();
            one.send_with_fds(b"one", &[own.as_fd()]).unwrap();
            one.send_with_fds(b"two", &[own.as_fd()]).unwrap();
            one.write_all(b"six").unwrap();
            assert_eq!(reader.join().unwrap(), [3, 3, 3]);
        }
    });
}

#[test]
fn a_datagram_carries_descriptors() {
    on_a_hub("datagram descriptors", || {
        let (one, other) = UnixDatagram::pair().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        one.send_with_fds(b"both", &[reader.as_fd(), writer.as_fd()])
            .unwrap();
        let (length, descriptors) = other.recv_with_fds(&mut [0; 8], 2).unwrap();
        assert_eq!((length, descriptors.len()), (4, 2));
        assert!(descriptors.iter().all(is_closed_on_exec));
        drop(descriptors);
        one.send_with_fds(b"both", &[reader.as_fd(), writer.as_fd()])
            .unwrap();
        assert_eq!(
            kind(other.recv_with_fds(&mut [0; 8], 1)),
            io::ErrorKind::InvalidData
        );
        assert_eq!(descriptors_of(&writer), 2);
    });
}

#[test]
fn netcat_is_served_and_python_passes_a_file() {
    on_a_hub("unix tools", || {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.socket()).unwrap();
        let mut process = Command::new("nc")
            .arg("-U")
            .arg(folder.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        process.stdin.take().unwrap().write_all(b"from nc").unwrap();
        let mut bytes = [0; 7];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"from nc");
        stream.write_all(b"from a fiber").unwrap();
        drop(stream);
        let output = unblock(move || process.wait_with_output())
            .unwrap()
            .unwrap();
        assert_eq!(output.stdout, b"from a fiber");

        let program = "import array,os,socket,sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
r, w = os.pipe()
s.sendmsg([b'python'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [w]))])
os.close(w)
assert os.read(r, 100) == b'to python'
print(s.recvmsg(10, socket.CMSG_SPACE(4))[0].decode())
";
        let process = Command::new("python3")
            .args(["-c", program])
            .arg(folder.socket())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stream, _) = listener.accept().unwrap();
        assert_eq!(stream.peer_cred().unwrap().pid, Some(process.id() as i32));
        let mut buffer = [0; 16];
        let (length, mut descriptors) = stream.recv_with_fds(&mut buffer, 1).unwrap();
        assert_eq!(&buffer[..length], b"python");
        let mut pipe = PipeWriter::from(descriptors.remove(0));
        pipe.write_all(b"to python").unwrap();
        stream.send_with_fds(b"done", &[pipe.as_fd()]).unwrap();
        let output = unblock(move || process.wait_with_output())
            .unwrap()
            .unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"done\n");
    });
}

/// How many descriptors this process has for itself.
fn descriptors_of_this_process() -> usize {
    let own = format!("Pid:\t{}", std::process::id());
    fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .filter(|text| text.lines().any(|line| line == own))
        .count()
}

#[test]
fn descriptors_come_behind_what_else_a_socket_tells() {
    on_a_hub("told besides", || {
        let (one, other) = UnixStream::pair().unwrap();
        for option in [libc::SO_PASSCRED, libc::SO_PASSSEC, libc::SO_PASSPIDFD] {
            let yes: libc::c_int = 1;
            // SAFETY: the descriptor is open, and the value has that length. Not every system knows every option.
            unsafe {
                libc::setsockopt(
                    other.as_raw_fd(),
                    libc::SOL_SOCKET,
                    option,
                    (&raw const yes).cast(),
                    size_of_val(&yes) as libc::socklen_t,
                )
            };
        }
        for count in 0..3 {
            one.send_with_fds(b"x", &vec![one.as_fd(); count]).unwrap();
            let (length, descriptors) = other.recv_with_fds(&mut [0; 8], count).unwrap();
            assert_eq!((length, descriptors.len()), (1, count));
            assert!(descriptors.iter().all(is_closed_on_exec));
            if count > 0 {
                one.send_with_fds(b"x", &vec![one.as_fd(); count]).unwrap();
                let error = kind(other.recv_with_fds(&mut [0; 8], count - 1));
                assert_eq!(error, io::ErrorKind::InvalidData);
            }
            assert_eq!(descriptors_of(&one), 1 + count);
        }
        assert_eq!(descriptors_of_this_process(), 0);
    });
}

#[test]
fn a_datagram_that_finds_no_room_holds_up_none_to_another_receiver() {
    on_a_hub("two receivers", || {
        let (near, far) = (abstract_name(), abstract_name());
        let receiver = UnixDatagram::bind_addr(&near).unwrap();
        let _deaf = UnixDatagram::bind_addr(&far).unwrap();
        for name in [&near, &far] {
            let others = UnixDatagram::unbound().unwrap();
            others
                .set_write_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            while others.send_to_addr(b"x", name).is_ok() {}
        }
        let socket = Rc::new(UnixDatagram::unbound().unwrap());
        socket.connect_addr(&near).unwrap();
        let shared = Rc::clone(&socket);
        let to_far = spawn(move || shared.send_to_addr(b"far", &far));
        yield_now();
        let to_near = spawn(move || socket.send(b"near"));
        yield_now();
        while receiver.recv(&mut [0; 8]).unwrap() != 4 {}
        assert_eq!(to_near.join().unwrap().unwrap(), 4);
        to_far.cancel();
        assert!(to_far.join().unwrap_err().is_cancelled());
    });
}
