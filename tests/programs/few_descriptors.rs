//! Programs that run out of descriptors, servers that go on when some are free again. tests/runtime/ends.rs reads what they print.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use kapok::io::Registered;
use kapok::net::{TcpListener, TcpStream};

const LIMIT: libc::rlim_t = 64;
/// Fewer than are open.
const NONE: libc::rlim_t = 4;

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => serve_all(),
        Some("fibers") => serve_each_in_its_acceptor(false),
        Some("cancelled") => serve_each_in_its_acceptor(true),
        Some("registered") => register_none(),
        Some(other) => panic!("no case {other:?}"),
    }
}

fn set_limit(descriptors: libc::rlim_t) {
    let limit = libc::rlimit {
        rlim_cur: descriptors,
        rlim_max: LIMIT,
    };
    // SAFETY: the record is valid for the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(set, 0);
}

/// Each of two fibers takes one connection and no other. Only one of them may have seen that there were no descriptors.
#[expect(
    clippy::disallowed_methods,
    reason = "no acceptor is to run before there are no descriptors"
)]
fn serve_each_in_its_acceptor(is_first_cancelled: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = || {
        let listener = listener.try_clone().unwrap();
        kapok::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"served").unwrap();
            kapok::park();
        })
    };
    let acceptors = [accept(), accept()];
    kapok::yield_now();
    let connect = || TcpStream::from_std(std::net::TcpStream::connect(address).unwrap());
    let mut clients = vec![connect().unwrap(), connect().unwrap()];
    set_limit(NONE);
    kapok::sleep(Duration::from_millis(20));
    if is_first_cancelled {
        acceptors[0].cancel();
        clients.truncate(1);
    }
    set_limit(LIMIT);
    for mut client in clients {
        client.read_exact(&mut [0; 6]).unwrap();
    }
    println!("all served");
    acceptors.iter().for_each(kapok::JoinHandle::cancel);
}

/// What cannot be registered stays as it was.
fn register_none() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let duplicate = reader.try_clone().unwrap();
    set_limit(NONE);
    let error = Registered::new(duplicate).unwrap_err();
    // SAFETY: the call takes numbers, and the descriptor is open.
    let flags = unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_GETFL) };
    let is_blocking = flags & libc::O_NONBLOCK == 0;
    println!("{:?}, blocks: {is_blocking}", error.raw_os_error());
}

fn serve_all() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(kapok::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(kapok::spawn(move || stream.write_all(b"served")));
        }
    }));
    kapok::yield_now();
    set_limit(LIMIT);

    // Both ends of each connection are ours. Clients first, until there is no descriptor left to accept with.
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(address) {
        clients.push(client);
    }
    assert!(clients.len() > 10, "only {} clients", clients.len());
    // The last ones wait in the system's queue; those before them free their descriptors as they are answered.
    for mut client in clients {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "served");
    }
    println!("all served");
}
