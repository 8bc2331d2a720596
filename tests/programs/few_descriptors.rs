//! Servers that run out of descriptors and go on when some are free again. tests/runtime/ends.rs reads what they print.

use std::io::{Read, Write};
use std::time::Duration;

use kapok::net::{TcpListener, TcpStream};

const LIMIT: libc::rlim_t = 64;
/// Fewer than are open.
const NONE: libc::rlim_t = 1;

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => serve_all(),
        Some("fibers") => serve_each_in_its_acceptor(false),
        Some("cancelled") => serve_each_in_its_acceptor(true),
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
