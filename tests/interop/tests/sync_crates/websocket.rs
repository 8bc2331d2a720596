//! tungstenite at both ends, and at one with Python's websockets at the other.

use std::net::SocketAddr;

use interop::pattern;
use kapok::net::{TcpListener, TcpStream};
use kapok::process::Command;
use tungstenite::{Error, Message};

use crate::peers::URL;
use crate::support::{alone, join_soon};

/// Sends each message back until the peer closes. Returns how many there were.
fn echo(stream: TcpStream) -> usize {
    let mut socket = tungstenite::accept(stream).unwrap();
    let mut count = 0;
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                socket.send(message).unwrap();
                count += 1;
            }
            Ok(_) => {} // answered by tungstenite
            Err(Error::ConnectionClosed) => return count,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Echoes to one client. Returns how many messages there were.
fn echo_server() -> (SocketAddr, kapok::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let fiber = kapok::spawn(move || echo(listener.accept().unwrap().0));
    (address, fiber)
}

/// Texts and bytes, from none to more than any buffer holds.
fn message(number: usize) -> Message {
    let bytes = pattern(number, 40 * number.pow(2));
    match number % 2 {
        0 => Message::binary(bytes),
        _ => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[test]
fn a_hundred_messages_come_back() {
    alone("a_hundred_messages", || {
        let (address, server) = echo_server();
        let stream = TcpStream::connect(address).unwrap();
        let (mut socket, _) = tungstenite::client(URL, stream).unwrap();
        for number in 0..100 {
            socket.send(message(number)).unwrap();
            assert!(
                socket.read().unwrap() == message(number),
                "message {number} was garbled"
            );
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
        assert_eq!(join_soon("the server", server), 100);
    });
}

const PYTHON_CLIENT: &str = r#"
import asyncio, sys, websockets

async def main(address):
    async with websockets.connect("ws://" + address, max_size=None) as socket:
        for number in range(100):
            message = "\u00e9" * number**2 if number % 2 else bytes([number]) * number**3
            await socket.send(message)
            if await socket.recv() != message:
                sys.exit(f"message {number} was garbled")
        await asyncio.wait_for(await socket.ping(), 10)

asyncio.run(asyncio.wait_for(main(sys.argv[1]), 30))
"#;

#[test]
fn a_client_of_python_gets_a_hundred_messages_back() {
    alone("a_client_of_python", || {
        let (address, server) = echo_server();
        let output = Command::new("/usr/bin/python3")
            .args(["-c", PYTHON_CLIENT, &address.to_string()])
            .output();
        let output = output.expect("Debian's Python is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(join_soon("the server", server), 100);
    });
}
