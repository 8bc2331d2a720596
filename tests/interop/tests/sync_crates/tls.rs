//! rustls in full duplex: two fibers at each end.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};

use interop::pattern;
use kapok::net::TcpStream;
use rustls::version::{TLS12, TLS13};
use rustls::{Connection, SupportedProtocolVersion};

use crate::support::{Count, Tls, alone, connected};

const BYTES: usize = 10 << 20;

/// One end, of which one fiber reads while another writes. The connection is borrowed only between switchpoints.
struct Duplex {
    connection: RefCell<Connection>,
    stream: TcpStream,
}

impl Duplex {
    fn new(connection: impl Into<Connection>, mut stream: TcpStream) -> io::Result<Self> {
        let mut connection = connection.into();
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Self {
            connection: RefCell::new(connection),
            stream,
        })
    }

    fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.connection.borrow_mut().writer().write(bytes)?;
            bytes = &bytes[taken..];
            self.flush()?;
        }
        self.connection.borrow_mut().send_close_notify();
        self.flush()
    }

    fn flush(&self) -> io::Result<()> {
        let mut records = Vec::new();
        while self.connection.borrow().wants_write() {
            self.connection.borrow_mut().write_tls(&mut records)?;
        }
        (&self.stream).write_all(&records)
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let (mut received, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let mut records = match (&self.stream).read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => &buffer[..count],
            };
            let mut connection = self.connection.borrow_mut();
            while !records.is_empty() {
                connection.read_tls(&mut records)?;
                let state = connection.process_new_packets().map_err(io::Error::other)?;
                let start = received.len();
                received.resize(start + state.plaintext_bytes_to_read(), 0);
                connection.reader().read_exact(&mut received[start..])?;
                if state.peer_has_closed() {
                    return Ok(received);
                }
            }
        }
    }

    /// Sends on one fiber and receives on another, at the same time.
    fn exchange(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        kapok::task_group(|group| {
            group.spawn(|| self.send(bytes));
            self.receive()
        })
    }
}

fn carries_megabytes_both_ways(version: &'static SupportedProtocolVersion) {
    let tls = Tls::new(version);
    let count = Count::new(&tls);
    let (client, server) = connected();
    let server = kapok::spawn({
        let tls = tls.clone();
        move || Duplex::new(tls.server_connection(), server)?.exchange(&pattern(1, BYTES))
    });
    let client = Duplex::new(tls.client_connection(), client).unwrap();
    let received = client.exchange(&pattern(2, BYTES)).unwrap();
    drop(client);
    assert!(received == pattern(1, BYTES), "the client's were garbled");
    let received = server.join().unwrap().unwrap();
    assert!(received == pattern(2, BYTES), "the server's were garbled");
    count.assert_nothing_left();
}

#[test]
fn two_fibers_an_end_carry_megabytes_both_ways_in_tls_1_3() {
    alone("megabytes_in_tls_1_3", || {
        carries_megabytes_both_ways(&TLS13);
    });
}

#[test]
fn two_fibers_an_end_carry_megabytes_both_ways_in_tls_1_2() {
    alone("megabytes_in_tls_1_2", || {
        carries_megabytes_both_ways(&TLS12);
    });
}
