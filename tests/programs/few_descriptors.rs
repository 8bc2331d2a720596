//! A server that runs out of descriptors and goes on when some are free again. tests/runtime/ends.rs reads what it prints.

use std::io::{Read, Write};

use kapok::net::{TcpListener, TcpStream};

const LIMIT: libc::rlim_t = 64;

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(kapok::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(kapok::spawn(move || stream.write_all(b"served")));
        }
    }));
    kapok::yield_now();
    let limit = libc::rlimit {
        rlim_cur: LIMIT,
        rlim_max: LIMIT,
    };
    // SAFETY: the record is valid for the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(set, 0);

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
