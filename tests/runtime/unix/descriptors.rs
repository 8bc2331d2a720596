//! Descriptors that travel beside bytes.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Command, Stdio};

use kapok::net::{TcpListener, TcpStream, UnixDatagram, UnixListener, UnixStream};
use kapok::{spawn, unblock, yield_now};

use super::{Folder, abstract_name, kind};
use crate::support::on_a_hub;

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

/// How many descriptors this process has for itself.
fn descriptors_of_this_process() -> usize {
    let own = format!("Pid:\t{}", std::process::id());
    fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .filter(|text| text.lines().any(|line| line == own))
        .count()
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
