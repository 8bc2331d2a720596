//! kapok's types from and to std's, and bare descriptors.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use kapok::fs::File;
use kapok::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use kapok::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use kapok::spawn;

use crate::support::on_a_hub;

fn is_nonblocking(descriptor: &impl AsRawFd) -> bool {
    // SAFETY: the call takes two numbers and returns one.
    let flags = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFL) };
    assert_ne!(flags, -1);
    flags & libc::O_NONBLOCK != 0
}

/// Ours to std's, to ours, to a bare descriptor, to ours, and by its number to a bare descriptor.
fn goes_everywhere<Ours, Std>(ours: Ours)
where
    Ours: AsRawFd + IntoRawFd + Debug,
    Ours: TryFrom<Std, Error: Debug> + TryFrom<OwnedFd, Error: Debug>,
    Std: TryFrom<Ours, Error = io::Error> + AsRawFd + Debug,
    OwnedFd: TryFrom<Ours, Error = io::Error>,
{
    let (number, was_nonblocking) = (ours.as_raw_fd(), is_nonblocking(&ours));
    let std = Std::try_from(ours).unwrap();
    assert!(!is_nonblocking(&std), "{std:?}");
    assert_eq!(std.as_raw_fd(), number, "{std:?} is a duplicate");
    let ours = Ours::try_from(std).unwrap();
    assert_eq!(is_nonblocking(&ours), was_nonblocking, "{ours:?}");
    let bare = OwnedFd::try_from(ours).unwrap();
    assert!(!is_nonblocking(&bare));
    assert_eq!(bare.as_raw_fd(), number);
    let ours = Ours::try_from(bare).unwrap();
    assert_eq!(is_nonblocking(&ours), was_nonblocking, "{ours:?}");
    assert_eq!(ours.into_raw_fd(), number);
    // SAFETY: the descriptor was given up just now.
    let bare = unsafe { OwnedFd::from_raw_fd(number) };
    assert!(!is_nonblocking(&bare));
}

#[test]
fn every_type_goes_to_stds_and_to_a_descriptor_and_back() {
    on_a_hub("conversions", || {
        let folder = std::env::temp_dir().join(format!("kapok-conversions-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        goes_everywhere::<_, std::net::TcpStream>(stream);
        goes_everywhere::<_, std::net::TcpListener>(listener);
        goes_everywhere::<_, std::net::UdpSocket>(UdpSocket::bind("127.0.0.1:0").unwrap());
        let listener = UnixListener::bind(folder.join("socket")).unwrap();
        goes_everywhere::<_, std::os::unix::net::UnixListener>(listener);
        let (one, _other) = UnixStream::pair().unwrap();
        goes_everywhere::<_, std::os::unix::net::UnixStream>(one);
        let (one, _other) = UnixDatagram::pair().unwrap();
        goes_everywhere::<_, std::os::unix::net::UnixDatagram>(one);
        let (reader, writer) = kapok::io::pipe().unwrap();
        goes_everywhere::<_, std::io::PipeReader>(reader);
        goes_everywhere::<_, std::io::PipeWriter>(writer);
        goes_everywhere::<_, std::fs::File>(File::create(folder.join("file")).unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_childs_pipes_go_to_stds_and_to_descriptors_and_back() {
    on_a_hub("conversions of a child", || {
        let mut child = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let [stdin, stdout, stderr]: [OwnedFd; 3] = [
            child.stdin.take().unwrap().try_into().unwrap(),
            child.stdout.take().unwrap().try_into().unwrap(),
            child.stderr.take().unwrap().try_into().unwrap(),
        ];
        // The child's ends are open all the while.
        goes_everywhere::<_, std::process::ChildStderr>(ChildStderr::try_from(stderr).unwrap());
        let copies = (stdin.try_clone().unwrap(), stdout.try_clone().unwrap());
        goes_everywhere::<_, std::process::ChildStdin>(ChildStdin::try_from(copies.0).unwrap());
        goes_everywhere::<_, std::process::ChildStdout>(ChildStdout::try_from(copies.1).unwrap());
        let mut stdin = ChildStdin::try_from(stdin).unwrap();
        stdin.write_all(b"hello").unwrap();
        drop(stdin);
        let mut text = String::new();
        let mut stdout = ChildStdout::try_from(stdout).unwrap();
        stdout.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_stream_that_was_waited_for_goes_to_std_and_comes_back() {
    on_a_hub("conversion after a wait", || {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let mut byte = [0];
        let fiber = spawn(move || {
            let mut byte = [0];
            one.read_exact(&mut byte).unwrap();
            (one, byte)
        });
        kapok::yield_now();
        other.write_all(b"1").unwrap();
        let (one, first) = fiber.join().unwrap();
        assert_eq!(first, *b"1");
        let mut one = std::os::unix::net::UnixStream::try_from(one).unwrap();
        other.write_all(b"2").unwrap();
        one.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"2");
        let mut one = UnixStream::try_from(one).unwrap();
        let fiber = spawn(move || {
            let mut byte = [0];
            one.read_exact(&mut byte).unwrap();
            byte
        });
        kapok::yield_now();
        other.write_all(b"3").unwrap();
        assert_eq!(fiber.join().unwrap(), *b"3");
    });
}

#[test]
fn what_is_shared_becomes_a_duplicate() {
    on_a_hub("conversion of a clone", || {
        let (one, mut other) = UnixStream::pair().unwrap();
        let clone = one.try_clone().unwrap();
        let duplicate = OwnedFd::try_from(clone).unwrap();
        assert_ne!(duplicate.as_raw_fd(), one.as_raw_fd());
        let clone = one.try_clone().unwrap();
        let number = clone.into_raw_fd();
        assert_ne!(number, one.as_raw_fd());
        // SAFETY: the descriptor was given up just now.
        let mut duplicate = unsafe { std::os::unix::net::UnixStream::from_raw_fd(number) };
        other.write_all(b"x").unwrap();
        let mut byte = [0];
        duplicate.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
    });
}
